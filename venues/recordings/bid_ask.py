"""Format `bid-ask-1hz-15m`: one CSV per window, best bid and ask of both tokens once a second, no sizes and no ids."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from core.errors import RejectedError
from core.market.events import BookSnapshot
from core.market.market import Market, Side
from core.market.window import REFERENCE_LENGTH_S, Window
from core.trading.money import MICRO
from venues.polymarket.numbers import parse_micros
from venues.recordings import recording as kinds
from venues.recordings.lines import read_rows, understanding
from venues.recordings.recording import RecordedEvent, Recording

FORMAT = "bid-ask-1hz-15m"
HEADER = b"timestamp,timestamp_ms,call_bid,call_ask,"
NOMINAL_SIZE = 1_000 * MICRO
"""Shares that each level is given, since none were recorded; the book is marked as not sized."""
_ASSET = "BTC"
_TICK_SIZE = 10_000
_MIN_ORDER_SHARES = 5_000_000
_OPENING_MS = 10_000
_LARGEST_GAP = 50_000
_EXTREME = 50_000
_INFERENCE_MS = 5_000
_INFERENCE_MID = 985_000
INFERENCE_RULE = (
    "the last row is at most 5 s before the close and one token's mid is at least 0.985, the other's at most 0.015"
)


def open_bid_ask(path: Path, files: Sequence[Path]) -> Recording:
    """Open one file per window.

    Raises:
        RejectedError: when a file has no rows or is unreadable.
    """
    windows = sorted(((_market(file), file) for file in files), key=lambda pair: pair[0].window.opens_at_s)
    markets = tuple(market for market, _ in windows)
    return Recording(
        FORMAT,
        path,
        (_ASSET,),
        markets,
        dict.fromkeys((market.condition_id for market in markets), None),
        (
            kinds.BINANCE_FLOW,
            kinds.SIZES,
            kinds.OUTCOME,
            kinds.FEE_SCHEDULE,
            kinds.SETTLEMENT_PRICES,
            kinds.TRADES,
            kinds.TAKER_DELAY,
            kinds.MARKET_IDS,
        ),
        sized=False,
        source=lambda: _events(windows),
        snapshots_only=True,
        inferred_outcomes={
            market.condition_id: side for market, file in windows if (side := _inferred(market, file)) is not None
        },
        inference_rule=INFERENCE_RULE,
        notes=("ids are made from the file's window; the asset is BTC by the set's description",),
    )


def _market(file: Path) -> Market:
    row = next(read_rows(file), None)
    if row is None:
        raise RejectedError(f"{file} has a header and no rows: leave it out or fetch it anew")
    with understanding(file):
        closes_at_s = int(row["timestamp_ms"]) / 1000 + float(row["seconds_to_expiry"])
    ordinal = round(closes_at_s / REFERENCE_LENGTH_S)
    window = Window(_ASSET, (ordinal - 1) * REFERENCE_LENGTH_S, REFERENCE_LENGTH_S)
    name = f"{FORMAT}:{window.opens_at_s}"
    return Market(window, name, f"{name}:up", f"{name}:down", _TICK_SIZE, _MIN_ORDER_SHARES, None, 0)


def _events(windows: Sequence[tuple[Market, Path]]) -> Iterator[RecordedEvent]:
    at_ms = 0
    for market, file in windows:
        with understanding(file):
            for row in read_rows(file):
                at_ms = max(at_ms, int(row["timestamp_ms"]))
                if at_ms - market.window.opens_at_s * 1000 < _OPENING_MS and _is_previous_window(row):
                    continue
                for token, side in ((market.up_token, "call"), (market.down_token, "put")):
                    book = _book(token, row, side)
                    if book is not None:
                        yield RecordedEvent(at_ms, market.asset, "polymarket", market.condition_id, book)


def _is_previous_window(row: dict[str, str]) -> bool:
    """Tell a row in which at least one token still shows the window that has just ended.

    A market that is seconds old trades near one half; a decided price, or two that do not add up, is the old one's.
    """
    up, down = parse_micros(row["call_mid"] or "0"), parse_micros(row["put_mid"] or "0")
    return not _EXTREME < up < MICRO - _EXTREME or abs(up + down - MICRO) > _LARGEST_GAP


def _book(token: str, row: dict[str, str], side: str) -> BookSnapshot | None:
    """Return the token's touch; a bid of 0 or an ask of 1 is an empty side, and a touch that is crossed is left out."""
    bid, ask = parse_micros(row[f"{side}_bid"] or "0"), parse_micros(row[f"{side}_ask"] or "1")
    if bid >= ask:
        return None
    bids = ((bid, NOMINAL_SIZE),) if bid > 0 else ()
    asks = ((ask, NOMINAL_SIZE),) if ask < MICRO else ()
    return BookSnapshot(token, bids, asks, int(row["timestamp_ms"]))


def _inferred(market: Market, file: Path) -> Side | None:
    last: dict[str, str] | None = None
    for row in read_rows(file):
        last = row
    if last is None:
        return None
    with understanding(file):
        if market.window.closes_at_s * 1000 - int(last["timestamp_ms"]) > _INFERENCE_MS:
            return None
        up, down = parse_micros(last["call_mid"] or "0"), parse_micros(last["put_mid"] or "0")
    if up >= _INFERENCE_MID and down <= MICRO - _INFERENCE_MID:
        return "UP"
    return "DOWN" if down >= _INFERENCE_MID and up <= MICRO - _INFERENCE_MID else None
