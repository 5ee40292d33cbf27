"""What a runtime provides to the actor system: how an incarnation runs, and timers, workers and streams for it."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.runtime.cell import Cell
    from core.runtime.stream import Stream


class Provided(abc.ABC):
    """The part of an actor system that is on threads, or stepped."""

    @abc.abstractmethod
    def _run(self, cell: Cell, incarnation: int) -> None:
        """Let an incarnation run, from its construction on."""

    @abc.abstractmethod
    def _ready(self, cell: Cell) -> None:
        """Note that a mailbox has something to read."""

    @abc.abstractmethod
    def _release(self, cell: Cell) -> None:
        """Cancel the timers and close the streams of a cell whose incarnation is over."""

    @abc.abstractmethod
    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run `action` on the runtime's own thread after `delay_s`."""

    @abc.abstractmethod
    def set_timer(self, cell: Cell, incarnation: int, key: str, at_ms: int, message: object) -> None:
        """Deliver `message` to the incarnation at wall time `at_ms`, replacing its timer of the same key."""

    @abc.abstractmethod
    def cancel_timer(self, cell: Cell, key: str) -> None:
        """Forget a timer."""

    @abc.abstractmethod
    def start_work(self, cell: Cell, incarnation: int, key: str, job: Callable[[], object], lane: str) -> None:
        """Run a job outside the actor and deliver its result."""

    @abc.abstractmethod
    def start_stream(self, cell: Cell, incarnation: int, key: str, stream: Stream) -> None:
        """Run a stream outside the actor and deliver its items."""

    @abc.abstractmethod
    def stop_stream(self, cell: Cell, key: str) -> None:
        """Close a stream, if it is open."""
