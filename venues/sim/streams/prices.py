"""The price stream that settles markets: one spot tick and one TWAP tick a second and asset, in RTDS form."""

from typing import Any

import msgspec

from venues.sim.exchange import Exchange
from venues.sim.wire import content_hash, json_text
from venues.sim.world.day import TICK_UNIT

SPOT, TWAP = "crypto_prices_chainlink", "crypto_prices_twap_sixty"
_PUBLISHED_AFTER_MS = 350
_HISTORY_S = 120
_CATCH_UP_S = 10
_FULL = 10**18 // TICK_UNIT


class _Subscription(msgspec.Struct):
    topic: str
    type: str = "*"
    filters: str = ""


class _Request(msgspec.Struct):
    action: str
    subscriptions: list[_Subscription] = []


class _Filter(msgspec.Struct):
    symbol: str


_decode = msgspec.json.Decoder(_Request).decode
_decode_filter = msgspec.json.Decoder(_Filter).decode


class PriceChannel:
    """One client's subscriptions, as (topic, asset)."""

    beat_ms = 50

    def __init__(self, exchange: Exchange, connection: int) -> None:
        self._exchange = exchange
        self._connection = content_hash("connection", connection)[:16]
        self._wanted: dict[tuple[str, str], int] = {}

    def receive(self, text: str, now_ms: int) -> list[str]:
        """Answer PING; answer a subscription with the last two minutes, then follow it."""
        if text.upper() == "PING":
            return ["PONG"]
        try:
            request = _decode(text)
            wanted = [
                (s.topic, a) for s in request.subscriptions if s.topic in (SPOT, TWAP) for a in self._assets(s.filters)
            ]
        except msgspec.DecodeError:
            return []
        if request.action == "unsubscribe":
            for key in wanted:
                self._wanted.pop(key, None)
            return []
        second = _published(now_ms)
        self._wanted.update(dict.fromkeys(wanted, second))
        return [self._history(topic, asset, second, now_ms) for topic, asset in wanted]

    def _assets(self, filters: str) -> list[str]:
        if not filters:
            return list(self._exchange.assets)
        symbol = _decode_filter(filters).symbol
        return [asset for asset in self._exchange.assets if symbol == _symbol(asset)]

    def _history(self, topic: str, asset: str, second: int, now_ms: int) -> str:
        data = [
            {"timestamp": s * 1000, "value": self._value(topic, asset, s)[0]}
            for s in range(second - _HISTORY_S + 1, second + 1)
        ]
        payload = {"symbol": _symbol(asset), "data": data}
        return self._frame(topic, "subscribe", payload, now_ms)

    def due(self, now_ms: int) -> list[str]:
        """Return the ticks of every second that was published since the last call."""
        newest = _published(now_ms)
        out = []
        for key, sent in self._wanted.items():
            seconds = range(max(sent + 1, newest - _CATCH_UP_S), newest + 1)
            out += [self._tick(*key, second, now_ms) for second in seconds]
            self._wanted[key] = max(sent, newest)
        return out

    def _tick(self, topic: str, asset: str, second: int, now_ms: int) -> str:
        value, full = self._value(topic, asset, second)
        payload: dict[str, Any] = {
            "full_accuracy_value": str(full),
            "symbol": _symbol(asset),
            "timestamp": second * 1000,
            "value": value,
        }
        if topic == TWAP:
            payload["window_s"] = self._exchange.world.market(asset, 0).lookback_s
        return self._frame(topic, "update", payload, now_ms)

    def _value(self, topic: str, asset: str, second: int) -> tuple[float, int]:
        """Return the tick in dollars, and in full as an integer of 1e-18 dollars."""
        world = self._exchange.world
        if topic == SPOT:
            tick = world.tick(asset, second)
            return tick / TICK_UNIT, tick * _FULL
        span = world.market(asset, 0).lookback_s
        total = world.twap_sum(asset, second)
        return total / span / TICK_UNIT, total * _FULL // span

    def _frame(self, topic: str, kind: str, payload: dict[str, Any], now_ms: int) -> str:
        return json_text(
            {"connection_id": self._connection, "payload": payload, "timestamp": now_ms, "topic": topic, "type": kind}
        )


def _symbol(asset: str) -> str:
    return f"{asset.lower()}/usd"


def _published(now_ms: int) -> int:
    """Return the newest second whose tick is out: the stream trails the exchanges a little."""
    return (now_ms - _PUBLISHED_AFTER_MS) // 1000
