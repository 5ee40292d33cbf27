"""A journal in a folder of its own, and what it reports."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.journal import Journal
from storage.state_file import Disk

OpenJournal = Callable[..., Journal]


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal"


@pytest.fixture
def open_journal(folder: Path, reports: list[str]) -> Iterator[OpenJournal]:
    """Open the journal in `folder`; an earlier one of the test is closed first, as its process would have ended."""
    opened: list[Journal] = []

    def opening(database_id: str = "db-1", *, segment_bytes: int = 1 << 20, disk: Disk | None = None) -> Journal:
        for journal in opened:
            journal.close()
        disk = disk or Disk()
        journal = Journal(
            folder, database_id, report=reports.append, segment_bytes=segment_bytes, now_ms=lambda: 1_000, disk=disk
        )
        opened.append(journal)
        return journal

    yield opening
    for journal in opened:
        journal.close()
