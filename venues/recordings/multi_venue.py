"""Format `multi-venue-raw-15m`: a session's raw frames of CLOB, Binance and price stream, with receive stamps."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from core.errors import RejectedError
from core.market.events import MarketEvent, SettlementPrice
from core.market.market import FeeSchedule, Market
from core.market.window import Window
from core.trading.money import micros
from venues.binance.decode import decode_binance_frame
from venues.polymarket.decode import decode_market_frame
from venues.polymarket.prices import decode_prices_frame
from venues.recordings import recording as kinds
from venues.recordings.binance_raw import asset_of_symbol
from venues.recordings.clob_raw import market_of_event
from venues.recordings.lines import first_line, read_lines
from venues.recordings.recording import RecordedEvent, Recording
from venues.transport import BadFrameError, DecodedFrame

FORMAT = "multi-venue-raw-15m"
MARKETS_FILE = "markets.jsonl"
_DECODERS: dict[str, Callable[[bytes], DecodedFrame]] = {
    "polymarket_clob": decode_market_frame,
    "polymarket_rtds_chainlink": decode_prices_frame,
    "binance": decode_binance_frame,
}


class _Line(msgspec.Struct):
    source: str
    received_ms: int = msgspec.field(name="recv_wall_ts")
    payload: str


class _Token(msgspec.Struct):
    token_id: str
    outcome: str


class _FeeConfig(msgspec.Struct):
    rate: float
    exponent: int
    taker_only: bool = msgspec.field(name="takerOnly")


class _Fees(msgspec.Struct):
    schedule: _FeeConfig | None = msgspec.field(name="raw_fee_config", default=None)


class _Market(msgspec.Struct):
    slug: str
    asset: str
    condition_id: str
    outcomes: list[_Token]
    start_ts: int
    end_ts: int
    tick_size: float
    min_order_size: float
    fee_parameters: _Fees = msgspec.field(default_factory=_Fees)


def open_multi_venue(path: Path, files: Sequence[Path]) -> Recording:
    """Open one session per file, its markets in `markets.jsonl` beside it.

    Raises:
        RejectedError: when the markets' file is missing or a file is unreadable.
    """
    sessions = sorted(((_received_ms(file), file) for file in files), key=lambda session: session[0])
    markets: dict[str, Market] = {}
    notes = ["sampled in cycles of connecting, taking some frames and closing: not continuous"]
    for received_ms, file in sessions:
        for market in _markets(file.with_name(MARKETS_FILE)):
            markets[market.condition_id] = market
            ahead_s = market.window.opens_at_s - received_ms // 1000
            if ahead_s > market.window.length_s:
                notes.append(
                    f"{market.window.slug} opens {ahead_s / 3600:.1f} h after the recording began: "
                    "the recorder had subscribed to a window that was not the current one"
                )
    ordered = tuple(sorted(markets.values(), key=lambda market: (market.window.opens_at_s, market.asset)))
    lacks = [kinds.OUTCOME, kinds.TAKER_DELAY, "Binance futures (spot trades instead)"]
    if any(market.fees is None for market in ordered):
        lacks.append(kinds.FEE_SCHEDULE)
    skipped: Counter[str] = Counter()
    return Recording(
        FORMAT,
        path,
        tuple(sorted({market.asset for market in ordered})),
        ordered,
        dict.fromkeys((market.condition_id for market in ordered), None),
        tuple(lacks),
        sized=True,
        source=lambda: _events([file for _, file in sessions], ordered, skipped),
        skipped=skipped,
        notes=tuple(notes),
    )


def _received_ms(file: Path) -> int:
    try:
        return msgspec.json.decode(first_line(file), type=_Line).received_ms
    except msgspec.DecodeError as error:
        raise RejectedError(f"{file}: line 1 cannot be understood ({error}): fetch it anew") from error


def _markets(file: Path) -> Iterator[Market]:
    if not file.exists():
        raise RejectedError(f"{file} is missing: raw frames need it to tell which token is Up")
    for number, line in enumerate(read_lines(file), 1):
        try:
            wire = msgspec.json.decode(line, type=_Market)
            tokens = {token.outcome: token.token_id for token in wire.outcomes}
            up, down = tokens["Up"], tokens["Down"]
        except (msgspec.DecodeError, KeyError) as error:
            raise RejectedError(f"{file}: line {number} cannot be understood ({error}): fetch it anew") from error
        schedule = wire.fee_parameters.schedule
        opens_at_s = wire.start_ts // 1000
        yield Market(
            Window(wire.asset, opens_at_s, wire.end_ts // 1000 - opens_at_s),
            wire.condition_id,
            up,
            down,
            micros(wire.tick_size),
            micros(wire.min_order_size),
            None if schedule is None else FeeSchedule(schedule.rate, schedule.exponent, schedule.taker_only),
            0,
        )


def _events(files: Sequence[Path], markets: Sequence[Market], skipped: Counter[str]) -> Iterator[RecordedEvent]:
    lines = msgspec.json.Decoder(_Line)
    by_token = {token: market for market in markets for token in (market.up_token, market.down_token)}
    at_ms = 0
    for file in files:
        for number, line in enumerate(read_lines(file), 1):
            try:
                frame = lines.decode(line)
            except msgspec.DecodeError as error:
                raise RejectedError(f"{file}: line {number} cannot be understood ({error}): fetch it anew") from error
            at_ms = max(at_ms, frame.received_ms)
            decode = _DECODERS.get(frame.source)
            if decode is None:
                continue
            try:
                decoded = decode(frame.payload.encode())
            except BadFrameError:
                skipped[file.name] += 1
                continue
            for event in decoded.events:
                recorded = _recorded(at_ms, event, by_token)
                if recorded is not None:
                    yield recorded


def _recorded(at_ms: int, event: MarketEvent, by_token: dict[str, Market]) -> RecordedEvent | None:
    if isinstance(event, SettlementPrice):
        return RecordedEvent(at_ms, event.asset, "prices", None, event)
    market = market_of_event(event, by_token)
    if market is not None:
        return RecordedEvent(at_ms, market.asset, "polymarket", market.condition_id, event)
    symbol = getattr(event, "symbol", None)
    return None if symbol is None else RecordedEvent(at_ms, asset_of_symbol(symbol), "binance", None, event)
