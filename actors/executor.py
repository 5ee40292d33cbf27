"""The ExecutorActor carries an order from its reservation to a terminal state, against one venue.

An opening order is committed with its intent, and its hash where it has one, before it is sent. The gate is checked
again at the hand-over, under the lock of its setter. Every change is told to the portfolio, which books and writes it.
"""

from collections.abc import Callable, Container, Mapping

import msgspec
from msgspec.structs import replace

from actors import addresses
from actors.encoding import EncodedOnce
from actors.execution import ExecutionClient, Working
from actors.send_limits import SendLimits, send_refusal
from core.market.market import Market
from core.market.views import BookView
from core.messages import (
    BookPublished,
    CancelRequested,
    HoldingsReported,
    MarketListed,
    OrderReported,
    OrderRequested,
    OrderStatusRequested,
    Persist,
    Persisted,
    Tick,
    ViewsRequested,
)
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.context import Context
from core.trading import lifecycle
from core.trading.gate import OrderKind, permits
from core.trading.lifecycle import FillReported, OrderEvent, advance
from core.trading.order_limits import recent
from core.trading.orders import Fill, Intent, Order, OrderState, is_terminal
from core.trading.records import intent_record, market_record, order_record

DURABLE_WITHIN_S = 1.0
"""An opening order not committed this long after its sizing is not sent: it is old, and the database may be away."""
EXIT_WAITS_S = 0.25
"""An exit whose hash is not committed by then is sent all the same: what is held must not wait for a database."""
PRUNE_S = 60.0
MARKETS_KEPT_S = 7_200
"""A market is known this long after its close: a trade in it may be reported, or change, late."""


class ExecutorState(msgspec.Struct, frozen=True):
    """What the executor's checkpoint holds: orders, those closed whose fills are not final, and the client's part."""

    working: dict[str, Working] = {}
    closed: dict[str, Working] = {}
    client: bytes = b""
    opened_ms: tuple[int, ...] = ()
    """When the opening orders of the last minute were sent."""


class ExecutorActor(Actor):
    """Runs every order through `core.trading.lifecycle`.

    `make_client` is handed what the execution client before this one kept, and whether that was of this process.
    """

    acknowledges = True

    def __init__(
        self,
        context: Context,
        make_client: Callable[[bytes, bool], ExecutionClient],
        log: Callable[[str], None],
        portfolio: Address = addresses.PORTFOLIO,
        limits: SendLimits | None = None,
    ) -> None:
        super().__init__(context)
        self._limits = limits
        state = ExecutorState() if context.saved is None else msgspec.msgpack.decode(context.saved, type=ExecutorState)
        of_this_process = context.incarnation > 1
        self._log = log
        self._portfolio = portfolio
        # an earlier process's orders may have ended since this was saved; the portfolio, whose books are exact, asks
        self._working = dict(state.working) if of_this_process else {}
        self._closed = dict(state.closed)
        self._opened_ms = state.opened_ms
        self._encoded_working, self._encoded_closed = EncodedOnce(), EncodedOnce()
        self._closed_as_saved: msgspec.Raw | None = None
        self._changed = False
        self._views: dict[str, BookView] = {}
        self._markets: dict[str, Market] = {}
        self._client = make_client(state.client, of_this_process)
        self._client.attach(self)

    def on_start(self) -> None:
        """Take up the orders of the incarnation before: each goes on from where it stood."""
        for working in list(self._working.values()):
            self._want_book(working.market)
            if working.order.state is OrderState.NEW:
                self._client.prepare(working)
        self._client.start()
        self.context.timer("prune", PRUNE_S, Tick("prune"))
        self._save()

    def receive(self, message: object) -> None:
        """Handle requests, commits and books; the rest is the execution client's."""
        match message:
            case BookPublished(view=view):
                self._views[view.condition_id] = view
                self._recall(view.condition_id)
                self._client.shown(view)
            case OrderRequested(market=market, intent=intent, order=order, exposure=exposure):
                self._requested(Working(order, intent, market, exposure))
            case Persisted(key=order_id):
                self._durable(order_id)
            case CancelRequested(condition_id=condition_id):
                for working in self._of_market(condition_id):
                    self._client.cancel(working)
            case OrderStatusRequested():
                self._tell_status(message)
            case MarketListed(market=market):
                self._markets[market.condition_id] = market
            case Tick(name=name) if name.startswith("late "):
                self._late(name.removeprefix("late "))
            case Tick(name="prune"):
                self._prune()
            case _:
                self._client.receive(message)
        self._save()
        self.context.acknowledge(self.context.receipt)  # what changed nothing, such as a question, needs no repetition

    def on_stop(self) -> None:
        """Take back what rests or waits: nothing of ours stays at the venue while nobody watches it."""
        self._client.stop()
        self._save()

    # -- what the execution client sees -------------------------------------------------------------------------

    @property
    def working(self) -> Mapping[str, Working]:
        """Every order that is not terminal, by id."""
        return self._working

    def find(self, order_id: str) -> Working | None:
        """Return an order that is working, or one that closed and may still get news of its fills."""
        return self._working.get(order_id) or self._closed.get(order_id)

    @property
    def closed(self) -> Mapping[str, Working]:
        """Every order that is terminal and may still get news of its fills, by id."""
        return self._closed

    def remember(self, working: Working) -> None:
        """Know an order again that closed in an earlier process: its rows are newer than our checkpoint."""
        self._closed[working.order.id] = working
        self._closed_as_saved = None
        self._changed = True

    def known(self, order_hashes: Container[str]) -> list[Working]:
        """Return what `find` knows of orders with these hashes."""
        every = (*self._working.values(), *self._closed.values())
        return [working for working in every if working.order.order_hash in order_hashes]

    def market(self, condition_id: str) -> Market | None:
        """Return a market that was listed or traded lately."""
        return self._markets.get(condition_id)

    def book(self, condition_id: str) -> BookView | None:
        """Return the newest book of a market, None when there is none."""
        return self._views.get(condition_id)

    def adopted(self, order: Order, fill: Fill, intent: Intent, market: Market) -> None:
        """Tell the portfolio of an order that only the venue knew."""
        self.context.tell(self._portfolio, OrderReported(order, (fill,), intent, market))

    def holdings(self, report: HoldingsReported) -> None:
        """Hand the venue's balances to the portfolio that asked."""
        self.context.tell(self._portfolio, report)

    def prepared(self, order_id: str, order_hash: str | None) -> None:
        """Commit intent and order with the hash that the venue will know it by."""
        working = self._working.get(order_id)
        if working is None or working.order.state is not OrderState.NEW:
            return
        order = working.order if order_hash is None else replace(working.order, order_hash=order_hash)
        working = self._working[order_id] = replace(working, order=order)
        rows = (
            market_record(working.market),
            intent_record(working.intent),
            order_record(order, self._client.venue),
        )
        self.context.tell(addresses.DB_WRITER, Persist(rows, self.context.address, order_id))
        if working.intent.action == "OPEN":
            self._late_at(order, DURABLE_WITHIN_S)
        elif order_hash is None:  # nothing to look for at the venue: an exit does not wait at all
            self._durable(order_id)
        else:
            self._late_at(order, EXIT_WAITS_S)
        self._changed = True

    def happened(self, order_id: str, *events: OrderEvent) -> None:
        """Advance a working order, tell the portfolio of each step, and let go of it once it is terminal."""
        for event in events:
            self._advance(order_id, event)

    # -- from request to hand-over ------------------------------------------------------------------------------

    def _requested(self, working: Working) -> None:
        if working.order.id not in self._working:
            self._working[working.order.id] = working
            self._markets[working.market.condition_id] = working.market
            self._want_book(working.market)
            self._client.prepare(working)
            self._changed = True

    def _want_book(self, market: Market) -> None:
        """Ask for the book that an earlier incarnation has read: an order must not wait for the venue's next frame."""
        if market.condition_id not in self._views:
            self.context.tell(addresses.book_feed(market.asset), ViewsRequested(self.context.address))

    def _late_at(self, order: Order, wait_s: float) -> None:
        since_ms = order.created_ms if wait_s == DURABLE_WITHIN_S else self.context.clock.now_ms()
        key = f"late {order.id}"
        self.context.timer_at(key, since_ms + round(wait_s * 1000), Tick(key))

    def _durable(self, order_id: str) -> None:
        working = self._working.get(order_id)
        if working is None or working.order.state is not OrderState.NEW:
            return
        now_ms = self.context.clock.now_ms()
        if working.intent.action == "OPEN" and now_ms - working.order.created_ms > DURABLE_WITHIN_S * 1000:
            self._late(order_id)
            return
        order = advance(working.order, lifecycle.Persisted(now_ms))
        working = self._working[order_id] = replace(working, order=order)
        view = self._views.get(order.condition_id)
        if view is not None and view.continuity_epoch != order.book_epoch:
            self._advance(order_id, lifecycle.Failed(now_ms, "not sent: the book it was sized on is gone"))
            return
        self._opened_ms = recent(self._opened_ms, now_ms)
        refusal = None
        if self._limits is not None:
            refusal = send_refusal(working, view, self._opened_ms, now_ms, self._limits)
        if refusal is not None:
            self._advance(order_id, lifecycle.Failed(now_ms, f"not sent: {refusal}"))
            return
        if working.intent.action == "OPEN":
            self._opened_ms = (*self._opened_ms, now_ms)
        self._client.submit(working)
        self._changed = True  # on its way: the next incarnation must look for it, not send it

    def _late(self, order_id: str) -> None:
        working = self._working.get(order_id)
        if working is None or working.order.state is not OrderState.NEW:
            return
        if working.intent.action == "CLOSE":
            self._durable(order_id)
            return
        reason = f"not sent: its intent was not committed within {DURABLE_WITHIN_S:g} s"
        self._advance(order_id, lifecycle.Failed(self.context.clock.now_ms(), reason))

    def _recall(self, condition_id: str) -> None:
        """Cancel resting opening orders of a market whose gate has shut: a fill would be new exposure."""
        for working in self._of_market(condition_id):
            order, opens = working.order, working.intent.action == "OPEN"
            shut = not permits(self.context.gate.state, order.asset, OrderKind.OPEN_ORDER)
            if opens and shut and order.state is OrderState.LIVE:
                self._client.cancel(working)

    def _of_market(self, condition_id: str) -> list[Working]:
        return [working for working in self._working.values() if working.order.condition_id == condition_id]

    # -- what happened ------------------------------------------------------------------------------------------

    def _advance(self, order_id: str, event: OrderEvent) -> None:
        working = self._working.get(order_id) or self._closed[order_id]
        order = advance(working.order, event)
        if order == working.order and order_id in self._closed:
            return
        fills = (event.fill,) if isinstance(event, FillReported) else ()
        working = replace(working, order=order)
        if is_terminal(order):
            if self._working.pop(order_id, None) is not None:
                self.context.cancel_timer(f"late {order_id}")
                self._log_end(working, order)
            self._keep_or_forget(working)
            self._client.closed(working)
        else:
            self._working[order_id] = working
        self.context.tell(self._portfolio, OrderReported(order, fills, working.intent, working.market))
        self._changed = True

    def _keep_or_forget(self, working: Working) -> None:
        """Keep a closed order while a fill of it is provisional or one may still turn up."""
        order = working.order
        self._closed_as_saved = None
        provisional = any(fill.state == "MATCHED" for fill in order.fills)
        if provisional or self._client.keeps(working, self.context.clock.now_ms()):
            self._closed[order.id] = working
        else:
            self._closed.pop(order.id, None)

    def _log_end(self, working: Working, order: Order) -> None:
        average = order.filled_notional / order.filled_shares if order.filled_shares else 0.0
        filled = f"{order.filled_shares / 1e6:.2f}/{order.shares / 1e6:.2f} at {average:.3f}, " if average else ""
        self._log(
            f"{order.asset} {working.intent.action} {order.outcome} ({working.intent.reason}) {order.state}: {filled}"
            f"limit {order.limit_price / 1e6:.3f}{'' if order.last_error is None else ', ' + order.last_error}"
        )

    def _tell_status(self, asked: OrderStatusRequested) -> None:
        """Repeat what a restarted portfolio missed; an order nobody here knows is the client's to find out about."""
        order, known = asked.order, self.find(asked.order.id)
        if known is not None:
            report = OrderReported(known.order, known.order.fills, known.intent, known.market)
            self.context.tell(self._portfolio, report)
            return
        found = self._client.lost(order)
        if isinstance(found, str):
            order = replace(order, order_hash=found, state=OrderState.DURABLE)
            working = self._working[order.id] = Working(order, asked.intent, asked.market)
            self._client.taken_up(working)
            self._changed = True
        else:
            self.context.tell(
                self._portfolio, OrderReported(advance(order, found), order.fills, asked.intent, asked.market)
            )

    def _save(self) -> None:
        """Save what the handler changed, once for all of it: its effects happen together anyway."""
        if not self._changed:
            return
        self._changed = False
        if self._closed_as_saved is None:  # the many that closed are looked at when one closes, not on an order's way
            self._closed_as_saved = msgspec.Raw(msgspec.msgpack.encode(self._encoded_closed.encode(self._closed)))
        state = {
            "working": self._encoded_working.encode(self._working),
            "closed": self._closed_as_saved,
            "client": self._client.dump(),
            "opened_ms": self._opened_ms,
        }
        self.context.save(msgspec.msgpack.encode(state))

    def _prune(self) -> None:
        now_ms = self.context.clock.now_ms()
        used = {working.order.condition_id for working in self._working.values()}
        for condition_id in [key for key in self._views if key not in used]:
            if now_ms - self._views[condition_id].received_ms > PRUNE_S * 1000:
                del self._views[condition_id]
        for working in list(self._closed.values()):
            self._keep_or_forget(working)
        for condition_id, market in list(self._markets.items()):
            if now_ms > (market.window.closes_at_s + MARKETS_KEPT_S) * 1000 and condition_id not in used:
                del self._markets[condition_id]
        self._client.forget(frozenset(used | self._views.keys()))
        self.context.timer("prune", PRUNE_S, Tick("prune"))
