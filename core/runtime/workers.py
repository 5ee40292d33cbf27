"""Threads that the threaded runtime owns: the scheduler for timers and restarts, worker lanes, stream runners."""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable

Action = Callable[[], None]


class Scheduler:
    """One thread that runs actions when they are due.

    An action must be short. One that raises is a defect of the runtime itself: `on_defect` hears of it, and the
    thread goes on, for timers and restarts of everyone depend on it.
    """

    def __init__(self, on_defect: Callable[[BaseException], None]) -> None:
        self._on_defect = on_defect
        self._condition = threading.Condition()
        self._heap: list[tuple[float, int, Action]] = []
        self._count = itertools.count()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what is not due by then never runs."""
        with self._condition:
            self._stopped = True
            self._condition.notify()

    def after(self, delay_s: float, action: Action) -> None:
        """Run `action` after `delay_s`; in order of time, then of this call."""
        with self._condition:
            entry = (time.monotonic() + max(0.0, delay_s), next(self._count), action)
            heapq.heappush(self._heap, entry)
            if self._heap[0] is entry:  # nothing earlier: otherwise the thread need not wake, and take its turn, for it
                self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._stopped and (not self._heap or self._heap[0][0] > time.monotonic()):
                    self._condition.wait(self._heap[0][0] - time.monotonic() if self._heap else None)
                if self._stopped:
                    return
                action = heapq.heappop(self._heap)[2]
            try:
                action()
            except BaseException as error:  # noqa: BLE001 -- whatever it is, it must end the process, not this thread
                self._on_defect(error)


class Lane:
    """Worker threads behind one queue: jobs of a lane of width 1 run one after the other."""

    def __init__(self, name: str, width: int) -> None:
        self._jobs: queue.SimpleQueue[Action | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{name}-{number}", daemon=True) for number in range(width)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Action) -> None:
        """Queue a job; it must not raise."""
        self._jobs.put(job)

    def stop(self) -> None:
        """Let the threads end after what is queued."""
        for _ in self._threads:
            self._jobs.put(None)

    def join(self, deadline_s: float) -> bool:
        """Wait until monotonic `deadline_s` for the threads to end and return whether they have."""
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


class StopEvent:
    """A stop signal with callbacks, so that a socket blocked in `recv` can be closed from outside."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Action] = []

    def is_set(self) -> bool:
        """Return whether the signal was given."""
        return self._event.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait up to `timeout_s` for the signal and return whether it was given."""
        return self._event.wait(timeout_s)

    def on_set(self, callback: Action) -> None:
        """Call `callback` when the signal is given; at once if it already was."""
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def set(self) -> None:
        """Give the signal."""
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
