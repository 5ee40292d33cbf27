"""A local CLOB over real sockets: each path answers as prepared, or misbehaves as named."""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit


class Asked(NamedTuple):
    """One request as it came; `connection` counts the connections from 1."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Reply(NamedTuple):
    """An ordinary answer; a body that is not bytes goes out as JSON."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})


class Raw(NamedTuple):
    """Bytes written as they are, then the connection is cut."""

    data: bytes = b""


class Held(NamedTuple):
    """No answer until the server closes."""


class Dripping(NamedTuple):
    """A header now and then, for ever: no read times out, and no answer ends."""


Behaviour = Reply | Raw | Held | Dripping
Answer = Behaviour | Callable[[Asked], Behaviour]


class LocalClob:
    """Answers `(method, path)`: a list is used up from its front, its last entry stays."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], list[Answer]] = {}
        self.asked: list[Asked] = []
        self.connections = 0
        self.closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                server.connections += 1
                self.number = server.connections

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, parts.path, query, headers, body, self.number)
                server.asked.append(asked)
                self.behave(server.next_answer(asked))

            do_POST = do_DELETE = do_GET  # noqa: N815

            def behave(self, behaviour: Behaviour) -> None:
                match behaviour:
                    case Reply():
                        self.reply(behaviour)
                    case Raw():
                        self.wfile.write(behaviour.data)
                        self.close_connection = True
                    case Held():
                        server.closing.wait(20)
                        self.close_connection = True
                    case Dripping():
                        self.close_connection = True
                        self.drip()

            def reply(self, reply: Reply) -> None:
                data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                self.send_header("Content-Length", str(len(data)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def drip(self) -> None:
                try:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                    while not server.closing.wait(0.02):
                        self.wfile.write(b"X-Drop: 1\r\n")
                except OSError:
                    # the client had enough, as it should
                    return

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self._http = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Prepare what `method path` answers, in this order."""
        self.answers[method, path] = list(answers)

    def next_answer(self, asked: Asked) -> Behaviour:
        """Return the next behaviour prepared for a request."""
        prepared = self.answers.get((asked.method, asked.path))
        if not prepared:
            return Reply({"error": "not found"}, 404)
        answer = prepared.pop(0) if len(prepared) > 1 else prepared[0]
        return answer(asked) if callable(answer) else answer

    def of(self, method: str, path: str) -> list[Asked]:
        """Return the requests that came for `method path`."""
        return [asked for asked in self.asked if (asked.method, asked.path) == (method, path)]

    def close(self) -> None:
        """Release what is held and stop."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
