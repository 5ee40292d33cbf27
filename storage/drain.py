"""Brings what the journal kept into the database, before anything newer is written."""

from collections.abc import Callable

from storage.journal import Journal
from storage.pool import Connection
from storage.refused import REFUSED, REMEDY
from storage.writer import write


def drain(
    journal: Journal, connection: Connection, *, report: Callable[[str], None], lease_epoch: int | None = None
) -> int:
    """Write what an earlier process left, one transaction an entry, in order, and return how many entries there were.

    Repetitions are harmless. An entry that the database refuses is set aside in a file, told to `report`, and the rest
    goes on.

    Raises:
        TransientError: the database cannot take it now, or the disk cannot be written; the journal keeps it.
        FatalError: another process has the lease, or the journal is damaged.
    """
    count = 0
    for sequence, rows in journal.pending():
        try:
            write(connection, rows, lease_epoch=lease_epoch)
        except REFUSED as error:
            path = journal.set_aside(rows, str(error))
            names = ", ".join(type(row).__name__ for row in rows)
            report(f"database refused entry {sequence} of the journal ({names}): {error}; kept as {path}: {REMEDY}")
        journal.confirm(sequence)
        count += 1
    return count
