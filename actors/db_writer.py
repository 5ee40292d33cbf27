"""The DbWriterActor writes whatever must last: in order, in batches of one transaction, again until it is committed."""

from collections import deque
from collections.abc import Callable, Sequence

from actors import addresses
from core.errors import RejectedError, TransientError
from core.messages import Persist, Persisted, RecorderPulse, Tick
from core.records import Record
from core.runtime.actor import Actor
from core.runtime.context import Context
from core.runtime.message import WorkDone, WorkFailed
from core.status import RecorderStatus

BATCH_ROWS = 500
PULSE_S = 0.25
RETRY_S = 0.25
LANE = "database"

Write = Callable[[Sequence[Record]], None]
"""Writes rows in one transaction. Raises TransientError to be called again, RejectedError when it never will work."""


class _Queued:
    """A message that waits for its commit."""

    __slots__ = ("at_ms", "persist", "receipt")

    def __init__(self, persist: Persist, receipt: int, at_ms: float) -> None:
        self.persist = persist
        self.receipt = receipt
        self.at_ms = at_ms


class DbWriterActor(Actor):
    """Queue in, transactions out; a message is acknowledged when its rows are committed, and comes again until then."""

    acknowledges = True

    def __init__(self, context: Context, write: Write, log: Callable[[str], None]) -> None:
        super().__init__(context)
        self._write = write
        self._log = log
        self._queue: deque[_Queued] = deque()
        self._in_flight: list[_Queued] = []
        self._one_by_one = 0
        self._written = 0
        self._error: str | None = None

    def on_start(self) -> None:
        """Start the pulse that tells the watchdog whether what happens is being recorded."""
        self._pulse()

    def receive(self, message: object) -> None:
        """Queue rows; react to the end of a transaction."""
        match message:
            case Persist():
                self._queue.append(_Queued(message, self.context.receipt, self.context.clock.monotonic_ms()))
                self._next_batch()
            case WorkDone():
                self._committed()
            case WorkFailed(error=error):
                self._failed(error)
            case Tick(name="retry"):
                self._next_batch()
            case Tick(name="pulse"):
                self._pulse()

    def on_stop(self) -> None:
        """Write what is left, in the calling thread; upserts make a batch that is still in flight harmless."""
        left = [*self._in_flight, *self._queue]
        rows = [row for queued in left for row in queued.persist.rows]
        for start in range(0, len(rows), BATCH_ROWS):
            self._write(rows[start : start + BATCH_ROWS])

    def _next_batch(self) -> None:
        if self._in_flight or not self._queue:
            return
        size = 0
        while self._queue and (not self._in_flight or size + len(self._queue[0].persist.rows) <= BATCH_ROWS):
            queued = self._queue.popleft()
            self._in_flight.append(queued)
            size += len(queued.persist.rows)
            if self._one_by_one:
                break
        rows = [row for queued in self._in_flight for row in queued.persist.rows]
        self.context.work("write", lambda: self._write(rows), lane=LANE)

    def _committed(self) -> None:
        if self._error is not None:
            self._log(f"database records again, {len(self._queue)} messages waited")
            self._error = None
        for queued in self._in_flight:
            self._written += len(queued.persist.rows)
            if queued.persist.ack_to is not None:
                self.context.tell(queued.persist.ack_to, Persisted(queued.persist.ack_key))
        self._done_with_batch()

    def _done_with_batch(self) -> None:
        self.context.acknowledge(self._in_flight[-1].receipt)
        self._one_by_one = max(0, self._one_by_one - len(self._in_flight))
        self._in_flight = []
        self._next_batch()

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, RejectedError):
            self._refused(error)
            return
        if not isinstance(error, TransientError):
            raise error
        if str(error) != self._error:
            self._log(f"database does not record: {error}; trying again every {RETRY_S:g} s")
            self._error = str(error)
        self._queue.extendleft(reversed(self._in_flight))
        self._in_flight = []
        self.context.timer("retry", RETRY_S, Tick("retry"))

    def _refused(self, error: RejectedError) -> None:
        """Find the message the database refuses by writing one at a time, and give up on that one alone."""
        if len(self._in_flight) > 1:
            self._one_by_one = len(self._in_flight)
            self._queue.extendleft(reversed(self._in_flight))
            self._in_flight = []
            self._next_batch()
            return
        rows = ", ".join(type(row).__name__ for row in self._in_flight[0].persist.rows)
        self._log(f"database refused {rows}: {error}")
        self._done_with_batch()

    def _pulse(self) -> None:
        oldest = self._in_flight[0] if self._in_flight else self._queue[0] if self._queue else None
        lag_s = 0.0 if oldest is None else (self.context.clock.monotonic_ms() - oldest.at_ms) / 1000
        queued = len(self._queue) + len(self._in_flight)
        self.context.tell(addresses.WATCHDOG, RecorderPulse(lag_s, queued, self._error))
        self.context.publish("recorder", RecorderStatus(queued, lag_s, self._written, self._error))
        self.context.timer("pulse", PULSE_S, Tick("pulse"))
