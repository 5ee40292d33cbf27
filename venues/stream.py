"""One websocket that stays connected: subscribe, ping, notice silence, reconnect with backoff, until told to stop."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random
from urllib.parse import urlsplit

import msgspec
import websocket
from tenacity import RetryCallState, Retrying, retry_if_exception_type

from core.errors import RejectedError, TransientError
from core.runtime.stream import StopSignal
from venues.transport import (
    BadFrame,
    BadFrameError,
    DecodedFrame,
    StreamClosed,
    StreamMessage,
    StreamOpened,
    StreamReceived,
    UnknownEvent,
)

USER_AGENT = "fusebox/0.1"
_MAX_UNKNOWN_KINDS = 100


class StreamTimings(msgspec.Struct, frozen=True):
    """How patient a stream is, in seconds. The first retry waits about `backoff_s`, each next one twice as long."""

    silence_s: float = 30.0
    ping_every_s: float = 10.0
    connect_timeout_s: float = 5.0
    backoff_s: float = 0.25
    max_backoff_s: float = 15.0
    healthy_s: float = 10.0
    """A connection that gave data for this long resets the backoff."""


class _ConnectionLostError(TransientError):
    """Raised inside a stream to end a session; its text becomes the reason of `StreamClosed`."""


class Stream:
    """A websocket as a blocking worker: `run` emits what arrives until the stop signal is set.

    Silence is measured on events: neither PONG nor acknowledgements nor garbage counts, because real feeds fall silent
    with the socket open and the pings answered.

    Args:
        url: `ws://` or `wss://`.
        subscriptions: text frames sent after each connect, or functions that return one: a secret is not kept.
        decode: the frame decoder; raises `BadFrameError` for what it cannot read.
        now_ms: the clock for receipt stamps, unix ms.
        timings: patience; its `silence_s` is how long a connection may live without an event.
        ping: the text to send every `ping_every_s`; None where the protocol's own pings do.
        expects: whether events are owed now; while they are not, any frame (a PONG too) ends the silence.
        monotonic_s: the clock for silence, pings and backoff.
        random: the source of jitter.

    Raises:
        RejectedError: when `url` is no websocket URL.
    """

    def __init__(
        self,
        url: str,
        subscriptions: tuple[str | Callable[[], str], ...],
        decode: Callable[[bytes], DecodedFrame],
        now_ms: Callable[[], int],
        timings: StreamTimings,
        *,
        ping: str | None = "PING",
        expects: Callable[[], bool] = lambda: True,
        monotonic_s: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        if not url.startswith(("ws://", "wss://")):
            raise RejectedError(f"{url!r} is no websocket URL: it must begin with ws:// or wss://")
        self.url = url
        self._subscriptions = subscriptions
        self._decode = decode
        self._now_ms = now_ms
        self._timings = timings
        self._ping = ping
        self._expects = expects
        self._monotonic_s = monotonic_s
        self._random = random or Random()
        self._socket: websocket.WebSocket | None = None
        self._healthy = False
        self._closed_reason: str | None = None
        self._bad_frames = 0
        self._kinds: set[str] = set()

    def run(self, emit: Callable[[StreamMessage], None], stop: StopSignal) -> None:
        """Connect, subscribe and emit until `stop` is set; returns at once then, also from a blocked receive.

        Nothing that a network or a venue does ends it: a lost or refused connection is told as one `StreamClosed`.
        """

        def sleep(seconds: float) -> None:
            stop.wait(seconds)

        stop.on_set(self._abort)
        while not stop.is_set():
            Retrying(
                sleep=sleep,
                stop=lambda _: stop.is_set(),
                wait=self._backoff_s,
                retry=retry_if_exception_type(_ConnectionLostError),
                retry_error_callback=lambda _: None,
            )(self._attempt, emit, stop)

    def _backoff_s(self, state: RetryCallState) -> float:
        """Return the wait before the next attempt: exponential, with half of it jittered."""
        ceiling = min(self._timings.max_backoff_s, self._timings.backoff_s * 2.0 ** min(32, state.attempt_number - 1))
        return ceiling * (0.5 + 0.5 * self._random.random())

    def _attempt(self, emit: Callable[[StreamMessage], None], stop: StopSignal) -> None:
        """Run one session; returns, so that the backoff starts anew, when it was healthy or when stopped."""
        if stop.is_set():
            return
        self._healthy = False
        try:
            self._session(emit, stop)
        except (OSError, websocket.WebSocketException, _ConnectionLostError) as error:
            if stop.is_set():
                return
            self._tell_closed(emit, f"{urlsplit(self.url).netloc}: {_reason(error)}")
            if not self._healthy:
                raise _ConnectionLostError(str(error)) from error
            stop.wait(self._timings.backoff_s * (0.5 + 0.5 * self._random.random()))
        finally:
            self._drop()

    def _tell_closed(self, emit: Callable[[StreamMessage], None], reason: str) -> None:
        if reason != self._closed_reason:
            self._closed_reason = reason
            emit(StreamClosed(reason, self._now_ms()))

    def _session(self, emit: Callable[[StreamMessage], None], stop: StopSignal) -> None:
        timings = self._timings
        connection = websocket.create_connection(
            self.url,
            timeout=timings.connect_timeout_s,
            header=[f"User-Agent: {USER_AGENT}"],
            # the decoders check it, and do so in C
            skip_utf8_validation=True,
        )
        self._socket = connection
        for subscription in self._subscriptions:
            connection.send(subscription if isinstance(subscription, str) else subscription())
        self._closed_reason = None
        emit(StreamOpened(self._now_ms()))
        connection.settimeout(min(1.0, timings.silence_s / 4, timings.ping_every_s / 2))
        opened_s = heard_s = pinged_s = self._monotonic_s()
        while not stop.is_set():
            data = _receive(connection)
            now_s = self._monotonic_s()
            heard = data is not None and data != b"" and self._emit_frame(data, emit)
            if heard or (data is not None and not self._expects()):
                heard_s = now_s
                self._healthy = self._healthy or now_s - opened_s >= timings.healthy_s
            elif now_s - heard_s >= timings.silence_s:
                raise _ConnectionLostError(f"no data for {timings.silence_s:g} s")
            if self._ping is not None and now_s - pinged_s >= timings.ping_every_s:
                connection.send(self._ping)
                pinged_s = now_s

    def _emit_frame(self, data: bytes, emit: Callable[[StreamMessage], None]) -> bool:
        """Decode and emit one frame; return whether it held an event."""
        received_ms = self._now_ms()
        try:
            decoded = self._decode(data)
        except BadFrameError as error:
            self._bad_frames += 1
            emit(BadFrame(str(error), self._bad_frames))
            return False
        for kind in decoded.unknown:
            if kind not in self._kinds and len(self._kinds) < _MAX_UNKNOWN_KINDS:
                self._kinds.add(kind)
                emit(UnknownEvent(kind))
        if not decoded.events:
            return False
        emit(StreamReceived(decoded.events, received_ms))
        return True

    def _abort(self) -> None:
        """Wake a blocked receive; called from the thread that sets the stop signal."""
        connection = self._socket
        if connection is not None and connection.sock is not None:
            # an OSError says that the socket is closed already, which is what is wanted
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None and connection.sock is not None:
            # no closing handshake: a half-open peer would not answer it
            connection.sock.close()


def _receive(connection: websocket.WebSocket) -> bytes | None:
    """Return the next data frame, empty for control frames and PONG; None when nothing came in time."""
    try:
        opcode, data = connection.recv_data(control_frame=True)
    except websocket.WebSocketTimeoutException:
        return None
    if opcode == websocket.ABNF.OPCODE_CLOSE:
        raise _ConnectionLostError("closed by the venue")
    if opcode not in {websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY}:
        return b""
    payload = data.encode() if isinstance(data, str) else bytes(data)
    return b"" if payload in {b"PONG", b"pong"} else payload


def _reason(error: Exception) -> str:
    """Return one line that says what went wrong, also for exceptions without a text."""
    return " ".join(str(error).split())[:200] or type(error).__name__
