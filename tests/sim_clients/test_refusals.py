"""Every refusal in the venue's table that can arise here, word for word, with its status."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import (
    BalanceAllowanceParams,
    CreateOrderOptions,
    MarketOrderArgs,
    OrderArgs,
    OrderPayload,
    PartialCreateOrderOptions,
)
from py_clob_client_v2.exceptions import PolyApiException

from tests.sim.conftest import Served
from tests.sim_clients.conftest import (
    QUICK,
    asked_until,
    client_v2,
    new_secret,
    open_market,
    order_hash,
    served,
    tokens,
    touch,
)
from venues.sim.auth.orders import Terms
from venues.sim.exchange import Operation

_OPTIONS = PartialCreateOrderOptions(tick_size="0.01", neg_risk=False)
_FINE, _COARSE = CreateOrderOptions("0.001", neg_risk=False), CreateOrderOptions("0.01", neg_risk=False)


@pytest.fixture(scope="module")
def up(v2: Served) -> str:
    """The Up token of the market the tests trade on."""
    return tokens(open_market(v2))[0]


@pytest.fixture(scope="module")
def client(v2: Served) -> ClobClient:
    """A client whose money is never spent: everything it asks is refused."""
    return client_v2(v2)


@pytest.fixture
def slow() -> Iterator[Served]:
    """An exchange that holds takers for seconds."""
    yield from served(Operation(rules=msgspec.structs.replace(QUICK, taker_delay_ms=3_000)))


def _order(client: ClobClient, token: str, price: float, size: float, side: str = "BUY", **more: Any) -> Any:
    """Return a signed limit order, without the checks the client itself would make."""
    options = more.pop("options", _COARSE)
    return client.builder.build_order(OrderArgs(token, price, size, side, **more), options, version=2)


def _refused(client: ClobClient, order: Any, order_type: str = "GTC", *, post_only: bool = False) -> tuple[int, str]:
    with pytest.raises(PolyApiException) as raised:
        client.post_order(order, order_type, post_only)
    return raised.value.status_code, raised.value.error_msg["error"]


def test_more_than_the_balance(client: ClobClient, up: str) -> None:
    status, text = _refused(client, _order(client, up, 0.05, 1_000_000))
    assert status == 400
    assert text == (
        "not enough balance / allowance: the balance is not enough -> balance: 10000000000, "
        "sum of active orders: 0, sum of matched orders: 0, order amount (inc. fees): 50000000000"
    )


def test_shares_nobody_has(client: ClobClient, up: str) -> None:
    status, text = _refused(client, _order(client, up, 0.95, 10, "SELL"))
    assert status == 400
    assert text.startswith("not enough balance / allowance: the balance is not enough -> balance: 0, ")


def test_more_than_the_allowance(v2: Served, up: str) -> None:
    poor = client_v2(v2)
    spender = next(iter(poor.get_balance_allowance(BalanceAllowanceParams("COLLATERAL"))["allowances"]))
    v2.http.post(
        v2.urls["admin"] + "/approve", json={"address": poor.get_address(), "spender": spender, "amount": 100}
    ).raise_for_status()
    status, text = _refused(poor, _order(poor, up, 0.05, 10))
    assert (status, text) == (
        400,
        f"not enough balance / allowance: the allowance is not enough -> spender: {spender}, allowance: 100",
    )


def test_fewer_shares_than_the_minimum(client: ClobClient, up: str) -> None:
    order = _order(client, up, 0.05, 4)
    assert _refused(client, order) == (400, f"order {order_hash(order)} is invalid. Size (4) lower than the minimum: 5")


def test_a_price_between_the_ticks(client: ClobClient, up: str) -> None:
    order = _order(client, up, 0.055, 10, options=_FINE)
    wanted = f"order {order_hash(order)} is invalid. Price (0.055) breaks minimum tick size rule: 0.01"
    assert _refused(client, order) == (400, wanted)


def test_a_marketable_purchase_below_a_dollar(client: ClobClient, up: str) -> None:
    order = client.create_market_order(MarketOrderArgs(up, 0.5, "BUY", order_type="FOK"))
    assert _refused(client, order, "FOK") == (400, "invalid amount for a marketable BUY order ($0.5), min size: $1")


def test_the_same_order_twice(v2: Served, up: str) -> None:
    client = client_v2(v2)
    order = _order(client, up, 0.05, 10)
    assert client.post_order(order)["status"] == "live"
    assert _refused(client, order) == (400, f"order {order_hash(order)} is invalid. Duplicated.")


def test_a_post_only_order_that_would_take(v2: Served, client: ClobClient, up: str) -> None:
    order = _order(client, up, touch(v2, up)[1] + 0.02, 10)
    assert _refused(client, order, post_only=True) == (400, "invalid post-only order: order crosses book")


def test_nothing_to_fill_all_of_it(client: ClobClient, up: str) -> None:
    text = "order couldn't be fully filled. FOK orders are fully filled or killed."
    assert _refused(client, _order(client, up, 0.05, 100), "FOK") == (400, text)


def test_nothing_to_fill_any_of_it(client: ClobClient, up: str) -> None:
    text = "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
    assert _refused(client, _order(client, up, 0.05, 100), "FAK") == (400, text)


def test_amounts_finer_than_a_market_order_may_be(client: ClobClient, up: str) -> None:
    text = (
        "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals, "
        "taker amount a max of 4 decimals"
    )
    assert _refused(client, _order(client, up, 0.53, 10.01), "FOK") == (400, text)


def test_an_end_in_the_past(client: ClobClient, up: str) -> None:
    order = _order(client, up, 0.05, 10, expiration=int(time.time()) - 1)
    assert _refused(client, order, "GTD") == (400, "invalid expiration")


def test_a_token_nobody_trades(client: ClobClient) -> None:
    status, text = _refused(client, _order(client, "7" * 77, 0.05, 10))
    assert (status, text) == (404, "No orderbook exists for the requested token id")


def test_an_order_of_a_plain_wallet_where_new_accounts_need_another() -> None:
    for exchange in served(Operation(terms=Terms(require_deposit_wallet=True), rules=QUICK)):
        client, (token, _) = client_v2(exchange), tokens(open_market(exchange))
        text = "maker address not allowed, please use the deposit wallet flow"
        assert _refused(client, _order(client, token, 0.05, 10)) == (400, text)


def test_a_taker_in_its_delay_cannot_be_cancelled_or_repeated(slow: Served) -> None:
    client, (token, _) = client_v2(slow), tokens(open_market(slow))
    order = _order(client, token, 0.95, 10)
    with ThreadPoolExecutor(1) as pool:
        posting = pool.submit(client.post_order, order, "FAK", defer_exec=True)
        asked_until(lambda: client.get_order(order_hash(order)), lambda found: found is not None)
        answer = client.cancel_order(OrderPayload(order_hash(order)))
        assert answer == {
            "canceled": [],
            "not_canceled": {order_hash(order): "cannot cancel because the order is in pending/delayed status"},
        }
        assert _refused(client, order) == (400, f"order {order_hash(order)} is invalid. Duplicated.")
        assert posting.result()["status"] == "matched"


def test_an_engine_that_restarts_and_then_takes_only_passive_orders(v2: Served, up: str) -> None:
    client = client_v2(v2)
    order = _order(client, up, 0.05, 10)

    def restart(down_ms: int, post_only_ms: int) -> None:
        body = {"down_ms": down_ms, "post_only_ms": post_only_ms}
        v2.http.post(v2.urls["admin"] + "/restart", json=body).raise_for_status()

    restart(60_000, 0)
    status, _ = _refused(client, order)
    assert status == 425
    restart(0, 60_000)
    with pytest.raises(PolyApiException) as raised:
        client.post_order(order)
    assert (raised.value.status_code, raised.value.error_msg["code"]) == (503, "post_only_mode")
    assert client.post_order(_order(client, up, 0.05, 10), post_only=True)["status"] == "live"
    restart(0, 0)
    assert client.post_order(order)["status"] == "live"


def test_ids_and_cursors_that_are_none(v2: Served, client: ClobClient) -> None:
    with pytest.raises(PolyApiException, match="Invalid orderID"):
        client.cancel_order(OrderPayload("12"))
    with pytest.raises(PolyApiException, match="Invalid orderID"):
        client.cancel_orders(["0x" + "g" * 64])
    with pytest.raises(PolyApiException, match="invalid order params payload"):
        client.get_open_orders(next_cursor="@@")
    with pytest.raises(PolyApiException, match="Too many orders in payload, max allowed: 1000"):
        client.cancel_orders(["0x" + "0" * 64] * 1001)
    for params, text in (
        (BalanceAllowanceParams("SHELLS"), "Invalid asset type"),
        (BalanceAllowanceParams("CONDITIONAL"), "Invalid token id"),
    ):
        with pytest.raises(PolyApiException, match=text):
            client.get_balance_allowance(params)
    assert v2.get("clob", "/markets/none").json() == {"error": "Invalid market"}
    assert v2.get("clob", "/markets/0x00").json() == {"error": "market not found"}


def test_whoever_has_no_key_or_signs_with_another_is_unauthorized(v2: Served, client: ClobClient) -> None:
    mallory = ClobClient(v2.urls["clob"], 137, key=new_secret(), creds=client.creds)
    with pytest.raises(PolyApiException, match="Unauthorized/Invalid api key") as raised:
        mallory.get_open_orders()
    assert raised.value.status_code == 401
    assert v2.get("clob", "/data/orders").status_code == 401
    headers = {"POLY_ADDRESS": client.get_address(), "POLY_SIGNATURE": "0x", "POLY_TIMESTAMP": str(int(time.time()))}
    for path in ("/auth/derive-api-key", "/auth/derive-api-key?x"):
        reply = v2.http.get(v2.urls["clob"] + path, headers=headers)
        assert (reply.status_code, reply.json()) == (401, {"error": "Invalid L1 Request headers"})


def test_a_request_signed_half_a_minute_ago_is_stale(slow: Served) -> None:
    headers = client_v2(slow)._l2_headers("GET", "/data/orders")
    assert slow.http.get(slow.urls["clob"] + "/data/orders", headers=headers).status_code == 200
    slow.clock.set(slow.clock() + 32_000)
    assert slow.http.get(slow.urls["clob"] + "/data/orders", headers=headers).status_code == 401


def test_a_body_other_than_the_one_signed_is_unauthorized(v2: Served, client: ClobClient) -> None:
    headers = client._l2_headers("DELETE", "/cancel-all")
    url = v2.urls["clob"] + "/cancel-all"
    assert v2.http.request("DELETE", url, headers=headers).status_code == 200
    assert v2.http.request("DELETE", url, headers=headers, content=b"{}").status_code == 401
