"""The stepped runtime with every envelope counted: none may be lost other than the one that crashed its reader."""

from collections.abc import Callable, Mapping

from actors import addresses
from bench.simulation.audit import Auditor, InvariantError
from core.runtime.address import RUNTIME, Address
from core.runtime.cell import Cell
from core.runtime.faults import Faults, SkewedClock
from core.runtime.gate import GateCell
from core.runtime.incarnation import Incarnation
from core.runtime.message import Envelope, Message, Money
from core.runtime.stepped import SteppedRuntime

LATE = "for an earlier incarnation"
"""Reason of the dead letters that every restart makes: timers and replies of the one before."""


class WatchedRuntime(SteppedRuntime):
    """Tells the auditor what happens, and keeps the account of messages in flight."""

    def __init__(
        self,
        clock: SkewedClock,
        auditor: Auditor,
        faults: Faults,
        *,
        seed: int,
        lease_epoch: int,
        gate: GateCell,
        saved: Mapping[str, tuple[int, bytes]],
        work_ms: int,
        trace: Callable[[int, str, Envelope], None] | None,
    ) -> None:
        super().__init__(
            clock,
            seed=seed,
            lease_epoch=lease_epoch,
            gate=gate,
            saved=saved,
            work_ms=work_ms,
            trace=trace,
            handled=self._has_handled,
            faults=faults,
        )
        self.gate.observer = auditor.gate_changed
        self._auditor = auditor
        self._in_flight: dict[int, Envelope] = {}
        self._own: dict[int, str] = {}
        self._delivering = ""
        self._gate_before = 0
        self._last_saved: dict[str, tuple[int, bytes | None]] = dict(saved)
        self.ending = False
        self.given_up: set[str] = set()
        """Who is retired on purpose: what is for them may be lost."""

    def envelope(
        self, message: object, sender: Address = RUNTIME, incarnation: int = 0, reply: object | None = None
    ) -> Envelope:
        """Count a message in."""
        envelope = super().envelope(message, sender, incarnation, reply)
        if isinstance(message, Message | Money):
            self._in_flight[envelope.sequence] = envelope
            if sender == RUNTIME:
                self._own[envelope.sequence] = self._delivering
        self._auditor.sent(message, sender.name)
        return envelope

    def deliver(self, cell: Cell, incarnation: int, message: object) -> None:
        """Note for whom a timer, a reply or a stream item is: it belongs to one incarnation and ends with it."""
        self._delivering = cell.spec.address.name
        super().deliver(cell, incarnation, message)

    def _forget(self, sequence: int) -> Envelope | None:
        self._own.pop(sequence, None)
        return self._in_flight.pop(sequence, None)

    def _has_handled(self, at_ms: int, address: str, envelope: Envelope) -> None:  # noqa: ARG002 -- as the runtime calls it
        self._forget(envelope.sequence)
        self._note(self.cells[Address(address)])

    def _note(self, cell: Cell) -> None:
        """Remember what an actor declared, and let the auditor see it."""
        address = cell.spec.address.name
        if cell.saved is None or cell.saved is self._last_saved.get(address, (0, None))[1]:
            return
        self._last_saved[address] = cell.generation, cell.saved
        if address == addresses.PORTFOLIO.name:
            self._auditor.portfolio_saved(cell.saved)
        elif address == addresses.EXECUTOR.name:
            self._auditor.executor_saved(cell.saved)

    def started(self, cell: Cell, incarnation: int) -> None:
        """Note what `on_start` declared."""
        super().started(cell, incarnation)
        self._note(cell)

    def make(self, cell: Cell) -> Incarnation:
        """Check that an incarnation gets back what the one before declared last."""
        declared = self._last_saved.get(cell.spec.address.name, (0, None))
        if (cell.generation, cell.saved) != declared:
            raise InvariantError(f"restored checkpoint: {cell.spec.address} got generation {cell.generation}")
        return super().make(cell)

    def died(self, cell: Cell, incarnation: int, error: BaseException, envelope: Envelope | None, kind: str) -> None:
        """Let the message that crashed its reader be lost, and a broken invariant end the run."""
        if isinstance(error, InvariantError):
            raise error
        if envelope is not None and not isinstance(envelope.message, Money):
            self._forget(envelope.sequence)
        for sequence in [key for key, reader in self._own.items() if reader == cell.spec.address.name]:
            self._forget(sequence)
        super().died(cell, incarnation, error, envelope, kind)

    def bury(self, target: str, envelope: Envelope, reason: str) -> None:
        """Check that only what may be lost is lost."""
        known = self._forget(envelope.sequence)
        if reason != LATE and not self.ending and target not in self.given_up:
            kind = type(envelope.message).__name__
            if isinstance(envelope.message, Money):
                raise InvariantError(f"no money message lost: {kind} to {target}: {reason}")
            if known is not None:
                raise InvariantError(f"no message lost: {kind} to {target}: {reason}")
        super().bury(target, envelope, reason)

    def step(self, until_ms: int | None = None) -> bool:
        """Remember the gate as it is before the step."""
        self._gate_before = self.gate.state.sequence
        return super().step(until_ms)

    def fenced(self, cell: Cell, incarnation: int, effects: int) -> None:
        """Check that a replaced incarnation, whose effects were dropped, did not act past them."""
        if self.gate.state.sequence != self._gate_before:
            raise InvariantError(f"fencing: {cell.spec.address} incarnation {incarnation} changed the gate")
        super().fenced(cell, incarnation, effects)

    def unread(self) -> list[str]:
        """Return what was sent before now and is neither handled nor accounted for."""
        return [type(envelope.message).__name__ for envelope in self._in_flight.values()]

    def fail(self, reason: str) -> None:
        """Let an escalation end the run: no injected fault may cause one."""
        raise InvariantError(f"escalation: {reason}")
