"""What the exchange says over its websockets, heard by a real client."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import websocket

from tests.sim.conftest import MIDNIGHT_S, Served

Until = Callable[[websocket.WebSocket, str], dict[str, Any]]

_OPENS = MIDNIGHT_S + 7_200


def _tokens(exchange: Served, opens: int = _OPENS) -> list[str]:
    market = exchange.world.market("BTC", opens)
    return [market.up_token, market.down_token]


def _subscribe(exchange: Served, tokens: list[str]) -> websocket.WebSocket:
    socket = exchange.connect("clob_ws")
    socket.send(json.dumps({"assets_ids": tokens, "type": "market", "custom_feature_enabled": True}))
    return socket


class _LocalBook:
    """Applies a token's frames the way any client would."""

    def __init__(self, frame: dict[str, Any]) -> None:
        self.sides = {"BUY": _levels(frame["bids"]), "SELL": _levels(frame["asks"])}

    def apply(self, entry: dict[str, str]) -> None:
        side = self.sides[entry["side"]]
        if entry["size"] == "0":
            del side[entry["price"]]
        else:
            side[entry["price"]] = entry["size"]
        assert max(map(float, self.sides["BUY"])) == float(entry["best_bid"])
        assert min(map(float, self.sides["SELL"])) == float(entry["best_ask"])


def _levels(levels: list[dict[str, str]]) -> dict[str, str]:
    return {level["price"]: level["size"] for level in levels}


def test_deltas_applied_to_the_snapshot_lead_to_the_next_book(exchange: Served) -> None:
    exchange.clock.set((_OPENS + 200) * 1000)
    tokens = _tokens(exchange)
    socket = _subscribe(exchange, tokens)
    snapshot = json.loads(socket.recv())
    assert [frame["asset_id"] for frame in snapshot] == tokens
    books = {frame["asset_id"]: _LocalBook(frame) for frame in snapshot}
    changes = verified = 0
    deadline = time.monotonic() + 20
    while (changes < 8 or verified < 2) and time.monotonic() < deadline:
        event = json.loads(socket.recv())
        if event["event_type"] == "price_change":
            assert {entry["asset_id"] for entry in event["price_changes"]} == set(tokens)
            changes += 1
            for entry in event["price_changes"]:
                books[entry["asset_id"]].apply(entry)
        elif event["event_type"] == "book":
            fresh = _LocalBook(event)
            assert fresh.sides == books[event["asset_id"]].sides
            verified += 1
    socket.close()
    assert changes >= 8
    assert verified >= 2


def test_two_subscribers_see_the_same_book_at_the_same_moment(exchange: Served) -> None:
    exchange.clock.set((_OPENS + 240) * 1000)
    tokens = _tokens(exchange)
    frames: list[dict[str, dict[str, Any]]] = []
    for socket in [_subscribe(exchange, tokens) for _ in range(2)]:
        seen = {}
        for _ in range(12):
            event = json.loads(socket.recv())
            if isinstance(event, dict) and event["event_type"] == "price_change":
                seen[event["timestamp"]] = event
        socket.close()
        frames.append(seen)
    shared = frames[0].keys() & frames[1].keys()
    assert shared
    assert all(frames[0][stamp] == frames[1][stamp] for stamp in sorted(shared)[1:])


def test_a_trade_a_touch_and_a_pong_are_told(exchange: Served, until: Until) -> None:
    exchange.clock.set((_OPENS + 300) * 1000)
    socket = _subscribe(exchange, _tokens(exchange))
    trade = until(socket, "last_trade_price")
    assert trade["side"] in {"BUY", "SELL"}
    assert float(trade["size"]) >= 5
    touch = until(socket, "best_bid_ask")
    assert float(touch["best_ask"]) - float(touch["best_bid"]) == pytest.approx(float(touch["spread"]))
    socket.send("PING")
    assert any(socket.recv() == "PONG" for _ in range(50))
    socket.close()


def test_unsubscribed_tokens_fall_silent_and_later_ones_join(exchange: Served, until: Until) -> None:
    exchange.clock.set((_OPENS + 330) * 1000)
    first, second = _tokens(exchange), _tokens(exchange, _OPENS + 900)
    socket = _subscribe(exchange, first)
    until(socket, "book")
    socket.send(json.dumps({"assets_ids": first, "operation": "unsubscribe"}))
    socket.send(json.dumps({"assets_ids": second, "operation": "subscribe", "custom_feature_enabled": True}))
    while until(socket, "book")["asset_id"] != second[0]:
        pass
    assert until(socket, "price_change")["market"] == exchange.world.market("BTC", _OPENS + 900).condition_id
    socket.close()


def test_the_tick_becomes_finer_near_certainty_and_a_fresh_book_follows(exchange: Served, until: Until) -> None:
    opens, fine_ms = next(
        (start, at)
        for start in range(_OPENS, _OPENS + 40 * 900, 900)
        if (at := exchange.world.quoting.fine_from_ms(exchange.world.market("BTC", start))) is not None
        and at > (start + 60) * 1000
    )
    exchange.clock.set(fine_ms - 1_500)
    socket = _subscribe(exchange, _tokens(exchange, opens))
    assert until(socket, "book")["tick_size"] == "0.01"
    change = until(socket, "tick_size_change")
    assert (change["old_tick_size"], change["new_tick_size"]) == ("0.01", "0.001")
    assert until(socket, "book")["tick_size"] == "0.001"
    socket.close()


def test_the_winner_is_announced_a_lookback_after_the_close(exchange: Served, until: Until) -> None:
    exchange.clock.set((_OPENS + 959) * 1000)
    tokens = _tokens(exchange)
    socket = _subscribe(exchange, tokens)
    resolved = until(socket, "market_resolved")
    assert resolved["winning_outcome"] == exchange.world.winner("BTC", _OPENS)
    assert resolved["winning_asset_id"] == tokens[0 if resolved["winning_outcome"] == "Up" else 1]
    assert resolved["assets_ids"] == tokens
    socket.close()


def test_the_settlement_stream_starts_with_history_and_ticks_each_second(exchange: Served, until: Until) -> None:
    exchange.clock.set((_OPENS + 100) * 1000)
    socket = exchange.connect("price_ws")
    filters = json.dumps({"symbol": "btc/usd"})
    topic = "crypto_prices_twap_sixty"
    wanted = [{"topic": t, "type": "update", "filters": filters} for t in (topic, "crypto_prices_chainlink")]
    socket.send(json.dumps({"action": "subscribe", "subscriptions": wanted}))
    history = until(socket, topic)
    assert history["type"] == "subscribe"
    points = {point["timestamp"]: point["value"] for point in history["payload"]["data"]}
    assert len(points) == 120
    assert points[_OPENS * 1000] == exchange.world.strike("BTC", _OPENS)
    tick = until(socket, topic)
    assert tick["type"] == "update"
    payload = tick["payload"]
    assert (payload["symbol"], payload["window_s"]) == ("btc/usd", 60)
    assert payload["timestamp"] % 1000 == 0
    assert payload["value"] == exchange.world.twap("BTC", payload["timestamp"] // 1000)
    assert int(payload["full_accuracy_value"]) / 1e18 == pytest.approx(payload["value"])
    spot = until(socket, "crypto_prices_chainlink")["payload"]
    if "data" not in spot:
        assert "window_s" not in spot
    socket.send("PING")
    assert any(socket.recv() == "PONG" for _ in range(20))
    socket.close()


@pytest.mark.parametrize("prefix", ["", "/public", "/market"])
def test_binance_streams_come_wrapped_below_every_prefix(exchange: Served, until: Until, prefix: str) -> None:
    exchange.clock.set((_OPENS + 100) * 1000)
    names = "btcusdt@aggTrade/btcusdt@bookTicker/btcusdt@kline_1m/btcusdt@nothing"
    socket = exchange.connect("binance_ws", f"{prefix}/stream?streams={names}")
    trade = until(socket, "btcusdt@aggTrade")["data"]
    assert set(trade) == {"e", "E", "s", "a", "p", "q", "f", "l", "T", "m"}
    known = exchange.world.trades("BTC", trade["T"], trade["T"] + 1)
    assert trade["a"] in known.ids
    ticker = until(socket, "btcusdt@bookTicker")["data"]
    assert set(ticker) == {"e", "u", "s", "b", "B", "a", "A", "T", "E"}
    assert float(ticker["a"]) - float(ticker["b"]) == pytest.approx(0.1)
    kline = until(socket, "btcusdt@kline_1m")["data"]
    assert set(kline["k"]) == set("tTsifLochlvnxqVQB")
    socket.close()


def test_aggregate_trades_arrive_without_a_gap(exchange: Served, until: Until) -> None:
    exchange.clock.set((_OPENS + 140) * 1000)
    socket = exchange.connect("binance_ws", "/ws/ethusdt@aggTrade")
    numbers = [int(until(socket, "aggTrade")["a"]) for _ in range(20)]
    assert numbers == list(range(numbers[0], numbers[0] + 20))
    socket.close()


def test_a_raw_binance_connection_subscribes_by_message(exchange: Served, until: Until) -> None:
    socket = exchange.connect("binance_ws", "/ws")
    socket.send(json.dumps({"method": "SUBSCRIBE", "params": ["ethusdt@bookTicker"], "id": 3}))
    assert json.loads(socket.recv()) == {"result": None, "id": 3}
    assert until(socket, "bookTicker")["s"] == "ETHUSDT"
    socket.close()


def test_the_user_channel_answers_ping_and_lets_nobody_in_with_a_wrong_key(exchange: Served) -> None:
    socket = exchange.connect("user_ws")
    socket.send("PING")
    assert socket.recv() == "PONG"
    socket.send(json.dumps({"auth": {"apiKey": "a", "secret": "b", "passphrase": "c"}, "type": "user", "markets": []}))
    opcode, _ = socket.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE
    socket.shutdown()  # type: ignore[no-untyped-call]  # the library's own gap


@pytest.mark.parametrize(
    ("interface", "path"), [("clob_ws", ""), ("user_ws", ""), ("price_ws", ""), ("binance_ws", "/ws")]
)
def test_garbage_from_a_client_is_survived(exchange: Served, interface: str, path: str) -> None:
    socket = exchange.connect(interface, path)
    for garbage in (
        "",
        "{",
        "[]",
        "null",
        '{"assets_ids": 7}',
        '{"action": "subscribe", "subscriptions": [{}]}',
        "\x00",
    ):
        socket.send(garbage)
    socket.send(b"\xff\xfe", websocket.ABNF.OPCODE_BINARY)
    filters = [{"topic": "crypto_prices_chainlink", "filters": "{not json"}]
    socket.send(json.dumps({"action": "subscribe", "subscriptions": filters}))
    question = "PING" if interface != "binance_ws" else '{"method": "LIST_SUBSCRIPTIONS", "id": 1}'
    socket.send(question)
    answers = [socket.recv()]
    assert answers[0] in {"PONG", '{"result":[],"id":1}'}
    socket.close()
    assert exchange.get("clob", "/ok").status_code == 200
