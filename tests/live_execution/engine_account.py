"""A live account on the embedded exchange's engine, without sockets: the venue's rules and faults in virtual time."""

import hashlib
from collections.abc import Callable
from random import Random

import msgspec

from core.errors import TransientError
from core.trading.orders import Order
from venues.polymarket.account_values import (
    Leg,
    OrderUpdate,
    TradeState,
    TradeUpdate,
    UserEvent,
    VenueOrder,
    VenueOrderStatus,
    VenueTrade,
)
from venues.polymarket.amounts import amounts_of
from venues.polymarket.connection import Answer, GateRefusedError, HandOver
from venues.polymarket.fills import Identity
from venues.polymarket.live_account import Holdings, Look, VenueReport
from venues.polymarket.order_client import Accepted, Cancellation
from venues.polymarket.order_errors import OrderUnknownError, Reason, refusal
from venues.polymarket.signing import OrderTerms, SignedOrder
from venues.sim.trading import values as sim
from venues.sim.trading.engine import Engine

FUNDER = "0x" + "a1" * 20
OWNER = "key-1"


class Trouble(msgspec.Struct):
    """Shares of requests that go wrong between us and the venue: lost before, answered by nobody, not readable."""

    unsent: float = 0.0
    unanswered: float = 0.0
    unreadable: float = 0.0


class EngineAccount:
    """`TradingAccount` on an engine; `asked` counts what each kind of request was made."""

    identity = Identity(FUNDER, OWNER)

    def __init__(
        self, engine: Engine, now_ms: Callable[[], int], random: Random, trouble: Trouble | None = None
    ) -> None:
        self.engine = engine
        self._now_ms = now_ms
        self._random = random
        self.trouble = trouble or Trouble()
        self.posted: list[tuple[int, str]] = []
        self._salt = 0
        self._heartbeat = ""
        engine.ensure_account(FUNDER, now_ms())

    def sign(self, order: Order, terms: OrderTerms) -> SignedOrder:
        self._salt += 1
        order_hash = "0x" + hashlib.sha256(f"{order.id} {self._salt}".encode()).hexdigest()
        amounts = amounts_of(order, terms.tick_size)
        return SignedOrder(order.id, order_hash, order.order_type, 2, msgspec.Raw(msgspec.json.encode(order)), amounts)

    def post(self, signed: SignedOrder, hand_over: HandOver) -> Accepted:
        order = msgspec.json.decode(signed.payload, type=Order)
        if self._random.random() < self.trouble.unsent:
            raise TransientError("connection refused")
        sequence = hand_over(lambda sequence: self.posted.append((sequence, signed.order_hash)))
        if sequence is None:
            raise GateRefusedError("the gate is shut, nothing was sent")
        try:
            placed = self._placed(signed, order)
        except sim.VenueError as error:
            raise refusal(_answer(error, sequence), signed.order_hash) from error
        if self._random.random() < self.trouble.unanswered:
            raise OrderUnknownError(Reason.UNCLEAR, "sent, but not answered", signed.order_hash, sequence)
        return Accepted(
            signed.order_hash,
            placed.status,
            placed.trade_ids,
            placed.making_amount,
            placed.taking_amount,
            placed.transactions_hashes,
            sequence,
        )

    def _placed(self, signed: SignedOrder, order: Order) -> sim.Placed:
        new = sim.NewOrder(
            signed.order_hash,
            OWNER,
            FUNDER,
            FUNDER,
            order.token_id,
            order.side,
            signed.amounts.maker,
            signed.amounts.taker,
            0,
            order.order_type,
            post_only=order.post_only,
            defer_exec=False,
        )
        placed = self.engine.place(new, self._now_ms())
        return self.engine.result(new.order_id, placed.until_ms) if isinstance(placed, sim.Held) else placed

    def cancel(self, order_hash: str) -> Cancellation:
        self._may_fail()
        try:
            cancelled, kept = self.engine.cancel(OWNER, [order_hash], self._now_ms())
        except sim.VenueError as error:
            raise refusal(_answer(error, 0)) from error
        return Cancellation(tuple(cancelled), kept)

    def cancel_all(self) -> Cancellation:
        cancelled, kept = self.engine.cancel_all(OWNER, self._now_ms())
        return Cancellation(tuple(cancelled), kept)

    def look(self, order_hash: str, condition_id: str, after_s: int) -> Look:
        self._may_fail()
        self.engine.advance(self._now_ms())
        found = self.engine.order(OWNER, order_hash)
        trades = self.engine.trades(OWNER, condition_id=condition_id, after_s=after_s)
        record = None if found is None else venue_order(found)
        return Look(order_hash, record, listed=False, trades=tuple(map(venue_trade, trades)))

    def report(self, after_s: int) -> VenueReport:
        self._may_fail()
        self.engine.advance(self._now_ms())
        orders = tuple(map(venue_order, self.engine.open_orders(OWNER)))
        return VenueReport(orders, tuple(map(venue_trade, self.engine.trades(OWNER, after_s=after_s))), ())

    def holdings(self, tokens: tuple[str, ...]) -> Holdings:
        self._may_fail()
        now_ms = self._now_ms()
        shares = {token: self.engine.balance(FUNDER, token, now_ms).balance for token in tokens}
        return Holdings(self.engine.balance(FUNDER, None, now_ms).balance, shares)

    def refresh(self, token_id: str) -> None:
        self.engine.refresh_balance(FUNDER, token_id, self._now_ms())

    def beat(self) -> None:
        self._may_fail()
        try:
            self._heartbeat = self.engine.heartbeat(OWNER, self._heartbeat, self._now_ms())
        except sim.VenueError as error:
            self._heartbeat = error.heartbeat_id or ""

    def _may_fail(self) -> None:
        if self._random.random() < self.trouble.unreadable:
            raise TransientError("the venue could not be asked")


def _answer(error: sim.VenueError, sequence: int) -> Answer:
    headers = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
    body: dict[str, str] = {"error": error.text} | ({"code": error.code} if error.code else {})
    return Answer(error.status, headers, msgspec.json.encode(body), sequence)


def venue_order(order: sim.OrderState) -> VenueOrder:
    """Return an order as the account's REST interface would show it."""
    return VenueOrder(
        order.order_id,
        VenueOrderStatus(order.status),
        order.condition_id,
        order.token_id,
        order.side,
        order.price,
        order.original_size,
        order.size_matched,
        order.order_type,
        order.trade_ids,
        order.created_at_ms,
        order.reason,
    )


def venue_trade(trade: sim.TradeState) -> VenueTrade:
    """Return a trade as the account's REST interface would show it."""
    taker = Leg(trade.taker_order_id, trade.owner, trade.account, trade.token_id, trade.side, trade.price, trade.size)
    makers = tuple(
        Leg(m.order_id, m.owner, m.account, m.token_id, m.side, m.price, m.matched_amount) for m in trade.maker_orders
    )
    return VenueTrade(
        trade.trade_id,
        trade.condition_id,
        TradeState(trade.status),
        taker,
        makers,
        trade.trader_side == "TAKER",
        trade.match_time_ms,
        trade.last_update_ms,
        trade.transaction_hash,
    )


def user_event(event: sim.UserEvent) -> UserEvent:
    """Return an event as the user channel would tell it."""
    if isinstance(event, sim.TradeEvent):
        return TradeUpdate(venue_trade(event.trade), event.at_ms)
    return OrderUpdate(event.kind, venue_order(event.order), event.at_ms)
