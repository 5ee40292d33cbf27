"""Binance's market streams: `/stream?streams=a/b` (wrapped) and `/ws/a` (raw), with SUBSCRIBE and UNSUBSCRIBE."""

from typing import Any

import msgspec

from venues.sim.binance_frames import aggregate_trades, asset_of, book_ticker, candle, kline_event
from venues.sim.exchange import Exchange
from venues.sim.wire import json_text
from venues.sim.world.flow import MINUTE_MS

_CATCH_UP_MS = 5_000
_BOOK_MS, _KLINE_MS = 100, 500


class _Request(msgspec.Struct):
    method: str
    params: list[str] = []
    id: int | str | None = None


_decode = msgspec.json.Decoder(_Request).decode


class BinanceChannel:
    """One client's streams. Names that nobody publishes stay silent, as on the venue."""

    beat_ms = 50

    def __init__(self, exchange: Exchange, names: list[str], *, wrapped: bool) -> None:
        self._exchange = exchange
        self._names = dict.fromkeys(name for name in names if name)
        self._wrapped = wrapped
        self._sent_ms = exchange.now_ms()

    def receive(self, text: str, now_ms: int) -> list[str]:
        """Change the list of streams; see `Channel`."""
        del now_ms
        try:
            request = _decode(text)
        except msgspec.DecodeError:
            return []
        if request.method == "SUBSCRIBE":
            self._names |= dict.fromkeys(request.params)
        elif request.method == "UNSUBSCRIBE":
            for name in request.params:
                self._names.pop(name, None)
        listed = list(self._names) if request.method == "LIST_SUBSCRIPTIONS" else None
        return [json_text({"result": listed, "id": request.id})]

    def due(self, now_ms: int) -> list[str]:
        """Return the events in `(last call, now_ms]`, stream by stream."""
        since = max(self._sent_ms, now_ms - _CATCH_UP_MS)
        if now_ms <= since:
            return []
        self._sent_ms = now_ms
        out = []
        for name in self._names:
            symbol, _, kind = name.partition("@")
            asset = asset_of(symbol, self._exchange.assets)
            if asset is None:
                continue
            events = self._events(asset, kind, since, now_ms)
            out += [json_text({"stream": name, "data": event} if self._wrapped else event) for event in events]
        return out

    def _events(self, asset: str, kind: str, since_ms: int, now_ms: int) -> list[dict[str, Any]]:
        world = self._exchange.world
        if kind == "aggTrade":
            return aggregate_trades(asset, world.trades(asset, since_ms, now_ms), now_ms)
        if kind == "bookTicker" and since_ms // _BOOK_MS != now_ms // _BOOK_MS:
            return [book_ticker(world, asset, now_ms)]
        if kind == "kline_1m" and since_ms // _KLINE_MS != now_ms // _KLINE_MS:
            minutes = {since_ms // MINUTE_MS, now_ms // MINUTE_MS}  # the one that just ended is sent once more
            return [kline_event(asset, candle(world, asset, m * MINUTE_MS, now_ms), now_ms) for m in sorted(minutes)]
        return []
