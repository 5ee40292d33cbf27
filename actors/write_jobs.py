"""What the DbWriterActor's workers do: one transaction, or one append to the journal."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from actors.write_queue import Queued
from core.records import Record
from storage.refused import REFUSED

NOT_KEPT = 0
"""In place of a sequence: the journal cannot hold these rows."""

Write = Callable[[Sequence[Record]], None]
"""Writes rows in one transaction. Raises TransientError to be called again, RejectedError when it never will work."""


class Journal(Protocol):
    """Takes on the local disk what the database has not confirmed; durable when `append_group` returns."""

    @property
    def last(self) -> int:
        """Sequence number of the newest entry."""
        ...

    @property
    def refused(self) -> int:
        """How many batches of rows were set aside and wait for a person."""
        ...

    def append_group(self, batches: Sequence[Sequence[Record]]) -> range:
        """Append one entry for each batch and return their sequence numbers. Raises TransientError."""
        ...

    def confirm(self, sequence: int) -> None:
        """Let go of everything up to `sequence`: the database has it. Raises TransientError."""
        ...

    def set_aside(self, rows: Sequence[Record], reason: str) -> Path:
        """Keep refused rows in a readable file and return its path. Raises TransientError."""
        ...

    def probe(self) -> None:
        """Find out whether the disk would take entries now. Raises TransientError."""
        ...


class Aside(NamedTuple):
    """Rows that the database refused: why, and the file that has them now (None without a journal)."""

    reason: str
    path: Path | None


def write_job(
    write: Write, journal: Journal | None, batch: Sequence[Queued], confirm_before: int, confirm_after: int
) -> Callable[[], Aside | None]:
    """Return what writes a batch and then lets go of its journal entries.

    In one job, so that nothing newer is written before the journal has let go: what the journal still holds is
    written again at the next start, and must not undo anything newer. A message that is refused alone is set aside
    before the journal lets go of it.
    """
    rows = [row for queued in batch for row in queued.persist.rows]

    def job() -> Aside | None:
        aside = None
        if journal is not None and confirm_before:
            journal.confirm(confirm_before)
        try:
            write(rows)
        except REFUSED as error:
            if len(batch) > 1:
                raise
            aside = Aside(str(error), None if journal is None else journal.set_aside(rows, str(error)))
        if journal is not None and confirm_after:
            journal.confirm(confirm_after)
        return aside

    return job


def journal_job(journal: Journal, batches: Sequence[Sequence[Record]]) -> Callable[[], list[int]]:
    """Return what appends an entry for each batch and returns their sequences, NOT_KEPT for one it cannot hold."""

    def job() -> list[int]:
        try:
            return list(journal.append_group(batches))
        except REFUSED:
            return [_append(journal, rows) for rows in batches]

    return job


def keep(journal: Journal, batches: Sequence[Sequence[Record]]) -> None:
    """Append an entry for each batch, or set the rows aside that the journal cannot hold. Raises TransientError."""
    for rows, sequence in zip(batches, journal_job(journal, batches)(), strict=True):
        if sequence == NOT_KEPT:
            journal.set_aside(rows, "the process stopped while the database was away, and the journal cannot hold them")


def _append(journal: Journal, rows: Sequence[Record]) -> int:
    try:
        return journal.append_group([rows])[0]
    except REFUSED:
        return NOT_KEPT  # they stay in memory until the database takes or refuses them
