"""What the database does not take goes to the journal, which lets go of it before anything newer is written."""

import errno
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from actors import addresses
from actors.db_writer import DbWriterActor
from actors.feed_watch import FeedLimits
from actors.watchdog import WatchdogLimits
from core.errors import RejectedError, TransientError
from core.messages import Alert, Persist, RecorderPulse
from core.records import MetricRecord, Record
from core.status import RecorderStatus
from storage.journal import Journal
from storage.refused import refused_files
from storage.state_file import Disk
from tests.actors_data.builders import KILL, OPENS_MS, Stage

AWAY = TransientError("connection refused")


class Database:
    """Takes rows, or refuses them while it is away; notes what the journal still held at each commit."""

    def __init__(self, journal: Journal) -> None:
        self.rows: list[str] = []
        self.batches: list[list[str]] = []
        self.held_at_commit: list[int] = []
        self.away = False
        self.refused: set[str] = set()
        self._journal = journal

    def write(self, rows: Sequence[Record]) -> None:
        if self.away:
            raise AWAY
        names = [row.name for row in rows if isinstance(row, MetricRecord)]
        if self.refused.intersection(names):
            raise RejectedError("no")
        self.held_at_commit.append(len(list(self._journal.pending())))
        self.rows += names
        self.batches += [names] if names else []


class FullDisk(Disk):
    """Takes nothing while it is full."""

    def __init__(self) -> None:
        self.is_full = False

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(descriptor, data)


@pytest.fixture
def disk() -> FullDisk:
    return FullDisk()


@pytest.fixture
def journal(tmp_path: Path, disk: FullDisk) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal", "db", report=pytest.fail, disk=disk)
    yield journal
    journal.close()


@pytest.fixture
def database(journal: Journal) -> Database:
    return Database(journal)


@pytest.fixture
def stage(journal: Journal, database: Database) -> Stage:
    stage = Stage(work_ms=5)
    stage.listen(addresses.WATCHDOG, addresses.NOTIFIER)
    stage.play(addresses.DB_WRITER, lambda context: DbWriterActor(context, database.write, stage.said.append, journal))
    return stage


def rows(*names: str) -> Persist:
    return Persist(tuple(MetricRecord(1, name, 1.0, OPENS_MS) for name in names))


def kept(journal: Journal) -> list[str]:
    return [row.name for _, entry in journal.pending() for row in entry if isinstance(row, MetricRecord)]


def test_while_the_database_is_away_everything_is_in_the_journal_in_order(
    stage: Stage, journal: Journal, database: Database
) -> None:
    database.away = True
    stage.tell(addresses.DB_WRITER, rows("a", "b"), rows("c"))
    stage.run(0.1)
    stage.tell(addresses.DB_WRITER, rows("d"))
    stage.run(0.1)

    assert kept(journal) == ["a", "b", "c", "d"]
    assert database.rows == []


def test_when_it_is_back_the_rows_are_written_once_and_the_journal_lets_go_before_newer_ones(
    stage: Stage, journal: Journal, database: Database
) -> None:
    database.away = True
    stage.tell(addresses.DB_WRITER, rows("a"), rows("b"))
    stage.run(0.5)
    database.away = False
    stage.run(1)
    stage.tell(addresses.DB_WRITER, rows("newer"))
    stage.run(1)

    assert database.rows == ["a", "b", "newer"]
    assert kept(journal) == []
    assert database.held_at_commit[-1] == 0


def test_rows_that_somebody_waits_for_take_along_what_came_just_before(stage: Stage, database: Database) -> None:
    stage.tell(addresses.DB_WRITER, rows("reservation"))
    stage.run(0.002)
    hashed = msgspec.structs.replace(rows("hash"), ack_to=addresses.EXECUTOR, ack_key="order")
    stage.tell(addresses.DB_WRITER, hashed)
    stage.run(0.006)

    assert database.batches == [["reservation", "hash"]]


def test_rows_that_nobody_waits_for_are_written_all_the_same(stage: Stage, database: Database) -> None:
    for name in ("a", "b"):
        stage.tell(addresses.DB_WRITER, rows(name))
        stage.run(0.002)
    stage.run(0.010)

    assert database.batches == [["a", "b"]]


def test_nothing_goes_to_the_journal_while_the_database_records(stage: Stage, journal: Journal) -> None:
    stage.tell(addresses.DB_WRITER, rows("a"), rows("b"))
    stage.run(1)

    assert journal.last == 0


def test_a_writer_that_crashes_during_an_outage_leaves_no_entry_behind_once_all_is_written(
    stage: Stage, journal: Journal, database: Database
) -> None:
    database.away = True
    stage.tell(addresses.DB_WRITER, rows("a"), rows("b"))
    stage.run(0.5)
    stage.tell(addresses.DB_WRITER, KILL)
    stage.run(0.5)
    database.away = False
    stage.run(3)

    assert database.rows[-2:] == ["a", "b"]
    assert kept(journal) == []


def test_a_stop_while_the_database_is_away_leaves_the_rest_to_the_next_start(
    stage: Stage, journal: Journal, database: Database
) -> None:
    stage.tell(addresses.DB_WRITER, rows("written"))
    stage.run(0.5)
    database.away = True
    stage.tell(addresses.DB_WRITER, rows("a"), rows("b"))
    stage.system.stop()

    assert kept(journal) == ["a", "b"]
    assert any("2 rows" in text and "journal" in text for text in stage.said)


def test_a_refused_message_is_in_a_file_before_it_is_acknowledged_and_is_counted(
    stage: Stage, journal: Journal, database: Database
) -> None:
    database.refused = {"bad"}
    stage.tell(addresses.DB_WRITER, rows("first"), rows("a"), rows("bad", "with it"), rows("b"))
    stage.run(1)

    (path,) = refused_files(journal.folder)
    assert [row["MetricRecord"]["name"] for row in json.loads(path.read_text())["rows"]] == ["bad", "with it"]
    assert database.rows == ["first", "a", "b"]
    (text,) = stage.said
    assert text.startswith("database refused MetricRecord bad, MetricRecord with it: no")
    assert str(path) in text
    assert stage.told(addresses.NOTIFIER, Alert) == [Alert("not recorded", text)]
    assert stage.shown("recorder", RecorderStatus).refused == 1


def test_a_refused_message_waits_for_a_disk_that_takes_it(
    stage: Stage, journal: Journal, database: Database, disk: FullDisk
) -> None:
    database.refused = {"bad"}
    disk.is_full = True
    stage.tell(addresses.DB_WRITER, rows("bad"), rows("b"))
    stage.run(2)
    assert stage.told(addresses.WATCHDOG, RecorderPulse)[-1].queued == 2
    disk.is_full = False
    stage.run(2)

    assert len(refused_files(journal.folder)) == 1
    assert database.rows == ["b"]


def test_a_refused_message_that_the_journal_had_is_let_go_of_once_it_is_in_its_file(
    stage: Stage, journal: Journal, database: Database
) -> None:
    database.refused = {"bad"}
    database.away = True
    stage.tell(addresses.DB_WRITER, rows("a"), rows("bad"), rows("b"))
    stage.run(0.5)
    assert kept(journal) == ["a", "bad", "b"]
    database.away = False
    stage.run(2)

    assert kept(journal) == []
    assert len(refused_files(journal.folder)) == 1
    assert database.rows == ["a", "b"]


def test_what_the_journal_cannot_hold_stays_in_memory_and_the_rest_is_kept(
    stage: Stage, journal: Journal, database: Database
) -> None:
    database.away = True
    odd = Persist((MetricRecord(1, "odd", 1 << 80, OPENS_MS),))
    stage.tell(addresses.DB_WRITER, rows("a"), odd, rows("b"))
    stage.run(0.5)
    assert kept(journal) == ["a", "b"]
    database.away = False
    stage.run(1)

    assert database.rows == ["a", "odd", "b"]


def test_a_stop_sets_aside_what_neither_database_nor_journal_can_hold(
    stage: Stage, journal: Journal, database: Database
) -> None:
    database.away = True
    stage.tell(addresses.DB_WRITER, rows("a"), Persist((MetricRecord(1, "odd", 1 << 80, OPENS_MS),)))
    stage.system.stop()

    assert kept(journal) == ["a"]
    (path,) = refused_files(journal.folder)
    assert '"odd"' in path.read_text()


@pytest.mark.parametrize("offset_ms", range(0, 260, 20))
def test_an_outage_while_nothing_is_to_be_written_is_told_within_a_second(
    stage: Stage, database: Database, offset_ms: int
) -> None:
    stage.run(5 + offset_ms / 1000)
    assert stage.told(addresses.WATCHDOG, RecorderPulse)[-1] == RecorderPulse(0.0, 0, None)
    began_ms = stage.clock.now_ms()
    database.away = True
    stage.run(1.0)

    limit_s = WatchdogLimits(FeedLimits(1.0, 1.0)).recorder_lag_s
    heard = zip(
        stage.told_at(addresses.WATCHDOG, RecorderPulse), stage.told(addresses.WATCHDOG, RecorderPulse), strict=True
    )
    late = [at_ms - began_ms for at_ms, pulse in heard if pulse.lag_s > limit_s]
    assert late
    assert late[0] <= 1000
    database.away = False
    stage.run(1)
    assert stage.told(addresses.WATCHDOG, RecorderPulse)[-1] == RecorderPulse(0.0, 0, None)


def test_a_database_that_hangs_while_nothing_is_to_be_written_is_told_within_a_second(
    journal: Journal, database: Database
) -> None:
    stage = Stage(work_ms=60_000)  # nothing ever answers
    stage.listen(addresses.WATCHDOG, addresses.NOTIFIER)
    stage.play(addresses.DB_WRITER, lambda context: DbWriterActor(context, database.write, stage.said.append, journal))
    stage.run(1.0)

    assert stage.told(addresses.WATCHDOG, RecorderPulse)[-1].lag_s > WatchdogLimits(FeedLimits(1.0, 1.0)).recorder_lag_s
    assert stage.told(addresses.WATCHDOG, RecorderPulse)[-1].journal_error == "it does not answer"


def test_a_full_disk_is_told_within_a_second_while_the_database_records(
    stage: Stage, database: Database, disk: FullDisk
) -> None:
    stage.run(3.1)
    disk.is_full = True
    stage.run(0.8)
    error = stage.told(addresses.WATCHDOG, RecorderPulse)[-1].journal_error
    assert error is not None
    assert "No space left" in error
    assert len(stage.said) == 1
    stage.tell(addresses.DB_WRITER, rows("a"))
    stage.run(1)
    assert database.rows == ["a"]
    assert len(stage.said) == 1
    disk.is_full = False
    stage.run(1)

    assert stage.told(addresses.WATCHDOG, RecorderPulse)[-1].journal_error is None
    assert stage.said[1] == "the journal can be written again"


def test_entries_that_a_crashed_incarnation_was_still_appending_are_let_go_of_with_their_rows(
    stage: Stage, journal: Journal, database: Database
) -> None:
    database.away = True
    stage.tell(addresses.DB_WRITER, rows("a"))
    stage.run(0.006)  # refused, and its append is on the way
    stage.tell(addresses.DB_WRITER, KILL)
    stage.run(0.5)
    database.away = False
    stage.run(2)
    stage.tell(addresses.DB_WRITER, rows("newer"))
    stage.run(1)

    assert journal.last > 0
    assert kept(journal) == []
    assert database.rows[-1] == "newer"
