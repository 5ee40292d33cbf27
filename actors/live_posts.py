"""Posts of live orders: through the gate in a worker, and what the venue's answer makes of the order."""

from collections.abc import Callable
from functools import partial

import msgspec

from actors import addresses
from actors.execution import Host, Working, tell_working
from actors.live_looks import Looks
from actors.live_signs import VenueSigns
from actors.venue_holds import PAUSED, REFUSES
from core.errors import FuseboxError, RejectedError, TransientError
from core.market.health import RECOVERED, Health
from core.messages import Persist, Tick
from core.records import HealthEventRecord
from core.runtime.gate import HandOver, Refused
from core.trading import lifecycle
from core.trading.gate import GateLevel, OrderKind
from core.trading.lasting_holds import ORDER_FAILURES
from core.trading.orders import Order
from venues.polymarket.account_values import VenueTrade
from venues.polymarket.connection import GateRefusedError
from venues.polymarket.live_account import TradingAccount
from venues.polymarket.order_client import Accepted
from venues.polymarket.order_errors import OrderRejectedError, OrderTransientError, Reason
from venues.polymarket.signing import SignedOrder

PAUSE_S = 10.0
"""How long nothing is opened after the venue asked to wait without saying how long."""
REFUSED_S = 300.0
"""How long nothing is opened after a refusal that a person has to mend; then an order may show whether it was."""
PAUSE, REFUSED = "pause", "refused"
PAUSES = {
    Reason.RESTARTING: "maintenance, its matching engine restarts",
    Reason.POST_ONLY_MODE: "maintenance, it takes only orders that rest",
    Reason.CANCEL_ONLY: "maintenance, it takes only cancels",
    Reason.RATE_LIMITED: "too many requests",
    Reason.NOT_READY: "the market does not take orders yet",
}
"""What the venue's wish to wait means, for people."""
End = type[lifecycle.Failed | lifecycle.Rejected | lifecycle.Cancelled]


class Posted(msgspec.Struct, frozen=True):
    """What came of one post. `sequence` is the gate's at the hand-over; None: not a byte was sent.

    `refused_at` is the gate's level where it was the gate that refused.
    """

    at_ms: int
    sequence: int | None
    accepted: Accepted | None
    error: FuseboxError | None
    refused_at: GateLevel | None = None


class Posts:
    """The posts of one execution client; `doubt` takes an order that may or may not have been taken by the venue."""

    def __init__(
        self,
        account: TradingAccount,
        host: Host,
        looks: Looks,
        signs: VenueSigns,
        doubt: Callable[[str, str], None],
        log: Callable[[str], None],
        max_failures: int | None = None,
        session_id: int = 0,
    ) -> None:
        self._session_id = session_id
        self._max_failures = max_failures
        self._failures = 0
        self._account = account
        self._host = host
        self._looks = looks
        self._signs = signs
        self._doubt = doubt
        self._log = log
        self._posting: set[str] = set()
        self._early: dict[str, list[VenueTrade]] = {}

    def begin(self, working: Working, signed: SignedOrder) -> None:
        """Post in a worker; gate and hand-over to the socket are one step there."""
        order = working.order
        kind = OrderKind.OPEN_ORDER if working.intent.action == "OPEN" else OrderKind.REDUCE
        context = self._host.context
        self._posting.add(order.id)
        submit = partial(context.gate.submit, order.asset, kind)
        job = _post(self._account, signed, submit, context.clock.now_ms)
        context.work(f"post {order.id}", job, lane=f"orders.{order.asset}")

    def is_underway(self, order_id: str) -> bool:
        """Return whether the order's post has not been answered yet."""
        return order_id in self._posting

    def early(self, order_id: str, trade: VenueTrade) -> None:
        """Keep a trade until the order in it has been answered for."""
        self._early.setdefault(order_id, []).append(trade)

    def done(self, order_id: str, posted: Posted) -> list[VenueTrade]:
        """Take the answer, and return the trades that came before it."""
        self._posting.discard(order_id)
        early = self._early.pop(order_id, [])
        if order_id not in self._host.working:
            return early
        if posted.sequence is None:
            self.end(order_id, lifecycle.Failed, f"not sent: {_why_not_sent(posted)}")
            return early
        tell_working(self._host, order_id, lifecycle.Submitted(posted.at_ms, posted.sequence))
        self._answered(order_id, posted)
        return early

    def start(self) -> None:
        """See to it that what the incarnation before held the gate for ends: its timers went with it."""
        self._signs.note(max_order_failures=self._max_failures)
        self._host.context.timer(PAUSE, PAUSE_S, Tick(PAUSE))
        self._host.context.timer(REFUSED, REFUSED_S, Tick(REFUSED))

    def tried_again(self) -> None:
        """Let orders through again: with nothing held there would be none whose acceptance could end the refusal."""
        self._host.context.gate.release(None, REFUSES)

    def resumed(self) -> None:
        """Open again: the venue's pause is over, as far as it said."""
        if self._host.context.gate.release(None, PAUSED):
            self._write(RECOVERED, "its pause is over, as far as it said")
        self._signs.note(paused_until_ms=None, paused_because=None)

    def end(self, order_id: str, kind: End, why: str) -> None:
        """Close an order on the venue's word, or because it was never sent."""
        tell_working(self._host, order_id, kind(self._host.context.clock.now_ms(), why))

    def _answered(self, order_id: str, posted: Posted) -> None:
        accepted, error, at_ms = posted.accepted, posted.error, posted.at_ms
        self._count(error)
        if accepted is not None:
            if self._host.context.gate.release(None, REFUSES):
                self._signs.note(refusal=None)
            order = self._host.working[order_id].order
            if accepted.status == "live" and order.order_type == "GTC":
                tell_working(self._host, order_id, lifecycle.Acknowledged(at_ms))
                self._looks.later(order_id)
            else:  # matched, delayed; and a FAK that is called live has been seen to fill afterwards
                if accepted.status != "matched":
                    tell_working(self._host, order_id, lifecycle.Postponed(at_ms))
                self._looks.soon(order_id)
            return
        match error:
            case OrderRejectedError() if error.killed:
                self.end(order_id, lifecycle.Cancelled, error.text)
            case OrderRejectedError():
                self._refused(self._host.working[order_id].order, error)
            case OrderTransientError():
                self._pause(error)
                self.end(order_id, lifecycle.Rejected, str(error))
            case TransientError() | RejectedError():
                self.end(order_id, lifecycle.Rejected, str(error))
            case _:
                self._doubt(order_id, str(error))

    def _count(self, error: FuseboxError | None) -> None:
        """Shut the gate when one order after the other fails; what only has to wait, or found nobody, is no failure."""
        if isinstance(error, TransientError):
            return
        taken = error is None or (isinstance(error, OrderRejectedError) and error.killed)
        self._failures = 0 if taken else self._failures + 1
        self._signs.note(order_failures=self._failures)
        if self._max_failures is not None and self._failures >= self._max_failures:
            text = f"{self._failures} in a row, the last: {error}"
            self._failures = 0
            self._host.context.gate.hold(None, ORDER_FAILURES, GateLevel.REDUCE_ONLY, text)

    def _refused(self, order: Order, error: OrderRejectedError) -> None:
        context = self._host.context
        if error.needs_operator:
            context.gate.hold(None, REFUSES, GateLevel.REDUCE_ONLY)
            self._signs.note(refusal=str(error))
            self._log(f"{REFUSES}, nothing is opened for {REFUSED_S:.0f} s or until one is taken: {error}")
            context.timer(REFUSED, REFUSED_S, Tick(REFUSED))
        elif error.balance_lags:
            token = order.token_id
            context.work(f"refresh {token}", partial(self._account.refresh, token), lane=f"orders.{order.asset}")
        self.end(order.id, lifecycle.Rejected, str(error))

    def _pause(self, error: OrderTransientError) -> None:
        """Open nothing while the venue restarts or limits us; exits go on trying."""
        context = self._host.context
        why = PAUSES.get(error.reason, "")
        text = f"{why}: {error}" if why else str(error)
        if context.gate.hold(None, PAUSED, GateLevel.REDUCE_ONLY, text):
            self._log(f"{PAUSED}: {text}")
            self._write(Health.DEGRADED.value, text)
        wait_s = max(error.retry_after_s or 0.0, PAUSE_S)
        until_ms = context.clock.now_ms() + round(wait_s * 1000)
        self._signs.note(paused_until_ms=until_ms, paused_because=why or error.reason.value)
        context.timer(PAUSE, wait_s, Tick(PAUSE))

    def _write(self, status: str, detail: str) -> None:
        context = self._host.context
        row = HealthEventRecord(self._session_id, "venue", status, detail, context.clock.now_ms())
        context.tell(addresses.DB_WRITER, Persist((row,)))


def _why_not_sent(posted: Posted) -> str:
    if posted.refused_at is not None:
        return f"the gate is {posted.refused_at.name}"
    replaced = isinstance(posted.error, GateRefusedError)
    return "the executor was replaced meanwhile" if replaced else str(posted.error)


def _post(
    account: TradingAccount,
    signed: SignedOrder,
    submit: Callable[[HandOver, Refused], int | None],
    now_ms: Callable[[], int],
) -> Callable[[], Posted]:
    """Return the job that posts; an error is a value here, because what was handed over before it counts."""

    def job() -> Posted:
        sent: list[tuple[int, int]] = []
        refused: list[GateLevel] = []

        def noting(write: Callable[[int], None]) -> int | None:
            def noted(sequence: int) -> None:
                sent.append((now_ms(), sequence))
                write(sequence)

            return submit(noted, refused.append)

        try:
            accepted = account.post(signed, noting)
        except FuseboxError as error:
            at_ms, sequence = sent[0] if sent else (now_ms(), None)
            return Posted(at_ms, sequence, None, error, refused[0] if refused else None)
        at_ms, sequence = sent[0]
        return Posted(at_ms, sequence, accepted, None)

    return job
