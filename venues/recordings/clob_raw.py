"""Format `clob-raw-5m`: frames of the CLOB's market channel as they came, with the markets in a file beside them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from core.errors import RejectedError
from core.market.events import MarketEvent, MarketResolved, PriceChange
from core.market.market import Market
from core.market.window import Window
from core.trading.money import micros
from venues.polymarket.decode import decode_market_frame
from venues.recordings import recording as kinds
from venues.recordings.lines import read_lines
from venues.recordings.recording import RecordedEvent, Recording
from venues.transport import BadFrameError

FORMAT = "clob-raw-5m"
MARKETS_FILE = "markets.json"


class _Line(msgspec.Struct):
    captured_at_s: int = msgspec.field(name="capturedAt")
    payload: msgspec.Raw


class _Market(msgspec.Struct, rename="camel"):
    slug: str
    condition_id: str
    start_ts: int
    end_ts: int
    tick_size: float
    min_order_size: float
    up_token_id: str
    down_token_id: str


def open_clob_raw(path: Path, files: Sequence[Path]) -> Recording:
    """Open raw frames; `markets.json` is read from the same folder.

    Raises:
        RejectedError: when the markets' file is missing or unreadable.
    """
    markets: dict[str, Market] = {}
    for file in files:
        markets.update({market.condition_id: market for market in _markets(file.with_name(MARKETS_FILE))})
    ordered = tuple(sorted(markets.values(), key=lambda market: market.window.opens_at_s))
    skipped: Counter[str] = Counter()
    return Recording(
        FORMAT,
        path,
        tuple(sorted({market.asset for market in ordered})),
        ordered,
        dict.fromkeys(markets, None),
        (kinds.BINANCE_FLOW, kinds.OUTCOME, kinds.FEE_SCHEDULE, kinds.SETTLEMENT_PRICES, kinds.TAKER_DELAY),
        sized=True,
        source=lambda: _events(files, ordered, skipped),
        skipped=skipped,
        notes=("receipt was stamped in whole seconds; the venue's stamps order the time within one",),
    )


def _markets(file: Path) -> list[Market]:
    if not file.exists():
        raise RejectedError(f"{file} is missing: raw frames need it to tell which token is Up")
    try:
        found = msgspec.json.decode(b"\n".join(read_lines(file)), type=dict[str, _Market])
    except msgspec.DecodeError as error:
        raise RejectedError(f"{file} cannot be understood ({error}): fetch it anew") from error
    return [
        Market(
            Window(wire.slug.partition("-")[0].upper(), wire.start_ts, wire.end_ts - wire.start_ts),
            wire.condition_id,
            wire.up_token_id,
            wire.down_token_id,
            micros(wire.tick_size),
            micros(wire.min_order_size),
            None,
            0,
        )
        for wire in found.values()
    ]


def market_of_event(event: MarketEvent, by_token: dict[str, Market]) -> Market | None:
    """Return the market that a Polymarket event is about, None when it is none of the recorded ones."""
    if isinstance(event, MarketResolved):
        return by_token.get(event.winning_token)
    if isinstance(event, PriceChange):
        return by_token.get(event.changes[0].token_id) if event.changes else None
    return by_token.get(getattr(event, "token_id", ""))


def _events(files: Sequence[Path], markets: Sequence[Market], skipped: Counter[str]) -> Iterator[RecordedEvent]:
    decoder = msgspec.json.Decoder(_Line)
    by_token = {token: market for market in markets for token in (market.up_token, market.down_token)}
    at_ms = 0
    for file in files:
        for number, line in enumerate(read_lines(file), 1):
            try:
                frame = decoder.decode(line)
            except msgspec.DecodeError as error:
                raise RejectedError(f"{file}: line {number} cannot be understood ({error}): fetch it anew") from error
            try:
                decoded = decode_market_frame(bytes(frame.payload))
            except BadFrameError:
                skipped[file.name] += 1
                continue
            for event in decoded.events:
                market = market_of_event(event, by_token)
                if market is None:
                    continue
                venue_ms = getattr(event, "venue_ms", 0)
                # stamps run backwards by up to seconds; receipt does not, and it cannot be a second later than its own
                stamped_ms = min(venue_ms, frame.captured_at_s * 1000 + 999)
                at_ms = max(at_ms, frame.captured_at_s * 1000, stamped_ms)
                yield RecordedEvent(at_ms, market.asset, "polymarket", market.condition_id, event)
