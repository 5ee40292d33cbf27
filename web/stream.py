"""One reader for everybody: a thread that listens to PostgreSQL, and hands each new view to all who look.

Who is slow skips views: everybody gets the newest one there is when they are ready for it.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable

import msgspec
from psycopg.sql import SQL, Identifier

from core.errors import FuseboxError
from storage.pool import Connection, database_errors
from storage.snapshots import CHANNEL
from web.database import Database, NoDatabaseError
from web.picture import Painter, View

LOOK_EVERY_S = 1.0
"""Without a word from the trader; its notification wakes the reader at once."""
AGAIN_S = 1.0
KEEP_ALIVE_S = 15.0
STOP_WITHIN_S = 2.0
MOST_READERS = 64


class Hub:
    """Reads in a thread of its own and wakes those who wait in the event loop."""

    def __init__(
        self,
        database: Database,
        painter: Painter,
        log: Callable[[str], None],
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._database = database
        self._painter = painter
        self._log = log
        self._now_ms = now_ms
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="page-reader", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Event] = set()
        self._version = 0
        self._payload = b""
        self._lost: tuple[int, View] | None = None
        self.view = View("starting", now_ms())

    @property
    def readers(self) -> int:
        """How many look at the moment."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin to read; to be called in the event loop."""
        self._loop = asyncio.get_running_loop()
        self._publish(self.view)
        self._thread.start()

    def stop(self) -> None:
        """End every stream and the thread; of use in any thread."""
        self._stopping.set()
        self._wake()

    def join(self) -> None:
        """Wait a moment for the thread."""
        self._thread.join(STOP_WITHIN_S)

    async def views(self) -> AsyncIterator[bytes]:
        """Yield views as JSON, the present one first; an empty one where there was nothing new for a while."""
        changed, seen = asyncio.Event(), 0
        self._waiting.add(changed)
        try:
            while not self._stopping.is_set():
                if self._version != seen:
                    seen = self._version
                    yield self._payload
                    continue
                changed.clear()
                try:
                    await asyncio.wait_for(changed.wait(), KEEP_ALIVE_S)
                except TimeoutError:
                    yield b""
        finally:
            self._waiting.discard(changed)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._database.open() as connection:
                    self._follow(connection)
            except NoDatabaseError as error:
                if self.view.session is None:  # nothing was ever seen here
                    self._publish(View("empty", self._now_ms(), why=str(error)))
                else:
                    self._away(str(error))
            except FuseboxError as error:
                self._away(str(error))
            except Exception as error:  # noqa: BLE001 -- shown on the page: a reader that is gone would show old numbers
                self._away(f"defect: {type(error).__name__}: {error}")
            self._stopping.wait(AGAIN_S)

    def _follow(self, connection: Connection) -> None:
        with database_errors():
            connection.execute(SQL("LISTEN {}").format(Identifier(CHANNEL)))
        while not self._stopping.is_set():
            view = self._painter.view(connection, self._now_ms())
            if self._lost is not None:
                self._log("the database answers again")
                self._lost = None
            self._publish(view)
            with database_errors():
                list(connection.notifies(timeout=LOOK_EVERY_S, stop_after=1))

    def _away(self, why: str) -> None:
        """Say that the database is away, and keep what was known before."""
        if self._lost is None:
            self._lost = self._now_ms(), self.view
            self._log(f"the database cannot be read: {why}; trying again")
        since_ms, last = self._lost
        away = View("away", self._now_ms(), since_ms, why)
        self._publish(
            msgspec.structs.replace(
                away,
                session=last.session,
                lease=last.lease,
                picture_ms=last.picture_ms,
                status=last.status,
                stored=last.stored,
                divergence=last.divergence,
            )
        )

    def _publish(self, view: View) -> None:
        self.view, self._payload = view, msgspec.json.encode(view)
        self._version += 1
        self._wake()

    def _wake(self) -> None:
        def set_all() -> None:
            for each in self._waiting:
                each.set()

        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(set_all)
