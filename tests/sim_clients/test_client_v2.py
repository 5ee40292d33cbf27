"""py-clob-client-v2 trades on the embedded exchange, unchanged."""

import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import (
    BalanceAllowanceParams,
    BookParams,
    MarketOrderArgs,
    OpenOrderParams,
    OrderArgs,
    OrderMarketCancelParams,
    OrderPayload,
    PartialCreateOrderOptions,
    PostOrdersV2Args,
    TradeParams,
)
from py_clob_client_v2.exceptions import PolyApiException

from tests.sim.conftest import Served
from tests.sim_clients.conftest import (
    QUICK,
    UserSocket,
    address_of,
    asked_until,
    client_v2,
    new_secret,
    open_market,
    served,
    tokens,
    touch,
)
from venues.sim.auth.wallets import wallets_of
from venues.sim.exchange import Operation

_OPTIONS = PartialCreateOrderOptions(tick_size="0.01", neg_risk=False)


@pytest.fixture(scope="module")
def market(v2: Served) -> dict[str, Any]:
    """The market the tests trade on."""
    return open_market(v2)


@pytest.fixture(scope="module")
def up(market: dict[str, Any]) -> str:
    """The market's Up token."""
    return tokens(market)[0]


@pytest.fixture
def prompt() -> Iterator[Served]:
    """An exchange that does not hold takers."""
    yield from served(Operation(rules=msgspec.structs.replace(QUICK, taker_delay_ms=0)))


def _bid(client: ClobClient, token: str, price: float = 0.05, size: float = 10, **more: Any) -> dict[str, Any]:
    """Rest an order to buy far below the market, and return the answer."""
    args = OrderArgs(token_id=token, price=price, size=size, side="BUY", **more)
    order_type = "GTD" if "expiration" in more else "GTC"
    answer = client.create_and_post_order(args, _OPTIONS, order_type)
    assert isinstance(answer, dict)
    return answer


def _buy(client: ClobClient, token: str, dollars: float = 20) -> dict[str, Any]:
    args = MarketOrderArgs(token_id=token, amount=dollars, side="BUY", price=0.99, order_type="FOK")
    answer = client.create_and_post_market_order(args, order_type="FOK")
    assert isinstance(answer, dict)
    return answer


def _dollars(client: ClobClient) -> int:
    return int(client.get_balance_allowance(BalanceAllowanceParams("COLLATERAL"))["balance"])


def _shares(client: ClobClient, token: str) -> int:
    return int(client.get_balance_allowance(BalanceAllowanceParams("CONDITIONAL", token))["balance"])


def test_a_key_is_made_once_and_derived_ever_after(v2: Served) -> None:
    client = ClobClient(v2.urls["clob"], 137, key=new_secret())
    with pytest.raises(PolyApiException, match="Could not derive api key!") as raised:
        client.derive_api_key()
    assert raised.value.status_code == 400
    made = client.create_api_key()
    with pytest.raises(PolyApiException, match="Could not create api key") as raised:
        client.create_api_key()
    assert raised.value.status_code == 400
    assert client.derive_api_key() == made
    assert client.create_or_derive_api_key() == made
    assert client.create_api_key(nonce=1) != made
    client.set_api_creds(made)
    assert set(client.get_api_keys()["apiKeys"]) >= {made.api_key}
    assert client.get_closed_only_mode() == {"closed_only": False}
    assert client.delete_api_key() == "OK"
    with pytest.raises(PolyApiException, match="Unauthorized/Invalid api key") as raised:
        client.get_open_orders()
    assert raised.value.status_code == 401


def test_books_ticks_and_terms_are_what_the_client_expects(v2: Served, market: dict[str, Any], up: str) -> None:
    client = ClobClient(v2.urls["clob"], 137)
    assert client.get_ok() == "OK"
    assert client.get_version() == 2
    assert client.get_server_time() == pytest.approx(time.time(), abs=3)
    assert client.get_tick_size(up) == "0.01"
    assert client.get_neg_risk(up) is False
    assert client.get_fee_rate_bps(up) == 1000
    assert client.get_fee_exponent(up) == 1
    book = client.get_order_book(up)
    assert client.get_order_book_hash(dict(book)) == book["hash"]
    assert len(client.get_order_books([BookParams(token) for token in tokens(market)])) == 2
    info = client.get_clob_market_info(market["conditionId"])
    assert [token["t"] for token in info["t"]] == list(tokens(market))
    long_form = client.get_market(market["conditionId"])
    assert (long_form["condition_id"], long_form["accepting_orders"]) == (market["conditionId"], True)
    listed = client.get_markets()
    assert market["conditionId"] in {row["condition_id"] for row in listed["data"]}
    assert listed["next_cursor"] == "LTE="


def test_a_new_wallet_has_the_deposit_and_every_allowance(v2: Served, up: str) -> None:
    answer = client_v2(v2).get_balance_allowance(BalanceAllowanceParams("COLLATERAL"))
    assert answer["balance"] == "10000000000"
    assert answer["allowances"]
    assert all(int(amount) > 10**30 for amount in answer["allowances"].values())
    assert _shares(client_v2(v2), up) == 0


def test_a_limit_order_rests_is_listed_and_is_cancelled(v2: Served, market: dict[str, Any], up: str) -> None:
    client = client_v2(v2)
    answer = _bid(client, up)
    assert (answer["success"], answer["errorMsg"], answer["status"]) == (True, "", "live")
    assert (answer["makingAmount"], answer["takingAmount"], answer["tradeIDs"]) == ("", "", [])
    order = client.get_order(answer["orderID"])
    assert (order["id"], order["status"], order["outcome"]) == (answer["orderID"], "LIVE", "Up")
    assert (float(order["price"]), float(order["original_size"]), float(order["size_matched"])) == (0.05, 10, 0)
    assert order["market"] == market["conditionId"]
    for params in (None, OpenOrderParams(asset_id=up), OpenOrderParams(id=answer["orderID"])):
        assert [row["id"] for row in client.get_open_orders(params)] == [answer["orderID"]]
    assert client.get_open_orders(OpenOrderParams(market="0x" + "00" * 32)) == []
    assert client_v2(v2).get_open_orders() == []
    assert client.cancel_order(OrderPayload(answer["orderID"])) == {
        "canceled": [answer["orderID"]],
        "not_canceled": {},
    }
    again = client.cancel_order(OrderPayload(answer["orderID"]))
    assert again["canceled"] == []
    assert list(again["not_canceled"]) == [answer["orderID"]]
    assert client.get_open_orders() == []


def test_orders_are_cancelled_by_ids_by_market_and_altogether(v2: Served, market: dict[str, Any], up: str) -> None:
    client, down = client_v2(v2), tokens(market)[1]

    def rest(*prices: float, token: str = up) -> list[str]:
        return [str(_bid(client, token, price)["orderID"]) for price in prices]

    first = rest(0.04, 0.05)
    assert sorted(client.cancel_orders(first)["canceled"]) == sorted(first)
    ups, downs = rest(0.04), rest(0.03, token=down)
    assert client.cancel_market_orders(OrderMarketCancelParams(asset_id=up))["canceled"] == ups
    assert client.cancel_market_orders(OrderMarketCancelParams(market=market["conditionId"]))["canceled"] == downs
    more = rest(0.03, 0.02)
    assert sorted(client.cancel_all()["canceled"]) == sorted(more)
    assert client.get_open_orders() == []


def test_a_market_order_is_filled_settled_and_shows_in_trades_and_balances(v2: Served, up: str) -> None:
    client = client_v2(v2)
    ask = touch(v2, up)[1]
    answer = _buy(client, up, 20)
    assert answer["status"] == "matched"
    assert len(answer["transactionsHashes"]) >= 1, "the client polls /data/trades until every trade has its hash"
    shares, paid = float(answer["takingAmount"]), float(answer["makingAmount"])
    assert paid <= 20
    assert shares >= 20 / ask * 0.98
    trades = client.get_trades(TradeParams(asset_id=up))
    assert {trade["id"] for trade in trades} == set(answer["tradeIDs"])
    assert sum(float(trade["size"]) for trade in trades) == pytest.approx(shares)
    assert {trade["taker_order_id"] for trade in trades} == {answer["orderID"]}
    assert {trade["trader_side"] for trade in trades} == {"TAKER"}

    def all_confirmed(rows: list[dict[str, Any]]) -> bool:
        return all(row["status"] == "CONFIRMED" for row in rows)

    asked_until(lambda: client.get_trades(TradeParams(asset_id=up)), all_confirmed)
    assert _shares(client, up) == round(shares * 1e6)
    fees = sum(0.07 * float(t["price"]) * (1 - float(t["price"])) * float(t["size"]) for t in trades)
    assert _dollars(client) == pytest.approx((10_000 - paid - fees) * 1e6, abs=20 * len(trades))
    sold = client.create_and_post_market_order(
        MarketOrderArgs(token_id=up, amount=int(shares), side="SELL", order_type="FAK"), order_type="FAK"
    )
    assert (sold["status"], float(sold["makingAmount"])) == ("matched", int(shares))


def test_what_an_order_took_is_gone_from_the_book(prompt: Served) -> None:
    client, (up, down) = client_v2(prompt), tokens(open_market(prompt))

    def offered() -> tuple[str, float]:
        best = min(client.get_order_book(up)["asks"], key=lambda level: float(level["price"]))
        return best["price"], float(best["size"])

    with prompt.clock.stopped():
        price, size = offered()
        taken = OrderArgs(token_id=up, price=float(price), size=2 + int(size) // 2, side="BUY")
        answer = client.post_order(client.create_order(taken, _OPTIONS), "FAK", defer_exec=True)
        assert answer["status"] == "matched"
        best, left = offered()
        assert (best, round(left, 2)) == (price, round(size - float(answer["takingAmount"]), 2))
        bids = client.get_order_book(down)["bids"]
        assert max(float(level["price"]) for level in bids) == pytest.approx(1 - float(price))


def test_a_resting_order_is_part_of_what_everybody_sees(v2: Served, market: dict[str, Any], up: str) -> None:
    client = client_v2(v2)
    socket = v2.connect("clob_ws")
    socket.send(json.dumps({"assets_ids": [up], "type": "market"}))
    _bid(client, up, 0.02, 777)
    changes: list[dict[str, Any]] = []
    while not changes:
        frame = json.loads(socket.recv())
        if isinstance(frame, dict) and frame["event_type"] == "price_change":
            entries = frame["price_changes"]
            changes = [e for e in entries if (e["asset_id"], e["price"], e["side"]) == (up, "0.02", "BUY")]
    socket.close()
    opens_at_s = int(market["slug"].rpartition("-")[2])
    displayed = dict(v2.world.book("BTC", opens_at_s, int(frame["timestamp"])).bids)[20_000]
    assert float(changes[0]["size"]) == pytest.approx(displayed / 1e6 + 777)


def test_several_orders_at_once_are_answered_one_by_one(v2: Served, up: str) -> None:
    client = client_v2(v2)
    orders = [
        client.create_order(OrderArgs(up, price, size, "BUY"), _OPTIONS) for price, size in ((0.04, 10), (0.05, 1))
    ]
    good, bad = client.post_orders([PostOrdersV2Args(order, orderType="GTC") for order in orders])
    assert (good["success"], good["status"]) == (True, "live")
    assert (bad["success"], bad["orderID"]) == (True, "")
    assert bad["errorMsg"].endswith("is invalid. Size (1) lower than the minimum: 5")
    with pytest.raises(PolyApiException, match="Too many orders in payload: 16, max allowed: 15"):
        client.post_orders([PostOrdersV2Args(orders[0], orderType="GTC")] * 16)


def test_a_post_only_order_rests_and_a_dated_one_says_when_it_ends(v2: Served, up: str) -> None:
    client = client_v2(v2)
    args = OrderArgs(token_id=up, price=0.05, size=10, side="BUY")
    assert client.create_and_post_order(args, _OPTIONS, post_only=True)["status"] == "live"
    ends = int(time.time()) + 300
    answer = _bid(client, up, expiration=ends)
    assert client.get_order(answer["orderID"])["expiration"] == str(ends)


def test_trades_come_in_pages(v2: Served, up: str) -> None:
    client = client_v2(v2)
    first = client.get_trades_paginated()
    assert (first["trades"], first["next_cursor"]) == ([], "LTE=")
    with pytest.raises(PolyApiException, match="Invalid trade params payload"):
        client.get_trades(next_cursor="@@")
    _buy(client, up, 5)
    assert client.get_trades(TradeParams(after=int(time.time()) + 60)) == []
    assert client.get_trades(TradeParams(before=int(time.time()) + 60)) != []


def test_heartbeats_follow_each_other_and_a_stale_one_is_told_the_right_id(v2: Served) -> None:
    client = client_v2(v2)
    first = client.post_heartbeat()["heartbeat_id"]
    second = client.post_heartbeat(first)["heartbeat_id"]
    with pytest.raises(PolyApiException) as raised:
        client.post_heartbeat("stale")
    assert raised.value.status_code == 400
    assert raised.value.error_msg == {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": second}


@pytest.mark.parametrize("signature_type", [1, 2, 3])
def test_proxies_safes_and_deposit_wallets_trade_with_their_own_money(v2: Served, up: str, signature_type: int) -> None:
    secret = new_secret()
    wallet = wallets_of(address_of(secret)).of_type(signature_type)
    client = client_v2(v2, signature_type, wallet, secret)
    before = _dollars(client)
    answer = _bid(client, up)
    assert client.get_order(answer["orderID"])["maker_address"] == wallet
    assert _buy(client, up, 10)["status"] == "matched"
    assert _dollars(client) < before
    assert int(v2.get("admin", f"/ledger?address={address_of(secret)}").json()["balances"]["USD"]) == 10_000_000_000


def test_the_user_channel_tells_of_placement_cancellation_and_every_stage_of_a_trade(
    v2: Served, market: dict[str, Any], up: str
) -> None:
    client = client_v2(v2)
    with UserSocket(v2, client, markets=[market["conditionId"]]) as user:
        order_id = _bid(client, up)["orderID"]
        placed = user.until(lambda e: e["event_type"] == "order")[-1]
        assert (placed["type"], placed["id"], placed["status"]) == ("PLACEMENT", order_id, "LIVE")
        assert (placed["owner"], placed["market"], placed["asset_id"]) == (
            client.creds.api_key,
            market["conditionId"],
            up,
        )
        assert placed["associate_trades"] is None
        client.cancel_order(OrderPayload(order_id))
        ended = user.until(lambda e: e.get("type") == "CANCELLATION")[-1]
        assert (ended["id"], ended["status"][:8]) == (order_id, "CANCELED")
        trade_ids = set(_buy(client, up, 10)["tradeIDs"])
        events = user.until(lambda e: e["event_type"] == "trade" and e["status"] == "CONFIRMED")
        stages = [e["status"] for e in events if e["event_type"] == "trade" and e["id"] == events[-1]["id"]]
        assert stages == ["MATCHED", "MINED", "CONFIRMED"]
        assert events[-1]["id"] in trade_ids
        assert events[-1]["transaction_hash"].startswith("0x")


def test_the_user_channel_keeps_to_its_owner_and_the_markets_named(v2: Served, up: str) -> None:
    mine, other = client_v2(v2), client_v2(v2)
    with UserSocket(v2, mine, markets=["0x" + "00" * 32]) as elsewhere, UserSocket(v2, mine) as everything:
        _bid(other, up)
        order_id = _bid(mine, up)["orderID"]
        assert everything.until(lambda e: e["event_type"] == "order")[0]["id"] == order_id
        elsewhere.socket.send("PING")
        assert elsewhere.socket.recv() == "PONG", "nothing came before the answer"
