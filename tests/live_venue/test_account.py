"""The account over a real socket: orders, trades in pages, balances; and whatever the venue varies in them."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import TransientError
from tests.live_venue.builders import CONDITION, TOKEN, wire_trade
from tests.live_venue.local_clob import Asked, Held, LocalClob, Raw, Reply
from venues.polymarket.account import Account
from venues.polymarket.account_decode import WireOrder, WireTrade, instant_ms, order_of, trade_of
from venues.polymarket.account_values import TradeState, VenueOrderStatus
from venues.polymarket.order_errors import OrderRejectedError
from venues.polymarket.session import LAST_PAGE
from venues.transport import BadFrameError

WIRE_ORDER: dict[str, Any] = {
    "id": "0xAB",
    "status": "LIVE",
    "market": CONDITION,
    "asset_id": TOKEN,
    "owner": "planted-key-0001",
    "maker_address": "0x1",
    "side": "BUY",
    "price": "0.5000",
    "original_size": "50.0000",
    "size_matched": "12.5",
    "outcome": "Up",
    "order_type": "GTC",
    "expiration": "0",
    "created_at": 1_703_875_201,
    "associate_trades": None,
}


def page(*objects: Any, cursor: str = LAST_PAGE) -> Reply:
    return Reply({"data": list(objects), "next_cursor": cursor, "limit": 100, "count": len(objects)})


def test_open_orders_are_read_to_the_last_page(clob: LocalClob, account: Account) -> None:
    clob.on("GET", "/data/orders", page(WIRE_ORDER, cursor="Mg=="), page(WIRE_ORDER | {"id": "0xCD"}))
    first, second = account.open_orders(CONDITION)
    assert (first.order_hash, second.order_hash) == ("0xab", "0xcd")
    assert (first.price, first.shares, first.filled_shares) == (500_000, 50_000_000, 12_500_000)
    assert (first.status, first.created_ms) == (VenueOrderStatus.LIVE, 1_703_875_201_000)
    assert [asked.query for asked in clob.asked] == [
        {"market": CONDITION, "next_cursor": "MA=="},
        {"market": CONDITION, "next_cursor": "Mg=="},
    ]
    # what is signed is the path without its query
    assert len({asked.headers["poly_signature"] for asked in clob.asked}) == 1


def test_a_page_that_names_itself_as_the_next_one_ends_the_reading(clob: LocalClob, account: Account) -> None:
    clob.on("GET", "/data/orders", page(WIRE_ORDER, cursor="MA=="))
    with pytest.raises(BadFrameError, match="names itself"):
        account.open_orders()


@pytest.mark.parametrize("body", [b"null", b"", b"{}", b'""', b"[]"])
def test_a_closed_order_that_the_venue_shows_as_nothing_is_none(clob: LocalClob, account: Account, body: bytes) -> None:
    clob.on("GET", "/data/order/0xab", Reply(body))
    assert account.order("0xab") is None
    assert account.order("0xnever") is None


def test_a_closed_order_that_is_still_shown_is_read(clob: LocalClob, account: Account) -> None:
    clob.on("GET", "/data/order/0xab", Reply(WIRE_ORDER | {"status": "ORDER_STATUS_MATCHED"}))
    found = account.order("0xab")
    assert found is not None
    assert found.status is VenueOrderStatus.MATCHED


def test_trades_since_a_moment_are_read_and_a_strange_one_is_told(clob: LocalClob, account: Account) -> None:
    strange = wire_trade(id="trade-2", status="PONDERING")
    clob.on("GET", "/data/trades", page(wire_trade(), strange, cursor="Mg=="), page(wire_trade(id="trade-3")))
    read = account.trades(after_s=1_795_421_000, condition_id=CONDITION)
    assert [trade.trade_id for trade in read.trades] == ["trade-1", "trade-3"]
    assert len(read.unreadable) == 1
    assert "PONDERING" in read.unreadable[0]
    assert clob.asked[0].query == {"after": "1795421000", "market": CONDITION, "next_cursor": "MA=="}
    account.trades(trade_id="trade-3")
    assert clob.asked[-1].query["id"] == "trade-3"


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("MATCHED", TradeState.MATCHED),
        ("MATCHED_NOT_BROADCASTED", TradeState.MATCHED),
        ("TRADE_STATUS_MATCHED", TradeState.MATCHED),
        ("MINED", TradeState.MINED),
        ("TRADE_STATUS_RETRYING", TradeState.RETRYING),
        ("TRADE_STATUS_CONFIRMED", TradeState.CONFIRMED),
        ("confirmed", TradeState.CONFIRMED),
        ("TRADE_STATUS_FAILED", TradeState.FAILED),
    ],
)
def test_a_trades_state_is_read_in_every_form_it_comes(text: str, state: TradeState) -> None:
    trade = trade_of(decode_trade(wire_trade(status=text)))
    assert trade.state is state
    fill_state = {"CONFIRMED": "CONFIRMED", "FAILED": "FAILED"}.get(state, "MATCHED")
    assert state.fill_state == fill_state
    assert state.is_final == (fill_state != "MATCHED")
    assert state.on_chain == (state in {"MINED", "CONFIRMED"})


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        ("LIVE", "LIVE", ""),
        ("CANCELED", "CANCELED", ""),
        ("CANCELLED", "CANCELED", ""),
        ("CANCELED_MARKET_RESOLVED", "CANCELED", "MARKET_RESOLVED"),
        ("CANCELED_order couldn't be fully filled.", "CANCELED", "order couldn't be fully filled."),
        ("UNMATCHED_no orders found", "UNMATCHED", "no orders found"),
        ("INVALID", "INVALID", ""),
        ("", "OTHER", ""),
        ("PONDERING_why", "OTHER", "PONDERING_why"),
    ],
)
def test_an_orders_status_carries_its_reason(text: str, status: str, reason: str) -> None:
    decoded = order_of(WireOrder("0xab", text))
    assert (decoded.status, decoded.reason) == (VenueOrderStatus(status), reason)


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        ("1795421793", 1_795_421_793_000),
        ("1795421793355", 1_795_421_793_355),
        (1_795_421_793, 1_795_421_793_000),
        (1_795_421_793.9, 1_795_421_793_000),
        ("1795421793.9", 1_795_421_793_000),
        ("", 0),
        (None, 0),
    ],
)
def test_stamps_come_in_seconds_and_milliseconds_as_text_and_number(value: Any, milliseconds: int) -> None:
    assert instant_ms(value) == milliseconds


def test_balances_are_base_units_and_only_whole_hundredths_are_sellable(clob: LocalClob, account: Account) -> None:
    def answered(asked: Asked) -> Reply:
        cash = asked.query["asset_type"] == "COLLATERAL"
        return Reply({"balance": "45967864" if cash else "9989999", "allowances": {"0xAbC": str(2**256 - 1)}})

    clob.on("GET", "/balance-allowance", answered)
    clob.on("GET", "/balance-allowance/update", Reply(b""))
    assert account.cash().units == 45_967_864
    assert clob.asked[-1].query == {"asset_type": "COLLATERAL", "signature_type": "0"}
    held = account.shares(TOKEN)
    assert (held.units, held.sellable_shares) == (9_989_999, 9_980_000)
    assert (held.allowance("0xaBc"), held.allowance("0xother")) == (2**256 - 1, 0)
    account.refresh(TOKEN)
    assert clob.asked[-1].query == {"asset_type": "CONDITIONAL", "signature_type": "0", "token_id": TOKEN}
    clob.on("GET", "/balance-allowance", Reply({"balance": "1", "allowance": "7"}))
    assert account.cash().allowance("0xanybody") == 7
    clob.on("GET", "/balance-allowance", Reply({"balance": "1.5"}))
    with pytest.raises(BadFrameError):
        account.cash()


def test_reading_that_goes_wrong_is_transient_and_wrong_keys_are_rejected(clob: LocalClob, account: Account) -> None:
    for behaviour in (Held(), Raw(b"HTTP/1.1 200"), Reply(b"<html>"), Reply(b"x", 502), Reply({}, 429), Reply({}, 425)):
        clob.on("GET", "/balance-allowance", behaviour)
        with pytest.raises(TransientError):
            account.cash()
    clob.on("GET", "/balance-allowance", Reply({"error": "Unauthorized/Invalid api key"}, 401))
    with pytest.raises(OrderRejectedError, match="Invalid api key"):
        account.cash()
    clob.on("GET", "/balance-allowance", Reply({"balance": []}))
    with pytest.raises(BadFrameError, match="another shape"):
        account.cash()


def decode_trade(wire: dict[str, Any]) -> WireTrade:
    return msgspec.json.decode(json.dumps(wire), type=WireTrade)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"size": ""},
        {"size": "0"},
        {"size": None},
        {"size": "-1"},
        {"size": "1e3"},
        {"size": 1e300},
        {"price": ""},
        {"price": "1.01"},
        {"price": "NaN"},
        {"status": ""},
        {"asset_id": ""},
        {"match_time": "yesterday"},
        {"match_time": -5},
    ],
    ids=str,
)
def test_a_fill_is_never_guessed(changes: dict[str, Any]) -> None:
    with pytest.raises(BadFrameError):
        trade_of(decode_trade(wire_trade(**changes)))


numbers = st.none() | st.text(max_size=12) | st.integers() | st.floats() | st.decimals().map(str)


@given(size=numbers, price=numbers, status=st.text(max_size=12), at=numbers)
def test_any_numbers_are_read_or_refused(size: Any, price: Any, status: str, at: Any) -> None:
    wire = WireTrade("t", status, TOKEN, "BUY", size, price, match_time=at)
    try:
        trade = trade_of(wire)
    except BadFrameError:
        trade = None
    if trade is not None:
        assert trade.taker.shares > 0
        assert 0 <= trade.taker.price <= 1_000_000
    try:
        order = order_of(WireOrder("o", status, price=price, original_size=size, created_at=at))
    except BadFrameError:
        return
    assert order.shares is None or order.shares >= 0
