"""Format `clob-books-15m`: one CSV per token, five levels a side, the Chainlink price joined on."""

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from core.errors import RejectedError
from core.market.events import BookSnapshot, Level, SettlementPrice
from core.market.market import Market
from core.market.window import Window
from venues.polymarket.numbers import parse_micros
from venues.recordings import recording as kinds
from venues.recordings.lines import read_rows, understanding
from venues.recordings.recording import RecordedEvent, Recording

FORMAT = "clob-books-15m"
HEADER = b"market_slug,title,status,side_label,token_id,"
PRICE_DELAY_MS = 1_300
"""How long after its stamp a Chainlink tick arrives (median of the recorded 84,559: 1.32 s): the price column is joined
by stamp, so replaying it at the row's own time would know the price about a second early."""
_DEPTH = 5
_DEFAULT_MIN_ORDER_SHARES = 5_000_000


def open_clob_books(path: Path, files: Sequence[Path]) -> Recording:
    """Open the pairs of files (Up and Down) among `files`; a single file brings its other half along.

    Raises:
        RejectedError: when a token's other half is missing, or a file is unreadable.
    """
    halves: dict[str, dict[str, tuple[Path, dict[str, str]]]] = {}
    for file in sorted({half for given in files for half in _with_sibling(given)}):
        row = next(read_rows(file), None)
        if row is None:
            raise RejectedError(f"{file} has a header and no rows: leave it out or fetch it anew")
        halves.setdefault(row["market"], {})[row["side_label"]] = (file, row)
    markets: list[Market] = []
    sources: list[tuple[Market, Path, Path]] = []
    for condition_id, sides in halves.items():
        if set(sides) != {"Up", "Down"}:
            lone = next(iter(sides.values()))[0]
            raise RejectedError(f"{lone} is one token's half of a market: put the other token's file next to it")
        (up, up_row), (down, down_row) = sides["Up"], sides["Down"]
        with understanding(up):
            market = _market(condition_id, up_row, down_row["token_id"])
        markets.append(market)
        sources.append((market, up, down))
    sources.sort(key=lambda source: (source[0].window.opens_at_s, source[0].asset))
    ordered = tuple(market for market, _, _ in sources)
    lacking_minimum = any(row["min_order_size"] in {"", "0"} for sides in halves.values() for _, row in sides.values())
    return Recording(
        FORMAT,
        path,
        tuple(sorted({market.asset for market in ordered})),
        ordered,
        dict.fromkeys((market.condition_id for market in ordered), None),
        (
            kinds.BINANCE_FLOW,
            kinds.OUTCOME,
            kinds.FEE_SCHEDULE,
            kinds.FULL_DEPTH,
            kinds.TRADES,
            kinds.TAKER_DELAY,
            *((kinds.MINIMUM_ORDER,) if lacking_minimum else ()),
        ),
        sized=True,
        source=lambda: _events(sources),
        snapshots_only=True,
        notes=(f"Chainlink ticks are joined by stamp and replayed {PRICE_DELAY_MS} ms after it",),
    )


def _with_sibling(file: Path) -> tuple[Path, ...]:
    for ours, other in (("__up.", "__down."), ("__down.", "__up.")):
        sibling = file.with_name(file.name.replace(ours, other))
        if ours in file.name and sibling.exists():
            return file, sibling
    return (file,)


def _market(condition_id: str, up_row: dict[str, str], down_token: str) -> Market:
    opens_at_s = int(datetime.fromisoformat(up_row["slot_start_utc"]).timestamp())
    closes_at_s = int(datetime.fromisoformat(up_row["slot_end_utc"]).timestamp())
    minimum = parse_micros(up_row["min_order_size"] or "0")
    return Market(
        Window(up_row["market_slug"].partition("-")[0].upper(), opens_at_s, closes_at_s - opens_at_s),
        condition_id,
        up_row["token_id"],
        down_token,
        parse_micros(up_row["tick_size"]),
        minimum or _DEFAULT_MIN_ORDER_SHARES,
        None,
        0,
    )


def _events(sources: Sequence[tuple[Market, Path, Path]]) -> Iterator[RecordedEvent]:
    by_receipt = attrgetter("at_ms")
    # both halves' rows first, prices last: a stable merge keeps that order within a millisecond
    streams = [
        stream
        for market, up, down in sources
        for stream in (_books(market, up), _books(market, down), _prices(market, up))
    ]
    return heapq.merge(*streams, key=by_receipt)


def _books(market: Market, file: Path) -> Iterator[RecordedEvent]:
    at_ms = 0
    with understanding(file):
        for row in read_rows(file):
            # the indexer stamped the row when it had it; never let a correction of its clock run time backwards
            at_ms = max(at_ms, int(row["indexed_at_ms"]))
            book = BookSnapshot(row["token_id"], _levels(row, "bid"), _levels(row, "ask"), int(row["timestamp_ms"]))
            yield RecordedEvent(at_ms, market.asset, "polymarket", market.condition_id, book)


def _levels(row: dict[str, str], side: str) -> tuple[Level, ...]:
    return tuple(
        (parse_micros(price), parse_micros(row[f"{side}_{number}_size"]))
        for number in range(1, _DEPTH + 1)
        if (price := row[f"{side}_{number}_price"])
    )


def _prices(market: Market, file: Path) -> Iterator[RecordedEvent]:
    at_ms = 0
    with understanding(file):
        for stamp, rows in groupby(read_rows(file), key=lambda row: row["btc_price_timestamp"]):
            row = next(rows)
            if not stamp or not row["btc_price"]:
                continue
            at_ms = max(at_ms, int(row["indexed_at_ms"]), int(stamp) + PRICE_DELAY_MS)
            price = SettlementPrice(market.asset, float(row["btc_price"]), int(stamp))
            yield RecordedEvent(at_ms, market.asset, "prices", None, price)
