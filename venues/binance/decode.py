"""Frames of Binance's market streams, combined or raw, as typed events."""

from collections.abc import Callable

import msgspec

from core.market.events import BinanceEvent, BookTicker, Kline, Trade
from venues.transport import BadFrameError, Decoded

_LARGEST = 1e12
_MARKET_ORDER = "MARKET"


class _Envelope(msgspec.Struct):
    """The outer object: of a combined stream, of a raw event, or of an answer to a request."""

    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    kind: str | None = msgspec.field(name="e", default=None)
    update: int | None = msgspec.field(name="u", default=None)
    request: int | str | None = msgspec.field(name="id", default=None)
    depth_update: int | None = msgspec.field(name="lastUpdateId", default=None)


class _Trade(msgspec.Struct):
    symbol: str = msgspec.field(name="s")
    price: str = msgspec.field(name="p")
    quantity: str = msgspec.field(name="q")
    traded_ms: int = msgspec.field(name="T")
    buyer_is_maker: bool = msgspec.field(name="m")
    origin: str = msgspec.field(name="X", default=_MARKET_ORDER)


class _BookTicker(msgspec.Struct):
    symbol: str = msgspec.field(name="s")
    bid: str = msgspec.field(name="b")
    bid_size: str = msgspec.field(name="B")
    ask: str = msgspec.field(name="a")
    ask_size: str = msgspec.field(name="A")
    transacted_ms: int = msgspec.field(name="T", default=0)


class _Candle(msgspec.Struct):
    opens_ms: int = msgspec.field(name="t")
    closes_ms: int = msgspec.field(name="T")
    open: str = msgspec.field(name="o")
    high: str = msgspec.field(name="h")
    low: str = msgspec.field(name="l")
    close: str = msgspec.field(name="c")
    volume: str = msgspec.field(name="v")
    taker_buy_volume: str = msgspec.field(name="V")
    closed: bool = msgspec.field(name="x")


class _Kline(msgspec.Struct):
    symbol: str = msgspec.field(name="s")
    event_ms: int = msgspec.field(name="E")
    candle: _Candle = msgspec.field(name="k")


_envelopes = msgspec.json.Decoder(_Envelope)
_trades = msgspec.json.Decoder(_Trade)
_tickers = msgspec.json.Decoder(_BookTicker)
_klines = msgspec.json.Decoder(_Kline)


def decode_binance_frame(data: str | bytes) -> Decoded:
    """Return the events of one frame: trades, touches and candles, floats in quote and base units.

    Depth updates, depth snapshots and acknowledgements are known and give no event. The spot venue's bookTicker has no
    stamp: its `venue_ms` is 0.

    Raises:
        BadFrameError: when the frame cannot be read; nothing else.
    """
    try:
        envelope = _envelopes.decode(data)
        payload: str | bytes | msgspec.Raw
        if envelope.stream is not None and bytes(envelope.data):
            payload, kind = envelope.data, envelope.stream.partition("@")[2].partition("@")[0]
        elif envelope.request is not None or envelope.depth_update is not None:
            return Decoded()
        else:
            payload = data
            kind = envelope.kind or ("bookTicker" if envelope.update is not None else "")
        if not kind:
            raise BadFrameError("Binance frame has neither stream nor event type")
        if kind.startswith("depth"):
            return Decoded()
        decoder = _DECODERS.get(kind.partition("_")[0])
        if decoder is None:
            return Decoded((), (kind,))
        event = decoder(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadFrameError(f"Binance frame is unreadable: {error}") from error
    return Decoded() if event is None else Decoded((event,))


def parse_positive(text: str) -> float:
    """Return a price as a float.

    Raises:
        BadFrameError: unless it is a number above 0 and below 1e12.
    """
    value = _parse(text)
    if value <= 0.0:
        raise BadFrameError(f"price {text[:40]!r} is not above 0")
    return value


def parse_quantity(text: str) -> float:
    """Return a quantity as a float.

    Raises:
        BadFrameError: unless it is a number from 0 to below 1e12.
    """
    value = _parse(text)
    if value < 0.0:
        raise BadFrameError(f"quantity {text[:40]!r} is negative")
    return value


def _parse(text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise BadFrameError(f"{text[:40]!r} is not a number") from error
    if not -_LARGEST < value < _LARGEST:
        raise BadFrameError(f"{text[:40]!r} is out of range")
    return value


def _trade(payload: str | bytes | msgspec.Raw) -> Trade | None:
    wire = _trades.decode(payload)
    if wire.origin != _MARKET_ORDER:
        # insurance fund and ADL trades say nothing about order flow
        return None
    return Trade(
        wire.symbol, parse_positive(wire.price), parse_quantity(wire.quantity), wire.buyer_is_maker, wire.traded_ms
    )


def _book_ticker(payload: str | bytes | msgspec.Raw) -> BookTicker:
    wire = _tickers.decode(payload)
    return BookTicker(
        wire.symbol,
        parse_positive(wire.bid),
        parse_quantity(wire.bid_size),
        parse_positive(wire.ask),
        parse_quantity(wire.ask_size),
        wire.transacted_ms,
    )


def _kline(payload: str | bytes | msgspec.Raw) -> Kline:
    wire = _klines.decode(payload)
    candle = wire.candle
    return Kline(
        wire.symbol,
        candle.opens_ms,
        candle.closes_ms,
        parse_positive(candle.open),
        parse_positive(candle.high),
        parse_positive(candle.low),
        parse_positive(candle.close),
        parse_quantity(candle.volume),
        parse_quantity(candle.taker_buy_volume),
        candle.closed,
        wire.event_ms,
    )


_DECODERS: dict[str, Callable[[str | bytes | msgspec.Raw], BinanceEvent | None]] = {
    "aggTrade": _trade,
    "trade": _trade,
    "bookTicker": _book_ticker,
    "kline": _kline,
}
