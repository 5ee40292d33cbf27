"""A local websocket server that behaves as told, and a stream running against it in a thread."""

import threading
import time
from collections.abc import Callable
from queue import Queue

from websockets.sync.server import Server, ServerConnection, serve

from venues.stream import Stream
from venues.transport import StreamMessage


class Stop:
    """A stop signal on an event of the threading module."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._callbacks: list[Callable[[], None]] = []

    def is_set(self) -> bool:
        """Return whether it was asked for."""
        return self._event.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for it."""
        return self._event.wait(timeout_s)

    def on_set(self, callback: Callable[[], None]) -> None:
        """Have `callback` called."""
        self._callbacks.append(callback)

    def set(self) -> None:
        """Ask for it."""
        self._event.set()
        for callback in self._callbacks:
            callback()


class Venue:
    """A websocket server: `behave` says what each connection, numbered from 1, gets."""

    def __init__(self, behave: Callable[["Venue", ServerConnection, int], None]) -> None:
        self.connections = 0
        self.heard: Queue[str] = Queue()
        self.paths: list[str] = []
        self._behave = behave
        self._server: Server = serve(self._handle, "127.0.0.1", 0, close_timeout=0.1)
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def _handle(self, connection: ServerConnection) -> None:
        self.connections += 1
        assert connection.request is not None
        self.paths.append(connection.request.path)
        self._behave(self, connection, self.connections)

    def listen(self, connection: ServerConnection) -> None:
        """Answer PING with PONG and note everything else, until the client leaves."""
        for message in connection:
            text = message if isinstance(message, str) else message.decode()
            if text == "PING":
                connection.send("PONG")
            self.heard.put(text)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()


class Client:
    """A stream running in a thread of its own, with what it emitted."""

    def __init__(self, stream: Stream) -> None:
        self.emitted: Queue[StreamMessage] = Queue()
        self.stop = Stop()
        self._thread = threading.Thread(target=stream.run, args=(self.emitted.put, self.stop))
        self._thread.start()

    def next(self, timeout_s: float = 5.0) -> StreamMessage:
        """Return the next message."""
        return self.emitted.get(timeout=timeout_s)

    def next_of(self, kind: type[StreamMessage]) -> StreamMessage:
        """Return the next message of one kind, leaving out others before it."""
        while True:
            message = self.next()
            if isinstance(message, kind):
                return message

    def close(self) -> float:
        """Stop and return how many seconds that took."""
        begun_s = time.monotonic()
        self.stop.set()
        self._thread.join(5.0)
        assert not self._thread.is_alive()
        return time.monotonic() - begun_s
