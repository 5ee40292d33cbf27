"""Live execution: orders are signed, committed, posted through the gate, and looked up until their end is known.

A request that may have taken effect makes its order UNKNOWN: it is cancelled by its hash and looked for, and nothing
frees it but what the venue says, or the end of its window. A fill that turns up later is taken in all the same.
"""

from collections.abc import Callable
from functools import partial

import msgspec

from actors import live_heartbeat, live_posts, live_reconciliation
from actors.execution import Host, Working, tell_working
from actors.live_heartbeat import Pulse
from actors.live_looks import Looks, late_until_s
from actors.live_posts import Posted, Posts
from actors.live_reconciliation import Reconciliation
from actors.live_signs import VenueSigns
from core.errors import FuseboxError
from core.market.views import BookView
from core.messages import HoldingsReported, HoldingsRequested, Tick
from core.runtime.message import StreamItem, WorkDone, WorkFailed
from core.runtime.stream import Stream
from core.trading import lifecycle
from core.trading.lifecycle import OrderEvent
from core.trading.orders import Order, OrderState
from venues.polymarket.account_values import TradeUpdate, UserEvent, VenueTrade
from venues.polymarket.fills import VENUE
from venues.polymarket.live_account import Holdings, Look, TradingAccount, VenueReport
from venues.polymarket.signing import OrderTerms, SignedOrder
from venues.polymarket.user_stream import UserReceived
from venues.transport import StreamClosed, StreamOpened

USER_STREAM = "user"


class LiveState(msgspec.Struct, frozen=True):
    """What outlives an incarnation: orders as they were signed, by order id. As JSON, which what was signed is."""

    signed: dict[str, SignedOrder] = {}


class LiveSession(msgspec.Struct, frozen=True):
    """The session as a live client sees it.

    `since_s` is its start (unix seconds); `recorded_hashes`, by order id, are those the database has for orders that an
    earlier process left open; `unconfirmed` are its closed orders whose fills are not final, and `booked`, by trade
    and order hash, its fills of late that are.
    """

    id: int
    since_s: int
    recorded_hashes: dict[str, str] = {}
    unconfirmed: tuple[Working, ...] = ()
    booked: frozenset[tuple[str, str]] = frozenset()


class LiveExecutionClient:
    """One live account of one session; `user_stream` makes its channel, handed what tells whether events are owed."""

    venue = VENUE

    def __init__(
        self,
        account: TradingAccount,
        user_stream: Callable[[Callable[[], bool]], Stream],
        session: LiveSession,
        log: Callable[[str], None],
        saved: bytes = b"",
        *,
        max_failures: int | None = None,
    ) -> None:
        self._max_failures = max_failures
        self._account = account
        self._user_stream = user_stream
        self._log = log
        state = msgspec.json.decode(saved, type=LiveState) if saved else LiveState()
        self._signed = dict(state.signed)
        self._session = session

    def attach(self, host: Host) -> None:
        """See `ExecutionClient`."""
        self._host = host
        account, log, session = self._account, self._log, self._session
        self._signs = VenueSigns(host)
        self._looks = Looks(account, host, log)
        self._posts = Posts(account, host, self._looks, self._signs, self._doubt, log, self._max_failures, session.id)
        self._reconciliation = Reconciliation(
            account, host, session.id, session.since_s, self._signs, log, session.booked
        )
        self._pulse = Pulse(account, host, self._signs, log, self._look_at_all)

    # -- from signature to post ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen to the account, and look up every order that may have been sent before, or whose fills are not final.

        However long nobody of ours was there: reconciliation reads an hour of trades, and these may be older.
        """
        self._host.context.open_stream(USER_STREAM, self._user_stream(self._owed))
        self._posts.start()
        self._pulse.start()
        self._reconciliation.start()
        for working in list(self._host.working.values()):
            if working.order.state is not OrderState.NEW:
                self._doubt(working.order.id, "the executor restarted")
        for working in self._session.unconfirmed:
            self._host.remember(working)
        for working in list(self._host.closed.values()):
            self._looks.closed(working)

    def prepare(self, working: Working) -> None:
        """Sign at once, which is quicker than the way to a worker and back; an order signed before keeps its hash."""
        order = working.order
        if order.id in self._signed:
            self._host.prepared(order.id, self._signed[order.id].order_hash)
            return
        view = self._host.book(order.condition_id)
        tick = working.market.tick_size if view is None else view.tick_size
        terms = OrderTerms(tick, protocol_version=working.market.protocol_version)
        try:
            signed = self._account.sign(order, terms)
        except FuseboxError as error:
            self._posts.end(order.id, lifecycle.Failed, f"not sent: {error}")
            return
        self._signed[order.id] = signed
        self._host.prepared(order.id, signed.order_hash)

    def submit(self, working: Working) -> None:
        """Post in a worker: see `Posts`. Nothing is sent for a token while the outcome of an order in it is unknown."""
        order = working.order
        others = (other.order for other in self._host.working.values() if other.order.token_id == order.token_id)
        if any(other.state is OrderState.UNKNOWN for other in others):
            self._posts.end(order.id, lifecycle.Failed, "not sent: the outcome of an order of this token is not known")
            return
        self._posts.begin(working, self._signed[order.id])

    def cancel(self, working: Working) -> None:
        """Ask the venue to cancel what may rest there, then look what became of it."""
        order = working.order
        sent = order.order_hash is not None and order.state is not OrderState.NEW
        if sent and not self._posts.is_underway(order.id):
            self._looks.now(order.id, cancel=True)

    def shown(self, view: BookView) -> None:
        """A live venue fills orders itself."""

    # -- what comes back ----------------------------------------------------------------------------------------

    def receive(self, message: object) -> None:
        """Handle what workers, timers and the user channel bring."""
        match message:
            case WorkDone(key=key, value=value):
                self._done(key, value)
            case WorkFailed(key=key, error=FuseboxError() as error):
                self._failed(key, error)
            case WorkFailed(error=error):
                raise error
            case StreamItem(key=key, item=item) if key == USER_STREAM:
                self._heard(item)
            case HoldingsRequested():
                job = partial(self._account.holdings, message.tokens)
                self._host.context.work(f"holdings {message.revision}", job, lane=live_reconciliation.REPORT)
            case Tick(name=name):
                self._due(name)

    def _done(self, key: str, value: object) -> None:
        what, _, of = key.partition(" ")
        match what, value:
            case "post", Posted():
                for trade in self._posts.done(of, value):
                    self._take(trade)
            case "look", Look():
                self._looks.done(of, value)
            case live_heartbeat.BEAT, _:
                self._pulse.done()
            case live_reconciliation.REPORT, VenueReport():
                self._reconciliation.done(value, self._take)
            case "holdings", Holdings():
                self._host.holdings(HoldingsReported(int(of), value.cash_usd, value.shares))

    def _failed(self, key: str, error: FuseboxError) -> None:
        what, _, of = key.partition(" ")
        match what:
            case "look":
                self._looks.failed(of, error)
            case live_heartbeat.BEAT:
                self._pulse.failed(error)
            case live_reconciliation.REPORT:
                self._reconciliation.failed(error)
            case _:  # a stray not cancelled, a balance not read again: the next report or refusal comes back to it
                self._log(f"{what} did not work: {error}")

    def _due(self, name: str) -> None:
        what, _, of = name.partition(" ")
        match what:
            case "look":
                self._looks.due(of)
            case live_reconciliation.REPORT:
                self._reconciliation.now()
            case live_heartbeat.BEAT:
                self._pulse.due()
            case live_heartbeat.LATE:
                self._pulse.late()
            case live_posts.PAUSE:
                self._posts.resumed()
            case live_posts.REFUSED:
                self._posts.tried_again()

    def _owed(self) -> bool:
        """Return whether the user channel has to say something soon; called from its thread."""
        return any(working.order.state is not OrderState.LIVE for working in list(self._host.working.values()))

    def _take(self, trade: VenueTrade) -> None:
        """Hand a trade to every order of ours in it; one whose post is unanswered hears it afterwards."""
        hashes = {leg.order_hash for leg in (trade.taker, *trade.makers)}
        for working in self._host.known(hashes):
            if self._posts.is_underway(working.order.id):
                self._posts.early(working.order.id, trade)
            else:
                self._looks.take(working, (trade,))

    def _look_at_all(self) -> None:
        for order_id in list(self._host.working):
            if not self._posts.is_underway(order_id):
                self._looks.now(order_id)

    def _heard(self, item: object) -> None:
        match item:
            case UserReceived(events=events):
                for event in events:
                    self._event(event)
            case StreamOpened():  # what happened meanwhile was told to nobody
                self._signs.note(user_channel=True)
                self._look_at_all()
                self._reconciliation.now()
            case StreamClosed(reason=reason):
                self._signs.note(user_channel=False)
                self._log(f"user channel closed: {reason}")

    def _event(self, event: UserEvent) -> None:
        if isinstance(event, TradeUpdate):
            self._take(event.trade)
            return
        for working in self._host.known({event.order.order_hash}):
            if not self._posts.is_underway(working.order.id):
                self._looks.now(working.order.id)

    # -- ends ---------------------------------------------------------------------------------------------------

    def lost(self, order: Order) -> OrderEvent | str:
        """Name the hash to look for; an order without one was never sent."""
        found = order.order_hash or self._session.recorded_hashes.get(order.id)
        if found is None:
            now_ms = self._host.context.clock.now_ms()
            return lifecycle.Failed(now_ms, "the process restarted before the order was signed and sent")
        return found

    def taken_up(self, working: Working) -> None:
        """Look for an order of an earlier process."""
        self._doubt(working.order.id, "the process restarted")

    def keeps(self, working: Working, now_ms: int) -> bool:
        """Return whether a closed order may still get fills: until a while after its window."""
        sent = working.order.order_hash is not None
        return sent and now_ms < late_until_s(working.market) * 1000

    def closed(self, working: Working) -> None:
        """Let go of the signature; go on looking while a fill is provisional."""
        self._signed.pop(working.order.id, None)
        self._looks.closed(working)

    def forget(self, used: frozenset[str]) -> None:
        """Nothing is kept by market."""

    def stop(self) -> None:
        """Cancel everything at the venue, in the calling thread: what it does not confirm is looked up at the start.

        Raises:
            FuseboxError: when the venue could not be told; its heartbeat ends with us, which cancels all the same.
        """
        if self._host.working:
            self._account.cancel_all()

    def dump(self) -> bytes:
        """Return the signed orders."""
        return msgspec.json.encode(LiveState(dict(self._signed)))

    def _doubt(self, order_id: str, why: str) -> None:
        tell_working(self._host, order_id, lifecycle.OutcomeUnknown(self._host.context.clock.now_ms(), why))
        self._looks.now(order_id, cancel=True)
