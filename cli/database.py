"""Opening the database of a run: embedded or given, migrated, leased, with its session and what was saved last."""

import contextlib
import threading
import time
from collections.abc import Sequence

from loguru import logger

from config.settings import Settings
from core.errors import FatalError, RejectedError, TransientError
from core.records import Record
from storage.embedded import EmbeddedServer
from storage.journal import Journal
from storage.lease import Lease
from storage.migrate import migrate
from storage.pool import Connection, Pool, open_pool
from storage.queries import Session, checkpoint_name, database_id, latest_checkpoint, open_session
from storage.writer import write

WRITE_WITHIN_S = 1.0
"""How long a write waits for the one before and for a connection; then its rows are kept and tried again."""
DURABLE_ADDRESSES = ("portfolio",)
"""Actors whose checkpoints are in the database; the others' are of use for a restart within the process only."""


class Database:
    """The pool, the lease and the session of this process."""

    def __init__(
        self, pool: Pool, lease: Lease, session: Session, journal: Journal, server: EmbeddedServer | None
    ) -> None:
        self._pool = pool
        self.journal = journal
        self._server = server
        self._writing = threading.Lock()
        self.lease = lease
        self.session = session

    def write(self, rows: Sequence[Record]) -> None:
        """Write rows in one transaction, refused by the database if another process has taken the lease.

        One write at a time: an older one that was held up must not overwrite what the final one wrote.
        """
        if not self._writing.acquire(timeout=WRITE_WITHIN_S):
            raise TransientError("another write has not ended")
        try:
            with self._pool.connection(WRITE_WITHIN_S) as connection:
                write(connection, rows, lease_epoch=self.lease.epoch)
        finally:
            self._writing.release()

    def keep_alive(self) -> None:
        """Start the embedded server again if it has died; a server of someone else is theirs to keep."""
        if self._server is None or self._server.alive():
            return
        logger.warning("the embedded database ended; starting it again")
        try:
            self._server.start()
        except FatalError as error:
            logger.error("{}; trying again", error)

    def saved_states(self) -> dict[str, tuple[int, bytes]]:
        """Return the newest sound checkpoint of each durable actor of the session: (generation, state) by address."""
        found: dict[str, tuple[int, bytes]] = {}
        with self._pool.connection() as connection:
            for address in DURABLE_ADDRESSES:
                checkpoint = latest_checkpoint(connection, "actor", checkpoint_name(self.session.id, address))
                if checkpoint is None:
                    continue
                if checkpoint.damaged:
                    logger.warning("checkpoint of {}: generations {} are damaged", address, checkpoint.damaged)
                found[address] = (max(checkpoint.generation, *checkpoint.damaged, 0), checkpoint.payload)
        return found


def open_database(settings: Settings, *, new_session: bool, ends: contextlib.ExitStack) -> Database:
    """Start or reach the server, migrate, take the lease, open the session; each registers its end on `ends`.

    Raises:
        LeaseHeldError: another process trades on this database.
        FatalError, TransientError: the server cannot be used.
    """
    server = None
    if settings.database_url is not None:
        conninfo = settings.database_url.get_secret_value()
    else:
        server = EmbeddedServer(settings.state_dir)
        ends.callback(server.stop)
        conninfo = server.start()
    migrate(conninfo)
    lease = Lease.acquire(conninfo)
    ends.callback(lease.release)
    pool = open_pool(conninfo)
    ends.callback(pool.close)
    with pool.connection() as connection:
        journal = Journal(settings.state_dir / "journal", database_id(connection), report=logger.warning)
        ends.callback(journal.close)
        drain(journal, connection)
        now_ms = time.time_ns() // 1_000_000
        config, venue = settings.public(), settings.venue
        session = open_session(connection, "paper", config, venue=venue, new=new_session, now_ms=now_ms)
    return Database(pool, lease, session, journal, server)


def drain(journal: Journal, connection: Connection) -> None:
    """Write what an earlier process left in the journal, in order, before anything newer; repetitions are harmless.

    Raises:
        TransientError, FatalError: the database cannot take it now; the journal keeps it.
    """
    count = 0
    for sequence, rows in journal.pending():
        try:
            write(connection, rows)
        except RejectedError as error:
            names = ", ".join(type(row).__name__ for row in rows)
            logger.error("journal entry {} ({}) is refused by the database and left out: {}", sequence, names, error)
        journal.confirm(sequence)
        count += 1
    if count:
        logger.info("wrote {} entries that the journal had kept while the database was away", count)
