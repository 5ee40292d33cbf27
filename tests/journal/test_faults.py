"""A disk that is full, read-only or broken: refused with the file named, and the next append works."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import TransientError
from storage.journal import Journal
from tests.journal.conftest import OpenJournal
from tests.journal.disks import RefusingDisk
from tests.journal.rows import ONE_OF_EACH, held, metric


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.journal")
    return path


def append_for_ever(journal: Journal) -> None:
    while True:
        journal.append([metric(number) for number in range(20)])


@pytest.mark.parametrize("room_bytes", [0, 1, 31, 32, 80])
def test_a_disk_that_fills_up_inside_an_entry_leaves_whole_ones(
    open_journal: OpenJournal, folder: Path, reports: list[str], room_bytes: int
) -> None:
    disk = RefusingDisk()
    journal = open_journal(disk=disk)
    journal.append([metric(1)])
    size = only_file(folder).stat().st_size
    disk.room_bytes = room_bytes

    with pytest.raises(TransientError, match=rf"{only_file(folder)}: cannot append: No space left on device"):
        journal.append([metric(2)])

    assert only_file(folder).stat().st_size == size == journal.size_bytes
    disk.room_bytes = None
    assert journal.append([metric(3)]) == 2
    assert held(open_journal()) == {1: (metric(1),), 2: (metric(3),)}
    assert reports == []


@pytest.mark.parametrize("call", ["fsync", "write"])
@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_refuses_is_not_taken_at_its_word(open_journal: OpenJournal, call: str, number: int) -> None:
    disk = RefusingDisk()
    journal = open_journal(disk=disk)
    journal.append([metric(1)])
    disk.refused = {call: number}

    with pytest.raises(TransientError, match=os.strerror(number)):
        journal.append([metric(2)])

    disk.refused = {}
    assert journal.append([metric(3)]) == 2
    assert held(open_journal()) == {1: (metric(1),), 2: (metric(3),)}


def test_while_the_rest_of_a_failed_append_cannot_be_cut_nothing_is_appended(
    open_journal: OpenJournal, folder: Path
) -> None:
    disk = RefusingDisk()
    journal = open_journal(disk=disk)
    journal.append([metric(1)])
    size = only_file(folder).stat().st_size
    disk.refused = {"fsync": errno.EIO, "truncate": errno.EIO}
    with pytest.raises(TransientError):
        journal.append([metric(2)])
    disk.refused = {"truncate": errno.EIO}

    with pytest.raises(TransientError):
        journal.append([metric(3)])

    disk.refused = {}
    assert journal.append([metric(4)]) == 2
    assert held(open_journal()) == {1: (metric(1),), 2: (metric(4),)}
    assert only_file(folder).stat().st_size > size


def test_a_system_that_takes_a_byte_at_a_time_is_given_them_all(open_journal: OpenJournal) -> None:
    disk = RefusingDisk()
    disk.longest_write_bytes = 1
    open_journal(disk=disk).append(ONE_OF_EACH)

    assert held(open_journal()) == {1: ONE_OF_EACH}


@pytest.mark.parametrize("call", ["open", "write", "fsync", "sync_folder"])
def test_a_file_that_could_not_be_begun_is_begun_the_next_time(
    open_journal: OpenJournal, reports: list[str], call: str
) -> None:
    disk = RefusingDisk()
    journal = open_journal(disk=disk)
    disk.refused = {call: errno.ENOSPC}
    with pytest.raises(TransientError, match="cannot begin a file"):
        journal.append([metric(1)])
    disk.refused = {}

    assert journal.append([metric(2)]) == 1
    assert held(open_journal()) == {1: (metric(2),)}
    assert reports == []


def test_a_confirm_that_the_disk_refuses_confirms_nothing(open_journal: OpenJournal) -> None:
    disk = RefusingDisk()
    journal = open_journal(disk=disk)
    journal.append([metric(1)])
    disk.refused = {"write": errno.ENOSPC}

    with pytest.raises(TransientError, match="confirmed: cannot write: No space left"):
        journal.confirm(1)

    assert list(held(journal)) == [1]
    disk.refused = {}
    journal.confirm(1)
    assert held(open_journal()) == {}


def test_a_file_removed_by_somebody_else_is_not_written_into(open_journal: OpenJournal, folder: Path) -> None:
    journal = open_journal()
    journal.append([metric(1)])
    only_file(folder).unlink()

    with pytest.raises(TransientError, match="was removed while in use"):
        journal.append([metric(2)])

    assert journal.append([metric(3)]) == 2
    assert held(open_journal()) == {2: (metric(3),)}


def test_every_append_is_synced_before_it_is_acknowledged(open_journal: OpenJournal) -> None:
    disk = RefusingDisk()
    journal = open_journal(disk=disk)
    journal.append([metric(1)])
    begun = disk.calls.copy()
    disk.calls.clear()
    journal.append([metric(2)])

    assert begun.index("sync_folder", begun.index("open")) < len(begun) - 1 - begun[::-1].index("write")
    assert disk.calls == ["write", "fsync"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    point = tmp_path / "small"
    point.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(point)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    yield point
    subprocess.run(["umount", str(point)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path, reports: list[str]) -> None:
    (small_disk / "others").write_bytes(bytes(64 * 1024))
    journal = Journal(small_disk / "journal", "db-1", report=reports.append, segment_bytes=50_000)
    with pytest.raises(TransientError, match="No space left on device"):
        append_for_ever(journal)
    acknowledged = journal.last
    assert acknowledged > 10
    with pytest.raises(TransientError, match="No space left on device"):
        journal.append(ONE_OF_EACH * 20)
    assert len(held(journal)) == acknowledged

    (small_disk / "others").unlink()

    assert journal.append([metric(1)]) == acknowledged + 1
    journal.close()
    journal = Journal(small_disk / "journal", "db-1", report=reports.append, segment_bytes=50_000)
    assert len(held(journal)) == acknowledged + 1
    journal.confirm(acknowledged)
    journal.close()
    assert reports == []
