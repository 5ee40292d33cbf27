"""HTTP/1.1 connections kept warm, on which a request is one write: the moment it leaves is known, and can be gated."""

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import urlsplit

import httpx
import msgspec

from core.errors import RejectedError, TransientError, UnknownOutcomeError
from venues.stream import USER_AGENT

HandOver = Callable[[Callable[[int], None]], int | None]
"""Given a function that writes the request, calls it with the gate's sequence and returns that; None: gate shut.

`functools.partial(gate.submit, asset, kind)` is one. It runs under the gate's lock: the write is bounded in time.
"""
_LONGEST_ANSWER = 8_000_000
_UNGATED = 0


class GateRefusedError(RejectedError):
    """Raised when the gate was shut at the moment of sending: not one byte left."""


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds: to connect, to hand a request to the kernel (the gate's lock is held meanwhile), to be answered."""

    connect_s: float = 2.0
    write_s: float = 0.25
    answer_s: float = 5.0
    idle_s: float = 25.0
    """A connection unused for this long is not trusted again."""


class Answer(msgspec.Struct, frozen=True):
    """What came back: the status, headers by lower-case name, the body, and the gate's sequence at sending."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    gate_sequence: int = _UNGATED


class _Connection(msgspec.Struct):
    sock: socket.socket
    used_s: float
    fresh: bool = True


class Connections:
    """A pool for one base URL, safe from any thread; a request takes a connection for itself. Proxies are not used.

    Args:
        base_url: `https://…` or `http://…`.
        timeouts: how patient each step is.
        ssl_context: in place of httpx's, which trusts what every other call of this program trusts.
        monotonic_s: the clock for idleness and deadlines.

    Raises:
        RejectedError: when `base_url` is no web URL.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeouts: Timeouts | None = None,
        ssl_context: ssl.SSLContext | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise RejectedError(f"{base_url!r} is no web URL: it must begin with http:// or https://")
        self._timeouts = timeouts or Timeouts()
        self._address = (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
        self._host = parts.netloc.rpartition("@")[2]
        self._prefix = parts.path.rstrip("/")
        self._ssl = (ssl_context or httpx.create_ssl_context()) if parts.scheme == "https" else None
        self._monotonic_s = monotonic_s
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()

    def warm(self, count: int = 1) -> None:
        """Have `count` idle connections ready, so that a request waits for no handshake.

        Raises:
            TransientError: when the venue cannot be reached.
        """
        ready = [self._idle_one() for _ in range(count)]
        for connection in ready:
            self._give_back(connection or self._connect())

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        hand_over: HandOver | None = None,
    ) -> Answer:
        """Send one request and return the answer, whatever its status.

        `headers` come on top of host, length, type and agent. With `hand_over` the write happens inside it.

        Raises:
            TransientError: when nothing was sent: no connection.
            GateRefusedError: when `hand_over` did not let it pass: nothing was sent.
            UnknownOutcomeError: when it was handed over and no whole answer came back in time.
        """
        data = self._serialised(method, target, headers, body)
        connection = self._idle_one() or self._connect()
        try:
            return self._exchange(connection, method, target, data, hand_over)
        except UnknownOutcomeError:
            # asking or cancelling twice is harmless, and an idle connection may have died a moment before
            if method == "POST" or connection.fresh:
                raise
        return self._exchange(self._connect(), method, target, data, hand_over)

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.sock.close()

    def _exchange(
        self, connection: _Connection, method: str, target: str, data: bytes, hand_over: HandOver | None
    ) -> Answer:
        sock = connection.sock
        began = False

        def write(_sequence: int) -> None:
            nonlocal began
            began = True
            sock.sendall(data)

        sock.settimeout(self._timeouts.write_s)
        try:
            sequence = _written_ungated(write) if hand_over is None else hand_over(write)
        except OSError as error:
            sock.close()
            raise UnknownOutcomeError(f"{method} {target}: cut while sending: {_text(error)}") from error
        except BaseException:
            sock.close()
            raise
        if not began or sequence is None:
            self._give_back(connection)
            raise GateRefusedError(f"{method} {target}: the gate is shut, nothing was sent")
        try:
            response = self._read(sock, method)
            answer = Answer(response.status, _lower(response), _body(response), gate_sequence=sequence)
        except (OSError, http.client.HTTPException, ValueError) as error:
            sock.close()
            raise UnknownOutcomeError(f"{method} {target}: sent, but not answered: {_text(error)}") from error
        if response.will_close or not response.isclosed():
            sock.close()
        else:
            self._give_back(connection)
        return answer

    def _read(self, sock: socket.socket, method: str) -> http.client.HTTPResponse:
        deadline_s = self._monotonic_s() + self._timeouts.answer_s
        # all that HTTPResponse wants of a socket is `makefile`
        source = cast("socket.socket", _Source(sock, deadline_s, self._monotonic_s))
        response = http.client.HTTPResponse(source, method=method)
        response.begin()
        return response

    def _serialised(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
        every = {
            "Host": self._host,
            "User-Agent": USER_AGENT,
            "Accept": "*/*",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **headers,
        }
        lines = [f"{method} {self._prefix}{target} HTTP/1.1", *(f"{name}: {value}" for name, value in every.items())]
        if any(not line.isprintable() or not line.isascii() for line in lines):
            raise RejectedError(
                f"{method} {target.partition('?')[0]}: a header or the path is not plain text: check the keys"
            )
        return "\r\n".join([*lines, "", ""]).encode() + body

    def _idle_one(self) -> _Connection | None:
        """Return the connection used last that still stands."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if self._monotonic_s() - connection.used_s < self._timeouts.idle_s and _stands(connection.sock):
                return connection
            connection.sock.close()

    def _give_back(self, connection: _Connection) -> None:
        connection.used_s = self._monotonic_s()
        connection.fresh = False
        with self._lock:
            self._idle.append(connection)

    def _connect(self) -> _Connection:
        try:
            sock = socket.create_connection(self._address, timeout=self._timeouts.connect_s)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._ssl is not None:
                    sock = self._ssl.wrap_socket(sock, server_hostname=self._address[0])
            except OSError:
                sock.close()
                raise
        except OSError as error:
            raise TransientError(f"{self._host} cannot be reached: {_text(error)}") from error
        return _Connection(sock, self._monotonic_s())


class _Source:
    """A socket as HTTPResponse wants it, with one deadline for the whole answer: a dripping peer cannot hold us."""

    def __init__(self, sock: socket.socket, deadline_s: float, monotonic_s: Callable[[], float]) -> None:
        self._raw = _DeadlineReader(sock, deadline_s, monotonic_s)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the file to read the answer from."""
        return io.BufferedReader(self._raw)


class _DeadlineReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline_s: float, monotonic_s: Callable[[], float]) -> None:
        super().__init__()
        self._sock = sock
        self._deadline_s = deadline_s
        self._monotonic_s = monotonic_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        left_s = self._deadline_s - self._monotonic_s()
        if left_s <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left_s)
        return self._sock.recv_into(buffer)


def _written_ungated(write: Callable[[int], None]) -> int:
    write(_UNGATED)
    return _UNGATED


def _stands(sock: socket.socket) -> bool:
    """Return whether an idle connection has neither ended nor been sent something; TLS tickets are taken in."""
    sock.settimeout(0)
    try:
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return False


def _body(response: http.client.HTTPResponse) -> bytes:
    """Return the whole body; one of unknown or other length than announced raises, for it may have been cut."""
    if response.length is None and not response.chunked:
        raise ValueError("no length announced")
    if response.length is not None and response.length > _LONGEST_ANSWER:
        raise ValueError(f"{response.length} bytes announced")
    return response.read()


def _lower(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _text(error: Exception) -> str:
    return " ".join(f"{type(error).__name__} {error}".split())[:160]
