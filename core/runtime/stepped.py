"""The stepped runtime: the same actors on one thread, with a virtual clock and a seeded order of events.

Same seed, same inputs, same order: replay, training, back-testing and simulation rest on that.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterator, Mapping

from core.errors import FatalError, TransientError
from core.runtime.cell import Cell
from core.runtime.clock import VirtualClock
from core.runtime.faults import Crash, Cut, Delay, Drop, Failure, Faults, Hang, InjectedCrashError, OwnerCrash
from core.runtime.gate import GateCell
from core.runtime.incarnation import Incarnation
from core.runtime.message import Envelope, Restart, Stop, StreamEnded, StreamItem, WorkDone, WorkFailed
from core.runtime.stream import ScheduledStream, Stream
from core.runtime.supervision import RestartRequestedError
from core.runtime.system import ActorSystem

Action = Callable[[], None]
ACTORS_OWN = (Exception, SystemExit, GeneratorExit)
"""What ends the actor that raised it. All else ends the run: Ctrl-C, an auditor that found a broken promise."""


class SteppedRuntime(ActorSystem):
    """Runs actors one message at a time.

    Args:
        clock: the virtual clock; only this runtime moves it.
        seed: of the run: decides which of several ready actors is next, and all their random numbers.
        lease_epoch: stamped on every message.
        gate: the gate's cell.
        saved: checkpoints of an earlier process.
        work_ms: virtual duration of a worker's job, between its start and the delivery of its result.
        trace: called with each message before it is handled: (virtual ms, address, envelope).
        handled: called with each message whose handler returned and had its effects, likewise.
        faults: decides what goes wrong; nothing does without it.

    The agenda is kept in the world's time: where the clock is skewed, wall times of timers are turned into delays when
    they are set, as the threaded runtime does.
    """

    def __init__(
        self,
        clock: VirtualClock,
        *,
        seed: int = 0,
        lease_epoch: int = 0,
        gate: GateCell | None = None,
        saved: Mapping[str, tuple[int, bytes]] | None = None,
        work_ms: int = 0,
        trace: Callable[[int, str, Envelope], None] | None = None,
        handled: Callable[[int, str, Envelope], None] | None = None,
        faults: Faults | None = None,
    ) -> None:
        super().__init__(clock, seed=seed, lease_epoch=lease_epoch, gate=gate, saved=saved)
        self._virtual = clock
        self._now_ms = clock.now_ms()
        self._work_ms = work_ms
        self._trace = trace
        self._handled = handled
        self._faults = faults
        self._order = random.Random(seed)
        self._agenda: list[tuple[int, int, Action]] = []
        self._count = itertools.count()
        self._queue: list[Cell] = []
        self._queued: set[Cell] = set()
        self._alive: dict[Cell, Incarnation] = {}
        self._timers: dict[Cell, dict[str, int]] = {}
        self._streams: dict[Cell, dict[str, int]] = {}

    # -- running ------------------------------------------------------------------------------------------------

    def step(self, until_ms: int | None = None) -> bool:
        """Handle one message of a ready actor, else move the clock to what is next.

        False when nothing is left to do, or nothing up to virtual `until_ms`.
        """
        if self._next_message():
            return True
        if not self._agenda or (until_ms is not None and self._agenda[0][0] > until_ms):
            return False
        at_ms, _, action = heapq.heappop(self._agenda)
        self._advance_to(at_ms)
        action()
        return True

    def _advance_to(self, at_ms: int) -> None:
        self._now_ms = max(self._now_ms, at_ms)
        self._virtual.advance_to(at_ms)

    def _next_message(self) -> bool:
        while self._queue:
            index = self._order.randrange(len(self._queue)) if len(self._queue) > 1 else 0
            cell = self._queue[index]
            incarnation = self._alive.get(cell)
            envelope = None if incarnation is None else cell.mailbox.take()
            if incarnation is not None and envelope is not None:
                self._handle(cell, incarnation, envelope)
                return True
            self._queue[index] = self._queue[-1]
            self._queue.pop()
            self._queued.discard(cell)
            if incarnation is not None and cell.draining:
                self._finish(cell, incarnation)
                return True
        return False

    def run_until(self, at_ms: int) -> None:
        """Do everything that is due up to and including virtual `at_ms`, then set the clock there."""
        while self.step(at_ms):
            pass
        self._advance_to(at_ms)

    def run(self) -> None:
        """Run until nothing is left to do."""
        while self.step():
            pass

    def stop(self) -> None:
        """Stop all actors in reverse start order, each drained before the next."""
        for cell in reversed(list(self.cells.values())):
            if self.begin_stop(cell):
                while cell.life not in ("stopped", "retired") and self.step():
                    pass

    def _handle(self, cell: Cell, incarnation: Incarnation, envelope: Envelope) -> None:
        if isinstance(envelope.message, Stop):
            cell.draining = True
            return
        if isinstance(envelope.message, Restart):
            self._alive.pop(cell, None)
            self.died(cell, incarnation.incarnation, RestartRequestedError("by an operator"), None, "restart")
            return
        if self._trace is not None:
            self._trace(self._now_ms, cell.spec.address.name, envelope)
        fault = None if self._faults is None else self._faults.on_message(cell.spec.address.name, envelope)
        if isinstance(fault, Hang):
            self._hang(cell, incarnation, envelope, fault)
            return
        try:
            if fault is not None:
                _crash(incarnation, envelope, fault)
            incarnation.handle(envelope)
        except ACTORS_OWN as error:
            incarnation.discard()
            self._alive.pop(cell, None)
            self.died(cell, incarnation.incarnation, error, envelope, "receive")
        else:
            if self._handled is not None:
                self._handled(self._now_ms, cell.spec.address.name, envelope)
        cell.last_message_ms = self._virtual.monotonic_ms()

    def _hang(self, cell: Cell, incarnation: Incarnation, envelope: Envelope, fault: Hang) -> None:
        """Let a handler outlast its budget: replaced then, it runs on as a zombie whose effects are dropped."""
        number, budget_ms = incarnation.incarnation, round(cell.spec.budget_s * 1000)
        del self._alive[cell]

        def replace() -> None:
            error = TransientError(f"busy for {budget_ms / 1000:.1f} s, budget {cell.spec.budget_s:g} s")
            self.died(cell, number, error, envelope, "hung")

        def wake() -> None:
            try:
                incarnation.handle(envelope)
            except ACTORS_OWN:  # nobody waits for a zombie
                incarnation.discard()

        self._at(self._now_ms + budget_ms, replace)
        self._at(self._now_ms + budget_ms + fault.extra_ms, wake)

    def _finish(self, cell: Cell, incarnation: Incarnation) -> None:
        del self._alive[cell]
        try:
            incarnation.finish()
        except ACTORS_OWN as error:
            self.died(cell, incarnation.incarnation, error, None, "on_stop")
        else:
            self.ended(cell, incarnation.incarnation)

    # -- what the runtime provides ------------------------------------------------------------------------------

    def _at(self, at_ms: int, action: Action) -> None:
        heapq.heappush(self._agenda, (at_ms, next(self._count), action))

    def _run(self, cell: Cell, incarnation: int) -> None:
        def begin() -> None:
            if cell.incarnation != incarnation:
                return
            try:
                alive = self.make(cell)
                if self._faults is not None and self._faults.on_start(cell.spec.address.name, incarnation):
                    alive.actor.on_start()
                    raise InjectedCrashError("crashed on purpose in on_start")
                alive.start()
            except ACTORS_OWN as error:
                self.died(cell, incarnation, error, None, "on_start")
                return
            self._alive[cell] = alive
            self.started(cell, incarnation)
            self._ready(cell)

        self._at(self._now_ms, begin)

    def _ready(self, cell: Cell) -> None:
        if cell not in self._queued:
            self._queued.add(cell)
            self._queue.append(cell)

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Put an action on the agenda."""
        self._at(self._now_ms + round(delay_s * 1000), action)

    def set_timer(self, cell: Cell, incarnation: int, key: str, at_ms: int, message: object) -> None:
        """Set or replace a timer."""
        timer_id = next(self._count)
        self._timers.setdefault(cell, {})[key] = timer_id

        def fire() -> None:
            if self._timers.get(cell, {}).get(key) == timer_id:
                del self._timers[cell][key]
                self.deliver(cell, incarnation, message)

        self._at(self._now_ms + max(0, at_ms - self._virtual.now_ms()), fire)

    def cancel_timer(self, cell: Cell, key: str) -> None:
        """Forget a timer."""
        self._timers.get(cell, {}).pop(key, None)

    def start_work(self, cell: Cell, incarnation: int, key: str, job: Callable[[], object], lane: str) -> None:  # noqa: ARG002 -- one thread has no lanes
        """Run a job as two events: its start, and `work_ms` later the delivery of its result."""

        def begin() -> None:
            fault = None if self._faults is None else self._faults.on_work(cell.spec.address.name, key)
            try:
                if isinstance(fault, Failure) and not fault.ran:
                    raise fault.error
                result: object = WorkDone(key, job())
                if isinstance(fault, Failure):
                    result = WorkFailed(key, fault.error)
            except ACTORS_OWN as error:  # the actor that asked for the work judges its failure
                result = WorkFailed(key, error)
            if isinstance(fault, OwnerCrash):
                self._kill(cell, incarnation, f"crashed on purpose while {key!r} was at work")
            late_ms = fault.by_ms if isinstance(fault, Delay) else 0
            self._at(self._now_ms + self._work_ms + late_ms, lambda: self.deliver(cell, incarnation, result))

        self._at(self._now_ms, begin)

    def _kill(self, cell: Cell, incarnation: int, why: str) -> None:
        """Let an actor die between two messages."""
        alive = self._alive.get(cell)
        if alive is not None and alive.incarnation == incarnation:
            del self._alive[cell]
            self.died(cell, incarnation, InjectedCrashError(why), None, "between two messages")

    def start_stream(self, cell: Cell, incarnation: int, key: str, stream: Stream) -> None:
        """Put a scheduled stream's items on the agenda, one ahead."""
        if not isinstance(stream, ScheduledStream):
            raise FatalError(f"{type(stream).__name__} cannot run in virtual time: it has no items()")
        stream_id = next(self._count)
        self._streams.setdefault(cell, {})[key] = stream_id
        self._next_item(_Flow(cell, incarnation, key, stream_id, stream, stream.items(self._now_ms)))

    def _next_item(self, flow: _Flow) -> None:
        following = next(flow.items, None)

        def arrive() -> None:
            if self._streams.get(flow.cell, {}).get(flow.key) != flow.stream_id:
                return
            if following is None:
                del self._streams[flow.cell][flow.key]
                self.deliver(flow.cell, flow.incarnation, StreamEnded(flow.key, None))
                return
            fault = None if self._faults is None else self._faults.on_item(flow.cell.spec.address.name, flow.key)
            if isinstance(fault, Delay):
                self._at(self._now_ms + fault.by_ms, late)
            elif isinstance(fault, Cut):
                self.deliver(flow.cell, flow.incarnation, StreamItem(flow.key, fault.closed))
                flow.items = flow.stream.items(self._now_ms + fault.for_ms)
                self._next_item(flow)
            elif isinstance(fault, Drop):
                self._next_item(flow)
            else:
                late()

        def late() -> None:
            if following is not None and self._streams.get(flow.cell, {}).get(flow.key) == flow.stream_id:
                self.deliver(flow.cell, flow.incarnation, StreamItem(flow.key, following[1]))
                self._next_item(flow)

        self._at(self._now_ms if following is None else max(following[0], self._now_ms), arrive)

    def stop_stream(self, cell: Cell, key: str) -> None:
        """Close a stream, if it is open."""
        self._streams.get(cell, {}).pop(key, None)

    def _release(self, cell: Cell) -> None:
        self._timers.pop(cell, None)
        self._streams.pop(cell, None)


class _Flow:
    """An open stream: whose it is, and what it still has to tell."""

    __slots__ = ("cell", "incarnation", "items", "key", "stream", "stream_id")

    def __init__(
        self,
        cell: Cell,
        incarnation: int,
        key: str,
        stream_id: int,
        stream: ScheduledStream,
        items: Iterator[tuple[int, object]],
    ) -> None:
        self.cell = cell
        self.incarnation = incarnation
        self.key = key
        self.stream_id = stream_id
        self.stream = stream
        self.items = items


def _crash(incarnation: Incarnation, envelope: Envelope, fault: Crash) -> None:
    """Raise in the place of a handler; `after` all its code has run."""
    if fault.when == "after":
        incarnation.actor.receive(envelope.message)
    raise InjectedCrashError(f"crashed on purpose {fault.when} the handler")
