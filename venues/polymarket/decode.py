"""Frames of the CLOB's market channel, and its REST books, as typed events."""

from collections.abc import Callable
from typing import Literal

import msgspec

from core.market.events import (
    BestBidAsk,
    BookSnapshot,
    LastTrade,
    Level,
    LevelChange,
    MarketResolved,
    PolymarketEvent,
    PriceChange,
    TickSizeChange,
)
from core.trading.money import MICRO
from venues.polymarket.numbers import parse_micros
from venues.transport import BadFrameError, Decoded

_IGNORED = frozenset({"new_market"})


class _Level(msgspec.Struct, gc=False):
    price: str
    size: str


class _Change(msgspec.Struct, gc=False):
    asset_id: str
    price: str
    size: str
    side: Literal["BUY", "SELL"]
    best_bid: str | None = None
    best_ask: str | None = None


class WireEvent(msgspec.Struct):
    """One object of a market frame: every field that any event type carries, so that one pass decodes them all."""

    timestamp: int = 0
    event_type: str = ""
    market: str = ""
    asset_id: str = ""
    bids: list[_Level] | None = None
    asks: list[_Level] | None = None
    price_changes: list[_Change] | None = None
    price: str | None = None
    size: str | None = None
    side: Literal["BUY", "SELL"] | None = None
    best_bid: str | None = None
    best_ask: str | None = None
    new_tick_size: str | None = None
    winning_asset_id: str | None = None
    tick_size: str | None = None
    min_order_size: str | None = None


class _Kind(msgspec.Struct):
    event_type: str = ""


# strict=False reads the timestamps, which are numbers within strings
_frames = msgspec.json.Decoder(WireEvent | list[WireEvent], strict=False)
_kinds = msgspec.json.Decoder(_Kind | list[_Kind])


def decode_market_frame(data: str | bytes) -> Decoded:
    """Return the events of one frame of the market channel (one object or an array), prices and sizes in 1e-6.

    An object without `event_type` is told by its fields: the REST `/book` answer and some captures have none.

    Raises:
        BadFrameError: when the frame cannot be read; nothing else.
    """
    try:
        frame = _frames.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return _foreign_kinds(data, error)
    events: list[PolymarketEvent] = []
    unknown: list[str] = []
    for wire in frame if isinstance(frame, list) else (frame,):
        kind = wire.event_type or _kind_by_shape(wire)
        if kind in _IGNORED:
            continue
        event = _event(kind, wire)
        if event is None:
            unknown.append(kind)
        else:
            events.append(event)
    return Decoded(tuple(events), tuple(unknown))


def snapshot_of(wire: WireEvent) -> BookSnapshot:
    """Return a `book` object, live or of REST, as a snapshot with levels in the order given.

    Raises:
        BadFrameError: when it has no token, no levels or no readable numbers.
    """
    if not wire.asset_id or wire.bids is None or wire.asks is None:
        raise BadFrameError("book without asset_id, bids or asks")
    return BookSnapshot(
        wire.asset_id,
        _levels(wire.bids),
        _levels(wire.asks),
        wire.timestamp,
        parse_micros(wire.tick_size) if wire.tick_size else None,
        parse_micros(wire.min_order_size) if wire.min_order_size else None,
    )


def _foreign_kinds(data: str | bytes, error: Exception) -> Decoded:
    """Tell an event type we do not know, whose fields need not fit ours, from a frame that is broken."""
    reason = f"market frame is unreadable: {error}"
    try:
        frame = _kinds.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BadFrameError(reason) from error
    kinds = [wire.event_type for wire in (frame if isinstance(frame, list) else [frame])]
    if not kinds or any(kind in _DECODERS or kind in _IGNORED or not kind for kind in kinds):
        if kinds and all(kind in _IGNORED for kind in kinds):
            return Decoded()
        raise BadFrameError(reason) from error
    return Decoded((), tuple(kinds))


def _kind_by_shape(wire: WireEvent) -> str:
    if wire.price_changes is not None:
        return "price_change"
    if wire.bids is not None and wire.asks is not None:
        return "book"
    if wire.new_tick_size is not None:
        return "tick_size_change"
    if wire.price is not None and wire.size is not None and wire.side is not None:
        return "last_trade_price"
    raise BadFrameError("object without event_type fits no known event")


def _event(kind: str, wire: WireEvent) -> PolymarketEvent | None:
    decoder = _DECODERS.get(kind)
    return None if decoder is None else decoder(wire)


def _levels(levels: list[_Level]) -> tuple[Level, ...]:
    return tuple([(parse_micros(level.price), parse_micros(level.size)) for level in levels])


def _touch(text: str | None) -> int | None:
    """Read a stated best price; the venue writes an empty side as "", "0" or (asks) "1"."""
    if not text:
        return None
    price = parse_micros(text)
    return price if 0 < price < MICRO else None


def _price_change(wire: WireEvent) -> PriceChange:
    entries = wire.price_changes
    if entries is None:
        # the form before September 2025: one change, at the top level
        if not wire.asset_id or wire.price is None or wire.size is None or wire.side is None:
            raise BadFrameError("price_change without price_changes")
        entries = [_Change(wire.asset_id, wire.price, wire.size, wire.side, wire.best_bid, wire.best_ask)]
    return PriceChange(
        tuple(
            [
                LevelChange(
                    entry.asset_id,
                    entry.side,
                    parse_micros(entry.price),
                    parse_micros(entry.size),
                    _touch(entry.best_bid),
                    _touch(entry.best_ask),
                )
                for entry in entries
            ]
        ),
        wire.timestamp,
    )


def _last_trade(wire: WireEvent) -> LastTrade:
    if not wire.asset_id or wire.price is None or wire.size is None or wire.side is None:
        raise BadFrameError("last_trade_price without asset_id, price, size or side")
    return LastTrade(wire.asset_id, parse_micros(wire.price), parse_micros(wire.size), wire.side, wire.timestamp)


def _best_bid_ask(wire: WireEvent) -> BestBidAsk:
    if not wire.asset_id:
        raise BadFrameError("best_bid_ask without asset_id")
    return BestBidAsk(wire.asset_id, _touch(wire.best_bid), _touch(wire.best_ask), wire.timestamp)


def _tick_size_change(wire: WireEvent) -> TickSizeChange:
    if not wire.asset_id or not wire.new_tick_size:
        raise BadFrameError("tick_size_change without asset_id or new_tick_size")
    return TickSizeChange(wire.asset_id, parse_micros(wire.new_tick_size), wire.timestamp)


def _market_resolved(wire: WireEvent) -> MarketResolved:
    if not wire.market or not wire.winning_asset_id:
        raise BadFrameError("market_resolved without market or winning_asset_id")
    return MarketResolved(wire.market, wire.winning_asset_id, wire.timestamp)


_DECODERS: dict[str, Callable[[WireEvent], PolymarketEvent]] = {
    "book": snapshot_of,
    "price_change": _price_change,
    "last_trade_price": _last_trade,
    "best_bid_ask": _best_bid_ask,
    "tick_size_change": _tick_size_change,
    "market_resolved": _market_resolved,
}
