"""The right to write one batch: either the worker it was given to has it, or the stop that came first."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Turn:
    """Taken once. A worker that comes second must not write: what it has may be older than what is written by then."""

    def __init__(self) -> None:
        self._taken = threading.Lock()
        self._over = threading.Event()

    def run(self, job: Callable[[], T]) -> T | None:
        """Run `job` unless its turn was taken over."""
        if not self._taken.acquire(blocking=False):
            return None
        try:
            return job()
        finally:
            self._over.set()

    def take_over(self, within_s: float) -> bool:
        """Return whether the job will never run or has ended; False when it still runs after `within_s` seconds."""
        return self._taken.acquire(blocking=False) or self._over.wait(within_s)
