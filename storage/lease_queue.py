"""The newcomer's wait: it asks for the lease a few times a second until the holder ends, whatever the database does."""

import os
import socket
import time
from collections.abc import Callable

from core.errors import TransientError
from storage.lease import (
    ANSWER_WITHIN_S,
    UNRECORDED,
    Lease,
    connect_for_lease,
    held_by,
    holder_text,
    next_lease_epoch,
    try_lock,
)
from storage.pool import Connection, database_errors, target

ASK_EVERY_S = 0.25
HOLDER_FIRST_S = 2.0
"""After the database was away: whoever traded before may go on, a newcomer only takes what nobody takes back."""


class LeaseQueue:
    """One process that wants to trade.

    Args:
        conninfo: where the database is; called before each connection, so it may start an embedded server again.
        prepare: brings the schema up to date; called with the lock held, so never under another process that trades.
        free: whether whatever else must be free (the state folder) is ours by now.
        report: hears one line when the wait begins, when the holder changes, and when the database goes and comes.
        pause: waits some seconds.
        monotonic: the clock.
    """

    def __init__(
        self,
        conninfo: Callable[[], str],
        prepare: Callable[[str], object],
        *,
        free: Callable[[], bool] = lambda: True,
        report: Callable[[str], None],
        pause: Callable[[float], object] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._conninfo = conninfo
        self._prepare = prepare
        self._free = free
        self._report = report
        self._pause = pause
        self._monotonic = monotonic
        self._connection: Connection | None = None
        self._where = ""
        self._not_before_s = 0.0
        self._holder: str | None = None
        self._said: str | None = None
        self._away = False

    def wait(self, at_most_s: float) -> Lease:
        """Return the lease once it is ours.

        Raises:
            LeaseHeldError: another process still holds it after `at_most_s` seconds.
            TransientError, FatalError: the database cannot be used at the first attempt, or refuses us later.
        """
        deadline_s = self._monotonic() + at_most_s
        try:
            self._connect()
            while (lease := self._attempt()) is None and self._monotonic() < deadline_s:
                self._say_holder()
                self._pause(ASK_EVERY_S)
        finally:
            self._drop()
        if lease is None:
            raise held_by(self._holder or UNRECORDED, target(self._where))
        return lease

    def _attempt(self) -> Lease | None:
        try:
            if self._connection is None:
                self._connect()
                self._not_before_s = self._monotonic() + HOLDER_FIRST_S
            connection = self._connection
            assert connection is not None  # noqa: S101 -- it was opened above
            may = self._monotonic() >= self._not_before_s and self._free()
            if may and try_lock(connection, ANSWER_WITHIN_S):
                return self._taken(connection)
            with database_errors():
                self._holder = holder_text(connection)
        except TransientError as error:
            self._drop()
            if not self._away:
                self._report(f"{error}; still waiting for the lease")
            self._away = True
        return None

    def _connect(self) -> None:
        self._where = self._conninfo()
        self._connection = connect_for_lease(self._where)
        if self._away:
            self._report("the database is back; still waiting for the lease")
        self._away = False

    def _taken(self, connection: Connection) -> Lease:
        """Raise the epoch, which fences the holder before, and only then touch the schema; a new one first needs it."""
        self._connection = None
        try:
            epoch = self._raised(connection) if _has_lease_table(connection) else None
            self._prepare(self._where)
            return Lease(self._where, connection, self._raised(connection) if epoch is None else epoch)
        except BaseException:
            connection.close()
            raise

    def _raised(self, connection: Connection) -> int:
        with database_errors():
            return next_lease_epoch(connection, socket.gethostname(), os.getpid())

    def _say_holder(self) -> None:
        if self._holder == UNRECORDED and self._said is not None:
            return  # the moment between two holders, or between the lock and its record
        if self._holder is not None and self._holder != self._said:
            self._said = self._holder
            self._report(f"{target(self._where)} is traded by {self._holder}: waiting for its end, Ctrl-C gives up")

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _has_lease_table(connection: Connection) -> bool:
    with database_errors():
        return connection.execute("SELECT to_regclass('lease')").fetchone() != (None,)
