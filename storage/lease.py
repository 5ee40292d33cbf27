"""The lease: one trading process at a time, and a number that grows with every holder so that older ones are refused.

The lock is PostgreSQL's own (an advisory lock of one dedicated session), so it ends with its holder. A holder that was
cut off learns of it only when it next asks: what it writes meanwhile is refused by its epoch.
"""

import os
import socket
from datetime import datetime

import psycopg

from core.errors import FatalError, FuseboxError
from storage.pool import Connection, connect, database_errors, target

ADVISORY_LOCK = 0x66757365_0002
"""Ours alone: the first four bytes spell `fuse`."""


class LeaseHeldError(FatalError):
    """Raised when another process trades with this database."""


class LeaseLostError(FatalError):
    """Raised when a newer holder exists: this process must not write or trade any more."""


class Lease:
    """Held from `acquire` until `release`, or until its connection ends."""

    def __init__(self, connection: Connection, epoch: int) -> None:
        self._connection = connection
        self.epoch = epoch

    @classmethod
    def acquire(cls, conninfo: str, wait_s: float = 0.0, *, host: str | None = None, pid: int | None = None) -> "Lease":
        """Take the lease, waiting up to `wait_s` seconds for its holder to end (an overlapping deploy).

        Raises:
            LeaseHeldError: when another process still holds it; names that process.
            TransientError, FatalError: as `connect` does.
        """
        connection = connect(conninfo, statement_timeout_s=0)
        try:
            with database_errors():
                _notice_lost_hosts(connection)
                _lock(connection, wait_s, target(conninfo))
                epoch = next_lease_epoch(connection, host or socket.gethostname(), os.getpid() if pid is None else pid)
        except FuseboxError:
            connection.close()
            raise
        return cls(connection, epoch)

    def held(self) -> bool:
        """Ask the database whether this process still holds the lease; False also when it cannot be asked."""
        try:
            row = self._connection.execute(
                "SELECT epoch FROM lease WHERE EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory'"
                " AND pid = pg_backend_pid() AND granted AND objsubid = 1"
                " AND (classid::bigint << 32 | objid::bigint) = %s)",
                (ADVISORY_LOCK,),
            ).fetchone()
        except psycopg.Error:
            return False
        return row is not None and row[0] == self.epoch

    def release(self) -> None:
        """Note the end and let the next process in. With the connection already lost there is nothing to give back."""
        with self._connection as connection:
            if self.held():
                connection.execute("UPDATE lease SET released_at = now() WHERE epoch = %s", (self.epoch,))


def next_lease_epoch(connection: Connection, host: str, pid: int) -> int:
    """Record a new holder and return its epoch, greater than every one before.

    Raises:
        FatalError: when the database has not been migrated.
    """
    row = connection.execute(
        "UPDATE lease SET epoch = epoch + 1, host = %s, pid = %s, acquired_at = now(), released_at = NULL"
        " RETURNING epoch",
        (host, pid),
    ).fetchone()
    if row is None or not isinstance(row[0], int):
        raise FatalError("the table `lease` is empty: fusebox did not make it; name another database")
    return row[0]


def check_epoch(connection: Connection, epoch: int) -> None:
    """Refuse to go on in the current transaction with an older epoch; a newer holder waits until it has committed.

    Raises:
        LeaseLostError: when a process with a newer epoch has taken over.
    """
    row = connection.execute("SELECT epoch, host, pid FROM lease FOR SHARE").fetchone()
    if row is None or row[0] != epoch:
        newer = "nobody" if row is None else f"process {row[2]} on {row[1]} (epoch {row[0]})"
        raise LeaseLostError(f"the lease of epoch {epoch} is lost, its holder is {newer}: this process must end")


def _notice_lost_hosts(connection: Connection) -> None:
    """Over TCP, a host that vanished must not keep the lease for the two hours of the system's default."""
    for name, value in (("tcp_keepalives_idle", "5"), ("tcp_keepalives_interval", "2"), ("tcp_keepalives_count", "3")):
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))


def _lock(connection: Connection, wait_s: float, name: str) -> None:
    if wait_s <= 0:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (ADVISORY_LOCK,)).fetchone()
        if row is None or row[0] is not True:
            raise _held_by_another(connection, name)
        return
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{max(1, int(wait_s * 1000))}ms",))
    try:
        connection.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
    except psycopg.errors.LockNotAvailable:
        raise _held_by_another(connection, name) from None


def _held_by_another(connection: Connection, name: str) -> LeaseHeldError:
    holder = "another process, not yet recorded"
    row = connection.execute("SELECT host, pid, epoch, acquired_at FROM lease WHERE released_at IS NULL").fetchone()
    if row is not None and isinstance(row[3], datetime):
        holder = f"process {row[1]} on {row[0]} (epoch {row[2]}, since {row[3]:%Y-%m-%d %H:%M:%S} UTC)"
    return LeaseHeldError(f"{name} is traded by {holder}: stop that one first, or use another database or state folder")
