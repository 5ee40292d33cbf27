"""Reaching the database and the running process from another shell."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from config.place import PROJECT_ROOT, place_of_this_shell
from core.errors import FuseboxError, RejectedError, TransientError, UnknownOutcomeError
from storage.control import Holder, acknowledge, expect_answers, find, holder, request, wait_for_answer
from storage.embedded import EmbeddedServer, recorded_uri
from storage.pool import Connection, connect, target

HOLDER_CHECK_S = 1.0


class Text(Protocol):
    """A secret that is only shown on purpose."""

    def get_secret_value(self) -> str:
        """Return the text."""
        ...


class Whereabouts(Protocol):
    """Where a process keeps its state and which database it uses: settings, or as much of them as a command needs."""

    @property
    def state_dir(self) -> Path:
        """Folder of the embedded database and of the local files."""
        ...

    @property
    def database_url(self) -> Text | None:
        """The database's address; None for the embedded one."""
        ...


class NotRunningError(TransientError):
    """Raised when no process trades that could carry a command out."""


class NoAnswerError(UnknownOutcomeError):
    """Raised when the running process did not answer in time; it may still carry out what it has begun."""


def client_settings() -> Whereabouts:
    """Return what says where database and state folder are, from the same layers as `run` reads.

    Raises:
        ConfigError: a setting is unknown or cannot be used.
    """
    place = place_of_this_shell()
    if place is not None:
        return place
    from config.load import load_settings  # noqa: PLC0415 -- takes longer to load than a command to be carried out

    return load_settings(os.environ, {}, PROJECT_ROOT / ".env")


def conninfo_of(settings: Whereabouts) -> str | None:
    """Return how to reach the database that a process uses now; None when the embedded one does not run."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return recorded_uri(settings.state_dir)


@contextlib.contextmanager
def running_process(settings: Whereabouts) -> Iterator[tuple[Connection, Holder]]:
    """Connect to the database of the process that trades.

    Raises:
        NotRunningError: none does.
        TransientError, FatalError: a given DATABASE_URL cannot be used.
    """
    conninfo = conninfo_of(settings)
    if conninfo is None:
        raise NotRunningError(f"no process trades with {settings.state_dir}: `python supervisor.py run` starts one")
    try:
        connection = connect(conninfo)
    except TransientError as error:
        if settings.database_url is not None:
            raise
        raise NotRunningError(f"no process trades with {settings.state_dir}: its database is down") from error
    with connection:
        found = holder(connection)
        if found is None:
            raise NotRunningError(f"no process trades on {target(conninfo)}: `python supervisor.py run` starts one")
        yield connection, found


@contextlib.contextmanager
def stored(settings: Whereabouts) -> Iterator[Connection]:
    """Connect to what was stored, whether or not a process runs: an embedded server is started for the moment.

    Raises:
        NotRunningError: nothing was ever stored there.
        TransientError, FatalError: the database cannot be used.
    """
    if settings.database_url is not None:
        with connect(settings.database_url.get_secret_value()) as connection:
            yield connection
        return
    if not (settings.state_dir / "postgres").exists():
        raise NotRunningError(f"nothing was ever stored in {settings.state_dir}: `python supervisor.py run` starts")
    server = EmbeddedServer(settings.state_dir)
    try:
        with connect(server.start()) as connection:
            yield connection
    finally:
        server.stop()


def ask(connection: Connection, command: str, args: Mapping[str, Any], timeout_s: float) -> Mapping[str, Any]:
    """Give the running process a command and return its result.

    Raises:
        NoAnswerError: it did not answer within `timeout_s`; the command is withdrawn.
        NotRunningError: it ended before it answered; the command is withdrawn.
        RejectedError: it refused; the text is its own.
    """
    expect_answers(connection)
    number = request(connection, command, args)
    deadline_s, look_s = time.monotonic() + timeout_s, time.monotonic() + HOLDER_CHECK_S
    why: FuseboxError = NoAnswerError(f"the running process did not answer `{command}` within {timeout_s:g} s")
    while (left_s := deadline_s - time.monotonic()) > 0:
        answered = wait_for_answer(connection, number, left_s)
        if answered is not None:
            return _result(answered.result)
        if time.monotonic() > look_s:
            look_s = time.monotonic() + HOLDER_CHECK_S
            if holder(connection) is None:
                why = NotRunningError(f"the process ended before it answered `{command}`")
                break
    if not acknowledge(connection, number, {"ok": False, "error": "withdrawn: nobody answered in time"}):
        last = find(connection, number)  # the answer came in this very moment
        return _result(None if last is None else last.result)
    raise why


def _result(result: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if result is None or not result.get("ok"):
        raise RejectedError("no result" if result is None else str(result.get("error", "refused without a reason")))
    return result
