"""Resting orders meet the world: at every quote step its trades and its changed book may fill them."""

from collections.abc import Iterable, Sequence

from venues.sim.trading import records as r
from venues.sim.trading.matching import priority, reached
from venues.sim.trading.records import Take
from venues.sim.trading.session import Session
from venues.sim.trading.state import Order
from venues.sim.trading.values import UNIT
from venues.sim.world import SlowTrade
from venues.sim.world.listing import Listing
from venues.sim.world.quotes import QUOTE_MS


class Resting:
    """Carries the quote steps of the markets in which anything rests or was taken."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def active(self) -> list[Listing]:
        """Return the markets whose steps matter: with resting orders, or levels taken from."""
        state = self._session.state
        slugs = {slug for slug, orders in state.by_market.items() if any(order.resting for order in orders.values())}
        slugs.update(state.markets[condition] for condition, levels in state.taken.items() if levels)
        return [self._session.market(slug) for slug in sorted(slugs)]

    def step(self, market: Listing, now_ms: int) -> None:
        """Carry one step, `now_ms` being its moment: levels restored, then trades, then offers that meet an order."""
        session = self._session
        self._restore(market, now_ms)
        if any(order.resting for order in session.state.by_market.get(market.slug, {}).values()):
            for number, trade in enumerate(session.world.slow_trades(market, now_ms, now_ms + QUOTE_MS)):
                self._hit(market, trade, f"{market.slug}|{now_ms}|{number}", now_ms)
            self._meet(market, now_ms)

    def resume(self, market: Listing, now_ms: int) -> None:
        """Take up a market after a restart: what was traded meanwhile reached no order, but the book is another."""
        self._restore(market, now_ms)
        self._meet(market, now_ms)

    def _restore(self, market: Listing, now_ms: int) -> None:
        session = self._session
        restored = session.displayed.changed(market, now_ms)
        if restored is not None:
            session.commit(restored)

    def _hit(self, market: Listing, trade: SlowTrade, key: str, now_ms: int) -> None:
        """Let one trade of the world reach the resting orders it was made against."""
        session = self._session
        buys_up = (trade.outcome == "Up") == (trade.side == "BUY")
        up_price = trade.price if trade.outcome == "Up" else UNIT - trade.price
        orders = [
            order
            for order in sorted(session.resting(market, bids=not buys_up), key=priority)
            if (order.up_price <= up_price if buys_up else order.up_price >= up_price)
        ]
        if not orders:
            return
        scope = f"{market.slug} {' '.join(order.new.account for order in orders)}"
        if session.faults.strike("shared_trade", key, scope) is not None:
            fills: list[tuple[Order, int]] = [(order, order.remaining(order.price)) for order in orders]
            ahead: dict[str, int] = {}
        else:
            fills, ahead = reached(orders, up_price, trade.shares)
        session.commit(*(r.Advanced(order_id, left) for order_id, left in ahead.items()))
        self._fill(market, fills, (), now_ms)

    def _meet(self, market: Listing, now_ms: int) -> None:
        for bids in (True, False):
            self._meet_side(market, now_ms, bids=bids)

    def _meet_side(self, market: Listing, now_ms: int, *, bids: bool) -> None:
        """Fill resting orders from displayed offers of the other side at their limit or better; clear empty queues."""
        session = self._session
        for order in sorted(session.resting(market, bids=bids), key=priority):
            if order.ahead and not session.displayed.shown(market, "bid" if bids else "ask", order.up_price, now_ms):
                session.commit(r.Advanced(order.new.order_id, 0))
        while True:
            orders = sorted(session.resting(market, bids=bids), key=priority)
            if not orders:
                return
            offers = session.displayed.offers(market, "ask" if bids else "bid", now_ms, orders[0].up_price)
            if not offers:
                return
            price, left, shown = offers[0]
            fills = []
            for order in orders:
                within = price <= order.up_price if bids else price >= order.up_price
                shares = min(left, order.remaining(order.price)) if within else 0
                if shares > 0:
                    fills.append((order, shares))
                    left -= shares
            self._fill(market, fills, (Take("ask" if bids else "bid", price, shown, offers[0][1] - left),), now_ms)

    def _fill(self, market: Listing, fills: Sequence[tuple[Order, int]], takes: Iterable[Take], now_ms: int) -> None:
        """Record one trade of the world's with these orders and end those that it filled."""
        session = self._session
        fills = [(order, shares) for order, shares in fills if shares > 0]
        if not fills:
            return
        number = len(session.state.trades) + 1
        session.commit(session.desk.given(market, fills, tuple(takes), number, now_ms))
        for order, _ in fills:
            session.end_if_filled(order, now_ms)
