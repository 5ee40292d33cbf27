"""The process: a listening socket, the server, and the three ways it is told to stop."""

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn

from venues.sim.app import make_app
from venues.sim.exchange import Exchange
from venues.sim.streams.protocol import CuttableProtocol
from venues.sim.world.day import DAY_S

_BACKLOG = 128
_STDIN, _CHUNK = 0, 4096
_WARM_AHEAD_MS = 300_000
_WARM_EVERY_S = 30.0
_DRIVE_EVERY_S = 0.05


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on `host` and `port` (0: any free one). Raises OSError when it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named asyncio turns off Nagle's algorithm; else each reply in two writes waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listener


class ExchangeServer(uvicorn.Server):
    """A server that leaves signals to its caller, and does not wait for open websockets when told to stop."""

    def __init__(self, config: uvicorn.Config, exchange: Exchange, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._exchange, self._announce = exchange, announce
        self._engine_driver: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections, then say so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._engine_driver = asyncio.create_task(_drive(self._exchange))
            self._engine_driver.add_done_callback(lambda _: self.stop())
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close every connection. Raises what made the engine fail, if that is why we stop."""
        await super().shutdown(sockets=sockets)
        if self._engine_driver is not None:
            self._engine_driver.cancel()
            with contextlib.suppress(asyncio.CancelledError):  # ours
                await self._engine_driver

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signal handlers alone."""
        yield

    def stop(self) -> None:
        """Make the server end at its next tick, within a tenth of a second."""
        self.should_exit = self.force_exit = True


def make_server(exchange: Exchange, announce: Callable[[], None]) -> ExchangeServer:
    """Return a server for `exchange`, not yet serving; it calls `announce` once it does."""
    return ExchangeServer(
        uvicorn.Config(
            make_app(exchange),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws=CuttableProtocol,
            ws_max_size=1 << 20,
            ws_per_message_deflate=False,
        ),
        exchange,
        announce,
    )


def serve(exchange: Exchange, listener: socket.socket, announce: Callable[[], None], *, exit_with_stdin: bool) -> None:
    """Serve until SIGTERM or SIGINT, or until stdin ends if `exit_with_stdin`. Calls `announce` once it is serving."""
    with asyncio.Runner() as runner:
        runner.run(_serve(exchange, listener, announce, exit_with_stdin=exit_with_stdin))


async def _serve(
    exchange: Exchange, listener: socket.socket, announce: Callable[[], None], *, exit_with_stdin: bool
) -> None:
    server = make_server(exchange, announce)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    if exit_with_stdin:
        threading.Thread(target=_wait_for_eof, args=(loop, server.stop), daemon=True).start()
    warming = asyncio.create_task(_keep_warm(exchange))
    await server.serve(sockets=[listener])
    warming.cancel()


async def _drive(exchange: Exchange) -> None:
    """Have the engine do what comes due between requests."""
    while True:
        exchange.engine.advance(exchange.now_ms())
        await asyncio.sleep(_DRIVE_EVERY_S)


def _wait_for_eof(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Block until standard input ends.

    Reads the descriptor itself: a thread that waits inside `sys.stdin` makes the interpreter abort at exit.
    """
    while os.read(_STDIN, _CHUNK):
        pass
    with contextlib.suppress(RuntimeError):  # the loop may have ended on a signal meanwhile
        loop.call_soon_threadsafe(stop)


def warm(exchange: Exchange, at_ms: int) -> None:
    """Compute the days around `at_ms`, which takes about 0.15 s each, before anybody waits for them."""
    for asset in exchange.assets:
        exchange.world.prices.day(asset, at_ms // (DAY_S * 1000))


async def _keep_warm(exchange: Exchange) -> None:
    """Have tomorrow ready before midnight, outside the event loop's thread."""
    while True:
        await asyncio.to_thread(warm, exchange, exchange.now_ms() + _WARM_AHEAD_MS)
        await asyncio.sleep(_WARM_EVERY_S)
