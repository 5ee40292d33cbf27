"""Connections that only read, a few for all requests: made when they are needed, dropped when one fails."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from core.errors import FuseboxError, TransientError
from storage.pool import Connection, connect, database_errors

MOST = 4
STATEMENT_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 2
WAIT_S = 5.0


class NoDatabaseError(TransientError):
    """Raised while nobody knows where the database is: it was never made, or it is being started."""


class Database:
    """Lends connections to threads; `conninfo` says where the database is now, None while nobody knows."""

    def __init__(self, conninfo: Callable[[], str | None]) -> None:
        self._conninfo = conninfo
        self._free: list[Connection] = []
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(MOST)

    def open(self) -> Connection:
        """Return a connection of one's own that only reads.

        Raises:
            TransientError, FatalError: the database cannot be used now.
        """
        conninfo = self._conninfo()
        if conninfo is None:
            raise NoDatabaseError("there is no database: `python supervisor.py run` makes and starts one")
        connection = connect(conninfo, connect_timeout_s=CONNECT_TIMEOUT_S, statement_timeout_s=STATEMENT_TIMEOUT_S)
        with database_errors():
            connection.execute("SET default_transaction_read_only = on")
        return connection

    @contextlib.contextmanager
    def lend(self) -> Iterator[Connection]:
        """Lend a connection; one on which something failed is not lent again.

        Raises:
            TransientError, FatalError: the database cannot be used now.
        """
        if not self._room.acquire(timeout=WAIT_S):
            raise TransientError("too many questions at a time: try again")
        try:
            with self._lock:
                connection = self._free.pop() if self._free else None
            if connection is None or connection.closed:
                connection = self.open()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            with self._lock:
                self._free.append(connection)
        finally:
            self._room.release()

    def answer(self, question: Callable[[Connection], object]) -> object:
        """Return what `question` makes of a connection; one that was lost while it lay idle is replaced once.

        Raises:
            FuseboxError: as `lend` and the question do.
        """
        try:
            with self.lend() as connection:
                return question(connection)
        except TransientError:
            self.close()
        with self.lend() as connection:
            return question(connection)

    def close(self) -> None:
        """Close what is not lent."""
        with self._lock:
            free, self._free = self._free, []
        for connection in free:
            with contextlib.suppress(FuseboxError):
                connection.close()
