"""Paper execution: the paper broker, given the executor's clock, timers, gate and books."""

import msgspec

from actors.execution import Host, Working
from core.market.views import BookView
from core.messages import Tick
from core.trading import lifecycle
from core.trading.gate import GateLevel, OrderKind
from core.trading.lifecycle import OrderEvent
from core.trading.orders import Order
from venues.paper.broker import VENUE, BrokerReport, PaperBroker, PaperState


class PaperExecutionClient:
    """Fills orders against the books that the executor hears; see `venues.paper.broker`."""

    venue = VENUE

    def __init__(
        self, latency_ms: int, max_book_age_ms: int, saved: bytes = b"", *, of_this_process: bool = True
    ) -> None:
        state = msgspec.msgpack.decode(saved, type=PaperState) if saved else PaperState()
        if not of_this_process:  # it may be seconds old: an order in it may have ended since
            state = PaperState(consumption=state.consumption)
        self._broker = PaperBroker(latency_ms, max_book_age_ms, state)

    def attach(self, host: Host) -> None:
        """See `ExecutionClient`."""
        self._host = host

    def start(self) -> None:
        """Wait again for every order that is on its way or rests."""
        for order_id in self._host.working:
            self._expect(order_id)

    def prepare(self, working: Working) -> None:
        """Paper orders are not signed."""
        self._host.prepared(working.order.id, None)

    def submit(self, working: Working) -> None:
        """Hand the order to the broker under the gate's lock; it arrives after the latency."""
        order, market, now_ms = working.order, working.market, self._now_ms()
        kind = OrderKind.OPEN_ORDER if working.intent.action == "OPEN" else OrderKind.REDUCE
        view = self._host.book(order.condition_id)

        def hand_over(_sequence: int) -> None:
            self._broker.submit(order, market, view, now_ms)

        gate = self._host.context.gate
        refused: list[GateLevel] = []
        sequence = gate.submit(order.asset, kind, hand_over, refused.append)
        if sequence is None:  # a replaced executor is refused at no level, and nobody hears what it says
            at = "" if not refused else f": the gate is {refused[0].name}"
            self._host.happened(order.id, lifecycle.Failed(now_ms, f"not sent{at}"))
            return
        self._host.happened(order.id, lifecycle.Submitted(now_ms, sequence))
        self._expect(order.id)

    def cancel(self, working: Working) -> None:
        """See `PaperBroker.cancel`."""
        self._tell(self._broker.cancel(working.order.id, self._now_ms()))

    def shown(self, view: BookView) -> None:
        """Let the book fill what rests in it."""
        if self._broker.state.orders:
            self._tell(self._broker.refresh(view, self._now_ms()))

    def receive(self, message: object) -> None:
        """Let an order arrive, or end one that rests when its market closes."""
        match message:
            case Tick(name=name) if name.startswith("arrive "):
                order_id = name.removeprefix("arrive ")
                working = self._host.working.get(order_id)
                book = None if working is None else self._host.book(working.order.condition_id)
                self._tell(self._broker.arrive(order_id, book, self._now_ms()))
            case Tick(name=name) if name.startswith("close "):
                self._tell(self._broker.cancel(name.removeprefix("close "), self._now_ms()))

    def lost(self, order: Order) -> OrderEvent:
        """An order that neither the executor nor its broker knows was never matched: both are one process."""
        del order
        return lifecycle.Failed(self._now_ms(), "the process restarted before the paper order arrived")

    def taken_up(self, working: Working) -> None:
        """Never called: `lost` always ends the order."""

    def closed(self, working: Working) -> None:
        """Stop waiting for the market's end."""
        self._host.context.cancel_timer(f"close {working.order.id}")

    def keeps(self, working: Working, now_ms: int) -> bool:
        """A paper order has every fill when it closes."""
        del working, now_ms
        return False

    def forget(self, used: frozenset[str]) -> None:
        """Drop what was taken from books that nobody looks at any more."""
        for condition_id in [key for key in self._broker.state.consumption if key not in used]:
            self._broker.forget(condition_id)

    def stop(self) -> None:
        """Cancel what rests; what is on its way never arrives."""
        now_ms = self._now_ms()
        for working in list(self._host.working.values()):
            order_id = working.order.id
            self._tell(self._broker.cancel(order_id, now_ms))
            if order_id in self._host.working:
                self._host.happened(order_id, lifecycle.Cancelled(now_ms, "stopped before the order arrived"))

    def dump(self) -> bytes:
        """Return the broker's whole state."""
        return msgspec.msgpack.encode(self._broker.state)

    def _now_ms(self) -> int:
        return self._host.context.clock.now_ms()

    def _expect(self, order_id: str) -> None:
        paper = self._broker.state.orders.get(order_id)
        if paper is None:
            return
        timer_at = self._host.context.timer_at
        if not paper.resting:
            timer_at(f"arrive {order_id}", paper.due_ms, Tick(f"arrive {order_id}"))
        if paper.order.order_type == "GTC":  # no book may come after the close to end it
            closes_ms = paper.market.window.closes_at_s * 1000
            timer_at(f"close {order_id}", closes_ms, Tick(f"close {order_id}"))

    def _tell(self, reports: list[BrokerReport]) -> None:
        for report in reports:
            self._host.happened(report.order_id, report.event)
