"""The production runtime: each actor on a pykka thread, a scheduler thread for timers and restarts, worker lanes."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from core.errors import RejectedError, TransientError
from core.runtime.address import OUTSIDE, Address
from core.runtime.cell import Cell
from core.runtime.clock import Clock, SystemClock
from core.runtime.first_use import prepare_types
from core.runtime.gate import GateCell
from core.runtime.host import Host
from core.runtime.message import StreamEnded, StreamItem, WorkDone, WorkFailed
from core.runtime.stream import BlockingStream, Stream
from core.runtime.system import ActorSystem
from core.runtime.workers import Lane, Scheduler, StopEvent

STREAM_BACKLOG = 5_000
"""Unread items at which a stream is cut: its reader is too slow, and late market data is worse than a reconnect."""

HANG_CHECK_S = 0.25
LANES_END_WITHIN_S = 0.5
"""Nobody is left to hear what a job comes to: one that hangs in a database must not use up the time to stop."""
HUNG_LIMIT = 8
"""A hung thread cannot be ended; past this many the process gives up, so that its host starts a clean one."""


class ThreadedRuntime(ActorSystem):
    """Runs actors on threads.

    Args:
        clock: source of time, the machine's unless a test steps it.
        seed: of the run.
        lease_epoch: stamped on every message.
        gate: the gate's cell.
        saved: checkpoints of an earlier process.
        lane_width: threads per worker lane; 1 where not named.
        hung_limit: hung threads beyond which the process fails.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        seed: int = 0,
        lease_epoch: int = 0,
        gate: GateCell | None = None,
        saved: Mapping[str, tuple[int, bytes]] | None = None,
        lane_width: Mapping[str, int] | None = None,
        hung_limit: int = HUNG_LIMIT,
    ) -> None:
        prepare_types()
        super().__init__(clock or SystemClock(), seed=seed, lease_epoch=lease_epoch, gate=gate, saved=saved)
        self._scheduler = Scheduler(lambda error: self.fail(f"the scheduler failed: {error!r}"))
        self._lanes: dict[str, Lane] = {}
        self._lane_width = dict(lane_width or {"io": 4})
        self._lock = threading.Lock()
        self._timers: dict[Cell, dict[str, int]] = {}
        self._timer_ids = itertools.count(1)
        self._streams: dict[Cell, dict[str, StopEvent]] = {}
        self._ends = threading.Condition()
        self._leaving: list[threading.Thread] = []
        self._failed = threading.Event()
        self.hung_threads = 0
        self._hanging: set[tuple[Cell, int]] = set()
        self._hung_limit = hung_limit
        self._scheduler.start()
        self._scheduler.after(HANG_CHECK_S, self._check_hangs)

    # -- actors -------------------------------------------------------------------------------------------------

    def _run(self, cell: Cell, incarnation: int) -> None:
        Host.start(self, cell, incarnation, self._exited)

    def _exited(self, host: Host) -> None:
        self._hanging.discard((host.cell, host.number))
        try:
            if host.error is not None:
                self.died(host.cell, host.number, host.error, host.failed_on, host.failed_in)
            else:
                self.ended(host.cell, host.number)
        except BaseException as error:  # noqa: BLE001 -- a death that nobody sees to is worse than the end of the process
            self.fail(f"{host.cell.spec.address}: its death could not be handled: {error!r}")
        with self._ends:
            self._leaving = [thread for thread in self._leaving if thread.is_alive()] + [threading.current_thread()]
            self._ends.notify_all()

    def _check_hangs(self) -> None:
        now_ms = self.clock.monotonic_ms()
        for cell in list(self.cells.values()):
            since, number = cell.busy_since_ms, cell.incarnation
            budget_s = cell.spec.start_budget_s if cell.life == "starting" else cell.spec.budget_s
            if since is None or now_ms - since <= budget_s * 1000 or cell.life not in ("starting", "running"):
                continue
            with cell.lock:
                if cell.incarnation != number or cell.busy_since_ms != since:
                    continue
                # Under the lock until the fence stands: a handler that returns right now is either fenced, and its
                # message comes again or is a dead letter, or was in time. It is never both, and never neither.
                current, cell.current = cell.current, None
                error = TransientError(f"busy for {(now_ms - since) / 1000:.1f} s, budget {budget_s:g} s")
                self._hanging.add((cell, number))
                self.died(cell, number, error, current, "hung")
            self.hung_threads += 1
            if len(self._hanging) > self._hung_limit:
                self.fail(f"{len(self._hanging)} threads hang, limit {self._hung_limit}: a new process has none")
        self._scheduler.after(HANG_CHECK_S, self._check_hangs)

    def _ready(self, cell: Cell) -> None:
        """Nothing to do: the mailbox wakes its reader."""

    def ask(self, to: Address, message: object, timeout_s: float) -> object:
        """Send a message from outside and wait for its handler's result.

        Raises:
            TransientError: the actor died before answering, does not exist, or did not answer within `timeout_s`.
        """
        reply: Future[object] = Future()
        cell = self.cells.get(to)
        envelope = self.envelope(message, OUTSIDE, 0, reply)
        if cell is None or not cell.mailbox.put(envelope):
            self.bury(to.name, envelope, "no such actor" if cell is None else f"actor is {cell.life}")
        try:
            return reply.result(timeout_s)
        except TimeoutError:
            raise TransientError(f"{to} did not answer within {timeout_s:g} s") from None

    # -- stop ---------------------------------------------------------------------------------------------------

    def stop(self, timeout_s: float) -> list[str]:
        """Stop all actors in reverse start order, each drained before the next, and return those that did not end."""
        deadline_s = time.monotonic() + timeout_s
        in_reverse = reversed(list(self.cells.values()))
        stuck = [cell.spec.address.name for cell in in_reverse if not self.stop_one(cell, deadline_s)]
        self._scheduler.stop()
        for lane in self._lanes.values():
            lane.stop()
        lanes_s = min(deadline_s, time.monotonic() + LANES_END_WITHIN_S)
        stuck.extend(f"worker lane {name}" for name, lane in self._lanes.items() if not lane.join(lanes_s))
        for thread in self._leaving:  # a thread's last act frees what MLX holds for it: undone, the exit aborts
            thread.join(max(0.0, deadline_s - time.monotonic()))
        return stuck

    def stop_one(self, cell: Cell, deadline_s: float) -> bool:
        """Drain and stop one actor; return whether it ended by monotonic `deadline_s`."""
        if not self.begin_stop(cell):
            return True
        with self._ends:
            return self._ends.wait_for(
                lambda: cell.life in ("stopped", "retired"), max(0.0, deadline_s - time.monotonic())
            )

    def remove(self, address: Address, timeout_s: float) -> bool:
        """Drain, stop and forget one actor; return whether it ended within `timeout_s`. Its address becomes free.

        Raises:
            RejectedError: nobody has this address.
        """
        cell = self.cells.get(address)
        if cell is None:
            raise RejectedError(f"no actor has the address {address}")
        if not self.stop_one(cell, time.monotonic() + timeout_s):
            return False
        del self.cells[address]
        self.inherit({address.name: cell.left()})
        return True

    def fail(self, reason: str) -> None:
        """Note a failure above the root and wake whoever waits for it."""
        super().fail(reason)
        self._failed.set()

    def wait_for_failure(self, timeout_s: float | None) -> bool:
        """Wait until something escalated above the root, at most `timeout_s`; return whether it did."""
        return self._failed.wait(timeout_s)

    # -- timers, workers, streams -------------------------------------------------------------------------------

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run `action` on the scheduler's thread."""
        self._scheduler.after(delay_s, action)

    def set_timer(self, cell: Cell, incarnation: int, key: str, at_ms: int, message: object) -> None:
        """Set or replace a timer."""
        timer_id = next(self._timer_ids)
        with self._lock:
            self._timers.setdefault(cell, {})[key] = timer_id

        def fire() -> None:
            with self._lock:
                if self._timers.get(cell, {}).get(key) != timer_id:
                    return
                del self._timers[cell][key]
            self.deliver(cell, incarnation, message)

        self._scheduler.after(self.clock.until_s(at_ms), fire)

    def cancel_timer(self, cell: Cell, key: str) -> None:
        """Forget a timer."""
        with self._lock:
            self._timers.get(cell, {}).pop(key, None)

    def start_work(self, cell: Cell, incarnation: int, key: str, job: Callable[[], object], lane: str) -> None:
        """Queue a job in its lane."""

        def work() -> None:
            try:
                result: object = WorkDone(key, job())
            except BaseException as error:  # noqa: BLE001 -- the actor that asked for the work judges its failure
                result = WorkFailed(key, error)
            self.deliver(cell, incarnation, result)

        with self._lock:
            worker = self._lanes.get(lane)
            if worker is None:
                worker = self._lanes[lane] = Lane(lane, self._lane_width.get(lane, 1))
        worker.submit(work)

    def start_stream(self, cell: Cell, incarnation: int, key: str, stream: Stream) -> None:
        """Run a blocking stream on a thread of its own."""
        if not isinstance(stream, BlockingStream):
            raise TypeError(f"{type(stream).__name__} cannot run in real time: it has no run()")
        self.stop_stream(cell, key)
        stop = StopEvent()
        with self._lock:
            self._streams.setdefault(cell, {})[key] = stop

        def emit(item: object) -> None:
            if stop.is_set():
                return
            if len(cell.mailbox) > STREAM_BACKLOG:
                raise TransientError(f"{cell.spec.address} is {len(cell.mailbox)} messages behind its stream")
            self.deliver(cell, incarnation, StreamItem(key, item))

        def run() -> None:
            try:
                stream.run(emit, stop)
            except BaseException as error:  # noqa: BLE001 -- the actor that opened the stream judges its failure
                end = StreamEnded(key, error)
            else:
                end = StreamEnded(key, None)
            if not stop.is_set():
                self.deliver(cell, incarnation, end)

        threading.Thread(target=run, name=f"stream-{cell.spec.address}-{key}", daemon=True).start()

    def stop_stream(self, cell: Cell, key: str) -> None:
        """Close a stream, if it is open."""
        with self._lock:
            stop = self._streams.get(cell, {}).pop(key, None)
        if stop is not None:
            stop.set()

    def _release(self, cell: Cell) -> None:
        with self._lock:
            self._timers.pop(cell, None)
            stops = list(self._streams.pop(cell, {}).values())
        for stop in stops:
            stop.set()
