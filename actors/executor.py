"""The ExecutorActor carries an order from its reservation to a terminal state, against one broker.

An opening order is committed with its intent before it is sent. The gate is checked again at the hand-over, under the
lock of its setter. Every change is told to the portfolio, which books it and writes it.
"""

from collections.abc import Callable

import msgspec

from actors import addresses
from core.market.market import Market
from core.market.views import BookView
from core.messages import (
    BookPublished,
    CancelRequested,
    OrderReported,
    OrderRequested,
    OrderStatusRequested,
    Persist,
    Persisted,
    Tick,
)
from core.runtime.actor import Actor
from core.runtime.context import Context
from core.trading import lifecycle
from core.trading.gate import OrderKind, permits
from core.trading.lifecycle import FillReported, OrderEvent, advance
from core.trading.orders import Fill, Intent, Order, OrderState, is_terminal
from core.trading.records import intent_record, market_record, order_record
from venues.paper.broker import VENUE, BrokerReport, PaperBroker, PaperState

DURABLE_WITHIN_S = 1.0
"""An opening order not committed this long after its sizing is not sent: it is old, and the database may be away."""
PRUNE_S = 60.0


class Working(msgspec.Struct, frozen=True):
    """An order that is not terminal, with what it came from."""

    order: Order
    intent: Intent
    market: Market


class ExecutorState(msgspec.Struct, frozen=True):
    """What the executor's checkpoint holds. Treat the dictionary as immutable."""

    working: dict[str, Working] = {}
    paper: PaperState = PaperState()


class ExecutorActor(Actor):
    """Runs every order through `core.trading.lifecycle` against the paper broker."""

    acknowledges = True

    def __init__(self, context: Context, latency_ms: int, max_book_age_ms: int, log: Callable[[str], None]) -> None:
        super().__init__(context)
        state = ExecutorState() if context.saved is None else msgspec.msgpack.decode(context.saved, type=ExecutorState)
        self._log = log
        self._working = dict(state.working)
        self._broker = PaperBroker(latency_ms, max_book_age_ms, state.paper)
        self._views: dict[str, BookView] = {}

    def on_start(self) -> None:
        """Take up the orders of the incarnation before: each is waited for again from where it stood."""
        for working in self._working.values():
            if working.order.state is OrderState.NEW:
                self._make_durable(working)
            else:
                self._expect(working.order.id)
        self.context.timer("prune", PRUNE_S, Tick("prune"))

    def receive(self, message: object) -> None:
        """Handle requests, commits, arrivals and books."""
        match message:
            case BookPublished(view=view):
                self._views[view.condition_id] = view
                if self._broker.state.orders:
                    self._recall(view.condition_id)
                    self._apply(self._broker.refresh(view, self.context.clock.now_ms()))
            case OrderRequested(market=market, intent=intent, order=order):
                self._requested(Working(order, intent, market))
            case Persisted(key=order_id):
                self._durable(order_id)
            case CancelRequested(condition_id=condition_id):
                self._cancel_all(condition_id)
            case OrderStatusRequested(order=order):
                self._tell_status(order)
            case Tick(name=name) if name.startswith("arrive "):
                order_id = name.removeprefix("arrive ")
                working = self._working.get(order_id)
                book = None if working is None else self._views.get(working.order.condition_id)
                self._apply(self._broker.arrive(order_id, book, self.context.clock.now_ms()))
            case Tick(name=name) if name.startswith("late "):
                self._late(name.removeprefix("late "))
            case Tick(name=name) if name.startswith("close "):
                self._apply(self._broker.cancel(name.removeprefix("close "), self.context.clock.now_ms()))
            case Tick(name="prune"):
                self._prune()
        self.context.acknowledge(self.context.receipt)  # what changed nothing, such as a question, needs no repetition

    def on_stop(self) -> None:
        """Cancel what rests or waits: nothing of ours stays at the broker while nobody watches it."""
        now_ms = self.context.clock.now_ms()
        for working in list(self._working.values()):
            self._apply(self._broker.cancel(working.order.id, now_ms))
            if working.order.id in self._working:
                self._advance(working.order.id, lifecycle.Failed(now_ms, "stopped before the order arrived"), ())

    # -- from request to hand-over ------------------------------------------------------------------------------

    def _requested(self, working: Working) -> None:
        order = working.order
        if order.id in self._working:
            return
        self._working[order.id] = working
        self._make_durable(working)
        if working.intent.action == "CLOSE":  # an exit does not wait for the database
            self._durable(order.id)
        self._save()

    def _make_durable(self, working: Working) -> None:
        rows = (
            market_record(working.market),
            intent_record(working.intent),
            order_record(working.order, VENUE),
        )
        order_id = working.order.id
        self.context.tell(addresses.DB_WRITER, Persist(rows, self.context.address, order_id))
        late_ms = working.order.created_ms + round(DURABLE_WITHIN_S * 1000)
        self.context.timer_at(f"late {order_id}", late_ms, Tick(f"late {order_id}"))

    def _durable(self, order_id: str) -> None:
        working = self._working.get(order_id)
        if working is None or working.order.state is not OrderState.NEW:
            return
        now_ms = self.context.clock.now_ms()
        if working.intent.action == "OPEN" and now_ms - working.order.created_ms > DURABLE_WITHIN_S * 1000:
            self._late(order_id)
            return
        order = advance(working.order, lifecycle.Persisted(now_ms))
        self._working[order_id] = msgspec.structs.replace(working, order=order)
        self._submit(self._working[order_id], now_ms)

    def _submit(self, working: Working, now_ms: int) -> None:
        order, market = working.order, working.market
        kind = OrderKind.OPEN_ORDER if working.intent.action == "OPEN" else OrderKind.REDUCE
        view = self._views.get(order.condition_id)
        if view is not None and view.continuity_epoch != order.book_epoch:
            self._advance(order.id, lifecycle.Failed(now_ms, "not sent: the book it was sized on is gone"), ())
            return

        def hand_over(_sequence: int) -> None:
            self._broker.submit(order, market, view, now_ms)

        sequence = self.context.gate.submit(order.asset, kind, hand_over)
        if sequence is None:
            level = self.context.gate.level(order.asset).name
            self._advance(order.id, lifecycle.Failed(now_ms, f"not sent: the gate is {level}"), ())
            return
        self._advance(order.id, lifecycle.Submitted(now_ms, sequence), ())
        self._expect(order.id)

    def _expect(self, order_id: str) -> None:
        paper = self._broker.state.orders.get(order_id)
        if paper is None:
            return
        if not paper.resting:
            self.context.timer_at(f"arrive {order_id}", paper.due_ms, Tick(f"arrive {order_id}"))
        if paper.order.order_type == "GTC":  # no book may come after the close to end it
            closes_ms = paper.market.window.closes_at_s * 1000
            self.context.timer_at(f"close {order_id}", closes_ms, Tick(f"close {order_id}"))

    def _late(self, order_id: str) -> None:
        working = self._working.get(order_id)
        if working is not None and working.order.state is OrderState.NEW:
            now_ms = self.context.clock.now_ms()
            reason = f"not sent: its intent was not committed within {DURABLE_WITHIN_S:g} s"
            self._advance(order_id, lifecycle.Failed(now_ms, reason), ())

    def _recall(self, condition_id: str) -> None:
        """Cancel resting opening orders of a market whose gate has shut: a fill would be new exposure."""
        for working in list(self._working.values()):
            order, opens = working.order, working.intent.action == "OPEN"
            if not opens or order.condition_id != condition_id or order.state is not OrderState.LIVE:
                continue
            if not permits(self.context.gate.state, order.asset, OrderKind.OPEN_ORDER):
                self._apply(self._broker.cancel(order.id, self.context.clock.now_ms()))

    def _cancel_all(self, condition_id: str) -> None:
        now_ms = self.context.clock.now_ms()
        for working in list(self._working.values()):
            if working.order.condition_id == condition_id:
                self._apply(self._broker.cancel(working.order.id, now_ms))

    # -- what the broker says -----------------------------------------------------------------------------------

    def _apply(self, reports: list[BrokerReport]) -> None:
        for report in reports:
            fills = (report.event.fill,) if isinstance(report.event, FillReported) else ()
            self._advance(report.order_id, report.event, fills)

    def _advance(self, order_id: str, event: OrderEvent, fills: tuple[Fill, ...]) -> None:
        working = self._working[order_id]
        order = advance(working.order, event)
        if is_terminal(order):
            del self._working[order_id]
            self.context.cancel_timer(f"late {order_id}")
            self.context.cancel_timer(f"close {order_id}")
            self._log_end(working, order)
        else:
            self._working[order_id] = msgspec.structs.replace(working, order=order)
        self.context.tell(addresses.PORTFOLIO, OrderReported(order, fills))
        self._save()

    def _log_end(self, working: Working, order: Order) -> None:
        average = order.filled_notional / order.filled_shares if order.filled_shares else 0.0
        filled = f"{order.filled_shares / 1e6:.2f}/{order.shares / 1e6:.2f} at {average:.3f}, " if average else ""
        self._log(
            f"{order.asset} {working.intent.action} {order.outcome} ({working.intent.reason}) {order.state}: {filled}"
            f"limit {order.limit_price / 1e6:.3f}{'' if order.last_error is None else ', ' + order.last_error}"
        )

    def _tell_status(self, order: Order) -> None:
        working = self._working.get(order.id)
        if working is not None:
            self.context.tell(addresses.PORTFOLIO, OrderReported(working.order, working.order.fills))
            return
        event = lifecycle.Failed(self.context.clock.now_ms(), "the process restarted before the paper order arrived")
        self.context.tell(addresses.PORTFOLIO, OrderReported(advance(order, event), order.fills))

    def _save(self) -> None:
        self.context.save(msgspec.msgpack.encode(ExecutorState(dict(self._working), self._broker.state)))

    def _prune(self) -> None:
        now_ms = self.context.clock.now_ms()
        used = {working.order.condition_id for working in self._working.values()}
        for condition_id in sorted({*self._views, *self._broker.state.consumption} - used):
            view = self._views.get(condition_id)
            if view is None or now_ms - view.received_ms > PRUNE_S * 1000:
                self._views.pop(condition_id, None)
                self._broker.forget(condition_id)
        self.context.timer("prune", PRUNE_S, Tick("prune"))
