"""Streams against a real local websocket server that misbehaves in the ways real ones do."""

import json
import socket
from collections.abc import Callable, Iterator
from queue import Empty

import pytest
from websockets.sync.server import ServerConnection

from core.errors import RejectedError
from core.market.events import BookSnapshot, BookTicker, PriceChange, SettlementPrice
from core.market.market import Market
from tests.feeds.local_venue import Client, Stop, Venue
from venues.binance.stream import binance_streams, symbol_of
from venues.polymarket.prices import prices_stream
from venues.polymarket.stream import market_stream
from venues.stream import Stream, StreamTimings
from venues.transport import BadFrame, StreamClosed, StreamOpened, StreamReceived, UnknownEvent

NOW_MS = 1_776_727_800_000
BOOK = json.dumps(
    {
        "event_type": "book",
        "asset_id": "up",
        "market": "0xc0",
        "bids": [{"price": ".48", "size": "30"}],
        "asks": [{"price": ".52", "size": "25"}],
        "timestamp": "1703875200000",
    }
)
DELTA = json.dumps(
    {
        "event_type": "price_change",
        "market": "0xc0",
        "price_changes": [{"asset_id": "up", "price": "0.49", "side": "BUY", "size": "5"}],
        "timestamp": "1703875201000",
    }
)
FAST = StreamTimings(silence_s=0.4, ping_every_s=0.1, connect_timeout_s=1.0, backoff_s=0.02, max_backoff_s=0.1)
PATIENT = StreamTimings(silence_s=30.0, connect_timeout_s=1.0, backoff_s=0.02, max_backoff_s=0.1)


Open = Callable[[Callable[[Venue, ServerConnection, int], None]], Venue]
Run = Callable[[Stream], Client]


@pytest.fixture
def venue() -> Iterator[Open]:
    venues: list[Venue] = []

    def open_venue(behave: Callable[[Venue, ServerConnection, int], None]) -> Venue:
        venues.append(Venue(behave))
        return venues[-1]

    yield open_venue
    for running in venues:
        running.close()


@pytest.fixture
def run(venue: Open) -> Iterator[Run]:
    # asked for only so that clients stop before their servers do
    del venue
    clients: list[Client] = []

    def start(stream: Stream) -> Client:
        clients.append(Client(stream))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


def of_market(venue: Venue, market: Market, timings: StreamTimings = PATIENT) -> Stream:
    return market_stream(venue.url, market, lambda: NOW_MS, timings=timings)


def test_it_subscribes_and_emits_snapshot_and_delta_in_order(venue: Open, run: Run, market: Market) -> None:
    def behave(server: Venue, connection: ServerConnection, _: int) -> None:
        server.heard.put(str(connection.recv()))
        connection.send(BOOK)
        connection.send(f"[{DELTA},{DELTA}]")
        server.listen(connection)

    server = venue(behave)
    client = run(of_market(server, market))
    assert client.next() == StreamOpened(NOW_MS)
    book, deltas = client.next(), client.next()
    assert isinstance(book, StreamReceived)
    assert isinstance(deltas, StreamReceived)
    assert isinstance(book.events[0], BookSnapshot)
    assert [type(event) for event in deltas.events] == [PriceChange, PriceChange]
    assert book.received_ms == NOW_MS
    request = json.loads(server.heard.get(timeout=5))
    assert request["assets_ids"] == ["up", "down"]
    assert request["type"] == "market"
    assert request["custom_feature_enabled"] is True


def test_a_garbage_frame_costs_one_message_and_not_the_connection(venue: Open, run: Run, market: Market) -> None:
    def behave(server: Venue, connection: ServerConnection, _: int) -> None:
        connection.recv()
        connection.send("<html>")
        connection.send(b"\xff\x00")
        connection.send('{"event_type":"halt"}')
        connection.send('{"event_type":"halt"}')
        connection.send(BOOK)
        server.listen(connection)

    server = venue(behave)
    client = run(of_market(server, market))
    messages = [client.next() for _ in range(5)]
    assert [type(message) for message in messages] == [StreamOpened, BadFrame, BadFrame, UnknownEvent, StreamReceived]
    assert isinstance(messages[2], BadFrame)
    assert messages[2].count == 2
    assert messages[3] == UnknownEvent("halt")
    assert server.connections == 1


def test_silence_is_noticed_although_pings_are_answered(venue: Open, run: Run, market: Market) -> None:
    def behave(server: Venue, connection: ServerConnection, number: int) -> None:
        if number > 1:
            connection.send(BOOK)
        server.listen(connection)

    server = venue(behave)
    client = run(of_market(server, market, FAST))
    assert isinstance(client.next(), StreamOpened)
    closed = client.next()
    assert isinstance(closed, StreamClosed)
    assert "no data for 0.4 s" in closed.reason
    assert isinstance(client.next(), StreamOpened)
    assert isinstance(client.next(), StreamReceived)
    assert "PING" in [server.heard.get(timeout=5) for _ in range(3)]
    assert server.connections >= 2


def test_protocol_pings_from_the_server_are_no_data_either(venue: Open, run: Run, market: Market) -> None:
    def behave(server: Venue, connection: ServerConnection, _: int) -> None:
        while not server.heard.full():
            connection.ping()
            try:
                connection.recv(timeout=0.05)
            except TimeoutError:
                continue

    client = run(of_market(venue(behave), market, FAST))
    closed = client.next_of(StreamClosed)
    assert isinstance(closed, StreamClosed)
    assert "no data" in closed.reason


def test_after_a_drop_it_reconnects_and_subscribes_anew(venue: Open, run: Run, market: Market) -> None:
    def behave(server: Venue, connection: ServerConnection, number: int) -> None:
        server.heard.put(str(connection.recv()))
        connection.send(BOOK)
        if number < 3:
            connection.close()
        else:
            server.listen(connection)

    server = venue(behave)
    client = run(of_market(server, market))
    for _ in range(3):
        client.next_of(StreamOpened)
        client.next_of(StreamReceived)
    assert server.connections == 3
    assert len({server.heard.get(timeout=5) for _ in range(3)}) == 1


def test_an_unreachable_venue_is_told_once_with_one_line(run: Run, market: Market) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    client = run(market_stream(f"ws://127.0.0.1:{port}", market, lambda: NOW_MS, timings=FAST))
    closed = client.next()
    assert isinstance(closed, StreamClosed)
    assert "refused" in closed.reason
    assert "\n" not in closed.reason
    with pytest.raises(Empty):
        client.next(timeout_s=0.5)


def test_the_wait_before_a_retry_doubles_up_to_its_limit(market: Market) -> None:
    waits: list[float] = []

    class Impatient(Stop):
        def wait(self, timeout_s: float) -> bool:
            waits.append(timeout_s)
            if len(waits) == 6:
                self.set()
            return self.is_set()

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    timings = StreamTimings(backoff_s=1.0, max_backoff_s=8.0)
    market_stream(f"ws://127.0.0.1:{port}", market, lambda: NOW_MS, timings=timings).run(lambda _: None, Impatient())
    ceilings = (1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
    assert all(ceiling / 2 <= wait <= ceiling for wait, ceiling in zip(waits, ceilings, strict=True))


def test_stop_returns_at_once_from_a_blocked_receive(venue: Open, market: Market) -> None:
    client = Client(of_market(venue(lambda server, connection, _: server.listen(connection)), market))
    client.next_of(StreamOpened)
    with pytest.raises(Empty):
        client.next(timeout_s=0.2)
    assert client.close() < 0.5


def test_stop_returns_at_once_from_the_wait_before_a_retry(market: Market) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    timings = StreamTimings(backoff_s=60.0, max_backoff_s=60.0)
    client = Client(market_stream(f"ws://127.0.0.1:{port}", market, lambda: NOW_MS, timings=timings))
    client.next_of(StreamClosed)
    assert client.close() < 0.5


def test_frames_under_load_all_arrive_in_order(venue: Open, run: Run, market: Market) -> None:
    def behave(server: Venue, connection: ServerConnection, _: int) -> None:
        connection.recv()
        for number in range(2_000):
            connection.send(DELTA.replace("1703875201000", str(number)))
        server.listen(connection)

    client = run(of_market(venue(behave), market))
    stamps = []
    for _ in range(2_000):
        received = client.next_of(StreamReceived)
        assert isinstance(received, StreamReceived)
        stamps.append(received.events[0].venue_ms)
    assert stamps == list(range(2_000))


def test_a_half_open_socket_is_noticed_by_its_silence(run: Run, market: Market) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # accepts the connection in the kernel and never answers the handshake
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}"
        timings = StreamTimings(connect_timeout_s=0.2, backoff_s=0.02)
        client = run(market_stream(url, market, lambda: NOW_MS, timings=timings))
        closed = client.next()
        assert isinstance(closed, StreamClosed)
        assert "timed out" in closed.reason
        client.close()


def test_the_price_stream_asks_for_spot_and_twap_of_each_asset(venue: Open, run: Run) -> None:
    def behave(server: Venue, connection: ServerConnection, _: int) -> None:
        server.heard.put(str(connection.recv()))
        connection.send(
            '{"topic":"crypto_prices_twap_sixty","type":"update","payload":'
            '{"symbol":"btc/usd","value":65000.5,"timestamp":7,"window_s":60}}'
        )
        server.listen(connection)

    server = venue(behave)
    client = run(prices_stream(server.url, ["BTC", "ETH"], lambda: NOW_MS, timings=FAST))
    received = client.next_of(StreamReceived)
    assert isinstance(received, StreamReceived)
    assert received.events == (SettlementPrice("BTC", 65000.5, 7, 60),)
    request = json.loads(server.heard.get(timeout=5))
    assert [(one["topic"], json.loads(one["filters"])["symbol"]) for one in request["subscriptions"]] == [
        ("crypto_prices_chainlink", "btc/usd"),
        ("crypto_prices_chainlink", "eth/usd"),
        ("crypto_prices_twap_sixty", "btc/usd"),
        ("crypto_prices_twap_sixty", "eth/usd"),
    ]


def test_binance_is_one_connection_or_one_for_each_route(venue: Open, run: Run) -> None:
    def behave(server: Venue, connection: ServerConnection, _: int) -> None:
        connection.send(
            '{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":1,"s":"BTCUSDT","b":"1","B":"2","a":"3","A":"4"}}'
        )
        server.listen(connection)

    server = venue(behave)
    (stream,) = binance_streams(server.url, symbol_of("BTC"), lambda: NOW_MS, routed=False)
    received = run(stream).next_of(StreamReceived)
    assert isinstance(received, StreamReceived)
    assert isinstance(received.events[0], BookTicker)
    assert server.paths == ["/stream?streams=btcusdt@aggTrade/btcusdt@bookTicker/btcusdt@kline_1m"]
    routed = binance_streams("wss://fstream.binance.com", "BTCUSDT", lambda: NOW_MS, routed=True)
    assert [stream.url for stream in routed] == [
        "wss://fstream.binance.com/market/stream?streams=btcusdt@aggTrade/btcusdt@kline_1m",
        "wss://fstream.binance.com/public/stream?streams=btcusdt@bookTicker",
    ]


def test_a_url_of_another_kind_is_refused(market: Market) -> None:
    with pytest.raises(RejectedError, match="ws://"):
        market_stream("https://clob.polymarket.com", market, lambda: NOW_MS)
