"""`dashboard`: the web page as a process of its own, which reads the database and trades nothing."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
import typer

from cli.client import conninfo_of
from cli.divergence import divergence
from cli.page_commands import PageCommands
from cli.page_place import HIGHEST_PORT, Place, place_of, url_of
from cli.status_stored import stored_status
from config.load import load_settings
from config.settings import PROJECT_ROOT, Settings
from core.errors import FatalError
from storage.embedded import EmbeddedServer
from storage.pool import Connection
from web.access import Access
from web.app import Page
from web.database import Database
from web.picture import Painter
from web.server import listen, serve


def dashboard(
    host: Annotated[
        str | None, typer.Option(help="Address to serve at; not this host's own only with a password.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port, 0 for any that is free.", min=0, max=HIGHEST_PORT)] = None,
) -> None:
    """Serve the web page of what trades, or traded, with the same database.

    Stop with Ctrl-C. Exit codes: 0 stopped, 1 could not listen there, 2 bad settings, or open to others without a
    password.
    """
    settings = load_settings(os.environ, {"dashboard_host": host, "dashboard_port": port}, PROJECT_ROOT / ".env")
    place = place_of(settings, os.environ)
    where = Whereabouts(settings)
    try:
        _serve(settings, place, where.conninfo)
    finally:
        where.close()


def _serve(settings: Settings, place: Place, conninfo: Callable[[], str | None]) -> None:
    page = page_of(settings, conninfo)
    listener = _listen(place)
    url = url_of(place.host, listener.getsockname()[1])
    serve(page, listener, lambda: say(f"the web page is at {url}"))


def page_of(settings: Settings, conninfo: Callable[[], str | None]) -> Page:
    """Return the page of a trader with these settings."""
    password = settings.dashboard_password

    def stored(connection: Connection) -> Mapping[str, Any]:
        found: Mapping[str, Any] = msgspec.to_builtins(stored_status(connection))
        return found

    def compared(connection: Connection, live: int, paper: int) -> Mapping[str, Any]:
        found: Mapping[str, Any] = msgspec.to_builtins(divergence(connection, live, paper))
        return found

    return Page(
        Access(None if password is None else password.get_secret_value()),
        Database(conninfo),
        Painter(stored, compared),
        PageCommands(settings),
        say,
    )


def say(text: str) -> None:
    """Tell one line."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


def _listen(place: Place) -> socket.socket:
    try:
        return listen(place.host, place.port)
    except OSError as error:
        raise FatalError(
            f"cannot serve the web page at {place.host} port {place.port} ({error.strerror}): "
            "name another with --port, 0 for any that is free"
        ) from error


class Whereabouts:
    """Where the database is; the embedded server, once there is one, is kept running while the page looks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server = EmbeddedServer(settings.state_dir)
        self._lock = threading.Lock()

    def conninfo(self) -> str | None:
        """Return how to reach it, None before anything was stored.

        Raises:
            FatalError: the embedded server does not start.
        """
        if self._settings.database_url is not None:
            return conninfo_of(self._settings)
        with self._lock:
            if not (self._settings.state_dir / "postgres").exists():
                return None
            return self._server.start()

    def close(self) -> None:
        """Let go of the embedded server; its last user stops it."""
        self._server.stop()


# -- beside `run` -------------------------------------------------------------------------------------------------


def beside(host: str, port: int) -> None:
    """Serve for as long as standard input is open; a port that is taken is replaced by a free one.

    The first line on standard output is JSON with `url`.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    out = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what is said is for the log
    settings = load_settings(os.environ, {}, PROJECT_ROOT / ".env")
    try:
        listener = listen(host, port)
    except OSError:
        listener = listen(host, 0)
    url = url_of(host, listener.getsockname()[1])
    page = page_of(settings, lambda: conninfo_of(settings))

    def announce() -> None:
        os.write(out, msgspec.json.encode({"url": url}) + b"\n")
        os.close(out)

    serve(page, listener, announce, exit_with_stdin=True)


if __name__ == "__main__":
    beside(sys.argv[1], int(sys.argv[2]))
