"""Frames of the user channel as captured, and as nobody has captured them yet."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.live_venue.builders import CONDITION, FUNDER, TOKEN, wire_trade
from venues.polymarket.account_values import OrderUpdate, TradeState, TradeUpdate, VenueOrderStatus
from venues.polymarket.fills import Identity, executions
from venues.polymarket.user_decode import decode_user_frame
from venues.transport import BadFrameError

PLACEMENT: dict[str, Any] = {
    "event_type": "order",
    "type": "PLACEMENT",
    "id": "0xAB",
    "owner": "planted-key-0001",
    "market": CONDITION,
    "asset_id": TOKEN,
    "side": "BUY",
    "order_owner": "planted-key-0001",
    "original_size": "100.0",
    "size_matched": "0.0",
    "price": "0.5",
    "associate_trades": None,
    "outcome": "Up",
    "created_at": "1703875200000",
    "expiration": "0",
    "order_type": "GTC",
    "status": "LIVE",
    "maker_address": FUNDER,
    "timestamp": "1703875200001",
}
KILLED = PLACEMENT | {
    "type": "CANCELLATION",
    "original_size": "12",
    "size_matched": "",
    "associate_trades": [],
    "outcome": "",
    "created_at": "",
    "order_type": "FOK",
    "status": "CANCELED_order couldn't be fully filled. FOK orders are fully filled or killed.",
    "timestamp": "1777824065000",
}
TRADE = wire_trade(event_type="trade", type="TRADE", timestamp="1703875200000", trade_owner="planted-key-0001")


def decoded(*objects: Any) -> Any:
    frame = objects[0] if len(objects) == 1 else list(objects)
    return decode_user_frame(json.dumps(frame).encode())


def test_a_placement_is_an_order_update() -> None:
    (update,) = decoded(PLACEMENT).events
    assert isinstance(update, OrderUpdate)
    assert (update.kind, update.at_ms, update.order.order_hash) == ("PLACEMENT", 1_703_875_200_001, "0xab")
    assert (update.order.status, update.order.shares, update.order.filled_shares) == ("LIVE", 100_000_000, 0)


def test_a_killed_order_says_why_and_tolerates_empty_sizes() -> None:
    (update,) = decoded(KILLED).events
    assert isinstance(update, OrderUpdate)
    assert (update.order.status, update.order.filled_shares) == (VenueOrderStatus.CANCELED, None)
    assert update.order.reason.startswith("order couldn't be fully filled")


@pytest.mark.parametrize("named", ["match_time", "matchtime"])
def test_a_trade_is_a_trade_update_by_either_name_of_its_time(named: str) -> None:
    wire = {k: v for k, v in TRADE.items() if k != "match_time"} | {named: "1795421793"}
    (update,) = decoded(wire).events
    assert isinstance(update, TradeUpdate)
    assert (update.trade.state, update.trade.matched_ms) == (TradeState.MATCHED, 1_795_421_793_000)
    assert executions(update.trade, Identity(FUNDER, ""))[0].liquidity == "TAKER"


def test_an_array_keeps_its_order_and_an_unknown_type_is_named_not_fatal() -> None:
    frame = decoded(PLACEMENT, {"event_type": "margin_call", "size": {"a": 1}}, TRADE)
    assert [type(event) for event in frame.events] == [OrderUpdate, TradeUpdate]
    assert frame.unknown == ("margin_call",)
    assert decoded([]).events == ()


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"PONG?",
        b"{}",
        b"[1]",
        b"null",
        b"\xff\xfe",
        b"[" * 5_000,
        json.dumps(PLACEMENT | {"id": ""}).encode(),
        json.dumps(PLACEMENT | {"size_matched": "-3"}).encode(),
        json.dumps(PLACEMENT | {"side": "HOLD"}).encode(),
        json.dumps(TRADE | {"size": ""}).encode(),
        json.dumps(TRADE | {"status": "PONDERING"}).encode(),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_a_bad_frame(frame: bytes) -> None:
    with pytest.raises(BadFrameError):
        decode_user_frame(frame)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([PLACEMENT, KILLED, TRADE]), st.data())
def test_a_frame_with_any_field_replaced_is_read_or_refused(base: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(base)))
    changed = base | {name: data.draw(json_values)}
    try:
        frame = decode_user_frame(json.dumps(changed))
    except BadFrameError:
        return
    assert len(frame.events) + len(frame.unknown) == 1


@given(st.binary(max_size=80) | st.text(max_size=80))
def test_any_bytes_are_read_or_refused(frame: bytes | str) -> None:
    try:
        decode_user_frame(frame)
    except BadFrameError:
        return
