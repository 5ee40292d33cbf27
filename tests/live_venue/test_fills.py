"""What of a trade is ours, in our order's own terms, and what it cost."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RejectedError
from core.market.market import FeeSchedule
from core.trading.fees import taker_fee
from core.trading.money import MICRO, decimal
from tests.live_venue.builders import CONDITION, FUNDER, TOKEN, wire_trade
from venues.polymarket.account_decode import WireTrade, trade_of
from venues.polymarket.account_values import VenueTrade
from venues.polymarket.fills import Execution, Identity, executions, fill_of

US = Identity(FUNDER, "planted-key-0001")
FEES = FeeSchedule(0.07, 1, taker_only=True)
OTHER_TOKEN = "8" * 70
STRANGER = {"owner": "somebody", "maker_address": "0x" + "ee" * 20}
OURS = {"owner": "planted-key-0001", "maker_address": FUNDER.upper().replace("0X", "0x")}


def trade(**changes: Any) -> VenueTrade:
    return trade_of(msgspec.json.decode(json.dumps(wire_trade(**changes)), type=WireTrade))


def maker(order_id: str, amount: str, price: str, whose: dict[str, str], **more: str) -> dict[str, str]:
    return (
        {"order_id": order_id, "matched_amount": amount, "price": price, "asset_id": TOKEN, "side": "SELL"}
        | whose
        | more
    )


def test_as_taker_the_trade_is_ours_with_the_schedules_fee() -> None:
    seen = trade()
    (execution,) = executions(seen, US)
    assert (execution.liquidity, execution.trade_id, execution.leg.order_hash) == ("TAKER", "trade-1", "0xaa")
    fill = fill_of(execution, seen, "order-1", FEES)
    assert (fill.side, fill.price, fill.shares, fill.token_id) == ("BUY", 520_000, 10_000_000, TOKEN)
    assert fill.fee_usd == taker_fee(10_000_000, 520_000, FEES) == 174_720
    assert (fill.state, fill.filled_ms, fill.venue) == ("MATCHED", 1_795_421_793_000, "polymarket")
    with pytest.raises(RejectedError, match="fees of 0xc0c0"):
        fill_of(execution, seen, "order-1", None)


def test_as_maker_the_fill_is_in_maker_orders_and_not_in_the_trades_own_figures() -> None:
    seen = trade(
        trader_side="MAKER",
        size="100",
        price="0.52",
        maker_orders=[maker("0xB1", "30", "0.52", STRANGER), maker("0xB2", "70", "0.51", OURS)],
    )
    (execution,) = executions(seen, US)
    assert (execution.liquidity, execution.leg.order_hash) == ("MAKER", "0xb2")
    fill = fill_of(execution, seen, "order-1", None)
    assert (fill.side, fill.price, fill.shares, fill.fee_usd) == ("SELL", 510_000, 70_000_000, 0)


def test_one_trade_over_several_of_our_resting_orders_is_a_fill_of_each() -> None:
    both = [maker("0xB1", "30", "0.52", OURS), maker("0xB2", "70", "0.51", OURS)]
    seen = trade(trader_side="MAKER", size="100", maker_orders=both)
    fills = [fill_of(execution, seen, "o", None) for execution in executions(seen, US)]
    assert [(fill.order_hash, fill.shares) for fill in fills] == [("0xb1", 30_000_000), ("0xb2", 70_000_000)]
    assert len({fill.key for fill in fills}) == 2


def test_a_mint_counts_for_the_maker_in_its_own_token_at_its_own_price() -> None:
    mint = [maker("0xB1", "10", "0.48", OURS, asset_id=OTHER_TOKEN, side="BUY")]
    (execution,) = executions(trade(trader_side="MAKER", maker_orders=mint), US)
    assert (execution.leg.token_id, execution.leg.side, execution.leg.price) == (OTHER_TOKEN, "BUY", 480_000)


@pytest.mark.parametrize(("asset", "side"), [(TOKEN, "SELL"), (OTHER_TOKEN, "BUY"), ("", "SELL")])
def test_a_makers_side_that_is_left_out_follows_from_the_tokens(asset: str, side: str) -> None:
    entry = maker("0xB1", "10", "0.5", OURS, asset_id=asset, side="")
    (execution,) = executions(trade(trader_side="MAKER", maker_orders=[entry]), US)
    assert execution.leg.side == side


def test_a_taker_over_several_prices_has_a_fill_for_each_so_that_the_cash_is_exact() -> None:
    legs = [
        maker("0xB1", "3", "0.50", STRANGER),
        maker("0xB2", "4", "0.52", STRANGER),
        maker("0xB3", "3", "0.48", STRANGER, asset_id=OTHER_TOKEN, side="BUY"),
    ]
    seen = trade(price="0.513", maker_orders=legs)
    fills = [fill_of(execution, seen, "order-1", FEES) for execution in executions(seen, US)]
    assert [(fill.trade_id, fill.shares) for fill in fills] == [
        ("trade-1@500000", 3_000_000),
        ("trade-1@520000", 7_000_000),
    ]
    assert sum(fill.notional_usd for fill in fills) == 3 * 500_000 + 7 * 520_000
    assert {fill.order_hash for fill in fills} == {"0xaa"}


@pytest.mark.parametrize("legs", [[], [maker("0xB1", "3", "0.50", STRANGER)]], ids=["none", "incomplete"])
def test_without_all_its_makers_a_taker_has_the_trades_own_figures(legs: list[dict[str, str]]) -> None:
    (execution,) = executions(trade(maker_orders=legs), US)
    assert (execution.trade_id, execution.leg.price, execution.leg.shares) == ("trade-1", 520_000, 10_000_000)


def test_a_trade_of_strangers_is_not_ours() -> None:
    assert executions(trade(trader_side="MAKER", maker_orders=[maker("0xB1", "10", "0.52", STRANGER)]), US) == ()


def test_the_trades_owner_does_not_make_us_the_taker_when_the_venue_says_maker() -> None:
    ours = [maker("0xB1", "10", "0.52", OURS)]
    assert [e.liquidity for e in executions(trade(trader_side="MAKER", maker_orders=ours), US)] == ["MAKER"]


def test_without_a_trader_side_the_owner_tells() -> None:
    assert [e.liquidity for e in executions(trade(trader_side=None), US)] == ["TAKER"]
    foreign = trade(trader_side=None, **STRANGER)
    assert executions(foreign, US) == ()
    assert [e.liquidity for e in executions(foreign, US, known={"0xaa"})] == ["TAKER"]


def test_an_order_we_know_is_ours_whatever_the_owner_says() -> None:
    legs = [maker("0xB1", "10", "0.52", STRANGER)]
    assert executions(trade(trader_side="MAKER", maker_orders=legs), US, known={"0xb1"}) != ()


def test_both_sides_of_a_trade_with_ourselves_are_counted() -> None:
    found = executions(trade(maker_orders=[maker("0xB1", "10", "0.52", OURS)]), US)
    assert [execution.liquidity for execution in found] == ["TAKER", "MAKER"]


def test_a_trade_that_failed_makes_the_same_fills_undone() -> None:
    matched, failed = trade(), trade(status="FAILED")
    keys = []
    for seen, state in ((matched, "MATCHED"), (failed, "FAILED")):
        fill = fill_of(executions(seen, US)[0], seen, "order-1", FEES)
        assert fill.state == state
        keys.append(fill.key)
    assert keys[0] == keys[1]


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(1, 10_000)), min_size=1, max_size=6))
def test_fills_add_up_to_what_the_makers_gave(levels: list[tuple[int, int]]) -> None:
    legs = [
        maker(f"0x{n}", str(decimal(lots * 10_000)), f"0.{cents:02}", STRANGER)
        for n, (cents, lots) in enumerate(levels)
    ]
    size = sum(lots for _, lots in levels) * 10_000
    found: tuple[Execution, ...] = executions(trade(size=str(decimal(size)), maker_orders=legs), US)
    assert sum(e.leg.shares for e in found) == size
    assert sum(e.leg.shares * e.leg.price for e in found) == sum(c * MICRO // 100 * lots * 10_000 for c, lots in levels)
    assert len({(e.trade_id, e.leg.order_hash) for e in found}) == len(found)


def test_an_identity_does_not_show_the_key() -> None:
    assert "planted" not in repr(US)
    assert CONDITION not in repr(US)
