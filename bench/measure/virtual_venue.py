"""The embedded exchange's whole HTTP application in this process and in virtual time: its faults, without sockets."""

import asyncio
import selectors
from collections.abc import Callable, Mapping
from typing import Any

from core.errors import UnknownOutcomeError
from venues.polymarket.connection import Answer, Connections, GateRefusedError, HandOver
from venues.sim.app import make_app
from venues.sim.exchange import Exchange, Operation, make_exchange

ANSWER_WITHIN_S = 5.0
"""The client's patience, as `venues.polymarket.connection` has it."""
_LOOPBACK = ("127.0.0.1", 1)


class _Skipping(selectors.DefaultSelector):
    """Waits for nothing that a moment could end: the moment comes at once."""

    passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            self.passed_s += timeout
            timeout = 0
        return super().select(timeout)


class VirtualVenue:
    """One exchange by our clock. While it answers a request its own clock may run ahead, as ours would meanwhile."""

    def __init__(
        self, seed: int, window_s: int, assets: tuple[str, ...], now_ms: Callable[[], int], operation: Operation
    ) -> None:
        self._clock_ms = now_ms
        self._selector = _Skipping()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._loop.time = lambda: self._selector.passed_s  # type: ignore[method-assign]
        self._began_s = 0.0
        self.exchange: Exchange = make_exchange(seed, "lagged", window_s, assets, self._now_ms, operation)
        self._app = make_app(self.exchange)

    def close(self) -> None:
        """Let go of the loop."""
        self._loop.close()

    def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[Answer, float]:
        """Return the exchange's answer, and after how many seconds it came; `target` is a path below the CLOB's."""
        self._began_s = self._selector.passed_s
        path, _, query = target.partition("?")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": "/clob" + path,
            "raw_path": ("/clob" + path).encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": _LOOPBACK,
            "server": _LOOPBACK,
        }
        said: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            said.append(message)

        self._loop.run_until_complete(self._app(scope, receive, send))
        took_s = self._selector.passed_s - self._began_s
        self._began_s = self._selector.passed_s
        answer_headers = {name.decode(): value.decode() for name, value in said[0]["headers"]}
        return Answer(said[0]["status"], answer_headers, b"".join(part.get("body", b"") for part in said[1:])), took_s

    def _now_ms(self) -> int:
        return self._clock_ms() + round((self._selector.passed_s - self._began_s) * 1000)


class VirtualConnections(Connections):
    """`Connections` to a virtual venue; `asked` hears of each request. What takes too long was sent, not answered."""

    def __init__(self, venue: VirtualVenue, asked: Callable[[], None]) -> None:
        super().__init__("http://127.0.0.1:1")
        self._venue = venue
        self._asked = asked

    def warm(self, count: int = 1) -> None:
        """Nothing is needed."""

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        hand_over: HandOver | None = None,
    ) -> Answer:
        """See `Connections.request`."""
        self._asked()
        sequence = 0 if hand_over is None else hand_over(lambda _: None)
        if sequence is None:
            raise GateRefusedError("the gate is shut, nothing was sent")
        answer, took_s = self._venue.request(method, target, headers, body)
        if took_s > ANSWER_WITHIN_S:
            raise UnknownOutcomeError(f"{method} {target.partition('?')[0]}: no answer in {ANSWER_WITHIN_S:g} s")
        return Answer(answer.status, answer.headers, answer.body, sequence)
