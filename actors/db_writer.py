"""The DbWriterActor writes whatever must last: in order, in batches of one transaction, again until it is committed."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from actors import addresses
from actors.write_jobs import Aside, Journal, Write, journal_job, keep, write_job
from actors.write_queue import Queued, WriteQueue
from core.errors import FuseboxError, TransientError, UnknownOutcomeError
from core.messages import Alert, Persist, Persisted, RecorderPulse, Tick
from core.records import AlertRecord, Record
from core.runtime.actor import Actor
from core.runtime.context import Context
from core.runtime.message import WorkDone, WorkFailed
from core.status import RecorderStatus
from storage.refused import REFUSED, REMEDY
from storage.turn import Turn

PULSE_S = 0.25
RETRY_S = 0.25
DISK_PULSE_S = 0.5
DISK_HANGS_S = 0.2
"""An `fsync` takes milliseconds; after this long the next pulse tells that the disk does not answer."""
GATHER_S = 0.005
"""For how long rows whose commit nobody waits for lie there, to share the transaction of those that follow at once.

A reservation is followed by its order's hash within about a millisecond, and the order waits for both.
"""
LANE = "database"
JOURNAL_LANE = "journal"
JOURNAL_AFTER_S = 0.5
"""A batch that is not committed by then may hang with its connection: what waits behind it goes to the journal."""
STOP_WAITS_S = 1.0
"""How long a stop waits for the batch that is being written: anything else must not be written before it."""
AGAIN = (TransientError, UnknownOutcomeError)
"""What repeating the batch mends: writing rows twice is the same as once."""


class DbWriterActor(Actor):
    """Queue in, transactions out; a message is acknowledged when its rows are committed, and comes again until then.

    With a journal, whose database may go away, it asks both for a sign of life when there is nothing to write, and lets
    rows for which nobody waits share a transaction.
    """

    acknowledges = True

    def __init__(
        self, context: Context, write: Write, log: Callable[[str], None], journal: Journal | None = None
    ) -> None:
        super().__init__(context)
        self._write = write
        self._journal = journal
        self._log = log
        self._queue = WriteQueue()
        self._journaling: list[Queued] = []
        self._journal_error: str | None = None
        self._committed_sequence = 0
        self._jobs = 0
        self._turn: Turn | None = None
        self._asked_ms: float | None = None
        self._disk_asked_ms: float | None = None
        self._disk_heard_ms = self._heard_ms = context.clock.monotonic_ms()
        self._resting = False
        self._gathering = False
        self._written = 0
        self._refused = 0 if journal is None else journal.refused
        self._error: str | None = None

    def on_start(self) -> None:
        """Start the pulse that tells the watchdog whether what happens is being recorded; after a crash, read first.

        What comes again after a crash may be committed already. One by one, older rows would undo newer ones for a
        while; behind everything that waits, the first batch holds at least all that the last one held.
        """
        if self.context.incarnation > 1:
            self._resting = True
            self.context.tell(self.context.address, Tick("adopt"))
        self._pulse()

    def receive(self, message: object) -> None:
        """Queue rows; react to the end of a transaction."""
        match message:
            case Persist() as message:
                self._queue.add(Queued(message, self.context.receipt, self.context.clock.monotonic_ms()))
                if self._error is not None:
                    self._to_journal()
                if self._journal is None or message.ack_to is not None:
                    self._next_batch()
                elif not self._gathering:
                    self._gathering = True
                    self.context.timer("gather", GATHER_S, Tick("gather"))
            case WorkDone(key=key) | WorkFailed(key=key) if self._is_of_another_incarnation(key):
                pass  # the end of what it began says nothing of ours
            case WorkDone(key=key, value=list() as sequences) if key.startswith("journal "):
                self._journaled(sequences)
            case WorkFailed(key=key, error=TransientError() as error) if key.startswith("journal "):
                self._not_journaled(error)
            case WorkDone(key=key) if key.startswith("disk "):
                self._disk_heard(None)
            case WorkFailed(key=key, error=TransientError() as error) if key.startswith("disk "):
                self._disk_heard(str(error))
            case WorkDone(value=aside):
                self._committed(aside)
            case WorkFailed(error=error):
                self._failed(error)
            case Tick(name="adopt" | "retry" as name):
                if name == "adopt":
                    self._queue.adopt()
                self._resting = False
                self._next_batch()
            case Tick(name="gather"):
                self._gathering = False
                self._next_batch()
            case Tick(name="pulse"):
                self._pulse()

    def on_stop(self) -> None:
        """Write what is left, in the calling thread, after the batch that is in flight.

        Raises:
            FuseboxError: when the database cannot be written now; what is lost with that was logged.
        """
        in_flight_ended = self._turn is None or self._turn.take_over(STOP_WAITS_S)
        self._queue.unknown()
        if self._queue and not in_flight_ended:
            self._leave_to_journal(TransientError(f"a batch has not been committed within {STOP_WAITS_S:g} s"))
            return
        if self._queue and self._error is not None:  # said first: the attempt may outlast the time there is to stop
            self._log(f"database is away at the stop, trying once more to write {_kinds(self._queue)}")
        while self._queue:
            batch = self._queue.take()
            try:
                aside = self._job(batch)()
            except (FuseboxError, *REFUSED) as error:
                if isinstance(error, REFUSED) and len(batch) > 1:
                    self._queue.refused()
                    continue
                if not isinstance(error, FuseboxError):
                    raise
                self._queue.unknown()
                self._leave_to_journal(error)
                return
            self._tell_refused(self._queue.done(), aside)

    def _leave_to_journal(self, error: FuseboxError) -> None:
        """Keep what the database did not take where the next start finds it."""
        if self._journal is None:
            self._log(f"stopped without writing {_kinds(self._queue)}: {error}")
            raise error
        keep(self._journal, [queued.persist.rows for queued in self._queue if queued.sequence is None])
        self._log(f"the database is away: {_kinds(self._queue)} are in the journal and written at the next start")

    # -- batches ------------------------------------------------------------------------------------------------

    def _next_batch(self) -> None:
        busy = self._queue.in_flight or self._asked_ms is not None or self._resting or self._journaling
        if self._queue.waiting and not busy:
            self._jobs += 1
            job, turn = self._job(self._queue.take()), Turn()
            self._turn = turn
            self.context.work(self._job_key, lambda: turn.run(job), lane=LANE)

    def _job(self, batch: list[Queued]) -> Callable[[], Aside | None]:
        sequences = [queued.sequence for queued in batch if queued.sequence is not None]
        if self._journal is not None and not self._queue.waiting:
            sequences.append(self._journal.last)  # what an earlier incarnation left there is in this batch too
        before = self._committed_sequence  # of a batch that went to the journal while it was on its way
        return write_job(self._write, self._journal, batch, before, max(sequences, default=0))

    @property
    def _job_key(self) -> str:
        return f"database {self.context.incarnation}.{self._jobs}"

    def _is_of_another_incarnation(self, key: str) -> bool:
        lane, _, number = key.partition(" ")
        return lane in {"database", "journal", "disk"} and number.partition(".")[0] != str(self.context.incarnation)

    def _ask(self) -> None:
        """Write nothing: it fails where rows would fail, and hangs where they would hang."""
        self._jobs += 1
        self._asked_ms = self.context.clock.monotonic_ms()
        write = self._write
        self.context.work(self._job_key, lambda: write(()), lane=LANE)

    def _committed(self, aside: object) -> None:
        self._heard_ms = self.context.clock.monotonic_ms()
        self._asked_ms = None
        if self._error is not None:
            self._log(f"database records again, {len(self._queue)} messages waited")
            self._error = None
        batch = self._queue.done()
        if isinstance(aside, Aside):
            self._tell_refused(batch, aside)
        else:
            for queued in batch:
                self._written += len(queued.persist.rows)
                if queued.persist.ack_to is not None:
                    self.context.tell(queued.persist.ack_to, Persisted(queued.persist.ack_key))
        if batch:
            self.context.acknowledge(batch[-1].receipt)
            self._committed_sequence = max(queued.sequence or 0 for queued in batch)
        self._next_batch()

    def _failed(self, error: BaseException) -> None:
        self._asked_ms = None
        if isinstance(error, REFUSED) and len(self._queue.in_flight) > 1:
            self._queue.refused()
            self._next_batch()
            return
        if not isinstance(error, AGAIN):
            raise error
        if str(error) != self._error:
            self._log(f"database does not record: {error}; trying again every {RETRY_S:g} s")
            self._error = str(error)
        self._queue.unknown()
        self._to_journal()
        self._resting = True
        self.context.timer("retry", RETRY_S, Tick("retry"))

    def _tell_refused(self, batch: Sequence[Queued], aside: Aside | None) -> None:
        """Say that rows are not in the database, and where they are instead."""
        if aside is None:
            return
        rows = _rows(batch)
        text = f"database refused {', '.join(map(_name, rows))}: {aside.reason}"
        if aside.path is not None:
            self._refused += 1
            text = f"{text}; kept as {aside.path}: {REMEDY}"
        self._log(text)
        if not all(isinstance(row, AlertRecord) for row in rows):  # an alert about an alert would never end
            self.context.tell(addresses.NOTIFIER, Alert("not recorded", text))

    # -- journal ------------------------------------------------------------------------------------------------

    def _to_journal(self) -> None:
        """Hand everything that is neither committed nor in the journal yet to the journal's worker, in order."""
        if self._journal is None or self._journaling:
            return
        self._journaling = [queued for queued in self._queue if queued.sequence is None]
        if self._journaling:
            self._disk_asked_ms = self._disk_asked_ms or self.context.clock.monotonic_ms()
            batches = [queued.persist.rows for queued in self._journaling]
            self.context.work(
                f"journal {self.context.incarnation}", journal_job(self._journal, batches), lane=JOURNAL_LANE
            )

    def _journaled(self, sequences: list[int]) -> None:
        for queued, sequence in zip(self._journaling, sequences, strict=True):
            queued.sequence = sequence
            if queued not in self._queue:  # committed meanwhile
                self._committed_sequence = max(self._committed_sequence, sequence)
        self._journaling = []
        self._disk_asked_ms = None  # it answers; that this found room says nothing of the next entry
        if self._error is not None and any(queued.sequence is None for queued in self._queue):
            self._to_journal()
        self._next_batch()

    def _not_journaled(self, error: TransientError) -> None:
        self._journaling = []
        self._disk_heard(str(error))
        self._next_batch()

    def _disk_heard(self, error: str | None) -> None:
        self._disk_asked_ms = None
        self._disk_heard_ms = self.context.clock.monotonic_ms()
        if error == self._journal_error:
            return
        if error is None:
            self._log("the journal can be written again")
        else:
            self._log(f"the journal cannot be written: {error}; what the database does not record is in memory only")
        self._journal_error = error
        self._show()

    # -- pulse --------------------------------------------------------------------------------------------------

    def _pulse(self) -> None:
        now_ms = self.context.clock.monotonic_ms()
        if (self._queue.in_flight or self._asked_ms is not None) and self._lag_s() > JOURNAL_AFTER_S:
            self._to_journal()
        if self._disk_asked_ms is not None and now_ms - self._disk_asked_ms > DISK_HANGS_S * 1000:
            self._journal_error = self._journal_error or "it does not answer"
        self._show()
        if self._journal is not None:
            if not self._queue and not self._resting and self._asked_ms is None:
                self._ask()
            if self._disk_asked_ms is None and now_ms - self._disk_heard_ms >= DISK_PULSE_S * 1000:
                self._disk_asked_ms = now_ms
                self.context.work(f"disk {self.context.incarnation}", self._journal.probe, lane=JOURNAL_LANE)
        self.context.timer("pulse", PULSE_S, Tick("pulse"))

    def _show(self) -> None:
        queued, lag_s, refused = len(self._queue), self._lag_s(), self._refused
        self.context.tell(addresses.WATCHDOG, RecorderPulse(lag_s, queued, self._error, self._journal_error))
        status = RecorderStatus(queued, lag_s, self._written, self._error, self._journal_error, refused)
        self.context.publish("recorder", status)

    def _lag_s(self) -> float:
        """How long the oldest row has waited, or how long the database has not been heard although it was asked."""
        now_ms = self.context.clock.monotonic_ms()
        oldest = next(iter(self._queue), None)
        lag_ms = 0.0 if oldest is None else now_ms - oldest.at_ms
        if self._journal is not None and (self._queue or self._asked_ms is not None or self._error is not None):
            lag_ms = max(lag_ms, now_ms - self._heard_ms)
        return lag_ms / 1000


def _rows(batch: Iterable[Queued]) -> list[Record]:
    return [row for queued in batch for row in queued.persist.rows]


def _kinds(queued: Iterable[Queued]) -> str:
    """Return what rows these are, such as `3 rows (FillRecord 1, OrderRecord 2)`."""
    rows = _rows(queued)
    counts = sorted(Counter(type(row).__name__ for row in rows).items())
    return f"{len(rows)} rows ({', '.join(f'{kind} {count}' for kind, count in counts)})"


def _name(row: Record) -> str:
    """Return the kind of a row, and which one it is where it has a name."""
    named = next((str(getattr(row, field)) for field in ("id", "condition_id", "name") if hasattr(row, field)), "")
    return f"{type(row).__name__} {named}".rstrip()
