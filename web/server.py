"""The page server's process: a listening socket, the server, and the ways it is told to stop."""

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn

from web.app import Page

BACKLOG = 128
STDIN, CHUNK = 0, 4096


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on `host` and `port` (0: any free one).

    Raises:
        OSError: the port is taken, or the address is not this host's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listener


class PageServer(uvicorn.Server):
    """A server that leaves signals to its caller and ends the streams before it waits for them."""

    def __init__(self, page: Page, started: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                page.app(),
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="on",
                ws="none",
                timeout_graceful_shutdown=2,
                timeout_keep_alive=30,
            )
        )
        self._page = page
        self._announce = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections, then say so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._announce()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signal handlers alone."""
        yield

    def stop(self) -> None:
        """Make the server end at its next tick, within a tenth of a second."""
        self._page.hub.stop()
        self.should_exit = True


def serve(page: Page, listener: socket.socket, started: Callable[[], None], *, exit_with_stdin: bool = False) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, or until stdin ends if `exit_with_stdin`."""
    with asyncio.Runner() as runner:
        runner.run(_serve(page, listener, started, exit_with_stdin=exit_with_stdin))


async def _serve(page: Page, listener: socket.socket, started: Callable[[], None], *, exit_with_stdin: bool) -> None:
    server = PageServer(page, started)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, server.stop)
    if exit_with_stdin:
        threading.Thread(target=_wait_for_eof, args=(loop, server.stop), daemon=True).start()
    await server.serve(sockets=[listener])


def _wait_for_eof(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Block until standard input ends.

    Reads the descriptor itself: a thread that waits inside `sys.stdin` makes the interpreter abort at exit.
    """
    while os.read(STDIN, CHUNK):
        pass
    with contextlib.suppress(RuntimeError):  # the loop may have ended on a signal meanwhile
        loop.call_soon_threadsafe(stop)
