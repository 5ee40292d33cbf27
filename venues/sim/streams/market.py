"""The market channel, `/ws/market`: a book at subscription, then every change of it, trades, ticks and outcomes.

Books are the world's, less what orders took from them, with the resting orders among them.
"""

from typing import Any

import msgspec

from venues.sim.exchange import Exchange
from venues.sim.streams import market_frames as frames
from venues.sim.trading.values import TradeEvent, TradeState
from venues.sim.wire import json_text
from venues.sim.world import Book, SlowTrade
from venues.sim.world.listing import Listing
from venues.sim.world.quotes import QUOTE_MS

_CATCH_UP_MS = 5_000
_MOST_TOKENS = 500


class _Request(msgspec.Struct):
    """Either form of subscription, the first one or a later change. Unknown fields are ignored."""

    assets_ids: list[str] = []
    type: str | None = None
    operation: str | None = None
    custom_feature_enabled: bool | None = None
    initial_dump: bool = True


class _Followed(msgspec.Struct):
    market: Listing
    tokens: set[str]
    book: Book


_decode = msgspec.json.Decoder(_Request).decode


class MarketChannel:
    """One client's subscriptions. A client that subscribes one token gets both in `price_change`, as on the venue."""

    beat_ms = QUOTE_MS

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._followed: dict[str, _Followed] = {}
        self._custom = False
        self._cursor = exchange.engine.latest()
        self._matched: list[TradeState] = []

    def receive(self, text: str, now_ms: int) -> list[str]:
        """Answer PING, subscribe or unsubscribe; see `Channel`."""
        if text == "PING":
            return ["PONG"]
        try:
            request = _decode(text)
        except msgspec.DecodeError:
            return []
        if request.custom_feature_enabled is not None:
            self._custom = request.custom_feature_enabled
        if request.operation == "unsubscribe":
            self._unsubscribe(request.assets_ids)
            return []
        return self._subscribe(request, now_ms)

    def _subscribe(self, request: _Request, now_ms: int) -> list[str]:
        books = []
        for token_id in request.assets_ids[:_MOST_TOKENS]:
            market = self._exchange.directory.by_token(token_id, now_ms // 1000)
            if market is None or now_ms >= self._exchange.engine.resolves_at_ms(market):
                continue
            followed = self._followed.get(market.condition_id)
            if followed is None:
                book = self._exchange.engine.book(market, now_ms)
                followed = self._followed[market.condition_id] = _Followed(market, set(), book)
            followed.tokens.add(token_id)
            books.append(frames.book_frame(self._exchange.world, market, token_id, followed.book))
        return [json_text(books)] if books and request.initial_dump else []

    def _unsubscribe(self, tokens: list[str]) -> None:
        for followed in list(self._followed.values()):
            followed.tokens.difference_update(tokens)
            if not followed.tokens:
                del self._followed[followed.market.condition_id]

    def due(self, now_ms: int) -> list[str]:
        """Return what happened in the followed markets since the last call."""
        events: list[dict[str, Any]] = []
        happened, self._cursor = self._exchange.engine.events(self._cursor)
        self._matched += [
            event.trade
            for event in happened
            if isinstance(event, TradeEvent)
            and (event.trade.status, event.trade.trader_side) == ("MATCHED", "TAKER")
            and event.trade.condition_id in self._followed
        ]
        for followed in list(self._followed.values()):
            events += self._advance(followed, now_ms)
        return [json_text(event) for event in events]

    def _advance(self, followed: _Followed, now_ms: int) -> list[dict[str, Any]]:
        world, engine, market, old = self._exchange.world, self._exchange.engine, followed.market, followed.book
        resolves_at_ms = engine.resolves_at_ms(market)
        if now_ms >= resolves_at_ms:
            del self._followed[market.condition_id]
            told = self._custom and engine.announces_resolution(market)
            return [frames.resolved_frame(world, market, resolves_at_ms)] if told else []
        new = engine.book(market, now_ms)
        if new.t_ms <= old.t_ms:
            return []
        followed.book = new
        tokens = [t for t in (market.up_token, market.down_token) if t in followed.tokens]
        events: list[dict[str, Any]] = []
        if new.tick != old.tick:
            events += [frames.tick_frame(market, token, old, new) for token in tokens]
        elif (change := frames.price_change_frame(market, old, new)) is not None:
            events.append(change)
        trades = world.slow_trades(market, max(old.t_ms + 1, new.t_ms - _CATCH_UP_MS), new.t_ms + 1)
        took = [trade for trade in self._matched if trade.condition_id == market.condition_id]
        self._matched = [trade for trade in self._matched if trade.condition_id != market.condition_id]
        if trades or took or new.tick != old.tick:
            events += [frames.book_frame(world, market, token, new) for token in tokens]
        events += [
            frames.trade_frame(market, trade, n) for n, trade in enumerate(trades) if self._wants(followed, trade)
        ]
        events += [frames.own_trade_frame(trade) for trade in took if trade.token_id in followed.tokens]
        if self._custom and frames.touch(old) != frames.touch(new):
            events += [frames.best_frame(market, token, new) for token in tokens]
        return events

    def _wants(self, followed: _Followed, trade: SlowTrade) -> bool:
        token = followed.market.up_token if trade.outcome == "Up" else followed.market.down_token
        return token in followed.tokens
