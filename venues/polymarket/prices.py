"""The settlement price stream (RTDS): Chainlink spot ticks, and the TWAP ticks that decide the markets."""

from collections.abc import Callable, Sequence
from random import Random

import msgspec

from core.market.events import SettlementPrice
from venues.stream import Stream, StreamTimings
from venues.transport import BadFrameError, Decoded

SPOT_TOPIC = "crypto_prices_chainlink"
TWAP_TOPICS = {"crypto_prices_twap_sixty": 60, "crypto_prices_twap_thirty": 30}
PRICES_PING_S = 5.0
_TWAP_TOPIC = "crypto_prices_twap_sixty"
_HISTORY_TOPIC = "crypto_prices"
_QUOTE = "/usd"
_HIGHEST_PRICE = 1e12


class _Tick(msgspec.Struct):
    timestamp: int
    value: float


class _Payload(msgspec.Struct):
    symbol: str = ""
    timestamp: int = 0
    value: float | None = None
    window_s: int | None = None
    data: list[_Tick] | None = None


class _Frame(msgspec.Struct):
    topic: str = ""
    payload: _Payload | None = None


class _Topic(msgspec.Struct):
    topic: str = ""


_frames = msgspec.json.Decoder(_Frame | list[_Frame])
_topics = msgspec.json.Decoder(_Topic)


def decode_prices_frame(data: str | bytes) -> Decoded:
    """Return the settlement prices of one RTDS frame: one tick, or the recent history sent upon subscribing.

    The history of a Chainlink symbol comes under the topic `crypto_prices`, as captured; it is read as spot, never as
    TWAP. Binance's symbols (`btcusdt`) come there too and are no settlement prices. `lookback_s` is the frame's own
    `window_s` where it has one, else what its topic is named for.

    Raises:
        BadFrameError: when the frame cannot be read; nothing else.
    """
    try:
        frame = _frames.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return _foreign_topic(data, error)
    events: list[SettlementPrice] = []
    unknown: list[str] = []
    for one in frame if isinstance(frame, list) else (frame,):
        if one.topic == SPOT_TOPIC or one.topic in TWAP_TOPICS or one.topic == _HISTORY_TOPIC:
            events.extend(_prices(one))
        elif one.topic:
            unknown.append(one.topic)
    return Decoded(tuple(events), tuple(unknown))


def prices_stream(
    url: str,
    assets: Sequence[str],
    now_ms: Callable[[], int],
    *,
    silence_s: float = 15.0,
    timings: StreamTimings | None = None,
    random: Random | None = None,
) -> Stream:
    """Return the stream of spot and TWAP settlement prices of `assets` (tickers in capitals) from the RTDS at `url`.

    Raises:
        RejectedError: when `url` is no websocket URL.
    """
    subscriptions = [
        {"topic": topic, "type": "update", "filters": msgspec.json.encode({"symbol": asset.lower() + _QUOTE}).decode()}
        for topic in (SPOT_TOPIC, _TWAP_TOPIC)
        for asset in assets
    ]
    request = msgspec.json.encode({"action": "subscribe", "subscriptions": subscriptions}).decode()
    waits = timings or StreamTimings(silence_s=silence_s, ping_every_s=PRICES_PING_S)
    return Stream(url, (request,), decode_prices_frame, now_ms, waits, random=random)


def _foreign_topic(data: str | bytes, error: Exception) -> Decoded:
    reason = f"price frame is unreadable: {error}"
    try:
        topic = _topics.decode(data).topic
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BadFrameError(reason) from error
    if not topic or topic in {SPOT_TOPIC, _HISTORY_TOPIC} or topic in TWAP_TOPICS:
        raise BadFrameError(reason) from error
    return Decoded((), (topic,))


def _prices(frame: _Frame) -> list[SettlementPrice]:
    payload = frame.payload
    if payload is None:
        return []
    symbol = payload.symbol.lower()
    if not symbol.endswith(_QUOTE):
        return []
    ticks = payload.data or []
    if payload.value is not None:
        ticks = [*ticks, _Tick(payload.timestamp, payload.value)]
    lookback_s = payload.window_s if payload.window_s is not None else TWAP_TOPICS.get(frame.topic)
    asset = symbol.removesuffix(_QUOTE).upper()
    for tick in ticks:
        if not 0.0 < tick.value < _HIGHEST_PRICE:
            raise BadFrameError(f"{tick.value!r} is no price of {symbol}")
    return [SettlementPrice(asset, tick.value, tick.timestamp, lookback_s) for tick in ticks]
