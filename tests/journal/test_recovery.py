"""Opening a journal after damage, a torn end, or with another database."""

import errno
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import FatalError, TransientError
from storage import journal_format
from storage.journal import Journal
from tests.journal.conftest import OpenJournal
from tests.journal.disks import FragileDisk, RefusingDisk
from tests.journal.rows import Rows, held, metric

ENTRIES = 12
SEGMENT_BYTES = 400


def opened(folder: Path, reports: list[str]) -> Journal:
    return Journal(
        folder,
        "db-1",
        report=reports.append,
        segment_bytes=SEGMENT_BYTES,
        now_ms=lambda: 1,
        disk=RefusingDisk(),  # refuses nothing, and spares hundreds of examples the wait for a real disk
    )


def filled(folder: Path) -> dict[int, Rows]:
    """Leave a closed journal of several files in `folder` and return what it holds."""
    journal = opened(folder, [])
    for number in range(1, ENTRIES + 1):
        journal.append([metric(number)])
    entries = held(journal)
    journal.close()
    return entries


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.journal"))


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_changed_byte_costs_at_most_its_own_entry_and_is_told(data: st.DataObject) -> None:
    folder = Path(tempfile.mkdtemp(prefix="fusebox-journal-"))
    try:
        entries = filled(folder)
        file = data.draw(st.sampled_from(files(folder)))
        content = bytearray(file.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
        file.write_bytes(content)

        reports: list[str] = []
        journal = opened(folder, reports)
        left = held(journal)
        journal.close()  # before anything is drained: a second start must find the same
        again: list[str] = []
        journal = opened(folder, again)

        assert left.items() <= entries.items()
        assert len(entries) - len(left) <= 1
        assert any(str(file) in text for text in reports)
        assert held(journal) == left
        assert not any("damaged" in text for text in again)
        assert journal.append([metric(0)]) > max(left)
        journal.close()
        newest = file == files(folder)[-1]
        kept = [path.read_bytes() for path in folder.glob("*.damaged-*")]
        assert kept == [bytes(content)] or (newest and not kept)
    finally:
        shutil.rmtree(folder)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_an_end_cut_at_any_byte_loses_only_what_was_cut(data: st.DataObject) -> None:
    folder = Path(tempfile.mkdtemp(prefix="fusebox-journal-"))
    try:
        entries = filled(folder)
        file = files(folder)[-1]
        size = data.draw(st.integers(0, file.stat().st_size))
        content = file.read_bytes()[:size] + bytes(data.draw(st.integers(0, 50)))
        file.write_bytes(content)

        reports: list[str] = []
        journal = opened(folder, reports)
        left = held(journal)

        assert list(left) == list(entries)[: len(left)]
        assert len(left) >= int(file.stem) - 1
        assert journal.append([metric(99)]) == len(left) + 1
        assert len(held(journal)) == len(left) + 1
        journal.close()
    finally:
        shutil.rmtree(folder)


def test_an_unfinished_end_is_cut_and_told(open_journal: OpenJournal, folder: Path, reports: list[str]) -> None:
    journal = open_journal()
    journal.append([metric(1)])
    whole = files(folder)[0].stat().st_size
    journal.append([metric(2)])
    with files(folder)[0].open("r+b") as file:
        file.truncate(whole + 7)

    journal = open_journal()

    assert reports == [f"{files(folder)[0]}: cut 7 bytes off the end, an append that was not finished"]
    assert files(folder)[0].stat().st_size == whole
    assert journal.append([metric(3)]) == 2
    assert held(open_journal()) == {1: (metric(1),), 2: (metric(3),)}
    assert len(reports) == 1


def test_a_file_that_was_only_begun_does_not_make_an_unfinished_end_damage(
    open_journal: OpenJournal, folder: Path, reports: list[str]
) -> None:
    journal = open_journal()
    journal.append([metric(1)])
    journal.append([metric(2)])
    begun = folder / "0000000000000003.journal"
    begun.write_bytes(b"FBX")
    with files(folder)[0].open("ab") as file:
        file.write(b"FBXE")

    assert list(held(open_journal())) == [1, 2]
    assert "cut 4 bytes" in reports[0]
    assert reports[1:] == [f"{begun}: removed, 3 bytes without a whole header"]


def test_what_a_start_has_seen_confirmed_stays_so_after_a_power_cut(open_journal: OpenJournal) -> None:
    disk = FragileDisk(lambda _choices: 0)
    journal = open_journal(disk=disk)
    journal.append([metric(1)])
    journal.append([metric(2)])
    disk.refused = {"sync_folder": errno.EIO}
    with pytest.raises(TransientError):
        journal.confirm(1)
    disk.refused = {}
    assert open_journal(disk=disk).confirmed == 1

    disk.lose_power()

    assert open_journal(disk=disk).confirmed == 1


def test_what_is_missing_is_named(open_journal: OpenJournal, folder: Path, reports: list[str]) -> None:
    journal = open_journal(segment_bytes=SEGMENT_BYTES)
    for number in range(1, ENTRIES + 1):
        journal.append([metric(number)])
    journal.confirm(1)
    gone = files(folder)[1]
    gone.unlink()

    left = held(open_journal(segment_bytes=SEGMENT_BYTES))

    first, after = int(gone.stem), int(files(folder)[1].stem)
    assert reports == [f"{folder}: entries {first} to {after - 1} are missing"]
    assert list(left) == [*range(2, first), *range(after, ENTRIES + 1)]


def test_a_lost_beginning_is_missed_too(open_journal: OpenJournal, folder: Path, reports: list[str]) -> None:
    journal = open_journal(segment_bytes=SEGMENT_BYTES)
    for number in range(1, ENTRIES + 1):
        journal.append([metric(number)])
    journal.confirm(1)
    files(folder)[0].unlink()

    open_journal(segment_bytes=SEGMENT_BYTES)

    assert reports == [f"{folder}: entries 2 to {int(files(folder)[0].stem) - 1} are missing"]


def test_a_file_of_nothing_but_garbage_is_kept_aside(
    open_journal: OpenJournal, folder: Path, reports: list[str]
) -> None:
    journal = open_journal(segment_bytes=SEGMENT_BYTES)
    for number in range(1, ENTRIES + 1):
        journal.append([metric(number)])
    first, second = files(folder)[:2]
    first.write_bytes(b"\xff" * 300)

    left = held(open_journal(segment_bytes=SEGMENT_BYTES))

    assert min(left) == int(second.stem)
    assert f"kept as {first.name}.damaged-1; none of its entries can be read" in reports[0]
    assert (folder / f"{first.name}.damaged-1").read_bytes() == b"\xff" * 300
    assert not first.exists()


def test_damage_inside_the_newest_file_is_not_taken_for_an_unfinished_end(
    open_journal: OpenJournal, folder: Path, reports: list[str]
) -> None:
    journal = open_journal()
    ends = []
    for number in range(1, 6):
        journal.append([metric(number)])
        ends.append(files(folder)[0].stat().st_size)
    content = bytearray(files(folder)[0].read_bytes())
    content[ends[1] + 40] ^= 1
    files(folder)[0].write_bytes(content)

    journal = open_journal()

    assert list(held(journal)) == [1, 2, 4, 5]
    assert "4 sound entries stay" in reports[0]
    assert reports[1].endswith("entries 3 to 3 are missing")
    assert journal.append([metric(6)]) == 6


def test_a_group_that_the_disk_wrote_out_of_order_is_an_unfinished_end(
    open_journal: OpenJournal, folder: Path, reports: list[str]
) -> None:
    journal = open_journal()
    journal.append([metric(1)])
    whole = files(folder)[0].stat().st_size
    journal.append_group([[metric(2)], [metric(3)], [metric(4)]])
    content = bytearray(files(folder)[0].read_bytes())
    content[whole : whole + 40] = bytes(40)
    files(folder)[0].write_bytes(content)

    assert list(held(open_journal())) == [1]
    assert len(reports) == 1
    assert "append that was not finished" in reports[0]


def test_entries_of_another_database_are_set_aside(open_journal: OpenJournal, folder: Path, reports: list[str]) -> None:
    journal = open_journal("db-1")
    for number in range(1, 4):
        journal.append([metric(number)])
    journal.confirm(1)

    journal = open_journal("db-2")

    assert held(journal) == {}
    assert journal.confirmed == 0
    told = (
        f"{folder}/0000000000000001.journal: set aside as 0000000000000001.journal.other-database-1, its entries "
        "(2 not confirmed) belong to database db-1 and this one is db-2"
    )
    assert reports == [told]
    assert journal.append([metric(9)]) == 4
    assert held(open_journal("db-2")) == {4: (metric(9),)}


def test_what_another_database_confirmed_does_not_count_here(open_journal: OpenJournal, folder: Path) -> None:
    open_journal("db-1").append([metric(1)])
    journal = open_journal("db-2")
    journal.confirm(journal.append([metric(2)]))
    journal.close()
    (folder / "0000000000000001.journal.other-database-1").rename(folder / "0000000000000001.journal")

    assert held(open_journal("db-1")) == {1: (metric(1),)}


def test_what_another_database_has_whole_is_removed_without_alarm(
    open_journal: OpenJournal, folder: Path, reports: list[str]
) -> None:
    journal = open_journal("db-1")
    journal.confirm(journal.append([metric(1)]))

    journal = open_journal("db-2")

    assert reports == []
    assert files(folder) == []
    assert journal.append([metric(2)]) == 2


def test_an_entry_of_another_database_inside_a_file_is_never_taken(
    open_journal: OpenJournal, folder: Path, reports: list[str]
) -> None:
    journal = open_journal("db-1")
    journal.append([metric(1)])
    payload = journal_format.encode_rows([metric(2)])
    with files(folder)[0].open("ab") as file:
        file.write(journal_format.entry_frame(2, 1, payload, journal_format.seed_of("db-2")))

    assert list(held(open_journal("db-1"))) == [1]
    assert len(reports) == 1


def test_a_damaged_confirmation_is_told_and_confirms_late_rather_than_early(
    open_journal: OpenJournal, folder: Path, reports: list[str]
) -> None:
    journal = open_journal()
    for number in range(1, 5):
        journal.append([metric(number)])
    journal.confirm(2)
    journal.confirm(3)
    newest = max(folder.glob("confirmed.*"))
    newest.write_bytes(newest.read_bytes()[:-1] + b"\x7f")

    journal = open_journal()

    assert journal.confirmed == 2
    assert list(held(journal)) == [3, 4]
    assert "checksum" in reports[0]


def test_a_journal_of_a_newer_version_stops_the_start(
    open_journal: OpenJournal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(journal_format, "FORMAT_VERSION", 2)
        open_journal().append([metric(1)])
        open_journal().close()

    with pytest.raises(FatalError, match="format 2, this program knows 1: run the version that wrote it"):
        open_journal()
    assert len(files(folder)) == 1


def test_damage_after_opening_is_not_read_past(open_journal: OpenJournal, folder: Path) -> None:
    journal = open_journal()
    for number in range(1, 4):
        journal.append([metric(number)])
    content = bytearray(files(folder)[0].read_bytes())
    content[-150] ^= 1
    files(folder)[0].write_bytes(content)

    with pytest.raises(FatalError, match="damaged since it was opened"):
        list(journal.pending())
