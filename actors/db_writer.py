"""The DbWriterActor writes whatever must last: in order, in batches of one transaction, again until it is committed."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Protocol

from actors import addresses
from core.errors import FuseboxError, RejectedError, TransientError, UnknownOutcomeError
from core.messages import Alert, Persist, Persisted, RecorderPulse, Tick
from core.records import AlertRecord, Record
from core.runtime.actor import Actor
from core.runtime.context import Context
from core.runtime.message import WorkDone, WorkFailed
from core.status import RecorderStatus

BATCH_ROWS = 500
PULSE_S = 0.25
RETRY_S = 0.25
LANE = "database"
JOURNAL_LANE = "journal"
JOURNAL_AFTER_S = 0.5
"""A batch that is not committed by then may hang with its connection: what waits behind it goes to the journal."""
REFUSED = (RejectedError, ValueError, ArithmeticError)
"""What one row's content can cause: the database refuses it, or it cannot be put into the database's types."""
AGAIN = (TransientError, UnknownOutcomeError)
"""What repeating the batch mends: writing rows twice is the same as once."""

Write = Callable[[Sequence[Record]], None]
"""Writes rows in one transaction. Raises TransientError to be called again, RejectedError when it never will work."""


class Journal(Protocol):
    """Takes on the local disk what the database has not confirmed; durable when `append_group` returns."""

    @property
    def last(self) -> int:
        """Sequence number of the newest entry."""
        ...

    def append_group(self, batches: Sequence[Sequence[Record]]) -> range:
        """Append one entry for each batch and return their sequence numbers. Raises TransientError."""
        ...

    def confirm(self, sequence: int) -> None:
        """Let go of everything up to `sequence`: the database has it. Raises TransientError."""
        ...


class _Queued:
    """A message that waits for its commit; `sequence` is its place in the journal, once it is there."""

    __slots__ = ("at_ms", "persist", "receipt", "sequence")

    def __init__(self, persist: Persist, receipt: int, at_ms: float) -> None:
        self.persist = persist
        self.receipt = receipt
        self.at_ms = at_ms
        self.sequence: int | None = None


class DbWriterActor(Actor):
    """Queue in, transactions out; a message is acknowledged when its rows are committed, and comes again until then."""

    acknowledges = True

    def __init__(
        self, context: Context, write: Write, log: Callable[[str], None], journal: Journal | None = None
    ) -> None:
        super().__init__(context)
        self._write = write
        self._journal = journal
        self._journaling: list[_Queued] = []
        self._journal_error: str | None = None
        self._committed_sequence = 0
        self._confirm_when_drained = journal.last if journal is not None and context.incarnation > 1 else None
        self._log = log
        self._queue: deque[_Queued] = deque()
        self._in_flight: list[_Queued] = []
        self._batches = 0
        self._one_by_one = 0
        self._resting = False
        self._written = 0
        self._error: str | None = None

    def on_start(self) -> None:
        """Start the pulse that tells the watchdog whether what happens is being recorded; after a crash, read first.

        What comes again after a crash may be committed already. One by one, older rows would undo newer ones for a
        while; behind everything that waits, the first batch holds at least all that the last one held.
        """
        if self.context.incarnation > 1:
            self._resting = True
            self.context.tell(self.context.address, Tick("retry"))
        self._pulse()

    def receive(self, message: object) -> None:
        """Queue rows; react to the end of a transaction."""
        match message:
            case Persist():
                self._queue.append(_Queued(message, self.context.receipt, self.context.clock.monotonic_ms()))
                if self._error is not None:
                    self._to_journal()
                self._next_batch()
            case WorkDone(key="journal", value=range() as sequences):
                self._journaled(sequences)
            case WorkFailed(key="journal", error=TransientError() as error):
                self._not_journaled(error)
            case WorkDone(key=key) | WorkFailed(key=key) if key.startswith("write ") and key != self._batch_key:
                pass  # the end of a batch that an earlier incarnation began says nothing of ours
            case WorkDone():
                self._committed()
            case WorkFailed(error=error):
                self._failed(error)
            case Tick(name="retry"):
                self._resting = False
                self._next_batch()
            case Tick(name="pulse"):
                self._pulse()

    def on_stop(self) -> None:
        """Write what is left, in the calling thread; upserts make a batch that is still in flight harmless.

        Raises:
            FuseboxError: when the database cannot be written now; what is lost with that was logged.
        """
        self._put_back()
        if self._queue and self._error is not None:  # said first: the attempt may outlast the time there is to stop
            self._log(f"database is away at the stop, trying once more to write {_kinds(self._queue)}")
        while self._queue:
            batch = self._take()
            try:
                self._job(batch)()
            except REFUSED as error:
                self._isolate(batch, error)
            except FuseboxError as error:
                self._queue.extendleft(reversed(batch))
                self._leave_to_journal(error)
                return

    def _leave_to_journal(self, error: FuseboxError) -> None:
        """Keep what the database did not take where the next start finds it."""
        if self._journal is None:
            self._log(f"stopped without writing {_kinds(self._queue)}: {error}")
            raise error
        self._journal.append_group([queued.persist.rows for queued in self._queue if queued.sequence is None])
        self._log(f"the database is away: {_kinds(self._queue)} are in the journal and written at the next start")

    # -- batches ------------------------------------------------------------------------------------------------

    def _next_batch(self) -> None:
        if self._in_flight or not self._queue or self._resting or self._journaling:
            return
        self._in_flight = self._take()
        self._batches += 1
        self.context.work(self._batch_key, self._job(self._in_flight), lane=LANE)

    def _job(self, batch: list[_Queued]) -> Callable[[], None]:
        """Return what writes a batch and then lets go of its journal entries.

        In one job, so that nothing newer is written before the journal has let go: what the journal still holds is
        written again at the next start, and must not undo anything newer.
        """
        rows, write, journal = _rows(batch), self._write, self._journal
        before = self._committed_sequence  # of a batch that went to the journal while it was on its way
        sequences = [queued.sequence for queued in batch if queued.sequence is not None]
        if self._confirm_when_drained is not None and not self._queue:
            sequences.append(self._confirm_when_drained)
            self._confirm_when_drained = None

        def job() -> None:
            if journal is not None and before:
                journal.confirm(before)
            write(rows)
            if journal is not None and sequences:
                journal.confirm(max(sequences))

        return job

    @property
    def _batch_key(self) -> str:
        return f"write {self.context.incarnation}.{self._batches}"

    def _take(self) -> list[_Queued]:
        """Take the next messages for one transaction: whole messages, one alone while a refused one is looked for."""
        batch = [self._queue.popleft()]
        if self._one_by_one:
            self._one_by_one -= 1
            return batch
        size = len(batch[0].persist.rows)
        while self._queue and size + len(self._queue[0].persist.rows) <= BATCH_ROWS:
            batch.append(self._queue.popleft())
            size += len(batch[-1].persist.rows)
        return batch

    def _put_back(self) -> None:
        if self._one_by_one:
            self._one_by_one += len(self._in_flight)
        self._queue.extendleft(reversed(self._in_flight))
        self._in_flight = []

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
        self._committed_sequence = max((q.sequence or 0 for q in self._in_flight), default=0)
        self._in_flight = []
        self._next_batch()

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, REFUSED):
            batch, self._in_flight = self._in_flight, []
            if self._isolate(batch, error):
                self._in_flight = batch
                self._done_with_batch()
            else:
                self._next_batch()
            return
        if not isinstance(error, AGAIN):
            raise error
        if str(error) != self._error:
            self._log(f"database does not record: {error}; trying again every {RETRY_S:g} s")
            self._error = str(error)
        self._put_back()
        self._to_journal()
        self._resting = True
        self.context.timer("retry", RETRY_S, Tick("retry"))

    # -- journal ------------------------------------------------------------------------------------------------

    def _to_journal(self) -> None:
        """Hand everything that is neither committed nor in the journal yet to the journal's worker, in order."""
        journal = self._journal
        if journal is None or self._journaling:
            return
        self._journaling = [queued for queued in (*self._in_flight, *self._queue) if queued.sequence is None]
        if self._journaling:
            batches = [queued.persist.rows for queued in self._journaling]
            self.context.work("journal", lambda: journal.append_group(batches), lane=JOURNAL_LANE)

    def _journaled(self, sequences: range) -> None:
        for queued, sequence in zip(self._journaling, sequences, strict=True):
            queued.sequence = sequence
            if queued not in self._queue and queued not in self._in_flight:  # committed meanwhile
                self._committed_sequence = sequence
        self._journaling = []
        self._journal_error = None
        if self._error is not None and any(queued.sequence is None for queued in self._queue):
            self._to_journal()
        self._next_batch()

    def _not_journaled(self, error: TransientError) -> None:
        self._journaling = []
        if str(error) != self._journal_error:
            self._log(f"the journal cannot be written: {error}; what the database does not record is in memory only")
            self._journal_error = str(error)
        self._next_batch()

    def _isolate(self, batch: list[_Queued], error: Exception) -> bool:
        """Find the message that is refused by writing one at a time; give up on that one alone and return True."""
        if len(batch) > 1:
            self._one_by_one = len(batch)
            self._queue.extendleft(reversed(batch))
            return False
        rows = batch[0].persist.rows
        text = f"database refused {', '.join(map(_name, rows))}: {error}"
        self._log(text)
        if not all(isinstance(row, AlertRecord) for row in rows):  # an alert about an alert would never end
            self.context.tell(addresses.NOTIFIER, Alert("not recorded", text))
        return True

    def _pulse(self) -> None:
        oldest = self._in_flight[0] if self._in_flight else self._queue[0] if self._queue else None
        lag_s = 0.0 if oldest is None else (self.context.clock.monotonic_ms() - oldest.at_ms) / 1000
        queued = len(self._queue) + len(self._in_flight)
        if self._in_flight and lag_s > JOURNAL_AFTER_S:
            self._to_journal()
        self.context.tell(addresses.WATCHDOG, RecorderPulse(lag_s, queued, self._error))
        self.context.publish("recorder", RecorderStatus(queued, lag_s, self._written, self._error))
        self.context.timer("pulse", PULSE_S, Tick("pulse"))


def _rows(batch: Sequence[_Queued]) -> list[Record]:
    return [row for queued in batch for row in queued.persist.rows]


def _kinds(queued: Sequence[_Queued] | deque[_Queued]) -> str:
    """Return what rows these are, such as `3 rows (FillRecord 1, OrderRecord 2)`."""
    rows = _rows(list(queued))
    counts = sorted(Counter(type(row).__name__ for row in rows).items())
    return f"{len(rows)} rows ({', '.join(f'{kind} {count}' for kind, count in counts)})"


def _name(row: Record) -> str:
    """Return the kind of a row, and which one it is where it has a name."""
    named = next((str(getattr(row, field)) for field in ("id", "condition_id", "name") if hasattr(row, field)), "")
    return f"{type(row).__name__} {named}".rstrip()
