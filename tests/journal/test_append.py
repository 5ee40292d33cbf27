"""What is appended comes back, in order, until it is confirmed."""

from pathlib import Path

import msgspec
import pytest

from core.errors import FatalError, RejectedError
from core.records import FillRecord, OrderRecord
from storage import journal_format
from tests.journal.conftest import OpenJournal
from tests.journal.disks import RefusingDisk
from tests.journal.rows import ONE_OF_EACH, fill, held, metric


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.journal"))


def test_records_of_every_kind_come_back_as_they_were(open_journal: OpenJournal) -> None:
    assert open_journal().append(ONE_OF_EACH) == 1

    assert held(open_journal()) == {1: ONE_OF_EACH}


def test_entries_come_back_in_order_and_numbers_grow_across_restarts(open_journal: OpenJournal) -> None:
    journal = open_journal()
    assert [journal.append([metric(1)]), journal.append([metric(2), metric(3)])] == [1, 2]

    journal = open_journal()

    assert journal.append([metric(4)]) == 3
    assert list(journal.pending()) == [(1, (metric(1),)), (2, (metric(2), metric(3))), (3, (metric(4),))]


def test_what_is_confirmed_is_gone_also_after_a_restart(open_journal: OpenJournal) -> None:
    journal = open_journal()
    for number in range(1, 6):
        journal.append([metric(number)])
    journal.confirm(3)

    assert list(held(journal)) == [4, 5]
    assert list(held(open_journal())) == [4, 5]


def test_numbers_are_not_given_out_twice_when_everything_was_confirmed(open_journal: OpenJournal, folder: Path) -> None:
    journal = open_journal()
    journal.append([metric(1)])
    journal.confirm(journal.append([metric(2)]))
    journal.close()
    for path in segments(folder):
        path.unlink()

    assert open_journal().append([metric(3)]) == 3


def test_an_older_confirmation_takes_nothing_back(open_journal: OpenJournal) -> None:
    journal = open_journal()
    for number in range(1, 4):
        journal.append([metric(number)])
    journal.confirm(3)
    journal.confirm(1)

    assert journal.confirmed == 3
    assert held(open_journal()) == {}


def test_what_was_never_appended_cannot_be_confirmed(open_journal: OpenJournal) -> None:
    journal = open_journal()
    journal.append([metric(1)])

    with pytest.raises(ValueError, match="entry 2 cannot be confirmed, the newest is 1"):
        journal.confirm(2)
    assert list(held(open_journal())) == [1]


def test_files_rotate_and_confirmed_ones_are_removed(open_journal: OpenJournal, folder: Path) -> None:
    journal = open_journal(segment_bytes=400)
    for number in range(1, 31):
        journal.append([metric(number)])
    many = len(segments(folder))
    assert many > 3
    assert all(path.stat().st_size <= 400 for path in segments(folder))

    journal.confirm(29)

    assert len(segments(folder)) == 1 < many
    assert journal.size_bytes == sum(path.stat().st_size for path in segments(folder))
    assert held(open_journal(segment_bytes=400)) == {30: (metric(30),)}


def test_an_entry_larger_than_a_file_has_one_to_itself(open_journal: OpenJournal, folder: Path) -> None:
    journal = open_journal(segment_bytes=100)
    journal.append(ONE_OF_EACH)
    journal.append([metric(1)])

    assert len(segments(folder)) == 2
    assert list(held(open_journal(segment_bytes=100))) == [1, 2]


def test_a_group_takes_one_fsync_and_each_batch_a_number(open_journal: OpenJournal) -> None:
    disk = RefusingDisk()
    journal = open_journal(disk=disk)
    journal.append([metric(0)])
    disk.calls.clear()

    assert list(journal.append_group([[metric(number)] for number in range(1, 11)])) == list(range(2, 12))

    assert disk.calls.count("fsync") == 1
    assert held(journal)[11] == (metric(10),)


def test_an_empty_group_changes_nothing(open_journal: OpenJournal) -> None:
    assert list(open_journal().append_group([])) == []
    assert open_journal().append([metric(1)]) == 1


def test_draining_confirms_as_it_goes_and_leaves_what_comes_meanwhile(open_journal: OpenJournal) -> None:
    journal = open_journal(segment_bytes=300)
    for number in range(1, 21):
        journal.append([metric(number)])

    drained = []
    for sequence, rows in journal.pending():
        drained.append(rows[0])
        journal.append([fill(sequence)])
        journal.confirm(sequence)

    assert drained == [metric(number) for number in range(1, 21)]
    assert held(open_journal()) == {20 + number: (fill(number),) for number in range(1, 21)}


def test_a_row_that_could_not_be_read_back_is_refused_at_once(open_journal: OpenJournal) -> None:
    journal = open_journal()
    bad = msgspec.structs.replace(fill(), price=0.51)

    with pytest.raises(RejectedError, match="FillRecord"):
        journal.append([metric(1), bad])

    assert journal.append([metric(2)]) == 1
    assert held(open_journal()) == {1: (metric(2),)}


def test_an_entry_of_a_kind_that_this_version_lacks_stops_the_start(
    open_journal: OpenJournal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_journal().append([fill()])
    monkeypatch.delitem(journal_format.DECODERS, FillRecord.__name__)

    with pytest.raises(FatalError, match="entry 1 is sound, but this version cannot read it"):
        open_journal()
    assert len(segments(folder)) == 1


def test_a_closed_journal_takes_nothing(open_journal: OpenJournal) -> None:
    journal = open_journal()
    journal.append([metric(1)])
    journal.close()
    journal.close()

    for use in (lambda: journal.append([metric(2)]), lambda: journal.confirm(1), journal.pending):
        with pytest.raises(FatalError, match="closed"):
            use()


def test_money_stays_exact(open_journal: OpenJournal) -> None:
    largest = msgspec.structs.replace(fill(), price=2**63 - 1, shares=-(2**63))
    order = OrderRecord("o", "i", "v", None, "FAK", "SELL", "9" * 78, 1, 2, "LIVE", 2**53 + 1, None, "é\n\0")
    open_journal().append([largest, order])

    assert held(open_journal()) == {1: (largest, order)}
