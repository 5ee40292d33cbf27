"""The DbWriterActor against a real PostgreSQL, on threads: what was told lasts exactly once."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from actors import addresses
from actors.db_writer import DbWriterActor
from core.errors import TransientError
from core.messages import Persist, Persisted
from core.records import AlertRecord, FillRecord, MetricRecord, Record
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.cell import Spec
from core.runtime.clock import SystemClock
from core.runtime.context import Context
from core.runtime.supervision import RestartPolicy
from core.runtime.threaded import ThreadedRuntime
from storage.drain import drain
from storage.journal import Journal
from storage.pool import Pool, connect, open_pool
from storage.queries import Session, open_session
from storage.writer import write
from tests.actors_data.builders import KILL, OPENS_MS

ASKER = Address("asker")


class Asker(Actor):
    """Releases the latch of each key that was persisted."""

    def __init__(self, context: Context, latches: dict[str, threading.Event]) -> None:
        super().__init__(context)
        self._latches = latches

    def receive(self, message: object) -> None:
        if isinstance(message, Persisted):
            self._latches[message.key].set()


class Acks:
    """Sends rows with a key and waits for its acknowledgement."""

    def __init__(self, runtime: ThreadedRuntime) -> None:
        self._runtime = runtime
        self._latches: dict[str, threading.Event] = {}
        runtime.add(Spec(ASKER, lambda context: Asker(context, self._latches)))

    def send(self, key: str, *rows: Record) -> None:
        self._latches[key] = threading.Event()
        self._runtime.tell(addresses.DB_WRITER, Persist(rows, ASKER, key))

    def wait(self, key: str) -> None:
        assert self._latches[key].wait(15), f"{key} was not acknowledged"


@pytest.fixture
def session(database: str) -> Session:
    with connect(database) as connection:
        return open_session(connection, "paper", {}, venue="demo", new=True, now_ms=OPENS_MS)


@pytest.fixture
def pool(database: str) -> Iterator[Pool]:
    pool = open_pool(database, max_connections=2)
    yield pool
    pool.close()


@pytest.fixture
def runtime() -> Iterator[ThreadedRuntime]:
    runtime = ThreadedRuntime(SystemClock())
    yield runtime
    assert runtime.stop(5.0) == []


def start(
    runtime: ThreadedRuntime,
    write_rows: Callable[[Sequence[Record]], None],
    said: list[str],
    journal: Journal | None = None,
) -> Acks:
    quick = RestartPolicy(backoff_s=0.001)
    runtime.add(
        Spec(addresses.DB_WRITER, lambda context: DbWriterActor(context, write_rows, said.append, journal), None, quick)
    )
    acks = Acks(runtime)
    for address in (ASKER, addresses.DB_WRITER):
        runtime.start(address)
    return acks


def metric(session: Session, name: object, value: float = 1.0) -> MetricRecord:
    return MetricRecord(session.id, str(name), value, OPENS_MS)


def fill(name: str) -> FillRecord:
    return FillRecord(name, "no such order", "paper", name, "0xh", 1, 1, 0, "TAKER", "MATCHED", OPENS_MS)


def names(database: str) -> list[str]:
    with connect(database) as connection:
        return [str(name) for (name,) in connection.execute("SELECT name FROM metrics ORDER BY ctid").fetchall()]


def test_rows_written_again_after_a_crash_between_commit_and_acknowledgement_are_there_once(
    runtime: ThreadedRuntime, pool: Pool, database: str, session: Session
) -> None:
    committed, go_on = threading.Event(), threading.Event()
    writes: list[int] = []

    def slow_to_answer(rows: Sequence[Record]) -> None:
        with pool.connection() as connection:
            write(connection, rows)
        writes.append(len(rows))
        if len(writes) == 1:
            committed.set()
            assert go_on.wait(10)

    acks = start(runtime, slow_to_answer, [])
    acks.send("first", metric(session, "a"), AlertRecord(session.id, "start", "runs", "pending", OPENS_MS))
    assert committed.wait(10)
    runtime.tell(addresses.DB_WRITER, KILL)
    acks.send("second", metric(session, "b"))
    go_on.set()
    acks.wait("first")
    acks.wait("second")

    assert runtime.cells[addresses.DB_WRITER].restarts == 1
    assert sum(writes) >= 5  # the first message was written twice
    assert names(database) == ["a", "b"]
    with connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM alerts").fetchone() == (1,)


def test_a_row_the_database_refuses_takes_only_its_own_message_with_it(
    runtime: ThreadedRuntime, pool: Pool, database: str, session: Session
) -> None:
    gate, said = threading.Event(), list[str]()

    def wait_and_write(rows: Sequence[Record]) -> None:
        assert gate.wait(10)
        with pool.connection() as connection:
            write(connection, rows)

    acks = start(runtime, wait_and_write, said)
    acks.send("first", metric(session, 0))
    acks.send("a", metric(session, 1))
    acks.send("refused", metric(session, "lost with it"), fill("orphan"))
    acks.send("too late", AlertRecord(session.id, "x", "year 300,000", "pending", 10**16))
    acks.send("b", metric(session, 2))
    gate.set()
    acks.wait("b")

    assert names(database) == ["0", "1", "2"]
    assert len(said) == 2
    assert said[0].startswith("database refused MetricRecord lost with it, FillRecord orphan: ")
    assert said[1].startswith("database refused AlertRecord: ")
    assert runtime.cells[addresses.DB_WRITER].restarts == 0


def test_an_outage_is_waited_out_in_order(
    runtime: ThreadedRuntime, pool: Pool, database: str, session: Session
) -> None:
    attempts: list[int] = []

    def write_the_third_time(rows: Sequence[Record]) -> None:
        attempts.append(len(rows))
        if len(attempts) < 3:
            raise TransientError("the database is not reachable")
        with pool.connection() as connection:
            write(connection, rows)

    acks = start(runtime, write_the_third_time, [])
    for number in range(50):
        acks.send(str(number), metric(session, number))
    acks.wait("49")

    assert names(database) == [str(number) for number in range(50)]


def test_a_stop_lets_the_batch_in_flight_go_first_so_that_no_older_version_comes_last(
    pool: Pool, database: str, session: Session
) -> None:
    begun = threading.Event()
    runtime = ThreadedRuntime(SystemClock())

    def slow_once(rows: Sequence[Record]) -> None:
        first = not begun.is_set()
        begun.set()
        with pool.connection() as connection:
            if first:
                connection.execute("SELECT pg_sleep(0.3)")
            write(connection, rows)

    acks = start(runtime, slow_once, [])
    acks.send("in flight", metric(session, "a", 1.0))
    assert begun.wait(10)
    acks.send("newer", metric(session, "a", 2.0))
    assert runtime.stop(10.0) == []

    with connect(database) as connection:
        assert connection.execute("SELECT value FROM metrics").fetchall() == [(2.0,)]


def test_a_stop_while_a_batch_hangs_leaves_everything_to_the_journal(
    pool: Pool, database: str, session: Session, tmp_path: Path
) -> None:
    begun, go_on, said = threading.Event(), threading.Event(), list[str]()
    runtime = ThreadedRuntime(SystemClock())
    journal = Journal(tmp_path / "journal", "db", report=said.append)

    def hang(rows: Sequence[Record]) -> None:
        if not rows:
            return
        begun.set()
        assert go_on.wait(10)
        with pool.connection() as connection:
            write(connection, rows)

    acks = start(runtime, hang, said, journal)
    acks.send("in flight", metric(session, "a", 1.0))
    assert begun.wait(10)
    acks.send("newer", metric(session, "a", 2.0))
    runtime.stop(2.0)  # the worker itself cannot be ended
    kept = [row for _, rows in journal.pending() for row in rows]
    go_on.set()

    assert kept == [metric(session, "a", 1.0), metric(session, "a", 2.0)]
    assert any("2 rows" in text and "journal" in text for text in said)
    with connect(database) as connection:
        drain(journal, connection, report=pytest.fail)
        assert connection.execute("SELECT value FROM metrics").fetchall() == [(2.0,)]
    journal.close()


class AnnouncingJournal(Journal):
    """Says when it has taken something."""

    taken: threading.Event

    def append_group(self, batches: Sequence[Sequence[Record]]) -> range:
        sequences = super().append_group(batches)
        self.taken.set()
        return sequences


def test_what_waits_behind_a_question_that_hangs_goes_to_the_journal_and_is_written_after_it(
    runtime: ThreadedRuntime, pool: Pool, database: str, session: Session, tmp_path: Path
) -> None:
    asked, go_on, said = threading.Event(), threading.Event(), list[str]()
    journal = AnnouncingJournal(tmp_path / "journal", "db", report=said.append)
    journal.taken = threading.Event()

    def hang_when_asked(rows: Sequence[Record]) -> None:
        if not rows and not asked.is_set():
            asked.set()
            assert go_on.wait(10)
        with pool.connection() as connection:
            write(connection, rows)

    acks = start(runtime, hang_when_asked, said, journal)
    assert asked.wait(10)
    acks.send("a", metric(session, "a"))
    assert journal.taken.wait(10)
    go_on.set()
    acks.wait("a")
    acks.send("b", metric(session, "b"))
    acks.wait("b")

    assert names(database) == ["a", "b"]
    assert list(journal.pending()) == []
