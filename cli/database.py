"""Opening the database of a run: embedded or given, migrated, leased, with its session and what was saved last."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from loguru import logger

from actors import addresses
from actors.account import unconfirmed
from actors.execution import Working
from cli.divergence import Divergence, divergence
from cli.lease_watch import LeaseWatch
from cli.model_line import ModelLine, open_line
from cli.state_folder import StateFolder
from cli.state_restore import Restore, Restored
from config.settings import Settings
from core.errors import FatalError, TransientError
from core.records import AlertRecord, Record
from core.runtime.address import Address
from core.runtime.checkpoint import Quarantined
from core.runtime.gate import GateCell
from core.trading.performance import RoundTrip
from models.weights import Weights
from storage.account_rows import final_fills, unconfirmed_rows
from storage.beside import open_beside
from storage.checkpoints import quarantine
from storage.drain import drain
from storage.embedded import EmbeddedServer
from storage.journal import Journal
from storage.lease import Lease, LeaseLostError
from storage.lease_queue import LeaseQueue
from storage.local_copies import LocalCopies
from storage.migrate import migrate
from storage.pending_alerts import pending_alerts
from storage.pool import Connection, Pool, open_pool
from storage.queries import Session, database_id, open_order_hashes, open_session
from storage.state_file import disk_errors
from storage.trips import round_trips
from storage.writer import write

WRITE_WITHIN_S = 1.0
"""How long a write waits for the one before and for a connection; then its rows are kept and tried again."""


class SessionTerms(msgspec.Struct, frozen=True):
    """Which session a run belongs to, and what a new one is started with."""

    mode: Literal["paper", "live"]
    venue: str
    config: dict[str, Any]
    with_paper: bool = False
    """Whether a paper session goes along."""


class Database:
    """The pool, the lease and the session of this process."""

    def __init__(
        self,
        pool: Pool,
        lease: Lease,
        watch: LeaseWatch,
        session: Session,
        journal: Journal,
        server: EmbeddedServer | None,
        copies: LocalCopies,
        beside: Session | None = None,
    ) -> None:
        self._pool = pool
        self.journal = journal
        self._server = server
        self._writing = threading.Lock()
        self.lease = lease
        self.watch = watch
        self.session = session
        self.beside = beside
        self.copies = copies

    def write(self, rows: Sequence[Record]) -> None:
        """Write rows in one transaction, refused by the database if another process has taken the lease.

        One write at a time: an older one that was held up must not overwrite what the final one wrote.

        Raises:
            LeaseLostError: another process trades now; the watch over the lease has heard of it.
            TransientError, RejectedError: as `storage.writer.write` does.
        """
        if not self._writing.acquire(timeout=WRITE_WITHIN_S):
            raise TransientError("another write has not ended")
        try:
            with self._pool.connection(WRITE_WITHIN_S) as connection:
                write(connection, rows, lease_epoch=self.lease.epoch)
        except LeaseLostError as error:
            self.watch.refused(error)
            raise
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

    def write_checkpoints(self, rows: Sequence[Record]) -> None:
        """Write rows beside what the database's writer writes: neither waits for the other.

        Raises:
            LeaseLostError, TransientError, RejectedError: as `write` does.
        """
        with self._pool.connection(WRITE_WITHIN_S) as connection:
            write(connection, rows, lease_epoch=self.lease.epoch)

    def quarantine(self, name: str, bad: Quarantined) -> None:
        """Mark a generation of an actor's checkpoint as one that nothing starts from.

        Raises:
            TransientError: the database is away.
        """
        with self._pool.connection(WRITE_WITHIN_S) as connection:
            quarantine(connection, "actor", name, bad.generation, bad.reason)

    def restore(self) -> Restored:
        """Return what every actor starts from; what is of no use is told and marked.

        A paper session beside the live one whose account is not known gives way to a new one: it holds no money.

        Raises:
            TransientError, FatalError: the database cannot be asked.
        """
        with self._pool.connection() as connection:
            found = self._restored(connection, self.session, addresses.PORTFOLIO)
            if self.beside is None:
                return found
            paper = self._restored(connection, self.beside, addresses.PAPER_PORTFOLIO)
            if paper.refusal is not None:
                config = self.beside.config
                self.beside = open_beside(connection, self.session, config, self.lease.epoch, _now_ms(), new=True)
                logger.warning("paper beside: session {} goes along instead: {}", self.beside.id, paper.refusal)
                return found
        return Restored({**found.states, **paper.states}, found.refusal)

    def _restored(self, connection: Connection, session: Session, portfolio: Address) -> Restored:
        return Restore(
            connection,
            session,
            self.copies,
            write=self.write,
            log=logger.warning,
            now_ms=_now_ms(),
            portfolio=portfolio,
        ).run()

    def divergence(self) -> Divergence | None:
        """Return how the live session and the paper one beside it differ, None when there is no paper one.

        Raises:
            TransientError, FatalError: the database cannot be asked.
        """
        if self.beside is None:
            return None
        with self._pool.connection(WRITE_WITHIN_S) as connection:
            return divergence(connection, self.session.id, self.beside.id)

    def round_trips(self, from_ms: int, until_ms: int) -> tuple[RoundTrip, ...]:
        """Return what the session closed in [from_ms, until_ms), unix milliseconds, in order.

        Raises:
            TransientError, FatalError: the database cannot be asked.
        """
        with self._pool.connection(WRITE_WITHIN_S) as connection:
            return round_trips(connection, self.session.id, from_ms, until_ms)

    def pending_alerts(self, before_ms: int) -> tuple[AlertRecord, ...]:
        """Return the session's alerts from before unix `before_ms` that nobody is known to have been told of.

        Raises:
            TransientError, FatalError: the database cannot be asked.
        """
        with self._pool.connection(WRITE_WITHIN_S) as connection:
            return pending_alerts(connection, self.session.id, before_ms)

    def order_hashes(self) -> dict[str, str]:
        """Return, by order id, the hashes of the session's orders that are not known to have ended.

        Raises:
            TransientError, FatalError: the database cannot be asked.
        """
        with self._pool.connection() as connection:
            return open_order_hashes(connection, self.session.id)

    def unconfirmed(self) -> tuple[Working, ...]:
        """Return the session's closed orders whose fills are not known to be final.

        Raises:
            TransientError, FatalError: the database cannot be asked.
        """
        with self._pool.connection() as connection:
            return unconfirmed(unconfirmed_rows(connection, self.session.id))

    def final_fills(self, since_ms: int) -> frozenset[tuple[str, str]]:
        """Return trade and order hash of the session's fills since `since_ms` that are known to be final.

        Raises:
            TransientError, FatalError: the database cannot be asked.
        """
        with self._pool.connection() as connection:
            return final_fills(connection, self.session.id, since_ms)

    def open_models(self, given: Weights, name: str, source: str) -> ModelLine:
        """Return the weights to trade with: those stored last under `name`, or `given` where that is news.

        Raises:
            TransientError, FatalError: the database cannot be asked.
        """
        with self._pool.connection() as connection:
            return open_line(
                connection, self.copies, given, name=name, source=source, write=self.write, log=logger.warning,
                now_ms=_now_ms(),
            )  # fmt: skip


def open_database(
    settings: Settings,
    *,
    new_session: bool,
    ends: contextlib.ExitStack,
    gate: GateCell,
    on_lost: Callable[[str], None],
    report: Callable[[str], None],
    terms: Callable[[], SessionTerms],
) -> Database:
    """Start or reach the server, wait for the lease, migrate, open the session; each registers its end on `ends`.

    Args:
        settings: say where the database is and how long to wait for the lease.
        new_session: end the last session and start one.
        ends: what was opened is closed by it, in reverse.
        gate: is held while the lease is not confirmed.
        on_lost: told when another process has taken the lease.
        report: hears one line when this process has to wait, and for whom.
        terms: what session to resume or start; asked once the lease is held, and not before.

    Raises:
        LeaseHeldError: another process still trades on this database after `lease_wait_s`.
        FatalError, TransientError: the server cannot be used.
    """
    folder = StateFolder(settings.state_dir)
    ends.callback(folder.leave)
    server = None
    if settings.database_url is None:
        server = EmbeddedServer(settings.state_dir)
        ends.callback(server.stop)
    queue = LeaseQueue(_where(settings, server, folder), migrate, free=folder.take, report=report)
    lease = queue.wait(settings.lease_wait_s)
    ends.callback(lease.release)
    watch = LeaseWatch(lease, gate, on_lost)
    ends.callback(watch.stop)
    watch.start()
    pool = open_pool(lease.conninfo)
    ends.callback(pool.close)
    with pool.connection() as connection:
        identity = database_id(connection)
        journal = open_journal(settings.state_dir, folder, identity, lease.epoch)
        ends.callback(journal.close)
        kept = drain(journal, connection, report=logger.error, lease_epoch=lease.epoch)
        if kept:
            logger.info("wrote {} entries that the journal had kept while the database was away", kept)
    wanted = terms()  # it may ask a venue, which takes a while
    with pool.connection() as connection:
        session = open_session(
            connection, wanted.mode, wanted.config, venue=wanted.venue, new=new_session, now_ms=_now_ms()
        )
        beside = None
        if wanted.with_paper:
            beside = open_beside(connection, session, wanted.config, lease.epoch, _now_ms())
    copies = LocalCopies(settings.state_dir / "checkpoints", identity, report=logger.warning)
    return Database(pool, lease, watch, session, journal, server, copies, beside)


def open_journal(state_dir: Path, folder: StateFolder, database: str, epoch: int) -> Journal:
    """Open the journal; entries older than what another process has written since are set aside, never written.

    Raises:
        FatalError, TransientError: as `Journal` does.
    """
    path = state_dir / "journal"
    journal = Journal(path, database, report=logger.warning)
    superseded = folder.superseded(database, epoch)
    left = 0 if superseded is None else sum(1 for _ in journal.pending())
    if left:
        journal.close()
        aside = path.with_name(f"journal.epoch-{superseded}")
        with disk_errors(path, "set aside"):
            path.rename(aside)
        logger.error(
            "{} entries in the journal are of lease epoch {}, and others have traded since: set aside in {}, "
            "compare them with the tables by hand", left, superseded, aside,
        )  # fmt: skip
        journal = Journal(path, database, report=logger.warning)
    folder.note(database, epoch)
    return journal


def _where(settings: Settings, server: EmbeddedServer | None, folder: StateFolder) -> Callable[[], str]:
    """Return what finds the database; an embedded one is started again by the process that has the folder."""
    if settings.database_url is not None:
        given = settings.database_url.get_secret_value()
        return lambda: given
    assert server is not None  # noqa: S101 -- without an address it is embedded
    known: list[str] = []

    def start() -> str:
        if not known or folder.take():
            known[:] = [server.start()]
        return known[0]

    return start


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
