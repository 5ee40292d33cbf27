"""Streams: long-lived sources such as websockets.

A blocking one runs in a thread of its own; a scheduled one has its items' times fixed beforehand and is what the
stepped runtime replays.
"""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable


class StopSignal(Protocol):
    """Tells a blocking stream that it should end."""

    def is_set(self) -> bool:
        """Return whether the stream should end."""
        ...

    def wait(self, timeout_s: float) -> bool:
        """Wait up to `timeout_s` for the signal and return whether it came."""
        ...

    def on_set(self, callback: Callable[[], None]) -> None:
        """Call `callback` (from another thread) when the signal comes; at once if it already has."""
        ...


@runtime_checkable
class BlockingStream(Protocol):
    """A source that runs until it is stopped, such as a websocket client."""

    def run(self, emit: Callable[[object], None], stop: StopSignal) -> None:
        """Emit items until `stop` is set."""
        ...


@runtime_checkable
class ScheduledStream(Protocol):
    """A source whose items and times are known beforehand, such as a recording."""

    def items(self, from_ms: int) -> Iterator[tuple[int, object]]:
        """Yield (unix milliseconds, item) in order of time, from `from_ms` on."""
        ...


Stream = BlockingStream | ScheduledStream
