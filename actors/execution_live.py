"""Live execution: orders are signed, committed, posted through the gate, and looked up until their end is known.

A request that may have taken effect makes its order UNKNOWN: it is cancelled by its hash and looked for, and nothing
frees it but what the venue says, or the end of its window. A fill that turns up later is taken in all the same.
"""

from collections.abc import Callable
from functools import partial

import msgspec

from actors import live_heartbeat, live_reconciliation
from actors.execution import Host, Working
from actors.live_heartbeat import Pulse
from actors.live_looks import Looks, late_until_s
from actors.live_reconciliation import Reconciliation
from core.errors import FuseboxError, RejectedError, TransientError
from core.market.views import BookView
from core.messages import HoldingsReported, HoldingsRequested, Tick
from core.runtime.message import StreamItem, WorkDone, WorkFailed
from core.runtime.stream import Stream
from core.trading import lifecycle
from core.trading.gate import GateLevel, OrderKind
from core.trading.lifecycle import OrderEvent
from core.trading.orders import Order, OrderState
from venues.polymarket.account_values import TradeUpdate, UserEvent, VenueTrade
from venues.polymarket.connection import GateRefusedError
from venues.polymarket.fills import VENUE
from venues.polymarket.live_account import Holdings, Look, TradingAccount, VenueReport
from venues.polymarket.order_client import Accepted
from venues.polymarket.order_errors import OrderRejectedError, OrderTransientError
from venues.polymarket.signing import OrderTerms, SignedOrder
from venues.polymarket.user_stream import UserReceived
from venues.transport import StreamClosed, StreamOpened

PAUSE_S = 10.0
"""How long nothing is opened after the venue asked to wait without saying how long."""
PAUSED = "the venue asks to wait"
REFUSES = "the venue refuses our orders"
USER_STREAM = "user"
End = lifecycle.Failed | lifecycle.Rejected | lifecycle.Cancelled


class LiveState(msgspec.Struct, frozen=True):
    """What outlives an incarnation: orders as they were signed, by order id. As JSON, which what was signed is."""

    signed: dict[str, SignedOrder] = {}


class LiveSession(msgspec.Struct, frozen=True):
    """The session as a live client sees it.

    `since_s` is its start (unix seconds); `recorded_hashes`, by order id, are those the database has for orders that an
    earlier process left open.
    """

    id: int
    since_s: int
    recorded_hashes: dict[str, str] = {}


class Posted(msgspec.Struct, frozen=True):
    """What came of one post. `sequence` is the gate's at the hand-over; None: not a byte was sent."""

    at_ms: int
    sequence: int | None
    accepted: Accepted | None
    error: FuseboxError | None


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
    ) -> None:
        self._account = account
        self._user_stream = user_stream
        self._log = log
        state = msgspec.json.decode(saved, type=LiveState) if saved else LiveState()
        self._signed = dict(state.signed)
        self._session = session
        self._posting: set[str] = set()
        self._early: dict[str, list[VenueTrade]] = {}

    def attach(self, host: Host) -> None:
        """See `ExecutionClient`."""
        self._host = host
        account, log, session = self._account, self._log, self._session
        self._looks = Looks(account, host, log)
        self._reconciliation = Reconciliation(account, host, session.id, session.since_s, log)
        self._pulse = Pulse(account, host, log, self._look_at_all)

    # -- from signature to post ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen to the account, and look up every order that an earlier incarnation may have sent."""
        self._host.context.open_stream(USER_STREAM, self._user_stream(self._owed))
        self._pulse.start()
        self._reconciliation.start()
        for working in list(self._host.working.values()):
            if working.order.state is not OrderState.NEW:
                self._doubt(working.order.id, "the executor restarted")

    def prepare(self, working: Working) -> None:
        """Sign in a worker; an order signed before keeps its hash."""
        order = working.order
        if order.id in self._signed:
            self._host.prepared(order.id, self._signed[order.id].order_hash)
            return
        view = self._host.book(order.condition_id)
        tick = working.market.tick_size if view is None else view.tick_size
        terms = OrderTerms(tick, protocol_version=working.market.protocol_version)
        self._work(f"sign {order.id}", partial(self._account.sign, order, terms), order.asset)

    def submit(self, working: Working) -> None:
        """Post in a worker; gate and hand-over to the socket are one step there."""
        order = working.order
        signed = self._signed[order.id]
        kind = OrderKind.OPEN_ORDER if working.intent.action == "OPEN" else OrderKind.REDUCE
        context = self._host.context
        self._posting.add(order.id)
        hand_over = partial(context.gate.submit, order.asset, kind)
        self._work(f"post {order.id}", _post(self._account, signed, hand_over, context.clock.now_ms), order.asset)

    def cancel(self, working: Working) -> None:
        """Ask the venue to cancel what may rest there, then look what became of it."""
        order = working.order
        if order.order_hash is not None and order.state is not OrderState.NEW and order.id not in self._posting:
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
            case "sign", SignedOrder():
                self._sign_done(of, value)
            case "post", Posted():
                self._post_done(of, value)
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
            case "sign":
                self._end(of, lifecycle.Failed, f"not sent: {error}")
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
            case "pause":
                self._host.context.gate.release(None, PAUSED)

    def _owed(self) -> bool:
        """Return whether the user channel has to say something soon; called from its thread."""
        return any(working.order.state is not OrderState.LIVE for working in list(self._host.working.values()))

    def _take(self, trade: VenueTrade) -> None:
        """Hand a trade to every order of ours in it; one whose post is unanswered hears it afterwards."""
        hashes = {leg.order_hash for leg in (trade.taker, *trade.makers)}
        for working in self._host.known(hashes):
            if working.order.id in self._posting:
                self._early.setdefault(working.order.id, []).append(trade)
            else:
                self._looks.take(working, (trade,))

    def _look_at_all(self) -> None:
        for order_id in list(self._host.working):
            if order_id not in self._posting:
                self._looks.now(order_id)

    def _sign_done(self, order_id: str, signed: SignedOrder) -> None:
        if order_id in self._host.working:
            self._signed[order_id] = signed
            self._host.prepared(order_id, signed.order_hash)

    def _post_done(self, order_id: str, posted: Posted) -> None:
        self._posting.discard(order_id)
        if order_id not in self._host.working:
            return
        if posted.sequence is None:
            why = posted.error if not isinstance(posted.error, GateRefusedError) else self._gate_text(order_id)
            self._end(order_id, lifecycle.Failed, f"not sent: {why}")
            return
        self._happened(order_id, lifecycle.Submitted(posted.at_ms, posted.sequence))
        self._answered(order_id, posted)
        for trade in self._early.pop(order_id, []):
            self._take(trade)

    def _answered(self, order_id: str, posted: Posted) -> None:
        accepted, error, at_ms = posted.accepted, posted.error, posted.at_ms
        if accepted is not None:
            self._host.context.gate.release(None, REFUSES)
            order = self._host.working[order_id].order
            if accepted.status == "live" and order.order_type == "GTC":
                self._happened(order_id, lifecycle.Acknowledged(at_ms))
                self._looks.later(order_id)
            else:  # matched, delayed; and a FAK that is called live has been seen to fill afterwards
                if accepted.status != "matched":
                    self._happened(order_id, lifecycle.Postponed(at_ms))
                self._looks.soon(order_id)
            return
        match error:
            case OrderRejectedError() if error.killed:
                self._end(order_id, lifecycle.Cancelled, error.text)
            case OrderRejectedError():
                self._refused(order_id, error)
            case OrderTransientError():
                self._pause(error)
                self._end(order_id, lifecycle.Rejected, str(error))
            case TransientError() | RejectedError():
                self._end(order_id, lifecycle.Rejected, str(error))
            case _:
                self._doubt(order_id, str(error))

    def _refused(self, order_id: str, error: OrderRejectedError) -> None:
        order = self._host.working[order_id].order
        context = self._host.context
        if error.needs_operator:
            context.gate.hold(None, REFUSES, GateLevel.REDUCE_ONLY)
            self._log(f"{REFUSES}, nothing is opened until one is taken: {error}")
        elif error.balance_lags:
            token = order.token_id
            self._work(f"refresh {token}", partial(self._account.refresh, token), order.asset)
        self._end(order_id, lifecycle.Rejected, str(error))

    def _pause(self, error: OrderTransientError) -> None:
        """Open nothing while the venue restarts or limits us; exits go on trying."""
        context = self._host.context
        if context.gate.hold(None, PAUSED, GateLevel.REDUCE_ONLY):
            self._log(f"{PAUSED}: {error}")
        context.timer("pause", max(error.retry_after_s or 0.0, PAUSE_S), Tick("pause"))

    def _gate_text(self, order_id: str) -> str:
        return f"the gate is {self._host.context.gate.level(self._host.working[order_id].order.asset).name}"

    # -- the account's own words --------------------------------------------------------------------------------

    def _heard(self, item: object) -> None:
        match item:
            case UserReceived(events=events):
                for event in events:
                    self._event(event)
            case StreamOpened():  # what happened meanwhile was told to nobody
                self._look_at_all()
                self._reconciliation.now()
            case StreamClosed(reason=reason):
                self._log(f"user channel closed: {reason}")

    def _event(self, event: UserEvent) -> None:
        if isinstance(event, TradeUpdate):
            self._take(event.trade)
            return
        for working in self._host.known({event.order.order_hash}):
            if working.order.id not in self._posting:
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
        self._happened(order_id, lifecycle.OutcomeUnknown(self._host.context.clock.now_ms(), why))
        self._looks.now(order_id, cancel=True)

    def _end(
        self, order_id: str, kind: type[lifecycle.Failed | lifecycle.Rejected | lifecycle.Cancelled], why: str
    ) -> None:
        self._happened(order_id, kind(self._host.context.clock.now_ms(), why))

    def _happened(self, order_id: str, event: OrderEvent) -> None:
        working = self._host.working.get(order_id)
        if working is not None and lifecycle.may_advance(working.order, event):
            self._host.happened(order_id, event)

    def _work(self, key: str, job: Callable[[], object], asset: str) -> None:
        self._host.context.work(key, job, lane=f"orders.{asset}")


def _post(
    account: TradingAccount,
    signed: SignedOrder,
    hand_over: Callable[[Callable[[int], None]], int | None],
    now_ms: Callable[[], int],
) -> Callable[[], Posted]:
    """Return the job that posts; an error is a value here, because what was handed over before it counts."""

    def job() -> Posted:
        sent: list[tuple[int, int]] = []

        def noting(write: Callable[[int], None]) -> int | None:
            def noted(sequence: int) -> None:
                sent.append((now_ms(), sequence))
                write(sequence)

            return hand_over(noted)

        try:
            accepted = account.post(signed, noting)
        except FuseboxError as error:
            at_ms, sequence = sent[0] if sent else (now_ms(), None)
            return Posted(at_ms, sequence, None, error)
        at_ms, sequence = sent[0]
        return Posted(at_ms, sequence, accepted, None)

    return job
