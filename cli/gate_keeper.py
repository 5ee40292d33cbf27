"""Keeps the gate's lasting holds in PostgreSQL and in a local file, and takes up what others have stored there.

Each store has a thread of its own: a database that hangs must not delay a halt that comes by file. The gate changes
first, what is stored follows; a store that refuses is tried again until it takes it.
"""

import contextlib
import threading
import time
from collections.abc import Callable

from loguru import logger

from cli.client import Whereabouts, conninfo_of
from core.errors import FuseboxError, TransientError
from core.runtime.gate import GateCell
from core.trading.gate import GateLevel, GateState, Hold, stricter, with_holds
from core.trading.lasting_holds import UNREADABLE, absorbed, lasting, told
from storage.gate_file import GateFile
from storage.gate_table import read_gate, update_gate
from storage.pool import Connection, connect

LOOK_FILE_S = 0.1
LOOK_DATABASE_S = 0.5
CONNECT_WITHIN_S = 2
ANSWER_WITHIN_S = 2.0
STORE_WITHIN_S = 1.0
"""How long a command waits for a store that is being written; its thread stores what the command has changed."""
STOP_WITHIN_S = 0.3

Change = Callable[[GateState], GateState]
Audit = Callable[[str, GateState, GateState], None]
"""Hears what happened, and the gate before and after."""


class GateKeeper:
    """Load once, before anything can open; then `start`, and `stop` after everybody who changes the gate has ended.

    `audit` may be set; it hears what came from a store.

    Args:
        gate: the process's gate.
        file: the local store.
        conninfo: where the database is now; None while that is not known.
        lease_epoch: the database refuses what is written under an older one.
        now_ms: unix time.
    """

    def __init__(
        self,
        gate: GateCell,
        file: GateFile,
        conninfo: Callable[[], str | None],
        lease_epoch: int,
        now_ms: Callable[[], int],
    ) -> None:
        self._gate = gate
        self._now_ms = now_ms
        self._file = file
        self._conninfo = conninfo
        self._epoch = lease_epoch
        self._in_file: tuple[Hold, ...] = ()
        self._number = 0
        self._file_lock = threading.Lock()
        self._in_table: tuple[Hold, ...] = ()
        self._table_lock = threading.Lock()
        self._connection: Connection | None = None
        self.audit: Audit = lambda _what, _before, _after: None
        self._stopping = threading.Event()
        self._threads = (
            threading.Thread(target=self._watch, args=(self.keep_in_file, LOOK_FILE_S), name="gate-file", daemon=True),
            threading.Thread(
                target=self._watch, args=(self.keep_in_table, LOOK_DATABASE_S), name="gate-database", daemon=True
            ),
        )

    def load(self) -> GateState:
        """Shut the gate as far as the stricter of both stores says, let both say so, and return that.

        Raises:
            TransientError, FatalError: a store cannot be read; nothing may be opened then.
        """
        with self._connect() as connection:
            here, there = self._file.read(), read_gate(connection)
            merged = stricter(here, there)
            self._in_file, self._in_table = here.holds, there.holds
            self._gate.change(lambda state: with_holds(state, merged.holds))
            self.keep_in_file()
            self.keep_in_table(connection)
        return merged

    def start(self) -> None:
        """Begin to follow both stores."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Store what has changed last and let go of both stores; a database that does not answer is left alone."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(STOP_WITHIN_S)
        try:
            self.keep_in_file()
        except FuseboxError as error:
            logger.error("the gate's last holds are not in the file: {}", error)
        if not self._threads[1].is_alive():  # else its connection is in use, and the end of the process closes it
            self._drop_connection()

    def change(self, what: Change, connection: Connection) -> tuple[GateState, GateState, list[str]]:
        """Change the gate at once, then store it; return the gate before and after, and what could not be stored yet.

        Args:
            what: the rule.
            connection: of the thread that calls.
        """
        seen: list[GateState] = []

        def noted(state: GateState) -> GateState:
            seen[:] = [state, what(state)]
            return seen[1]

        self._gate.change(noted)
        late: list[str] = []
        for name, store in (("file", self.keep_in_file), ("database", lambda: self.keep_in_table(connection))):
            try:
                store()
            except FuseboxError as error:
                late.append(f"not yet in the {name}: {error}")
        return seen[0], seen[1], late

    def keep_in_file(self) -> None:
        """Take up what others have written into the file, and write what is not in it.

        Raises:
            TransientError, FatalError: the disk refuses, or a newer version has written the file.
        """
        if not self._file_lock.acquire(timeout=STORE_WITHIN_S):
            raise TransientError("another change is being written")
        try:
            if self._file.number() == self._number and lasting(self._gate.state) == self._in_file:
                return
            kept, number = self._file.update(self._merged_with_file)
            self._in_file = kept.holds
            if number != self._number:
                self._file.note_seen(number)
            self._number = number
        finally:
            self._file_lock.release()

    def keep_in_table(self, connection: Connection | None = None) -> None:
        """Take up what others have written into the database, and write what is not in it.

        Raises:
            LeaseLostError: another process trades now.
            TransientError, FatalError: the database cannot be asked.
        """
        if not self._table_lock.acquire(timeout=STORE_WITHIN_S):
            raise TransientError("another change is being written")
        try:
            using = connection if connection is not None else self._own_connection()
            if read_gate(using).holds == self._in_table == lasting(self._gate.state):
                return
            kept = update_gate(using, self._merged_with_table, lease_epoch=self._epoch)
            self._in_table = kept.holds
        except FuseboxError:
            if connection is None:
                self._drop_connection()
            raise
        finally:
            self._table_lock.release()

    def _merged_with_file(self, stored: GateState) -> GateState:
        seen, self._in_file = self._in_file, stored.holds
        return self._merged(stored, seen, "the gate file")

    def _merged_with_table(self, stored: GateState) -> GateState:
        seen, self._in_table = self._in_table, stored.holds
        return self._merged(stored, seen, "the database")

    def _merged(self, stored: GateState, seen: tuple[Hold, ...], where: str) -> GateState:
        """Shut the gate by what is new in a store and return what the store has to hold."""
        news = [hold for hold in stored.holds if hold not in seen]
        before = self._gate.state
        if news and self._gate.change(lambda state: absorbed(state, news)):
            what = "; ".join(told(hold) for hold in news)
            logger.warning("taken from {}: {}", where, what)
            self.audit(f"taken from {where}: {what}", before, self._gate.state)
        now = self._gate.state
        return GateState(lasting(now), now.sequence)

    def _watch(self, store: Callable[[], None], every_s: float) -> None:
        failed = False
        while not self._stopping.wait(every_s):
            try:
                store()
            except TransientError as error:
                if not failed:
                    logger.warning("the gate's holds are not stored: {}; trying again", error)
                failed = True
            except FuseboxError as error:
                self._cannot(store, error)
                failed = True
            except Exception as error:  # noqa: BLE001 -- a defect here must be seen, and must not leave the gate open
                logger.opt(exception=error).error("keeping the gate failed; it goes on")
                self._cannot(store, error)
            else:
                if failed:
                    logger.info("the gate's holds are stored again")
                failed = False

    def _cannot(self, store: Callable[[], None], error: Exception) -> None:
        """Close where a file cannot be understood; what the database refuses is the watch's over the lease to judge."""
        if store != self.keep_in_file:
            return
        hold = Hold("", UNREADABLE, GateLevel.CLOSED, str(error), "", self._now_ms())
        if self._gate.change(lambda state: with_holds(state, (hold,))):
            logger.error("the gate is closed: {}", error)

    def _own_connection(self) -> Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> Connection:
        conninfo = self._conninfo()
        if conninfo is None:
            raise TransientError("the database is not there")
        return connect(conninfo, connect_timeout_s=CONNECT_WITHIN_S, statement_timeout_s=ANSWER_WITHIN_S)


def open_keeper(settings: Whereabouts, gate: GateCell, lease_epoch: int, ends: contextlib.ExitStack) -> GateKeeper:
    """Shut the gate as far as it was left and keep it from now on; to be called before any actor exists.

    Raises:
        TransientError, FatalError: a store cannot be read.
    """
    file = GateFile(settings.state_dir, report=logger.warning, now_ms=_now_ms)
    keeper = GateKeeper(gate, file, lambda: conninfo_of(settings), lease_epoch, _now_ms)
    for hold in lasting(keeper.load()):
        logger.warning("gate: {}; `resume --reason TEXT` lifts it", told(hold))
    ends.callback(keeper.stop)
    keeper.start()
    return keeper


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
