"""What the executor asks of a venue, paper or live, and what it hears back. Nothing here waits for an answer."""

from collections.abc import Container, Mapping
from typing import Protocol

import msgspec

from core.market.market import Market
from core.market.views import BookView
from core.messages import HoldingsReported
from core.runtime.context import Context
from core.trading.lifecycle import OrderEvent, may_advance
from core.trading.order_limits import Exposure
from core.trading.orders import Fill, Intent, Order


class Working(msgspec.Struct, frozen=True):
    """An order that is not terminal, with what it came from, and the account's exposure when it was sized."""

    order: Order
    intent: Intent
    market: Market
    exposure: Exposure = Exposure()


class Host(Protocol):
    """The executor, as its execution client sees it."""

    @property
    def context(self) -> Context:
        """Clock, timers, workers, streams and gate."""
        ...

    @property
    def working(self) -> Mapping[str, Working]:
        """Every order that is not terminal, by id."""
        ...

    def find(self, order_id: str) -> Working | None:
        """Return an order by its id: one that is working, or one that closed and may still get news of its fills."""
        ...

    @property
    def closed(self) -> Mapping[str, Working]:
        """Every order that is terminal and may still get news of its fills, by id."""
        ...

    def remember(self, working: Working) -> None:
        """Know an order again that closed in an earlier process and whose fills are not final."""
        ...

    def known(self, order_hashes: Container[str]) -> list[Working]:
        """Return what `find` knows of orders with these hashes."""
        ...

    def book(self, condition_id: str) -> BookView | None:
        """Return the newest book of a market, None when there is none."""
        ...

    def market(self, condition_id: str) -> Market | None:
        """Return a market that was listed or traded lately."""
        ...

    def adopted(self, order: Order, fill: Fill, intent: Intent, market: Market) -> None:
        """Take an order of ours that only the venue knew, with one fill of it; repeating it is harmless."""
        ...

    def holdings(self, report: HoldingsReported) -> None:
        """Hand the venue's balances to the portfolio that asked."""
        ...

    def prepared(self, order_id: str, order_hash: str | None) -> None:
        """Take the order on: it can be sent once this hash is committed with it."""
        ...

    def happened(self, order_id: str, *events: OrderEvent) -> None:
        """Take what became of an order that `find` knows, in this order."""
        ...


def tell_working(host: Host, order_id: str, event: OrderEvent) -> None:
    """Tell the host of an event, unless the order has ended or cannot hear it any more."""
    working = host.working.get(order_id)
    if working is not None and may_advance(working.order, event):
        host.happened(order_id, event)


class ExecutionClient(Protocol):
    """One venue. Every method returns at once; what comes of it is told to the host, now or by a later message."""

    venue: str
    """Name in the rows of orders and fills."""

    def attach(self, host: Host) -> None:
        """Learn who is told. Called once, before anything else."""
        ...

    def start(self) -> None:
        """Open what must be open, and take up every working order of the incarnation before that may have been sent."""
        ...

    def prepare(self, working: Working) -> None:
        """Make the order ready to be sent (sign it): leads to `prepared`, or to an event that ends it."""
        ...

    def submit(self, working: Working) -> None:
        """Send a committed order through the gate: leads to events, the first one saying whether it was sent."""
        ...

    def cancel(self, working: Working) -> None:
        """Take back what rests. An order past recall stays working until its outcome is known."""
        ...

    def shown(self, view: BookView) -> None:
        """Note a market's newest book."""
        ...

    def receive(self, message: object) -> None:
        """Handle a timer, a worker's result or a stream's item of its own; ignore everything else."""
        ...

    def lost(self, order: Order) -> OrderEvent | str:
        """Say what became of an order that the portfolio waits for and the executor does not know.

        An event that ends it, or the hash under which it has to be looked for: `taken_up` follows then.
        """
        ...

    def taken_up(self, working: Working) -> None:
        """Find out what became of an order of an earlier process; it is DURABLE and may have been sent."""
        ...

    def closed(self, working: Working) -> None:
        """Note that an order became terminal, or that a terminal one got news of a fill."""
        ...

    def keeps(self, working: Working, now_ms: int) -> bool:
        """Return whether a terminal order may still get fills that nobody knows of."""
        ...

    def forget(self, used: frozenset[str]) -> None:
        """Let go of what belongs to markets that no working order uses."""
        ...

    def stop(self) -> None:
        """Take back everything that rests: nothing of ours stays in a book that nobody watches."""
        ...

    def dump(self) -> bytes:
        """Return what a later incarnation needs."""
        ...
