"""The user channel against a real websocket server that misbehaves."""

import json
import threading
from collections.abc import Callable, Iterator
from queue import Queue

import pytest
from websockets.sync.server import ServerConnection

from core.errors import RejectedError
from tests.feeds.local_venue import Stop, Venue
from tests.live_venue.builders import API_KEY, CONDITION, NOW_MS
from tests.live_venue.test_user_decode import KILLED, PLACEMENT, TRADE
from venues.polymarket.account_values import OrderUpdate, TradeUpdate
from venues.polymarket.user_stream import UserMessage, UserReceived, UserStream
from venues.stream import StreamTimings
from venues.transport import BadFrame, StreamClosed, StreamOpened, UnknownEvent

FAST = StreamTimings(silence_s=0.3, ping_every_s=0.05, connect_timeout_s=1.0, backoff_s=0.02, max_backoff_s=0.1)
PATIENT = StreamTimings(silence_s=30.0, connect_timeout_s=1.0, backoff_s=0.02, max_backoff_s=0.1)
Behave = Callable[[Venue, ServerConnection, int], None]


class Listener:
    """A user stream in a thread of its own, with what it emitted."""

    def __init__(self, stream: UserStream) -> None:
        self.emitted: Queue[UserMessage] = Queue()
        self.stop = Stop()
        self._thread = threading.Thread(target=stream.run, args=(self.emitted.put, self.stop))
        self._thread.start()

    def next(self) -> UserMessage:
        return self.emitted.get(timeout=5)

    def close(self) -> None:
        self.stop.set()
        self._thread.join(5)
        assert not self._thread.is_alive()


Open = Callable[[Behave], Venue]
Listen = Callable[..., Listener]


@pytest.fixture
def venue() -> Iterator[Open]:
    venues: list[Venue] = []

    def open_venue(behave: Behave) -> Venue:
        venues.append(Venue(behave))
        return venues[-1]

    yield open_venue
    for running in venues:
        running.close()


@pytest.fixture
def listen(venue: Open) -> Iterator[Listen]:
    del venue
    listeners: list[Listener] = []

    def start(to: Venue, **more: object) -> Listener:
        timings = more.pop("timings", PATIENT)
        stream = UserStream(to.url, API_KEY, [CONDITION], lambda: NOW_MS, timings=timings, **more)  # type: ignore[arg-type]
        listeners.append(Listener(stream))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.close()


def test_it_proves_who_it_is_names_the_markets_and_emits_in_order(venue: Open, listen: Listen) -> None:
    def behave(server: Venue, connection: ServerConnection, _: int) -> None:
        server.heard.put(str(connection.recv()))
        connection.send(json.dumps(PLACEMENT))
        connection.send(json.dumps([KILLED, TRADE]))
        server.listen(connection)

    running = venue(behave)
    listener = listen(running)
    assert isinstance(listener.next(), StreamOpened)
    placed, others = listener.next(), listener.next()
    assert isinstance(placed, UserReceived)
    assert isinstance(others, UserReceived)
    assert [type(event) for event in (*placed.events, *others.events)] == [OrderUpdate, OrderUpdate, TradeUpdate]
    assert placed.received_ms == NOW_MS
    assert json.loads(running.heard.get(timeout=5)) == {
        "auth": {
            "apiKey": "planted-key-0001",
            "secret": API_KEY.secret.reveal(),
            "passphrase": "planted-passphrase-0003",
        },
        "type": "user",
        "markets": [CONDITION],
    }


def test_a_socket_that_freezes_while_pings_are_answered_is_replaced_when_events_are_owed(
    venue: Open, listen: Listen
) -> None:
    def behave(server: Venue, connection: ServerConnection, _: int) -> None:
        server.listen(connection)

    listener = listen(venue(behave), timings=FAST)
    assert isinstance(listener.next(), StreamOpened)
    closed = listener.next()
    assert isinstance(closed, StreamClosed)
    assert "no data for 0.3 s" in closed.reason
    assert isinstance(listener.next(), StreamOpened)


def test_an_idle_account_keeps_its_connection_as_long_as_pings_are_answered(venue: Open, listen: Listen) -> None:
    owed, asked = threading.Event(), threading.Semaphore(0)

    def expects() -> bool:
        asked.release()
        return owed.is_set()

    def behave(server: Venue, connection: ServerConnection, _: int) -> None:
        server.listen(connection)

    listener = listen(venue(behave), timings=FAST, expects=expects)
    assert isinstance(listener.next(), StreamOpened)
    # twenty PONGs are a second: three times the silence that is allowed
    for _ in range(20):
        assert asked.acquire(timeout=5)
    assert listener.emitted.empty()
    owed.set()
    assert isinstance(listener.next(), StreamClosed)


def test_a_short_patience_asks_often_enough_for_an_idle_account_to_keep_its_connection(
    venue: Open, listen: Listen
) -> None:
    asked = threading.Semaphore(0)

    def expects() -> bool:
        asked.release()
        return False

    def behave(server: Venue, connection: ServerConnection, _: int) -> None:
        server.listen(connection)

    listener = listen(venue(behave), timings=None, silence_s=0.3, expects=expects)
    assert isinstance(listener.next(), StreamOpened)
    for _ in range(10):  # a PONG each tenth of a second
        assert asked.acquire(timeout=5)
    assert listener.emitted.empty()


def test_an_idle_socket_that_answers_no_ping_is_replaced(venue: Open, listen: Listen) -> None:
    release = threading.Event()

    def behave(_: Venue, connection: ServerConnection, number: int) -> None:
        release.wait(5)
        connection.close()

    listener = listen(venue(behave), timings=FAST, expects=lambda: False)
    assert isinstance(listener.next(), StreamOpened)
    closed = listener.next()
    release.set()
    assert isinstance(closed, StreamClosed)
    assert "no data" in closed.reason


def test_a_connection_cut_in_the_middle_of_a_frame_is_told_and_made_again(venue: Open, listen: Listen) -> None:
    def behave(server: Venue, connection: ServerConnection, number: int) -> None:
        connection.recv()
        if number == 1:
            connection.socket.sendall(b"\x81\x7e\x01\x00{half")
            connection.socket.close()
            return
        connection.send(json.dumps(PLACEMENT))
        server.listen(connection)

    listener = listen(venue(behave))
    kinds = [type(listener.next()) for _ in range(4)]
    assert kinds == [StreamOpened, StreamClosed, StreamOpened, UserReceived]


def test_a_bad_frame_and_an_unknown_type_are_counted_and_the_next_event_arrives(venue: Open, listen: Listen) -> None:
    def behave(server: Venue, connection: ServerConnection, _: int) -> None:
        connection.recv()
        leaked = json.dumps(PLACEMENT | {"side": API_KEY.passphrase.reveal()})
        for frame in ("{", leaked, '{"event_type":"margin_call"}', '{"event_type":"margin_call"}', json.dumps(TRADE)):
            connection.send(frame)
        server.listen(connection)

    listener = listen(venue(behave))
    messages = [listener.next() for _ in range(5)]
    assert [type(m) for m in messages] == [StreamOpened, BadFrame, BadFrame, UnknownEvent, UserReceived]
    assert isinstance(messages[2], BadFrame)
    assert messages[2].count == 2
    assert not any("planted" in repr(message) for message in messages[:4])


def test_keys_in_a_closing_reason_are_scrubbed() -> None:
    stream = UserStream("ws://planted-key-0001.invalid:1", API_KEY, [], lambda: NOW_MS, timings=PATIENT)
    listener = Listener(stream)
    closed = listener.next()
    listener.close()
    assert isinstance(closed, StreamClosed)
    assert "planted" not in closed.reason
    with pytest.raises(RejectedError, match="no websocket URL"):
        UserStream("https://x", API_KEY, [], lambda: NOW_MS)
