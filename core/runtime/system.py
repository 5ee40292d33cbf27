"""What both runtimes share: addresses and their cells, delivery, death and restart, dead letters, status."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future

import numpy as np

from core.errors import FatalError, RejectedError, TransientError
from core.runtime.address import OUTSIDE, RUNTIME, Address
from core.runtime.board import StatusBoard
from core.runtime.cell import Cell, Spec
from core.runtime.checkpoint import Inherited
from core.runtime.clock import Clock
from core.runtime.gate import GateCell
from core.runtime.incarnation import Incarnation
from core.runtime.message import Envelope, Latest, Restart, Stop
from core.runtime.provided import Provided
from core.runtime.restoring import constructed
from core.runtime.supervision import (
    ActorReport,
    DeadLetter,
    Escalate,
    RestartRequestedError,
    SystemEvent,
    after_crash,
)

DEAD_LETTERS_KEPT = 1000


class ActorSystem(Provided):
    """Cells by address and everything that happens to them. Subclasses decide what runs where and when.

    Args:
        clock: source of all time.
        seed: seeds every actor's random numbers and the backoff's jitter.
        lease_epoch: stamped on every message.
        gate: the gate's cell.
        saved: checkpoints of an earlier process, (generation, state) by address name.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        seed: int = 0,
        lease_epoch: int = 0,
        gate: GateCell | None = None,
        saved: Mapping[str, tuple[int, bytes]] | None = None,
    ) -> None:
        self.clock = clock
        self.seed = seed
        self.lease_epoch = lease_epoch
        self.gate = gate if gate is not None else GateCell()
        self.board = StatusBoard()
        self.cells: dict[Address, Cell] = {}
        self.dead_letters: deque[DeadLetter] = deque(maxlen=DEAD_LETTERS_KEPT)
        self.dead_letter_count = 0
        self._burying = threading.Lock()
        self.failure: str | None = None
        self.observers: list[Callable[[SystemEvent | DeadLetter], None]] = []
        self.on_retire: Callable[[str, str], None] | None = None
        self.on_send: Callable[[Address, object], None] | None = None
        self._saved = dict(saved or {})
        self._inherited: dict[str, Inherited] = {}
        self._sequence = itertools.count(1)
        self._rng = np.random.Generator(np.random.PCG64([seed, 0x5EED]))

    # -- actors -------------------------------------------------------------------------------------------------

    def add(self, spec: Spec) -> None:
        """Make an address known, without starting its actor: messages to it wait.

        Raises:
            FatalError: the address is taken.
        """
        if spec.address in self.cells:
            raise FatalError(f"address {spec.address} is already taken")
        cell = self.cells[spec.address] = Cell(spec, self._saved.get(spec.address.name))
        left = self._inherited.get(spec.address.name)
        if left is not None:
            cell.inherit(left)

    def inherit(self, left: Mapping[str, Inherited]) -> None:
        """Hand out what an earlier process left, by address name, to the actors that are added from now on."""
        self._inherited.update(left)

    def start(self, address: Address) -> None:
        """Start the first (or, after a stop, the next) incarnation of an added address."""
        self._launch(self.cells[address])

    def _launch(self, cell: Cell) -> None:
        with cell.lock:
            cell.incarnation += 1
            cell.life = "starting"
            cell.draining = False
            cell.mailbox.open()
            cell.started_ms = self.clock.monotonic_ms()
        self._run(cell, cell.incarnation)

    def reports(self) -> list[ActorReport]:
        """Return what is known of every address, in start order."""
        now_ms = self.clock.monotonic_ms()
        return [cell.report(now_ms) for cell in list(self.cells.values())]

    # -- delivery -----------------------------------------------------------------------------------------------

    def tell(self, to: Address, message: object) -> None:
        """Send a message from outside the actor system."""
        self.send(to, message, OUTSIDE, 0)

    def send(self, to: Address, message: object, sender: Address, incarnation: int) -> None:
        """Put a message into the mailbox of `to`; one for an unknown or ended address is a dead letter.

        A view for an ended address is dropped: the next one would have replaced it anyway; so is whatever is for a
        retired actor without which the others go on. `on_send` hears each beforehand, in the sender's thread: it must
        neither wait nor raise.
        """
        if self.on_send is not None:
            self.on_send(to, message)
        envelope = self.envelope(message, sender, incarnation)
        cell = self.cells.get(to)
        if cell is None:
            self.bury(to.name, envelope, "no such address")
        elif cell.mailbox.put(envelope):
            self._ready(cell)
        elif not (isinstance(message, Latest) or (cell.spec.expendable and cell.life == "retired")):
            self.bury(to.name, envelope, f"actor is {cell.life}")

    def envelope(
        self, message: object, sender: Address = RUNTIME, incarnation: int = 0, reply: object | None = None
    ) -> Envelope:
        """Stamp a message with sender, incarnation, lease epoch and its place in the run's order."""
        return Envelope(
            message=message,
            sender=sender,
            sender_incarnation=incarnation,
            lease_epoch=self.lease_epoch,
            sequence=next(self._sequence),
            sent_ms=int(self.clock.monotonic_ms()),
            reply=reply,
        )

    def deliver(self, cell: Cell, incarnation: int, message: object) -> None:
        """Deliver a timer, a work result or a stream item, unless the incarnation it is for is gone."""
        with cell.lock:
            if cell.incarnation == incarnation and cell.life not in ("stopped", "retired", "backoff"):
                cell.mailbox.put(self.envelope(message, RUNTIME, incarnation))
                self._ready(cell)
                return
        self.bury(cell.spec.address.name, self.envelope(message, RUNTIME, incarnation), "for an earlier incarnation")

    def bury(self, target: str, envelope: Envelope, reason: str) -> None:
        """Keep, count and announce a dead letter."""
        letter = DeadLetter(
            target=target,
            sender=envelope.sender.name,
            incarnation=envelope.sender_incarnation,
            message_type=type(envelope.message).__name__,
            reason=reason,
            at_ms=self.clock.now_ms(),
        )
        if isinstance(envelope.reply, Future) and not envelope.reply.done():
            envelope.reply.set_exception(TransientError(f"{target} did not answer: {reason}"))
        with self._burying:
            self.dead_letters.append(letter)
            self.dead_letter_count += 1
        self._announce(letter)

    def fenced(self, cell: Cell, incarnation: int, effects: int) -> None:
        """Note that a replaced incarnation tried to act; its effects were dropped."""
        if effects:
            stray = self.envelope(f"{effects} effects", cell.spec.address, incarnation)
            self.bury(cell.spec.address.name, stray, f"fenced: incarnation {incarnation} was replaced")

    # -- life and death -----------------------------------------------------------------------------------------

    def make(self, cell: Cell) -> Incarnation:
        """Construct the current incarnation; whatever `__init__` raises is that incarnation's crash.

        Unless an older state helps: a checkpoint from which no actor can be made is set aside without a crash.
        """
        made, said = constructed(lambda: Incarnation(self, cell), cell)
        if said is not None:
            self._event("quarantined", cell, said)
        return made

    def started(self, cell: Cell, incarnation: int) -> None:
        """Note that `on_start` returned."""
        with cell.lock:
            if cell.incarnation != incarnation or cell.life != "starting":
                return
            cell.life = "running"
        self._event("started", cell, "" if incarnation == 1 else f"restart {cell.restarts}")

    def died(self, cell: Cell, incarnation: int, error: BaseException, envelope: Envelope | None, kind: str) -> None:
        """See to a death: the mailbox is prepared, and the policy decides on a restart or an escalation."""
        with cell.lock:
            if cell.incarnation != incarnation or cell.life in ("backoff", "stopped", "retired"):
                return
            stopping = cell.life == "stopping"
            cell.life = "backoff"
            if kind == "hung":  # its thread cannot be killed: a number of its own takes mailbox and effects away now
                cell.incarnation = incarnation = incarnation + 1
            cell.busy_since_ms = None
            now_s = self.clock.monotonic_ms() / 1000
            wanted = isinstance(error, RestartRequestedError)
            if not wanted:
                cell.last_failure = f"{type(error).__name__}: {error}"
                cell.crashes_s.append(now_s)
            verdict = cell.crashed_on(envelope)
        self._release(cell)
        if wanted:
            cell.restarts += 1
            self._event("replaced", cell, str(error))
            if stopping:
                self._go_on_stopping(cell)
            else:
                self._restart(cell, incarnation)
            return
        subject = "" if envelope is None else f" on {type(envelope.message).__name__}"
        if envelope is not None and verdict is not None:
            self.bury(cell.spec.address.name, envelope, f"{verdict}: {cell.last_failure}")
        self._event("hung" if kind == "hung" else "crashed", cell, f"{cell.last_failure} ({kind}{subject})")
        decision = after_crash(cell.spec.policy, list(cell.crashes_s), now_s, self._rng)
        if stopping and (kind == "on_stop" or isinstance(decision, Escalate)):
            self._end(cell, "stopped")
        elif stopping:
            cell.restarts += 1
            self._go_on_stopping(cell)
        elif verdict is not None and verdict != "crashed its reader":
            self._escalate(cell, verdict)
        elif isinstance(decision, Escalate):
            self._escalate(cell, decision.reason)
        else:
            cell.restarts += 1
            self.after(decision.delay_s, lambda: self._restart(cell, incarnation))

    def begin_stop(self, cell: Cell) -> bool:
        """Let an actor drain its mailbox and end; False when it has ended. One in backoff starts first, at once."""
        with cell.lock:
            if cell.life == "new":
                self._end(cell, "stopped")  # nobody will read what was sent to it
            if cell.life in ("stopped", "retired"):
                return False
            if cell.life == "backoff":
                self._launch(cell)
            cell.life = "stopping"
            self._release(cell)
            cell.mailbox.put(self.envelope(Stop()))
        self._ready(cell)
        return True

    def _go_on_stopping(self, cell: Cell) -> None:
        """Let a new incarnation drain what the one that died while stopping left, at once: a stop has a deadline."""
        with cell.lock:
            self._launch(cell)
            cell.life = "stopping"
        cell.mailbox.put(self.envelope(Stop()))
        self._ready(cell)

    def restart(self, address: Address) -> None:
        """Replace an incarnation by the next one at an operator's wish, or start an actor that ended or was retired.

        Graceful: it happens between two messages, counts as no crash and waits for no backoff.

        Raises:
            RejectedError: nobody has this address.
        """
        cell = self.cells.get(address)
        if cell is None:
            raise RejectedError(f"no actor has the address {address}")
        with cell.lock:
            if cell.life in ("new", "stopped", "retired", "backoff"):
                cell.crashes_s.clear()
                self._launch(cell)
                return
            cell.mailbox.put(self.envelope(Restart(), OUTSIDE))
        self._ready(cell)

    def _restart(self, cell: Cell, after_incarnation: int) -> None:
        with cell.lock:
            if cell.life == "backoff" and cell.incarnation == after_incarnation:
                self._launch(cell)

    def _escalate(self, cell: Cell, reason: str) -> None:
        asset = cell.spec.asset
        if cell.spec.expendable:
            self._end(cell, "retired")
            self._event("retired", cell, f"the others go on without it: {reason}")
            return
        if asset is None:
            self._end(cell, "stopped")
            self.fail(f"{cell.spec.address}: {reason} ({cell.last_failure})")
            return
        self._end(cell, "retired")
        self._event("retired", cell, f"{asset} is retired: {reason}")
        if self.on_retire is not None:
            self.on_retire(asset, f"{cell.spec.address}: {reason}")

    def fail(self, reason: str) -> None:
        """Escalate above the root: the process should end non-zero so that its host restarts it."""
        if self.failure is None:
            self.failure = reason
            self._announce(SystemEvent("failed", "supervisor", 0, reason, self.clock.now_ms()))

    def ended(self, cell: Cell, incarnation: int) -> None:
        """Note that an incarnation ran `on_stop` and is over."""
        if cell.incarnation == incarnation:
            self._release(cell)
            self._end(cell, "stopped")
            self._event("stopped", cell, "")

    def _end(self, cell: Cell, life: str) -> None:
        with cell.lock:
            cell.life = "retired" if life == "retired" else "stopped"
            cell.busy_since_ms = None
        self._release(cell)
        for envelope in cell.mailbox.close():
            if not isinstance(envelope.message, Stop):
                self.bury(cell.spec.address.name, envelope, f"actor is {cell.life}")

    def _event(self, kind: str, cell: Cell, detail: str) -> None:
        self._announce(
            SystemEvent(kind, cell.spec.address.name, cell.incarnation, detail, self.clock.now_ms())  # type: ignore[arg-type]
        )

    def _announce(self, event: SystemEvent | DeadLetter) -> None:
        for observer in self.observers:
            observer(event)
