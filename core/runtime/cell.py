"""A cell is everything about one address that outlives its incarnations: mailbox, checkpoint, crashes."""

import threading
from collections import deque
from collections.abc import Callable

import msgspec

from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.checkpoint import Inherited, Offer, OlderState, Quarantined, StateFormat
from core.runtime.context import Context
from core.runtime.mailbox import Mailbox
from core.runtime.message import Envelope, Money
from core.runtime.supervision import ActorReport, Life, RestartPolicy

POISON_CRASHES = 3
"""A money message that crashed its reader this often shuts its asset."""
OLDER_KEPT = 2
"""Checkpoints before the newest that an incarnation is made from when it cannot be made from the newest."""


class Spec(msgspec.Struct, frozen=True):
    """How to make one actor, and what the runtime owes it."""

    address: Address
    make: Callable[[Context], Actor]
    asset: str | None = None
    policy: RestartPolicy = RestartPolicy()
    budget_s: float = 2.0
    start_budget_s: float = 60.0
    state: StateFormat | None = None
    expendable: bool = False
    """Whether the others go on without it: beyond its restart limit it is retired, and nothing else ends."""


class Cell:
    """The durable side of an actor. `lock` guards the fence: the incarnation may only change under it."""

    def __init__(self, spec: Spec, saved: tuple[int, bytes] | None = None) -> None:
        self.spec = spec
        self.mailbox = Mailbox()
        self.lock = threading.RLock()
        self.life: Life = "new"
        self.incarnation = 0
        self.restarts = 0
        self.crashes_s: deque[float] = deque(maxlen=spec.policy.max_restarts + 1)
        self.last_failure: str | None = None
        self.generation: int = 0 if saved is None else saved[0]
        self.saved: bytes | None = None if saved is None else saved[1]
        self.saved_as = self.generation
        self.stored_as = 0
        self.older: deque[OlderState] = deque(maxlen=OLDER_KEPT)
        self.offer: Offer | None = None
        self.quarantined: deque[Quarantined] = deque()
        self.busy_since_ms: float | None = None
        self.current: Envelope | None = None
        self.last_message_ms: float | None = None
        self.started_ms: float | None = None
        self.draining = False
        self.receipts = 0
        self._uncovered: deque[tuple[int, Envelope]] = deque()
        self._crashes_on: dict[int, int] = {}

    def inherit(self, left: Inherited) -> None:
        """Take over what an earlier process left, before the first start."""
        self.generation, self.saved, self.saved_as = left.generation, left.state, left.of
        self.stored_as = left.of if left.stored else 0
        self.older.extend(left.older)

    def left(self) -> Inherited:
        """Return what this address leaves behind, for the day it is taken again."""
        return Inherited(self.generation, self.saved, self.saved_as, stored=False, older=tuple(self.older))

    def save(self, generation: int, state: bytes) -> None:
        """Take a new checkpoint; the one it replaces stays within reach."""
        if self.saved is not None:
            self.older.appendleft(OlderState(self.saved_as, self.saved))
        self.generation = self.saved_as = generation
        self.saved = state

    def receipt(self) -> int:
        """Number the message that is about to be handled, in the order in which this address handles them."""
        self.receipts += 1
        return self.receipts

    def handled(self, envelope: Envelope, receipt: int, *, acknowledges: bool) -> None:
        """Note that a message was handled; a money message stays uncovered until it is acknowledged."""
        if isinstance(envelope.message, Money):
            self._crashes_on.pop(envelope.sequence, None)
            if acknowledges:
                self._uncovered.append((receipt, envelope))

    def cover(self, receipt: int) -> None:
        """Forget the money messages up to `receipt`: the reader's checkpoint holds what they did."""
        while self._uncovered and self._uncovered[0][0] <= receipt:
            self._uncovered.popleft()

    def crashed_on(self, envelope: Envelope | None) -> str | None:
        """Prepare the mailbox for the next incarnation after a crash.

        Market data and the runtime's own messages are dropped. Money messages that no checkpoint covers come again,
        in order, and so does the one that crashed its reader, twice. Returns why `envelope` is a dead letter, or None
        when it will come again.
        """
        self.mailbox.drop_for_restart()
        again = [msgspec.structs.replace(each, redelivered=True) for _, each in self._uncovered]
        self._uncovered.clear()
        verdict: str | None = "crashed its reader"
        if envelope is None:
            verdict = None
        elif isinstance(envelope.message, Money):
            count = self._crashes_on[envelope.sequence] = self._crashes_on.get(envelope.sequence, 0) + 1
            if count < POISON_CRASHES:
                again.append(msgspec.structs.replace(envelope, redelivered=True))
                verdict = None
            else:
                verdict = f"crashed its reader {count} times"
        self.mailbox.put_back(again)
        return verdict

    def report(self, now_ms: float) -> ActorReport:
        """Return what is known of this address; `now_ms` is monotonic."""
        busy, last, started = self.busy_since_ms, self.last_message_ms, self.started_ms
        return ActorReport(
            address=self.spec.address.name,
            life=self.life,
            incarnation=self.incarnation,
            restarts=self.restarts,
            last_failure=self.last_failure,
            mailbox=len(self.mailbox),
            last_message_age_s=None if last is None else (now_ms - last) / 1000,
            busy_s=None if busy is None else (now_ms - busy) / 1000,
            started_age_s=None if started is None else (now_ms - started) / 1000,
        )
