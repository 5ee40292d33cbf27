"""Posting one JSON document: a time limit for the whole of it, and errors that say whether it may have arrived."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import httpx
import msgspec

from core.errors import RejectedError, TransientError, UnknownOutcomeError
from venues.stream import USER_AGENT

MOST_BYTES = 65_536
"""Of an answer; what is beyond is not read."""


class Reply(msgspec.Struct, frozen=True):
    """The answer; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Poster:
    """Posts over connections that serve once: one that was kept may be dead, and nobody could tell what arrived.

    Args:
        within_s: how long everything together may take, an answer that trickles in included; only looking a name up
            is up to the system.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s

    @cached_property
    def _client(self) -> httpx.Client:
        """Made by the first who posts: it takes tens of milliseconds."""
        return httpx.Client(
            timeout=httpx.Timeout(self._within_s, connect=self._within_s / 2),
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={"User-Agent": USER_AGENT, "Content-Type": "application/json"},
        )

    def post(self, url: str, document: object) -> Reply:
        """Post `document` as JSON and return the answer, whatever its status; redirects are not followed.

        No error's text holds the URL, which may be a secret, or a cause that does.

        Raises:
            TransientError: it was not sent.
            UnknownOutcomeError: it was sent, at least in part, and nothing that makes sense came back.
            RejectedError: `url` is of no use.
        """
        limit = _Limit()
        try:
            with limit.of(self._within_s):
                return self._post(url, msgspec.json.encode(document), limit)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
            raise TransientError(f"not reached ({type(error).__name__})") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise RejectedError(f"its address is of no use ({type(error).__name__})") from None
        except httpx.HTTPError as error:
            if limit.passed or isinstance(error, httpx.TimeoutException):
                raise UnknownOutcomeError(f"no answer within {self._within_s:g} s") from None
            raise UnknownOutcomeError(f"no answer that makes sense ({type(error).__name__})") from None

    def _post(self, url: str, content: bytes, limit: "_Limit") -> Reply:
        with self._client.stream("POST", url, content=content, extensions={"trace": limit.trace}) as response:
            body = b""
            for part in response.iter_raw():
                body += part
                if len(body) >= MOST_BYTES:
                    break
            return Reply(response.status_code, dict(response.headers.items()), body[:MOST_BYTES])


class _Limit:
    """Shuts the sockets of one request down when its time is over: time-outs of single reads never end a trickle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.passed = False

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note each connection as it is made, and again with TLS on it."""
        stream = info.get("return_value")
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")) and stream is not None:
            with self._lock:
                self._sockets.append(stream.get_extra_info("socket"))

    @contextlib.contextmanager
    def of(self, seconds: float) -> Iterator[None]:
        """Give the block that long."""
        timer = threading.Timer(seconds, self._shut_down)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _shut_down(self) -> None:
        with self._lock:
            self.passed = True
            for each in self._sockets:
                with contextlib.suppress(OSError):  # closed, or replaced by the one with TLS
                    socket.socket.shutdown(
                        each, socket.SHUT_RDWR
                    )  # not the TLS one's own, which its reader must not see
