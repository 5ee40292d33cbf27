"""py-clob-client trades on an exchange of version 1, unchanged, and learns that one of version 2 is not for it."""

import time
from typing import Any

import pytest
from py_clob_client.client import ClobClient
from py_clob_client.clob_types import (
    AssetType,
    BalanceAllowanceParams,
    BookParams,
    MarketOrderArgs,
    OpenOrderParams,
    OrderArgs,
    OrderType,
    PostOrdersArgs,
    TradeParams,
)
from py_clob_client.exceptions import PolyApiException

from tests.sim.conftest import Served
from tests.sim_clients.conftest import asked_until, client_v1, new_secret, open_market, tokens


@pytest.fixture(scope="module")
def market(v1: Served) -> dict[str, Any]:
    """The market the tests trade on."""
    return open_market(v1)


@pytest.fixture(scope="module")
def up(market: dict[str, Any]) -> str:
    """The market's Up token."""
    return tokens(market)[0]


def _rest(client: ClobClient, token: str, price: float = 0.05) -> str:
    """Rest an order to buy far below the market, and return its id."""
    answer = client.create_and_post_order(OrderArgs(token_id=token, price=price, size=10, side="BUY"))
    assert (answer["success"], answer["status"]) == (True, "live")
    return str(answer["orderID"])


def _balance(client: ClobClient, token: str | None = None) -> int:
    kind = AssetType.COLLATERAL if token is None else AssetType.CONDITIONAL
    return int(client.get_balance_allowance(BalanceAllowanceParams(asset_type=kind, token_id=token))["balance"])


def test_a_key_is_made_once_and_derived_ever_after(v1: Served) -> None:
    client = ClobClient(v1.urls["clob"], chain_id=137, key=new_secret())
    made = client.create_or_derive_api_creds()
    assert client.create_or_derive_api_creds() == made
    assert client.derive_api_key() == made


def test_books_and_terms_are_what_the_client_expects(v1: Served, market: dict[str, Any], up: str) -> None:
    client = ClobClient(v1.urls["clob"], chain_id=137)
    assert client.get_ok() == "OK"
    assert client.get_server_time() == pytest.approx(time.time(), abs=3)
    book = client.get_order_book(up)
    said = book.hash
    assert client.get_order_book_hash(book) == said
    assert (book.market, book.asset_id, book.min_order_size) == (market["conditionId"], up, "5")
    assert len(client.get_order_books([BookParams(token_id=token) for token in tokens(market)])) == 2
    assert (client.get_tick_size(up), client.get_neg_risk(up), client.get_fee_rate_bps(up)) == ("0.01", False, 1000)
    assert client.get_market(market["conditionId"])["condition_id"] == market["conditionId"]


def test_limit_orders_rest_are_listed_and_cancelled_every_way(v1: Served, market: dict[str, Any], up: str) -> None:
    client = client_v1(v1)
    order_id = _rest(client, up)
    order = client.get_order(order_id)
    assert (order["id"], order["status"], float(order["original_size"])) == (order_id, "LIVE", 10)
    assert [row["id"] for row in client.get_orders(OpenOrderParams(market=market["conditionId"]))] == [order_id]
    assert client.cancel(order_id)["canceled"] == [order_id]
    both = [_rest(client, up, 0.04), _rest(client, up, 0.03)]
    assert sorted(client.cancel_orders(both)["canceled"]) == sorted(both)
    one = _rest(client, up)
    assert client.cancel_market_orders(market=market["conditionId"], asset_id=up)["canceled"] == [one]
    last = _rest(client, up)
    assert client.cancel_all()["canceled"] == [last]
    assert client.get_orders() == []


def test_a_market_order_is_filled_settled_and_shows_in_trades_and_balances(v1: Served, up: str) -> None:
    client = client_v1(v1)
    order = client.create_market_order(MarketOrderArgs(token_id=up, amount=20, side="BUY", order_type=OrderType.FOK))
    answer = client.post_order(order, OrderType.FOK)
    assert (answer["status"], answer["transactionsHashes"]) == ("matched", [])

    def confirmed(rows: list[dict[str, Any]]) -> bool:
        return {row["status"] for row in rows} == {"CONFIRMED"}

    trades = asked_until(lambda: client.get_trades(TradeParams(asset_id=up)), confirmed)
    assert {trade["id"] for trade in trades} == set(answer["tradeIDs"])
    assert _balance(client, up) == round(float(answer["takingAmount"]) * 1e6)
    assert _balance(client) < 10_000_000_000 - round(float(answer["makingAmount"]) * 1e6)
    client.update_balance_allowance(BalanceAllowanceParams(asset_type=AssetType.CONDITIONAL, token_id=up))
    sell = client.create_market_order(
        MarketOrderArgs(token_id=up, amount=int(float(answer["takingAmount"])), side="SELL", order_type=OrderType.FAK)
    )
    assert client.post_order(sell, OrderType.FAK)["status"] == "matched"


def test_several_orders_go_in_one_request(v1: Served, up: str) -> None:
    client = client_v1(v1)
    orders = [client.create_order(OrderArgs(token_id=up, price=price, size=10, side="BUY")) for price in (0.04, 0.05)]
    answers = client.post_orders([PostOrdersArgs(order=order, orderType=OrderType.GTC) for order in orders])
    assert [answer["status"] for answer in answers] == ["live", "live"]


def test_heartbeats_follow_each_other(v1: Served) -> None:
    client = client_v1(v1)
    first = client.post_heartbeat(None)["heartbeat_id"]
    assert client.post_heartbeat(first)["heartbeat_id"]


def test_its_orders_are_refused_by_an_exchange_of_version_2_and_nothing_else_is(v2: Served) -> None:
    client, (token, _) = client_v1(v2), tokens(open_market(v2))
    assert client.get_order_book(token).asset_id == token
    assert client.get_orders() == []
    with pytest.raises(PolyApiException, match="order_version_mismatch") as raised:
        _rest(client, token)
    assert raised.value.status_code == 400
