"""What the database refuses for good lies in a file that a person can read, before anybody lets go of it."""

import errno
import json

import pytest

from core.errors import TransientError
from core.records import CheckpointRecord, MetricRecord
from tests.journal.conftest import OpenJournal
from tests.journal.disks import RefusingDisk
from tests.journal.rows import ONE_OF_EACH, fill, held


def test_refused_rows_are_readable_with_the_reason_and_what_to_do(open_journal: OpenJournal) -> None:
    journal = open_journal()
    path = journal.set_aside((fill(), CheckpointRecord("actor", "1/portfolio", 3, 1, b"\x00\xff", 5)), "no such order")
    content = json.loads(path.read_text())

    assert content["reason"] == "no such order"
    assert "by hand" in content["remedy"]
    assert content["rows"][0]["FillRecord"]["shares"] == 12_000_000
    assert content["rows"][1]["CheckpointRecord"]["payload"] == "00ff"
    assert path.name.startswith("refused-1970")


def test_the_file_is_durable_before_the_call_returns(open_journal: OpenJournal) -> None:
    disk = RefusingDisk()
    journal = open_journal(disk=disk)
    disk.calls.clear()
    journal.set_aside(ONE_OF_EACH, "no")

    assert [call for call in disk.calls if call != "write"] == ["open", "fsync", "replace", "sync_folder"]


def test_the_same_rows_refused_again_make_no_second_file_and_others_do(open_journal: OpenJournal) -> None:
    journal = open_journal()
    assert journal.refused == 0
    assert journal.set_aside((fill(),), "no") == journal.set_aside((fill(),), "no, later")
    journal.set_aside((fill(2),), "no")

    assert journal.refused == 2
    assert open_journal().refused == 2


@pytest.mark.parametrize("value", [float("nan"), "\udc80", 1 << 80, b"x"])
def test_values_that_no_database_takes_are_still_kept(open_journal: OpenJournal, value: object) -> None:
    journal = open_journal()
    path = journal.set_aside((MetricRecord(1, "odd", value, 1),), "no")  # type: ignore[arg-type]

    assert json.loads(path.read_text())["rows"][0]["MetricRecord"]["name"] == "odd"


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_disk_that_refuses_leaves_nothing_behind_and_says_so(open_journal: OpenJournal, call: str) -> None:
    disk = RefusingDisk()
    journal = open_journal(disk=disk)
    disk.refused[call] = errno.ENOSPC
    with pytest.raises(TransientError, match="No space left"):
        journal.set_aside((fill(),), "no")

    assert journal.refused == 0
    assert [path for path in journal.folder.iterdir() if "refused" in path.name] == []


def test_a_probe_says_whether_entries_would_be_taken_and_changes_nothing(open_journal: OpenJournal) -> None:
    disk = RefusingDisk()
    journal = open_journal(disk=disk)
    journal.append((fill(),))
    journal.probe()
    disk.room_bytes = 1_000
    with pytest.raises(TransientError, match="No space left"):
        journal.probe()
    disk.room_bytes = None
    journal.probe()

    assert held(journal) == {1: (fill(),)}
    assert not (journal.folder / ".probe").exists()
