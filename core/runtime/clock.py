"""Clocks, injected everywhere: the machine's own, and a virtual one that only moves when it is told to."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for what the venues stamp, monotonic time for what we measure; both in milliseconds."""

    def now_ms(self) -> int:
        """Return unix milliseconds."""
        ...

    def monotonic_ms(self) -> float:
        """Return milliseconds since an arbitrary start; never runs backwards."""
        ...

    def until_s(self, at_ms: int) -> float:
        """Return the seconds until `at_ms` (unix ms), as finely as the clock runs; negative once it has passed."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return unix milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> float:
        """Return milliseconds since boot."""
        return time.monotonic_ns() / 1e6

    def until_s(self, at_ms: int) -> float:
        """Return the seconds until `at_ms`: not from `now_ms`, which would be up to a millisecond too many."""
        return (at_ms * 1_000_000 - time.time_ns()) / 1e9


class VirtualClock:
    """A clock for replay, training and simulation."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms
        self._start_ms = now_ms

    def now_ms(self) -> int:
        """Return the virtual unix milliseconds."""
        return self._now_ms

    def monotonic_ms(self) -> float:
        """Return virtual milliseconds since the clock was made."""
        return float(self._now_ms - self._start_ms)

    def until_s(self, at_ms: int) -> float:
        """Return the virtual seconds until `at_ms`."""
        return (at_ms - self.now_ms()) / 1000

    def advance_to(self, now_ms: int) -> None:
        """Move to `now_ms`; a moment already passed leaves the clock where it is."""
        self._now_ms = max(self._now_ms, now_ms)
