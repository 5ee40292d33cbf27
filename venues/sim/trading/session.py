"""The engine's common ground: its memory, its file, what is due when, and what the user channel hears of a change."""

import heapq
from typing import Literal

import msgspec

from venues.sim.directory import Directory
from venues.sim.faults import FaultPlan, Faults
from venues.sim.trading import records as r
from venues.sim.trading.ledger_file import LedgerFile
from venues.sim.trading.liquidity import Displayed
from venues.sim.trading.records import Record
from venues.sim.trading.settlement import Desk
from venues.sim.trading.state import Order, State
from venues.sim.trading.user_log import UserLog
from venues.sim.trading.values import OrderEvent, TradeEvent, TradingRules
from venues.sim.trading.views import order_state, owners, trade_state
from venues.sim.world import Book
from venues.sim.world.listing import Listing

Work = Literal["close", "execute", "expire", "stage", "resolve", "beat"]
FINE_TICK = 1_000
SYNC_MS = 50
"""What a crash of the whole machine may lose. A killed process loses nothing."""


class Session:
    """One exchange's memory. Every change is a record: applied, kept for the file, scheduled and told."""

    def __init__(self, directory: Directory, rules: TradingRules, plan: FaultPlan, ledger: LedgerFile | None) -> None:
        self.directory, self.world, self.rules = directory, directory.world, rules
        self.state, self.log = State(), UserLog()
        self.displayed = Displayed(self.world, self.state)
        self.desk = Desk(self.world.seed, rules)
        self.faults = self.desk.faults = Faults(plan)
        self.due: list[tuple[int, Work, str]] = []
        self._ledger = ledger
        self._batch: list[Record] = []
        self._markets: dict[str, Listing] = {}
        self._synced_ms = 0
        if ledger is not None:
            world = self.world
            for record in ledger.open(f"world {world.variant.name}, seed {world.seed}, windows of {world.window_s} s"):
                self.state.apply(record)
                self._schedule(record)

    def commit(self, *changes: Record) -> None:
        """Make the changes."""
        for record in changes:
            self.state.apply(record)
            self._batch.append(record)
            self._schedule(record)
            self._tell(record)

    def flush(self, now_ms: int) -> None:
        """Write what was committed since the last call as one batch, and see it to the disk every `SYNC_MS`."""
        if self._ledger is not None:
            if self._batch:
                self._ledger.append(self._batch)
            if now_ms >= self._synced_ms + SYNC_MS:
                self._ledger.sync()
                self._synced_ms = now_ms
        self._batch.clear()

    def remember(self, at_ms: int, work: Work, key: str) -> None:
        """Have `work` done at a moment. Doing it again later than needed must do no harm."""
        heapq.heappush(self.due, (at_ms, work, key))

    def market(self, slug: str) -> Listing:
        """Return a market that orders exist of. Raises KeyError when this world cannot have it."""
        market = self._markets.get(slug)
        if market is None:
            market = self.world.market_named(slug)
            if market is None:
                raise KeyError(slug)
            self._markets[slug] = market
        return market

    def tick(self, market: Listing, now_ms: int) -> int:
        """Return the market's tick in 1e-6, that of the world or the finer one a fault set for a while."""
        tick = self.world.quote(market.asset, market.opens_at_s, now_ms).tick
        rule = self.faults.standing("tick_change", market.slug, market.slug)
        if rule is None:
            return tick
        begins_ms = market.opens_at_s * 1000 + int(market.length_s * (200 + 600 * self.faults.share(market.slug)))
        return FINE_TICK if begins_ms <= now_ms < begins_ms + rule.duration_ms else tick

    def resolves_at_ms(self, market: Listing) -> int:
        """Return when the venue states the winner."""
        told = self.state.resolved_ms.get(market.condition_id)
        if told is not None:
            return told
        rule = self.faults.standing("late_resolution", market.slug, market.slug)
        return market.resolves_at_s * 1000 + (rule.duration_ms if rule else 0)

    def accepting(self, market: Listing, now_ms: int) -> bool:
        """Return whether the market takes orders: from its listing to its close."""
        return market.listed_at_s * 1000 <= now_ms < market.closes_at_s * 1000

    def resting(self, market: Listing, *, bids: bool) -> list[Order]:
        """Return one side's resting orders in no particular order."""
        orders = self.state.by_market.get(market.slug, {})
        return [order for order in orders.values() if order.resting and order.is_bid == bids]

    def book(self, market: Listing, now_ms: int) -> Book:
        """Return the Up token's book with what was taken gone and what rests added, best levels first."""
        world = self.displayed.book(market, now_ms)
        bids = {price: left for price, left, _ in self.displayed.offers(market, "bid", now_ms, 0)}
        asks = {price: left for price, left, _ in self.displayed.offers(market, "ask", now_ms, 1_000_000)}
        for order in (*self.resting(market, bids=True), *self.resting(market, bids=False)):
            side = bids if order.is_bid else asks
            side[order.up_price] = side.get(order.up_price, 0) + order.remaining(order.price)
        return msgspec.structs.replace(
            world,
            bids=tuple(sorted(bids.items(), reverse=True)),
            asks=tuple(sorted(asks.items())),
            tick=self.tick(market, now_ms),
        )

    def end_if_filled(self, order: Order, now_ms: int) -> bool:
        """End an order of which nothing is left and return whether it was one."""
        if order.is_filled:
            self.commit(r.Ended(order.new.order_id, "MATCHED", "", now_ms))
        return order.is_filled

    def _schedule(self, record: Record) -> None:
        match record:
            case r.Accepted(order=order):
                if record.waiting:
                    self.remember(record.execute_at_ms, "execute", order.order_id)
                if order.order_type == "GTD":
                    expires_s = order.expiration_s - self.rules.expires_early_s
                    self.remember(expires_s * 1000, "expire", order.order_id)
                self.remember(self.market(record.slug).closes_at_s * 1000, "close", record.slug)
            case r.Deferred():
                self.remember(record.execute_at_ms, "execute", record.order_id)
            case r.Traded():
                self.remember(record.retry_at_ms, "stage", record.trade_id)
                if record.condition_id not in self.state.winners:
                    self.remember(self.resolves_at_ms(self.market(record.slug)), "resolve", record.slug)
            case r.Staged(status="RETRYING"):
                self.remember(self.state.trades[record.trade_id].made.mined_at_ms, "stage", record.trade_id)
            case r.Staged(status="MINED"):
                self.remember(self.state.trades[record.trade_id].made.confirmed_at_ms, "stage", record.trade_id)

    def _tell(self, record: Record) -> None:
        match record:
            case r.Accepted() if record.waiting != "held":
                self._tell_order("PLACEMENT", record.order.order_id, record.at_ms)
            case r.Executed(held=True):
                self._tell_order("PLACEMENT", record.order_id, record.at_ms)
            case r.Ended(status="CANCELED"):
                self._tell_order("CANCELLATION", record.order_id, record.at_ms)
            case r.Traded():
                parts = (record.taker_order_id, *(maker.order_id for maker in record.makers))
                for order_id in parts:
                    if order_id in self.state.orders:
                        self._tell_order("UPDATE", order_id, record.at_ms)
                self._tell_trade(record.trade_id, record.at_ms)
            case r.Staged():
                self._tell_trade(record.trade_id, record.at_ms)

    def _tell_order(self, kind: Literal["PLACEMENT", "UPDATE", "CANCELLATION"], order_id: str, at_ms: int) -> None:
        order = self.state.orders[order_id]
        state = order_state(order, self.market(order.slug).condition_id)
        self.log.add(OrderEvent(kind, order.new.owner, state, at_ms))

    def _tell_trade(self, trade_id: str, at_ms: int) -> None:
        settling = self.state.trades[trade_id]
        for owner in owners(self.state, settling):
            self.log.add(TradeEvent(owner, trade_state(settling, owner), at_ms))
