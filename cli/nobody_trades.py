"""Keeps traders out while a command changes what a process would start from."""

import contextlib
from collections.abc import Iterator

from core.errors import RejectedError
from storage.lease import ADVISORY_LOCK, holder_text
from storage.pool import Connection, database_errors


class TradedError(RejectedError):
    """Raised when a process trades with the database."""


@contextlib.contextmanager
def nobody_trades(connection: Connection) -> Iterator[None]:
    """Hold the lease's lock, without becoming its holder, so that no process starts from what is being changed.

    Raises:
        TradedError: a process trades; names it.
    """
    with database_errors():
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (ADVISORY_LOCK,)).fetchone()
        if row is None or row[0] is not True:
            raise TradedError(f"{holder_text(connection)} trades with this database: stop that process first")
    try:
        yield
    finally:
        with database_errors():
            connection.execute("SELECT pg_advisory_unlock(%s)", (ADVISORY_LOCK,))
