"""One process in a state folder at a time; a journal that others have overtaken is never written over their rows."""

from pathlib import Path

from cli.database import open_journal
from cli.state_folder import StateFolder
from core.records import HealthEventRecord
from storage.journal import Journal

DATABASE = "5b2f0c1e-3f1d-4f0e-9a53-6d5c1b0c7a11"
ROW = HealthEventRecord(1, "feed.binance.BTC", "stale", "no frame for 5 s", 1_776_727_800_123)


def leave_an_entry(state_dir: Path, epoch: int) -> None:
    folder = StateFolder(state_dir)
    assert folder.take()
    journal = open_journal(state_dir, folder, DATABASE, epoch)
    journal.append([ROW])
    journal.close()
    folder.leave()


def test_a_folder_is_one_processes_until_it_leaves(tmp_path: Path) -> None:
    first, second = StateFolder(tmp_path / "new"), StateFolder(tmp_path / "new")
    assert first.take()
    assert first.take()
    assert not second.take()
    first.leave()
    assert second.take()
    second.leave()


def test_the_next_holder_in_the_same_folder_finds_the_journal(tmp_path: Path) -> None:
    leave_an_entry(tmp_path, 4)
    journal = open_journal(tmp_path, StateFolder(tmp_path), DATABASE, 5)

    assert [rows for _, rows in journal.pending()] == [(ROW,)]
    journal.close()


def test_entries_older_than_what_others_wrote_since_are_set_aside(tmp_path: Path) -> None:
    leave_an_entry(tmp_path, 4)
    journal = open_journal(tmp_path, StateFolder(tmp_path), DATABASE, 6)
    assert list(journal.pending()) == []
    journal.close()

    aside = Journal(tmp_path / "journal.epoch-4", DATABASE, report=lambda _: None)
    assert [rows for _, rows in aside.pending()] == [(ROW,)]
    aside.close()
    again = open_journal(tmp_path, StateFolder(tmp_path), DATABASE, 7)
    assert list(again.pending()) == []
    again.close()


def test_an_empty_journal_stays_where_it_is_and_another_database_has_its_own_epochs(tmp_path: Path) -> None:
    open_journal(tmp_path, StateFolder(tmp_path), DATABASE, 4).close()
    open_journal(tmp_path, StateFolder(tmp_path), DATABASE, 9).close()
    open_journal(tmp_path, StateFolder(tmp_path), "another", 2).close()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal", "lease.json"]
