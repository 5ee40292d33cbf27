"""Faults the stepped runtime injects when told to: crashes, hangs, lost replies, cut streams, a clock that jumps.

The runtime asks at every message, job, stream item and start, and does what it is told as the outside world would do
it. Who decides, and by which seed, is the simulation's matter.
"""

from typing import Literal, Protocol

import msgspec

from core.runtime.clock import VirtualClock
from core.runtime.message import Envelope


class InjectedCrashError(Exception):
    """Raised, or reported as the cause of a death, where a crash was injected."""


class Crash(msgspec.Struct, frozen=True):
    """The handler raises: before it did anything, or after all its code ran and before its effects."""

    when: Literal["before", "after"]


class Hang(msgspec.Struct, frozen=True):
    """The handler does not return within its budget; it wakes `extra_ms` after its replacement was decided."""

    extra_ms: int = 0


class Delay(msgspec.Struct, frozen=True):
    """A job's reply, or a stream's item and all behind it, comes `by_ms` later."""

    by_ms: int


class Failure(msgspec.Struct, frozen=True):
    """A job fails with `error`: without having run, or (`ran`) after it did all it does."""

    error: Exception
    ran: bool


class OwnerCrash(msgspec.Struct, frozen=True):
    """The job runs, and the actor that waits for its reply dies before it comes."""


class Cut(msgspec.Struct, frozen=True):
    """The connection is lost with this item: the reader hears `closed`, and the stream opens again after `for_ms`."""

    closed: object
    for_ms: int


class Drop(msgspec.Struct, frozen=True):
    """This one item never comes, and nobody is told."""


HandlerFault = Crash | Hang
WorkFault = Delay | Failure | OwnerCrash
ItemFault = Delay | Cut | Drop


class Faults(Protocol):
    """Decides what goes wrong; None lets things take their course."""

    def on_message(self, address: str, envelope: Envelope) -> HandlerFault | None:
        """Return what befalls the handler of this message."""
        ...

    def on_work(self, address: str, key: str) -> WorkFault | None:
        """Return what befalls a job that is about to start."""
        ...

    def on_item(self, address: str, key: str) -> ItemFault | None:
        """Return what befalls a stream's next item."""
        ...

    def on_start(self, address: str, incarnation: int) -> bool:
        """Return whether this incarnation dies at the end of its `on_start`, before the effects."""
        ...


class SkewedClock(VirtualClock):
    """A virtual clock whose wall time may jump by `skew_ms` while its monotonic time goes on."""

    def __init__(self, now_ms: int = 0) -> None:
        super().__init__(now_ms)
        self.skew_ms = 0

    def now_ms(self) -> int:
        """Return the wall time as this machine believes it to be."""
        return self._now_ms + self.skew_ms

    def true_ms(self) -> int:
        """Return the time of the world, by which venues live."""
        return self._now_ms
