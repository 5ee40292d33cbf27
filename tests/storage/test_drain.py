"""What the journal kept goes into the database in order; what that refuses lies in a file before it is let go of."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import TransientError
from core.records import FillRecord, MetricRecord, PositionRecord, Record
from storage.drain import drain
from storage.journal import Journal
from storage.lease import Lease, LeaseLostError
from storage.pool import Connection
from storage.queries import Session, open_positions
from storage.refused import refused_files
from storage.state_file import Disk

ORPHAN = FillRecord("f9", "no such order", "paper", "t9", "0xh", 1, 1, 0, "TAKER", "MATCHED", 5)


class NoRoom(Disk):
    """Lets nothing new into the folder once it is full."""

    def __init__(self) -> None:
        self.is_full = False

    def open(self, path: Path, flags: int) -> int:
        if self.is_full and "refused" in path.name:
            raise OSError(28, "No space left on device")
        return super().open(path, flags)


@pytest.fixture
def disk() -> NoRoom:
    return NoRoom()


@pytest.fixture
def journal(tmp_path: Path, disk: NoRoom) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal", "db", report=pytest.fail, disk=disk)
    yield journal
    journal.close()


def test_entries_are_written_in_order_and_let_go_of(journal: Journal, connection: Connection, session: Session) -> None:
    for shares in (1, 2, 3):
        journal.append([PositionRecord(session.id, "BTC", "0xc", "UP", shares, shares, 5, 5)])

    assert drain(journal, connection, report=pytest.fail) == 3
    assert [position.shares for position in open_positions(connection, session.id)] == [3]
    assert list(journal.pending()) == []


def test_a_refused_entry_is_in_a_file_and_named_and_the_rest_goes_on(
    journal: Journal, connection: Connection, session: Session
) -> None:
    said: list[str] = []
    metrics: list[Record] = [MetricRecord(session.id, name, 1.0, 1) for name in ("before", "after")]
    for rows in ([metrics[0]], [ORPHAN], [metrics[1]]):
        journal.append(rows)
    drain(journal, connection, report=said.append)

    assert connection.execute("SELECT count(*) FROM metrics").fetchone() == (2,)
    (path,) = refused_files(journal.folder)
    content = json.loads(path.read_text())
    assert content["rows"][0]["FillRecord"]["id"] == "f9"
    assert "foreign key" in content["reason"]
    (line,) = said
    assert "entry 2" in line
    assert "FillRecord" in line
    assert str(path) in line
    assert "by hand" in line
    assert list(journal.pending()) == []


def test_a_refused_entry_that_cannot_be_set_aside_stays_in_the_journal(
    journal: Journal, connection: Connection, disk: NoRoom
) -> None:
    journal.append([ORPHAN])
    disk.is_full = True
    with pytest.raises(TransientError, match="set refused rows aside"):
        drain(journal, connection, report=pytest.fail)

    assert [rows for _, rows in journal.pending()] == [(ORPHAN,)]


def test_who_has_lost_the_lease_drains_nothing(
    journal: Journal, connection: Connection, database: str, session: Session
) -> None:
    lease = Lease.acquire(database)
    journal.append([MetricRecord(session.id, "late", 1.0, 1)])
    with pytest.raises(LeaseLostError):
        drain(journal, connection, report=pytest.fail, lease_epoch=lease.epoch - 1)
    lease.release()

    assert connection.execute("SELECT count(*) FROM metrics").fetchone() == (0,)
    assert len(list(journal.pending())) == 1
