"""What the database does not take goes to the journal, which lets go of it before anything newer is written."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from actors import addresses
from actors.db_writer import DbWriterActor
from core.errors import TransientError
from core.messages import Persist
from core.records import MetricRecord, Record
from storage.journal import Journal
from tests.actors_data.builders import KILL, OPENS_MS, Stage

AWAY = TransientError("connection refused")


class Database:
    """Takes rows, or refuses them while it is away; notes what the journal still held at each commit."""

    def __init__(self, journal: Journal) -> None:
        self.rows: list[str] = []
        self.held_at_commit: list[int] = []
        self.away = False
        self._journal = journal

    def write(self, rows: Sequence[Record]) -> None:
        if self.away:
            raise AWAY
        self.held_at_commit.append(len(list(self._journal.pending())))
        self.rows += [row.name for row in rows if isinstance(row, MetricRecord)]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal", "db", report=pytest.fail)
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
