"""Opening the database of a run: embedded or given, migrated, leased, with its session and what was saved last."""

import contextlib
import time
from collections.abc import Sequence

from loguru import logger

from config.settings import Settings
from core.errors import FatalError
from core.records import Record
from storage.embedded import EmbeddedServer
from storage.lease import Lease
from storage.migrate import migrate
from storage.pool import Pool, open_pool
from storage.queries import Session, checkpoint_name, latest_checkpoint, open_session
from storage.writer import write

DURABLE_ADDRESSES = ("portfolio",)
"""Actors whose checkpoints are in the database; the others' are of use for a restart within the process only."""


class Database:
    """The pool, the lease and the session of this process."""

    def __init__(self, pool: Pool, lease: Lease, session: Session, server: EmbeddedServer | None) -> None:
        self._pool = pool
        self._server = server
        self.lease = lease
        self.session = session

    def write(self, rows: Sequence[Record]) -> None:
        """Write rows in one transaction, refused by the database if another process has taken the lease."""
        with self._pool.connection() as connection:
            write(connection, rows, lease_epoch=self.lease.epoch)

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
        now_ms = time.time_ns() // 1_000_000
        session = open_session(connection, "paper", settings.public(), new=new_session, now_ms=now_ms)
    return Database(pool, lease, session, server)
