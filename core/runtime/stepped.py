"""The stepped runtime: the same actors on one thread, with a virtual clock and a seeded order of events.

Same seed, same inputs, same order: replay, training, back-testing and simulation rest on that.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterator, Mapping

from core.errors import FatalError
from core.runtime.cell import Cell
from core.runtime.clock import VirtualClock
from core.runtime.gate import GateCell
from core.runtime.incarnation import Incarnation
from core.runtime.message import Envelope, Restart, Stop, StreamEnded, StreamItem, WorkDone, WorkFailed
from core.runtime.stream import ScheduledStream, Stream
from core.runtime.supervision import RestartRequestedError
from core.runtime.system import ActorSystem

Action = Callable[[], None]


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
    ) -> None:
        super().__init__(clock, seed=seed, lease_epoch=lease_epoch, gate=gate, saved=saved)
        self._virtual = clock
        self._work_ms = work_ms
        self._trace = trace
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
        self._virtual.advance_to(at_ms)
        action()
        return True

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
        self._virtual.advance_to(at_ms)

    def run(self) -> None:
        """Run until nothing is left to do."""
        while self.step():
            pass

    def stop(self) -> None:
        """Stop all actors in reverse start order, each drained before the next."""
        for cell in reversed(list(self.cells.values())):
            if cell.life not in ("starting", "running"):
                continue
            cell.life = "stopping"
            self._release(cell)
            cell.mailbox.put(self.envelope(Stop()))
            self._ready(cell)
            while cell.life == "stopping" and self.step():
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
            self._trace(self._virtual.now_ms(), cell.spec.address.name, envelope)
        try:
            incarnation.handle(envelope)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            incarnation.discard()
            self._alive.pop(cell, None)
            self.died(cell, incarnation.incarnation, error, envelope, "receive")
        cell.last_message_ms = self._virtual.monotonic_ms()

    def _finish(self, cell: Cell, incarnation: Incarnation) -> None:
        del self._alive[cell]
        try:
            incarnation.finish()
        except Exception as error:  # noqa: BLE001 -- seen by the supervisor
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
                alive.start()
            except Exception as error:  # noqa: BLE001 -- seen by the supervisor
                self.died(cell, incarnation, error, None, "on_start")
                return
            self._alive[cell] = alive
            self.started(cell, incarnation)
            self._ready(cell)

        self._at(self._virtual.now_ms(), begin)

    def _ready(self, cell: Cell) -> None:
        if cell not in self._queued:
            self._queued.add(cell)
            self._queue.append(cell)

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Put an action on the agenda."""
        self._at(self._virtual.now_ms() + round(delay_s * 1000), action)

    def set_timer(self, cell: Cell, incarnation: int, key: str, at_ms: int, message: object) -> None:
        """Set or replace a timer."""
        timer_id = next(self._count)
        self._timers.setdefault(cell, {})[key] = timer_id

        def fire() -> None:
            if self._timers.get(cell, {}).get(key) == timer_id:
                del self._timers[cell][key]
                self.deliver(cell, incarnation, message)

        self._at(max(at_ms, self._virtual.now_ms()), fire)

    def cancel_timer(self, cell: Cell, key: str) -> None:
        """Forget a timer."""
        self._timers.get(cell, {}).pop(key, None)

    def start_work(self, cell: Cell, incarnation: int, key: str, job: Callable[[], object], lane: str) -> None:  # noqa: ARG002 -- one thread has no lanes
        """Run a job as two events: its start, and `work_ms` later the delivery of its result."""

        def begin() -> None:
            try:
                result: object = WorkDone(key, job())
            except Exception as error:  # noqa: BLE001 -- the actor that asked for the work judges its failure
                result = WorkFailed(key, error)
            self._at(self._virtual.now_ms() + self._work_ms, lambda: self.deliver(cell, incarnation, result))

        self._at(self._virtual.now_ms(), begin)

    def start_stream(self, cell: Cell, incarnation: int, key: str, stream: Stream) -> None:
        """Put a scheduled stream's items on the agenda, one ahead."""
        if not isinstance(stream, ScheduledStream):
            raise FatalError(f"{type(stream).__name__} cannot run in virtual time: it has no items()")
        stream_id = next(self._count)
        self._streams.setdefault(cell, {})[key] = stream_id
        self._next_item(cell, incarnation, key, stream_id, stream.items(self._virtual.now_ms()))

    def _next_item(
        self, cell: Cell, incarnation: int, key: str, stream_id: int, items: Iterator[tuple[int, object]]
    ) -> None:
        following = next(items, None)

        def arrive() -> None:
            if self._streams.get(cell, {}).get(key) != stream_id:
                return
            if following is None:
                del self._streams[cell][key]
                self.deliver(cell, incarnation, StreamEnded(key, None))
                return
            self.deliver(cell, incarnation, StreamItem(key, following[1]))
            self._next_item(cell, incarnation, key, stream_id, items)

        self._at(self._virtual.now_ms() if following is None else max(following[0], self._virtual.now_ms()), arrive)

    def stop_stream(self, cell: Cell, key: str) -> None:
        """Close a stream, if it is open."""
        self._streams.get(cell, {}).pop(key, None)

    def _release(self, cell: Cell) -> None:
        self._timers.pop(cell, None)
        self._streams.pop(cell, None)
