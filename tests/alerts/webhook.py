"""A webhook on a real socket that misbehaves as it is told, and keeps what it took."""

import re
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import msgspec

Trouble = Literal["reset before", "reset after", "silent", "trickle", "garbage", "refuses json", "closes"]


class Answer(msgspec.Struct, frozen=True):
    """A whole HTTP answer."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}


OK = Answer(200, b'{"id": "1"}')
NO_CONTENT = Answer(204)


def too_many(retry_after_s: float, header: str | None = None) -> Answer:
    """Return Discord's 429, with its header where one is given."""
    body = msgspec.json.encode(
        {"message": "You are being rate limited.", "retry_after": retry_after_s, "global": False}
    )
    return Answer(429, body, {} if header is None else {"Retry-After": header})


Behaviour = Answer | Trouble


class Webhook:
    """Answers each request by the next of `behaviours`, then by `OK`.

    `posted` has the content of every message that was taken, with an answer or without; `requests` counts all.
    """

    def __init__(self, behaviours: Iterable[Behaviour] = ()) -> None:
        self._behaviours = iter(behaviours)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._changed = threading.Condition()
        self.go_on = threading.Event()
        self.posted: list[str] = []
        self.documents: list[dict[str, Any]] = []
        self.targets: list[str] = []
        self.requests = 0
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def url(self, token: str = "hunter2-token-of-the-webhook") -> str:  # noqa: S107 -- of a test
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/api/webhooks/17/{token}"

    def wait_for(self, ready: Callable[[], bool], within_s: float = 20.0) -> None:
        """Wait until something that was posted, or asked, makes `ready` true."""
        with self._changed:
            assert self._changed.wait_for(ready, within_s), self.posted

    @property
    def lines(self) -> list[str]:
        """Every line that was posted, without its time."""
        return [line.split(" ", 1)[1] for text in self.posted for line in text.split("\n")]

    def close(self) -> None:
        self.go_on.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(10)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as stream:
            target = stream.readline().split(b" ")[1].decode()
            length = 0
            while (line := stream.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            document = msgspec.json.decode(stream.read(length))
            with self._changed:
                behaviour = next(self._behaviours, OK)
            taken = behaviour not in ("reset before", "closes")
            if isinstance(behaviour, Answer):
                taken = behaviour.status in (200, 204)
            with self._changed:
                self.requests += 1
                self.targets.append(target)
                self.documents.append(document)
                if taken:
                    self.posted.append(re.sub(r"\\(.)", r"\1", document["content"]))
                self._changed.notify_all()
            try:
                self._answer(behaviour, connection)
            except OSError:  # the other side has given up, which some of these behaviours are for
                return

    def _answer(self, behaviour: Behaviour, connection: socket.socket) -> None:
        match behaviour:
            case Answer(status, body, headers):
                connection.sendall(_encoded(status, body, headers))
            case "reset before" | "reset after":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case "silent":
                self.go_on.wait(30)
            case "trickle":
                for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"z" * 10_000:
                    connection.sendall(bytes([byte]))
                    if self.go_on.wait(0.02):
                        return
            case "garbage":
                connection.sendall(b"\x00\xff this is no HTTP at all\r\n\r\n\r\n")
            case "refuses json":
                connection.sendall(_encoded(200, b"<html>nothing to see", {}))


def _encoded(status: int, body: bytes, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [] if status == 204 else [f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def webhook(*behaviours: Behaviour) -> Iterator[Webhook]:
    """Serve while the block runs."""
    server = Webhook(behaviours)
    try:
        yield server
    finally:
        server.close()
