"""A page server on loopback over a database that can go away, with commands that only note what they were told."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

from cli.divergence import divergence
from cli.status_stored import stored_status
from core.errors import RejectedError
from storage.lease import ADVISORY_LOCK
from storage.pool import Connection, connect
from storage.queries import Session, open_session
from web.access import Access
from web.actions import Outcome
from web.app import Page
from web.database import Database
from web.picture import Painter
from web.server import PageServer, listen

T0 = 1_776_727_800_000
NOWHERE = "host=/nonexistent dbname=none"


class Noted:
    """Commands that note what they were given; a reason of `no` is refused."""

    def __init__(self) -> None:
        self.given: list[tuple[str, str]] = []

    def _note(self, command: str, value: str) -> Outcome:
        self.given.append((command, value))
        if value == "no":
            raise RejectedError("refused, said the trader")
        return Outcome(f"{command} done", ["and more"])

    def restart(self, name: str) -> Outcome:
        return self._note("restart", name)

    def halt(self, reason: str) -> Outcome:
        return self._note("halt", reason)

    def resume(self, reason: str) -> Outcome:
        return self._note("resume", reason)

    def flatten(self, asset: str) -> Outcome:
        return self._note("flatten", asset)


class Served:
    """A page that runs: its address, what it logged, and the database it is told to use."""

    def __init__(self, conninfo: str | None, password: str | None, commands: Any = None) -> None:
        self.conninfo = conninfo
        self.commands = Noted() if commands is None else commands
        self.said: list[str] = []

        def stored(connection: Connection) -> Mapping[str, Any]:
            found: Mapping[str, Any] = msgspec.to_builtins(stored_status(connection))
            return found

        def compared(connection: Connection, live: int, paper: int) -> Mapping[str, Any]:
            found: Mapping[str, Any] = msgspec.to_builtins(divergence(connection, live, paper))
            return found

        self.page = Page(
            Access(password),
            Database(lambda: self.conninfo),
            Painter(stored, compared),
            self.commands,
            self.said.append,
        )
        self._listener = listen("127.0.0.1", 0)
        self.port = self._listener.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self._up = threading.Event()
        self._server = PageServer(self.page, self._up.set)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._up.wait(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._server.serve(sockets=[self._listener]))
        self._loop.close()

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def client(self, **headers: str) -> httpx.Client:
        """Return a browser of a sort: it keeps cookies and says where it comes from."""
        return httpx.Client(base_url=self.origin, headers={"origin": self.origin, **headers}, timeout=10)

    def token(self, client: httpx.Client) -> dict[str, str]:
        """Return the header that an action needs."""
        return {"x-fusebox-token": client.get("/api/session").json()["token"]}

    def until(self, client: httpx.Client, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first view of the stream for which `holds` is true, of at most a hundred."""
        with client.stream("GET", "/api/stream") as stream:
            seen: list[dict[str, Any]] = []
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    seen.append(json.loads(line[6:]))
                    if holds(seen[-1]):
                        return seen[-1]
                    assert len(seen) < 100, seen[-1]
        raise AssertionError(f"the stream ended: {seen[-1:]}")


Serve = Callable[..., Served]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve a page over a database; all end with the test."""
    started: list[Served] = []

    def begin(conninfo: str | None = None, password: str | None = None, commands: Any = None) -> Served:
        started.append(Served(conninfo, password, commands))
        return started[-1]

    yield begin
    for each in started:
        each.stop()


@pytest.fixture(scope="module")
def bare() -> Iterator[Served]:
    """Serve one page without a database and without a password for all tests of a module that need neither."""
    served = Served(None, None)
    yield served
    served.stop()


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


@pytest.fixture
def session(connection: Connection) -> Session:
    return open_session(connection, "paper", {"starting_cash_usd": 10_000}, venue="demo", new=False, now_ms=T0)


@pytest.fixture
def trader(database: str) -> Iterator[Connection]:
    """Hold the lease, as a process that trades does."""
    with connect(database) as holds:
        holds.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        holds.execute("UPDATE lease SET epoch = 3, pid = 4711, host = 'there', acquired_at = now(), released_at = NULL")
        yield holds


def cut(conninfo: str) -> None:
    """End every other connection to a database, as a server that goes away does."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
