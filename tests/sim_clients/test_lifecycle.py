"""What the clients see of time passing: expiry, silence, the close, the winner, and faults about all of these."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import (
    BalanceAllowanceParams,
    MarketOrderArgs,
    OrderArgs,
    PartialCreateOrderOptions,
)
from py_clob_client_v2.exceptions import PolyApiException

from tests.sim.conftest import Served
from tests.sim_clients.conftest import QUICK, UserSocket, asked_until, new_secret, served
from venues.sim.exchange import Operation
from venues.sim.world.listing import Listing

_OPTIONS = PartialCreateOrderOptions(tick_size="0.01", neg_risk=False)
_WINDOW_S = 60


@pytest.fixture
def own() -> Iterator[Served]:
    """An exchange with windows of a minute, whose clock the test may move."""
    yield from served(Operation(rules=QUICK), _WINDOW_S)


@pytest.fixture
def client(own: Served) -> ClobClient:
    """A client that goes by the exchange's time."""
    made = ClobClient(own.urls["clob"], 137, key=new_secret(), use_server_time=True)
    made.set_api_creds(made.create_api_key())
    return made


def _next_market(own: Served) -> Listing:
    return own.world.market("BTC", (own.clock() // 1000 // _WINDOW_S + 1) * _WINDOW_S)


def _plan(own: Served, **rule: Any) -> None:
    own.http.post(own.urls["admin"] + "/faults", json={"rules": [rule]}).raise_for_status()


def _bid(client: ClobClient, token: str, **more: Any) -> str:
    args = OrderArgs(token_id=token, price=0.02, size=10, side="BUY", **more)
    return str(client.create_and_post_order(args, _OPTIONS, "GTD" if more else "GTC")["orderID"])


def _balance(client: ClobClient, token: str | None = None) -> int:
    params = BalanceAllowanceParams("COLLATERAL") if token is None else BalanceAllowanceParams("CONDITIONAL", token)
    return int(client.get_balance_allowance(params)["balance"])


def test_silence_after_a_heartbeat_cancels_everything(own: Served, client: ClobClient) -> None:
    token = _next_market(own).up_token
    client.post_heartbeat()
    order_id = _bid(client, token)
    with UserSocket(own, client) as user:
        own.clock.set(own.clock() + 10_500)
        ended = user.until(lambda event: event.get("type") == "CANCELLATION")[-1]
    assert (ended["id"], ended["status"]) == (order_id, "CANCELED_no heartbeat")
    assert client.get_open_orders() == []
    assert client.get_order(order_id)["status"].startswith("CANCELED")


def test_what_comes_due_is_done_while_nobody_asks(own: Served, client: ClobClient) -> None:
    client.post_heartbeat()
    order_id = _bid(client, _next_market(own).up_token)
    own.clock.set(own.clock() + 10_500)
    asked_until(
        lambda: own.exchange.engine.order(client.creds.api_key, order_id),
        lambda order: order is not None and order.status == "CANCELED",
    )


def test_a_dated_order_ends_a_minute_early(own: Served, client: ClobClient) -> None:
    market = own.world.market("BTC", (own.clock() // 1000 // _WINDOW_S + 10) * _WINDOW_S)
    order_id = _bid(client, market.up_token, expiration=own.clock() // 1000 + 120)
    own.clock.set(own.clock() + 50_000)
    assert [order["id"] for order in client.get_open_orders()] == [order_id]
    own.clock.set(own.clock() + 11_000)
    assert client.get_open_orders() == []


def test_after_the_close_nothing_is_open_and_winners_are_paid(own: Served, client: ClobClient) -> None:
    market = _next_market(own)
    winner = own.world.winner("BTC", market.opens_at_s)
    won = market.up_token if winner == "Up" else market.down_token
    order_id = _bid(client, won)  # far below what the winner trades at all the way
    for token in (market.up_token, market.down_token):
        args = MarketOrderArgs(token_id=token, amount=10, side="BUY", price=0.99, order_type="FOK")
        assert client.create_and_post_market_order(args, order_type="FOK")["status"] == "matched"
    own.clock.set(market.closes_at_s * 1000 + 5)
    assert client.get_open_orders() == []
    assert client.get_order(order_id)["status"] == "CANCELED_market closed"
    with pytest.raises(PolyApiException, match="the market is not yet ready to process new orders"):
        _bid(client, market.up_token)
    shares, before = _balance(client, won), _balance(client)
    assert shares > 0
    own.clock.set(market.resolves_at_s * 1000 + 5)
    assert asked_until(lambda: _balance(client), lambda now: now != before) == before + shares
    assert own.get("gamma", f"/markets/slug/{market.slug}").json()["closed"] is True
    tokens = client.get_market(market.condition_id)["tokens"]
    assert {token["outcome"]: token["winner"] for token in tokens} == {
        "Up": winner == "Up",
        "Down": winner == "Down",
    }


def test_a_winner_may_be_stated_late(own: Served) -> None:
    market = _next_market(own)
    _plan(own, kind="late_resolution", probability=1.0, duration_ms=20_000)
    for moment_ms, closed in (
        (market.resolves_at_s * 1000 + 1_000, False),
        (market.resolves_at_s * 1000 + 20_100, True),
    ):
        own.clock.set(moment_ms)
        gamma = own.get("gamma", f"/events/slug/{market.slug}").json()
        assert (gamma["closed"], gamma["markets"][0]["closed"], "eventMetadata" in gamma) == (closed,) * 3


@pytest.mark.parametrize("told", [True, False])
def test_the_market_channel_may_keep_the_winner_to_itself(own: Served, *, told: bool) -> None:
    market = _next_market(own)
    if not told:
        _plan(own, kind="no_market_resolved", probability=1.0)
    socket = own.connect("clob_ws")
    socket.send(json.dumps({"assets_ids": [market.up_token], "type": "market", "custom_feature_enabled": True}))
    socket.recv()
    own.clock.set(market.resolves_at_s * 1000)
    seen = set()
    deadline = time.monotonic() + 2
    while "market_resolved" not in seen and time.monotonic() < deadline:
        socket.send("PING")
        frame = str(socket.recv())
        seen.add(json.loads(frame).get("event_type") if frame.startswith("{") else frame)
    assert ("market_resolved" in seen) == told
    socket.close()


def test_a_tick_that_changes_shows_everywhere(own: Served, client: ClobClient) -> None:
    market = _next_market(own)
    _plan(own, kind="tick_change", probability=1.0, duration_ms=_WINDOW_S * 1000)
    socket = own.connect("clob_ws")
    socket.send(json.dumps({"assets_ids": [market.up_token], "type": "market"}))
    first = json.loads(socket.recv())
    assert first[0]["tick_size"] == "0.01"
    own.clock.set((market.closes_at_s - 9) * 1000)  # the plan's changes come within the first four fifths of a window
    frame = first[0]
    while frame["event_type"] != "tick_size_change":
        frame = json.loads(socket.recv())
    socket.close()
    assert (frame["old_tick_size"], frame["new_tick_size"]) == ("0.01", "0.001")
    tick = own.get("clob", f"/tick-size?token_id={market.up_token}").json()["minimum_tick_size"]
    assert tick == 0.001
    assert own.get("clob", f"/book?token_id={market.up_token}").json()["tick_size"] == "0.001"
    assert client.get_clob_market_info(market.condition_id)["mts"] == 0.001
    assert own.get("gamma", f"/markets/slug/{market.slug}").json()["orderPriceMinTickSize"] == 0.001


def test_a_trade_is_printed_for_everybody(own: Served, client: ClobClient) -> None:
    market = _next_market(own)
    socket = own.connect("clob_ws")
    socket.send(json.dumps({"assets_ids": [market.up_token], "type": "market"}))
    socket.recv()
    args = MarketOrderArgs(token_id=market.up_token, amount=12.34, side="BUY", price=0.99, order_type="FOK")
    answer = client.create_and_post_market_order(args, order_type="FOK", defer_exec=True)
    sizes: set[str] = set()
    wanted = {trade["size"] for trade in client.get_trades() if trade["id"] in answer["tradeIDs"]}
    while not wanted <= sizes:
        frame = json.loads(socket.recv())
        if isinstance(frame, dict) and frame["event_type"] == "last_trade_price":
            sizes.add(frame["size"])
    socket.close()
