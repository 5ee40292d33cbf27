"""Shared pieces: a world on a fixed day, and an exchange that serves on a free port by a clock the test can set."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
import websocket

from venues.sim.app import addresses
from venues.sim.exchange import Exchange, make_exchange
from venues.sim.server import listen, make_server
from venues.sim.world import World

MIDNIGHT_S = 1_795_392_000
"""The start of a UTC day: every fixed moment of these tests is counted from here."""


class SettableClock:
    """Runs at the speed of the real clock from wherever it was last set, unless it is stopped."""

    def __init__(self) -> None:
        self._ahead_ms = 0
        self._stopped_ms: int | None = None

    def __call__(self) -> int:
        """Return unix milliseconds."""
        return self._running_ms() if self._stopped_ms is None else self._stopped_ms

    def set(self, t_ms: int) -> None:
        """Make it `t_ms` now."""
        self._ahead_ms += t_ms - self._running_ms()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let no time pass."""
        self._stopped_ms = self()
        yield
        self._stopped_ms = None

    def _running_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._ahead_ms


class Served:
    """A running exchange and clients for it."""

    def __init__(self, urls: dict[str, str], clock: SettableClock, exchange: Exchange) -> None:
        self.urls, self.clock, self.exchange, self.world = urls, clock, exchange, exchange.world
        self.http = httpx.Client(trust_env=False, timeout=10)

    def get(self, interface: str, path: str) -> httpx.Response:
        """GET a path below one of the interfaces."""
        return self.http.get(self.urls[interface] + path)

    def connect(self, interface: str, path: str = "") -> websocket.WebSocket:
        """Open a websocket to one of the interfaces."""
        return websocket.create_connection(self.urls[interface] + path, timeout=10)


def serve_world(world: str, window_s: int, assets: tuple[str, ...]) -> Iterator[Served]:
    """Serve a world of seed 5 in a thread for as long as the caller needs it."""
    clock = SettableClock()
    clock.set(MIDNIGHT_S * 1000 + 3_600_000)
    yield from serve(make_exchange(5, world, window_s, assets, clock), clock)


def serve(exchange: Exchange, clock: SettableClock) -> Iterator[Served]:
    """Serve an exchange that goes by this clock, in a thread for as long as the caller needs it."""
    listener = listen("127.0.0.1", 0)
    ready = threading.Event()
    server = make_server(exchange, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    assert ready.wait(10)
    served = Served(addresses("127.0.0.1", listener.getsockname()[1]), clock, exchange)
    yield served
    served.http.close()
    server.stop()
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def exchange() -> Iterator[Served]:
    """An exchange with the real venue's window."""
    yield from serve_world("today", 900, ("BTC", "ETH"))


@pytest.fixture(scope="module")
def world() -> World:
    """The calibrated world with the real venue's window."""
    return World(11, "today", 900)


@pytest.fixture(scope="session")
def until() -> Callable[[websocket.WebSocket, str], dict[str, object]]:
    """Return a function that reads a socket until an event of the given type comes, and returns that."""

    def read(socket: websocket.WebSocket, kind: str) -> dict[str, object]:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            frame = json.loads(socket.recv())
            for event in frame if isinstance(frame, list) else [frame]:
                if kind in (event.get("event_type"), event.get("topic"), event.get("e"), event.get("stream")):
                    assert isinstance(event, dict)
                    return event
        raise AssertionError(f"no {kind} within 20 s")

    return read
