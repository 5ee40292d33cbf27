"""The DbWriterActor writes everything it is told, in order, once it is possible, and never stops for one bad row."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import addresses
from actors.db_writer import RETRY_S, DbWriterActor
from actors.write_queue import BATCH_ROWS
from core.errors import FatalError, RejectedError, TransientError
from core.messages import Alert, Persist, Persisted, RecorderPulse
from core.records import AlertRecord, MetricRecord, Record
from core.runtime.address import Address
from core.runtime.message import WorkDone
from core.runtime.supervision import SystemEvent
from tests.actors_data.builders import KILL, OPENS_MS, Stage

ME = Address("asker")
AWAY = TransientError("connection refused")


class Database:
    """Tables in memory: a transaction is whole or not at all."""

    def __init__(self) -> None:
        self.transactions: list[list[str]] = []
        self.attempts = 0
        self.away = 0
        self.poison: dict[str, Exception] = {}

    def write(self, rows: Sequence[Record]) -> None:
        self.attempts += 1
        if self.away:
            self.away -= 1
            raise AWAY
        names = [row.name for row in rows if isinstance(row, MetricRecord)]
        for name in names:
            if name in self.poison:
                raise self.poison[name]
        self.transactions.append(names)

    @property
    def rows(self) -> list[str]:
        return [name for names in self.transactions for name in names]


def metrics(*names: object, ack: str = "") -> Persist:
    rows = tuple(MetricRecord(1, str(name), 1.0, OPENS_MS) for name in names)
    return Persist(rows, ME if ack else None, ack)


def play(write: Callable[[Sequence[Record]], None], *, work_ms: int = 5, seed: int = 0) -> Stage:
    stage = Stage(work_ms=work_ms, seed=seed)
    stage.listen(ME, addresses.WATCHDOG, addresses.NOTIFIER)
    stage.play(addresses.DB_WRITER, lambda context: DbWriterActor(context, write, stage.said.append))
    return stage


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def stage(database: Database) -> Stage:
    return play(database.write)


def pulse(stage: Stage) -> RecorderPulse:
    return stage.told(addresses.WATCHDOG, RecorderPulse)[-1]


def test_rows_are_written_in_order_in_batches_of_whole_messages(stage: Stage, database: Database) -> None:
    sizes = [1, 200, 200, 200, 700, 1, 1]
    messages = [metrics(*(f"{n}.{row}" for row in range(size))) for n, size in enumerate(sizes)]
    stage.tell(addresses.DB_WRITER, *messages)
    stage.run(1)

    assert database.rows == [row.name for said in messages for row in said.rows if isinstance(row, MetricRecord)]
    assert [len(names) for names in database.transactions] == [1, 400, 200, 700, 2]
    assert all(len(names) <= BATCH_ROWS or len({name.split(".")[0] for name in names}) == 1
               for names in database.transactions)  # fmt: skip
    assert pulse(stage) == RecorderPulse(0.0, 0, None)


def test_who_asks_hears_of_its_rows_after_their_commit_and_not_before(stage: Stage, database: Database) -> None:
    database.away = 3
    stage.tell(addresses.DB_WRITER, metrics("a", ack="key a"), metrics("b"), metrics("c", ack="key c"))
    stage.run(2 * RETRY_S)
    assert stage.told(ME, Persisted) == []
    stage.run(5 * RETRY_S)
    assert stage.told(ME, Persisted) == [Persisted("key a"), Persisted("key c")]
    assert database.rows == ["a", "b", "c"]


def test_while_the_database_is_away_nothing_is_lost_and_the_watchdog_hears_how_far_behind_it_is(
    stage: Stage, database: Database
) -> None:
    database.away = 40
    for n in range(20):
        stage.tell(addresses.DB_WRITER, metrics(n))
        stage.run(RETRY_S / 10)
    stage.run(2.5 * RETRY_S)
    assert pulse(stage).queued == 20
    assert pulse(stage).lag_s == pytest.approx(4.5 * RETRY_S, abs=RETRY_S)
    assert pulse(stage).error == str(AWAY)
    assert database.attempts <= 6  # at its own pace, however much comes in

    stage.run(20)
    assert database.rows == [str(n) for n in range(20)]
    assert pulse(stage) == RecorderPulse(0.0, 0, None)
    assert stage.said[0] == f"database does not record: {AWAY}; trying again every {RETRY_S:g} s"
    assert len(stage.said) == 2
    assert stage.said[1].startswith("database records again")


@pytest.mark.parametrize("error", [RejectedError("NUL in a text"), OverflowError("date value out of range")])
def test_a_row_that_cannot_be_written_is_reported_and_the_rest_goes_on(
    stage: Stage, database: Database, error: Exception
) -> None:
    database.poison["bad"] = error
    stage.tell(addresses.DB_WRITER, *(metrics(name, ack=name) for name in ("first", "a", "bad", "b", "c", "d")))
    stage.run(1)
    stage.tell(addresses.DB_WRITER, metrics("later", ack="later"))
    stage.run(1)

    assert database.rows == ["first", "a", "b", "c", "d", "later"]
    assert [said.key for said in stage.told(ME, Persisted)] == database.rows
    text = f"database refused MetricRecord bad: {error}"
    assert stage.said == [text]
    assert stage.told(addresses.NOTIFIER, Alert) == [Alert("not recorded", text)]
    assert stage.system.cells[addresses.DB_WRITER].restarts == 0
    assert pulse(stage).queued == 0


def test_after_the_bad_row_was_found_batches_are_whole_again(stage: Stage, database: Database) -> None:
    database.poison["bad"] = RejectedError("no")
    stage.tell(addresses.DB_WRITER, *(metrics(name) for name in ("first", "a", "bad", "b")))
    stage.run(1)
    stage.tell(addresses.DB_WRITER, *(metrics(n) for n in range(5)))
    stage.run(1)

    assert database.transactions[:2] == [["first"], ["a"]]
    assert database.transactions[2:] == [["b"], ["0"], ["1", "2", "3", "4"]]


def test_an_alert_that_cannot_be_recorded_raises_no_alert_about_itself(stage: Stage) -> None:
    def refuse(rows: Sequence[Record]) -> None:
        raise RejectedError("no such session")

    stage = play(refuse)
    stage.tell(addresses.DB_WRITER, Persist((AlertRecord(1, "start", "text", "pending", OPENS_MS),)))
    stage.run(1)

    assert stage.said == ["database refused AlertRecord: no such session"]
    assert stage.told(addresses.NOTIFIER, Alert) == []


def test_a_lost_lease_ends_the_writer_and_then_the_process() -> None:
    def refuse(rows: Sequence[Record]) -> None:
        raise FatalError("lease lost to epoch 8")

    stage = play(refuse)
    stage.tell(addresses.DB_WRITER, metrics("a"))
    stage.run(10)

    assert "lease lost to epoch 8" in (stage.system.failure or "")


def test_a_crash_loses_nothing_and_writes_in_the_same_order_again(stage: Stage, database: Database) -> None:
    stage.tell(addresses.DB_WRITER, metrics("a", ack="a"))
    stage.run(0.003)  # committed, the writer has not heard of it yet
    assert database.rows == ["a"]
    stage.tell(addresses.DB_WRITER, metrics("b"), KILL, metrics("c"))
    stage.run(2)

    assert stage.system.cells[addresses.DB_WRITER].restarts == 1
    assert database.rows == ["a", "a", "b", "c"]
    assert stage.told(ME, Persisted) == [Persisted("a")]


def test_what_was_committed_and_acknowledged_is_not_written_again(stage: Stage, database: Database) -> None:
    stage.tell(addresses.DB_WRITER, metrics("a"))
    stage.run(1)
    stage.tell(addresses.DB_WRITER, KILL, metrics("b"))
    stage.run(1)

    assert database.rows == ["a", "b"]


def test_the_end_of_a_batch_of_an_earlier_incarnation_acknowledges_nothing(stage: Stage, database: Database) -> None:
    """Its message can already wait in the mailbox when that incarnation crashes."""
    stage.tell(addresses.DB_WRITER, metrics("a", ack="a"))
    stage.run()
    database.away = 1
    stage.tell(addresses.DB_WRITER, KILL, WorkDone("database 1.1", None), metrics("b", ack="b"))
    stage.run(0.1)
    assert stage.told(ME, Persisted) == []
    stage.run(2)

    assert stage.told(ME, Persisted) == [Persisted("a"), Persisted("b")]
    assert database.rows == ["a", "a", "b"]


def test_a_stop_writes_what_is_queued_and_what_is_in_flight(stage: Stage, database: Database) -> None:
    database.poison["bad"] = RejectedError("no")
    messages = [metrics(*(f"{n}.{row}" for row in range(300))) for n in range(4)]
    database.away = 1  # the batch in flight fails, and the writer is stopped before it hears so
    stage.tell(addresses.DB_WRITER, messages[0], metrics("bad"), *messages[1:])
    stage.run(0.001)
    stage.system.stop()

    named = [row.name for said in messages for row in said.rows if isinstance(row, MetricRecord)]
    assert list(dict.fromkeys(database.rows)) == named
    assert all(len(names) in (300, 1) for names in database.transactions)
    assert stage.said == ["database refused MetricRecord bad: no"]


def test_a_stop_while_the_database_is_away_ends_and_says_what_was_not_written(stage: Stage, database: Database) -> None:
    ends: list[SystemEvent] = []
    stage.system.observers.append(lambda event: ends.append(event) if isinstance(event, SystemEvent) else None)
    database.away = 10_000
    stage.tell(addresses.DB_WRITER, metrics("a", "b"), metrics("c"))
    stage.run(1)
    stage.system.stop()

    assert stage.system.cells[addresses.DB_WRITER].life == "stopped"
    assert stage.said[1:] == [
        "database is away at the stop, trying once more to write 3 rows (MetricRecord 3)",
        f"stopped without writing 3 rows (MetricRecord 3): {AWAY}",
    ]
    assert [event.detail for event in ends if event.address == "db_writer"][-1] == f"TransientError: {AWAY} (on_stop)"


Event = tuple[str, int]
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("tell"), st.integers(1, 300)),
        st.tuples(st.just("poison"), st.integers(1, 3)),
        st.tuples(st.just("away"), st.integers(1, 5)),
        st.tuples(st.just("wait"), st.integers(1, 400)),
        st.tuples(st.just("crash"), st.just(0)),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=60)
@given(EVENTS, st.integers(0, 5), st.booleans())
def test_whatever_happens_each_row_lasts_in_order_and_only_bad_ones_are_missing(
    events: list[Event],
    seed: int,
    stop: bool,  # noqa: FBT001 -- drawn by hypothesis
) -> None:
    database = Database()
    stage = play(database.write, seed=seed)
    told: list[str] = []
    crashes = 0
    for number, (kind, size) in enumerate(events):
        if kind in ("tell", "poison"):
            names = [f"{number}.{row}" for row in range(size)]
            stage.tell(addresses.DB_WRITER, metrics(*names))
            if kind == "poison":
                database.poison[names[-1]] = RejectedError("no")
            else:
                told += names
        elif kind == "away":
            database.away += size
        elif kind == "wait":
            stage.run(size / 1000)
        elif crashes < 3:  # within the 0.3 s before the stop the last one is over
            crashes += 1
            stage.tell(addresses.DB_WRITER, KILL)
    if stop:
        stage.run(0.3)
        database.away = 0
        stage.system.stop()
    else:
        stage.run(60)

    assert list(dict.fromkeys(database.rows)) == told
