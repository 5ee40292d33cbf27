"""The holder's watch over its lease: a thread that asks for it, and sets the gate by what it hears.

Held: nothing. Not to be known: reduce-only within a second, and every attempt to take the lease back. Lost: closed for
good, and the process ends.
"""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from loguru import logger

from core.errors import FuseboxError
from core.runtime.gate import GateCell
from core.trading.gate import GateLevel
from storage.lease import LeaseLostError

ASK_EVERY_S = 0.2
SILENT_S = 5.0
"""A holder that says nothing for this long (stopped, cut off) is taken for dead: the database lets the next one in."""
KNOWN_FOR_S = 1.0
STALLED_S = 3.5
"""No question takes longer. A watch that has not turned for this long was stopped with its process: less than
`SILENT_S`, so before anybody else can trade, nothing passes the gate until it has asked again."""
FRESH_S = 1.0
"""What a holder before may need to notice its loss: so long a new holder opens nothing."""
STOP_WITHIN_S = 0.3

UNKNOWN = "lease not confirmed"
FRESH = "lease just taken"
LOST = "lease lost"


class WatchedLease(Protocol):
    """What is asked of a lease."""

    def expire_when_silent(self, seconds: float) -> None:
        """Promise to ask at least every `seconds`."""
        ...

    def check(self) -> None:
        """Return when held; raise LeaseLostError, or TransientError when that cannot be known."""
        ...

    def retake(self) -> None:
        """Connect again and take it back; raises as `check` does."""
        ...


class LeaseWatch:
    """Watches from `start` to `stop`.

    Args:
        lease: what is watched.
        gate: the process's gate; its fence is set by this watch.
        on_lost: told once, with the reason, when the lease is lost.
        monotonic: the clock.
    """

    def __init__(
        self,
        lease: WatchedLease,
        gate: GateCell,
        on_lost: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lease = lease
        self._gate = gate
        self._on_lost = on_lost
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._question: Callable[[], None] = self._first_question
        self._began_s = self._turned_s = self._confirmed_s = monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self.lost: str | None = None

    def start(self) -> None:
        """Begin to watch; the lease was taken just now."""
        self._gate.fence = self.fence
        self._gate.hold(None, FRESH, GateLevel.REDUCE_ONLY)
        self._thread.start()

    def stop(self) -> None:
        """Stop asking, so that the lease can be released; the gate stays as it is."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_WITHIN_S)

    def fence(self) -> GateLevel:
        """Return how far the gate is shut at this very moment by what is known of the lease; reads the clock only.

        A process that was stopped finds the gate as it left it: what it sends in its first moments is stopped here.
        """
        now_s = self._monotonic()
        if self.lost is not None or now_s - self._turned_s > STALLED_S:
            return GateLevel.CLOSED
        return GateLevel.OPEN if now_s - self._confirmed_s <= KNOWN_FOR_S else GateLevel.REDUCE_ONLY

    def refused(self, error: LeaseLostError) -> None:
        """Hear from a write that the database refused for its epoch."""
        self._lose(error)

    def turn(self) -> None:
        """Ask once and set the gate by the answer."""
        asked_s = self._monotonic()
        try:
            self._question()
        except LeaseLostError as error:
            self._lose(error)
        except FuseboxError as error:
            self._cannot_know(error)
        else:
            self._confirmed_s = asked_s
            self._is_held()
        self._turned_s = self._monotonic()

    def _first_question(self) -> None:
        self._lease.expire_when_silent(SILENT_S)
        self._lease.check()

    def _run(self) -> None:
        while not self._stopping.is_set() and self.lost is None:
            try:
                self.turn()
            except Exception as error:  # noqa: BLE001 -- a defect here must be seen, and must not leave the gate open
                logger.opt(exception=error).error("the watch over the lease failed; it goes on")
                self._cannot_know(error)
            self._stopping.wait(ASK_EVERY_S)

    def _is_held(self) -> None:
        self._question = self._lease.check
        if self._gate.release(None, UNKNOWN):
            logger.info("the lease is ours still: nobody traded in between")
        if self._monotonic() - self._began_s >= FRESH_S:
            self._gate.release(None, FRESH)

    def _cannot_know(self, error: Exception) -> None:
        self._question = self._lease.retake
        if self._gate.hold(None, UNKNOWN, GateLevel.REDUCE_ONLY):
            logger.warning("whether the lease is ours cannot be known: {}; nothing is opened until it is", error)

    def _lose(self, error: LeaseLostError) -> None:
        with self._lock:
            if self.lost is not None:
                return
            self.lost = str(error)
        self._gate.hold(None, LOST, GateLevel.CLOSED)
        self._on_lost(self.lost)
