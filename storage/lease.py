"""The lease: one trading process at a time, and a number that grows with every holder so that older ones are refused.

The lock is PostgreSQL's own (an advisory lock of one dedicated session), so it ends with its holder. What a holder that
was cut off writes before it asks again is refused by its epoch.
"""

import os
import socket
import threading
from datetime import datetime

import psycopg
from psycopg.conninfo import make_conninfo

from core.errors import FatalError, FuseboxError, TransientError
from storage.deadline import ask
from storage.pool import Connection, connect, database_errors, target

ADVISORY_LOCK = 0x66757365_0002
"""Ours alone: the first four bytes spell `fuse`."""
ANSWER_WITHIN_S = 0.5
"""Together with the pause between two questions less than a second: after that nobody may rely on the lease."""
CONNECT_WITHIN_S = 2
"""The least that the driver takes for a time-out of connecting."""
RELEASE_WITHIN_S = 0.35
UNRECORDED = "another process, not yet recorded"
LEFTOVER_S = 0.4
RAISE = (
    "UPDATE lease SET epoch = epoch + 1, host = %s, pid = %s, acquired_at = clock_timestamp(), released_at = NULL"
    " RETURNING epoch"
)
END_LEFTOVERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = 'lease'::regclass AND mode = 'RowShareLock'"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()"
)
STATE = (
    "SELECT epoch, host, pid, EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory'"
    " AND pid = pg_backend_pid() AND granted AND objsubid = 1"
    " AND (classid::bigint << 32 | objid::bigint) = $1::bigint)::int FROM lease"
)


class LeaseHeldError(FatalError):
    """Raised when another process trades with this database."""


class LeaseLostError(FatalError):
    """Raised when a newer holder exists: this process must not write or trade any more."""


class Lease:
    """Held from `acquire` until `release`, until its connection ends, or until it is silent for longer than promised.

    One thread asks; `release` may come from another.
    """

    def __init__(self, conninfo: str, connection: Connection, epoch: int) -> None:
        self.conninfo = conninfo
        self._connection: Connection | None = connection
        self._silent_s = 0.0
        self._using = threading.Lock()
        self.epoch = epoch

    @classmethod
    def acquire(cls, conninfo: str, wait_s: float = 0.0, *, host: str | None = None, pid: int | None = None) -> "Lease":
        """Take the lease, waiting up to `wait_s` seconds for its holder to end.

        Raises:
            LeaseHeldError: when another process still holds it; names that process.
            TransientError, FatalError: as `connect` does.
        """
        connection = connect_for_lease(conninfo)
        try:
            with database_errors():
                _lock(connection, wait_s, target(conninfo))
                epoch = next_lease_epoch(connection, host or socket.gethostname(), os.getpid() if pid is None else pid)
        except FuseboxError:
            connection.close()
            raise
        return cls(conninfo, connection, epoch)

    def expire_when_silent(self, seconds: float) -> None:
        """Promise to ask at least every `seconds`: the server ends the lease of a process that was stopped or cut off.

        Raises:
            TransientError: when the database cannot be asked.
        """
        self._silent_s = seconds
        with self._using:
            try:
                self._promise()
            except FuseboxError:
                self._drop()
                raise

    def check(self) -> None:
        """Return when this process still holds the lease; takes at most `ANSWER_WITHIN_S`.

        Raises:
            LeaseLostError: another process has taken it; for good.
            TransientError: that cannot be known now; `retake` finds out.
        """
        with self._using:
            if self._connection is None:
                raise TransientError("the connection that holds the lease is lost")
            try:
                rows = ask(self._connection, STATE, (ADVISORY_LOCK,), within_s=ANSWER_WITHIN_S)
            except FuseboxError:
                self._drop()
                raise
            self._compare(rows)
            if rows[0][3] != "1":
                raise TransientError("the lease's lock is gone, nobody has taken it")

    def retake(self) -> None:
        """Connect again and take the lock back; the epoch stays if nobody held the lease in between.

        Raises:
            LeaseLostError: somebody did; for good.
            TransientError: it cannot be known now, or the lock is taken and no newer epoch recorded yet.
        """
        with self._using:
            self._drop()
            self._connection = connect_for_lease(self.conninfo, CONNECT_WITHIN_S)
            try:
                locked = try_lock(self._connection, ANSWER_WITHIN_S)
                self._compare(ask(self._connection, STATE, (ADVISORY_LOCK,), within_s=ANSWER_WITHIN_S))
                if not locked:
                    raise TransientError("another session has the lease's lock")
                self._promise()
            except FuseboxError:
                self._drop()
                raise

    def held(self) -> bool:
        """Ask the database whether this process still holds the lease; False also when it cannot be asked."""
        try:
            self.check()
        except FuseboxError:
            return False
        return True

    def release(self) -> None:
        """Note the end and let the next process in; a database that does not answer sees to that itself."""
        if not self._using.acquire(timeout=RELEASE_WITHIN_S):
            return  # whoever asks is stuck in a connection that the end of the process closes
        try:
            if self._connection is not None:
                # The server must give up before we do: while it waits for a row it does not see that we have gone.
                limit = "SELECT set_config('statement_timeout', $1, false)"
                ask(self._connection, limit, (round(RELEASE_WITHIN_S * 800),), within_s=RELEASE_WITHIN_S)
                note = "UPDATE lease SET released_at = now() WHERE epoch = $1::bigint AND released_at IS NULL"
                ask(self._connection, note, (self.epoch,), within_s=RELEASE_WITHIN_S)
        except TransientError:
            pass  # the lock ends with the connection, which is all that the next process waits for
        finally:
            self._drop()
            self._using.release()

    def _promise(self) -> None:
        if self._connection is not None and self._silent_s:
            milliseconds = round(self._silent_s * 1000)
            limit = "SELECT set_config('idle_session_timeout', $1, false)"
            ask(self._connection, limit, (milliseconds,), within_s=ANSWER_WITHIN_S)

    def _compare(self, rows: list[tuple[str | None, ...]]) -> None:
        if not rows or rows[0][0] != str(self.epoch):
            self._drop()
            raise lost(self.epoch, *(rows[0][:3] if rows else (None, None, None)))

    def _drop(self) -> None:
        """Close the connection; the server may not notice before it runs again, but then at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def next_lease_epoch(connection: Connection, host: str, pid: int) -> int:
    """Record a new holder and return its epoch, greater than every one before; the lock must be held.

    Raises:
        FatalError: when the database has not been migrated.
    """
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{LEFTOVER_S * 1000:.0f}ms",))
    try:
        row = connection.execute(RAISE, (host, pid)).fetchone()
    except psycopg.errors.LockNotAvailable:
        # The holder before has lost its lock. A batch of its that is still open is of a process that was stopped in the
        # middle, or that ended while the database hung: without this it would keep the next one out for as long.
        connection.execute(END_LEFTOVERS)
        row = connection.execute(RAISE, (host, pid)).fetchone()
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
        raise lost(epoch, *(row or (None, None, None)))


def lost(epoch: int, newer: object, host: object, pid: object) -> LeaseLostError:
    """Return the error of a process whose lease of `epoch` went to another one."""
    holder = "nobody" if newer is None else f"process {pid} on {host} (epoch {newer})"
    return LeaseLostError(f"the lease of epoch {epoch} is lost, its holder is {holder}: this process must end")


def connect_for_lease(conninfo: str, connect_timeout_s: int = 5) -> Connection:
    """Open a session that can hold the lease.

    Over TCP, neither side may take hours to notice that the other has vanished.

    Raises:
        TransientError, FatalError: as `connect` does.
    """
    noticing = make_conninfo(
        conninfo, keepalives_idle=2, keepalives_interval=1, keepalives_count=3, tcp_user_timeout=3000
    )
    connection = connect(noticing, connect_timeout_s=connect_timeout_s, statement_timeout_s=0)
    server_side = (("tcp_keepalives_idle", "5"), ("tcp_keepalives_interval", "2"), ("tcp_keepalives_count", "3"))
    try:
        for name, value in server_side:
            ask(connection, "SELECT set_config($1, $2, false)", (name, value), within_s=connect_timeout_s)
    except FuseboxError:
        connection.close()
        raise
    return connection


def try_lock(connection: Connection, within_s: float) -> bool:
    """Take the lock if it is free.

    Raises:
        TransientError: as `ask` does; the lock may be ours then, until the connection is closed.
    """
    return ask(connection, "SELECT pg_try_advisory_lock($1::bigint)::int", (ADVISORY_LOCK,), within_s=within_s) == [
        ("1",)
    ]


def holder_text(connection: Connection) -> str:
    """Return who holds the lease, for a person."""
    holder = UNRECORDED
    if connection.execute("SELECT to_regclass('lease')").fetchone() == (None,):
        return holder
    row = connection.execute("SELECT host, pid, epoch, acquired_at FROM lease WHERE released_at IS NULL").fetchone()
    if row is not None and isinstance(row[3], datetime):
        holder = f"process {row[1]} on {row[0]} (epoch {row[2]}, since {row[3]:%Y-%m-%d %H:%M:%S} UTC)"
    return holder


def held_by(holder: str, name: str) -> LeaseHeldError:
    """Return the error of a process that does not want to wait for `holder`."""
    return LeaseHeldError(f"{name} is traded by {holder}: stop that one first, or use another database or state folder")


def _lock(connection: Connection, wait_s: float, name: str) -> None:
    if wait_s <= 0:
        if not try_lock(connection, CONNECT_WITHIN_S):
            raise held_by(holder_text(connection), name)
        return
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{max(1, int(wait_s * 1000))}ms",))
    try:
        connection.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
    except psycopg.errors.LockNotAvailable:
        raise held_by(holder_text(connection), name) from None
