"""What trades and orders come to: sums that add up, drawdown, and which orders belong to which trade."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.market.features import FUSED_FEATURES
from core.market.fused_features import FusedInputs, fused_features
from core.market.market import Side
from core.records import TradeRecord
from core.trading.money import micros
from core.trading.orders import IntentAction
from core.trading.report import Closed, Drawdown, GivenUp, Point, drawdown, equity, hour, results
from core.trading.slippage import Execution, decision_touch, slippage
from core.trading.trade_orders import orders_of_trades
from tests.reports.made import BTC, T0, at, trade

DAY_MS = 86_400_000

trips = st.lists(
    st.builds(
        TradeRecord,
        id=st.uuids().map(str),
        session_id=st.just(1),
        asset=st.sampled_from(["BTC", "ETH", "SOL"]),
        condition_id=st.sampled_from(["0x1", "0x2", "0x3"]),
        side=st.sampled_from(["UP", "DOWN"]),
        opened_at_ms=st.integers(T0, T0 + DAY_MS),
        closed_at_ms=st.integers(T0, T0 + 3 * DAY_MS),
        shares=st.integers(1, 10**9),
        entry_price=st.integers(0, 10**6),
        exit_price=st.integers(0, 10**6),
        fees_usd=st.integers(0, 10**9),
        pnl_net_usd=st.integers(-(10**11), 10**11),
        exit_reason=st.sampled_from(["signal", "settlement", "T-2", "reconciled"]),
        force_closed=st.booleans(),
        force_close_reason=st.sampled_from(["T-2", "flatten", None]),
    ),
    max_size=40,
    unique_by=lambda each: each.id,
)


def execution(name: str, second: float, action: IntentAction, **fields: object) -> Execution:
    made = Execution(f"{name}.o", name, 1, *BTC, action, at(second), "signal", forced=False, ended=True, limit_price=0)
    return msgspec.structs.replace(made, **fields)


def filled(name: str, second: float, action: IntentAction) -> Execution:
    return execution(name, second, action, filled_shares=1, first_fill_ms=at(second), last_fill_ms=at(second))


@given(trips)
def test_each_grouping_adds_up_to_the_whole(made: list[TradeRecord]) -> None:
    found = results([Closed(each, each.condition_id) for each in made])
    for slices in (found.by_asset, found.by_side, found.by_hour, found.by_reason):
        parts = slices.values()
        assert sum(each.trades for each in parts) == found.all.trades == len(made)
        assert sum(each.fees_usd for each in parts) == found.all.fees_usd == sum(each.fees_usd for each in made)
        assert sum(each.pnl_net_usd for each in parts) == found.all.pnl_net_usd
        assert sum(each.pnl_gross_usd for each in parts) == found.all.pnl_gross_usd
        assert sum((each.win_rate or 0.0) * each.trades for each in parts) == (
            pytest.approx((found.all.win_rate or 0.0) * found.all.trades)
        )
    assert found.all.pnl_net_usd == sum(each.pnl_net_usd for each in made) == found.net.total_usd
    assert (found.equity[-1].net_usd if found.equity else 0) == found.all.pnl_net_usd


@given(trips)
def test_every_trade_that_was_closed_by_force_is_counted_once(made: list[TradeRecord]) -> None:
    forced = results([Closed(each, "w") for each in made]).forced.values()
    ones = [each for each in made if each.force_closed]
    assert sum(each.trades for each in forced) == len(ones)
    assert sum(each.pnl_net_usd for each in forced) == sum(each.pnl_net_usd for each in ones)
    assert sum(each.held for each in forced) == 0


@given(trips)
def test_no_fall_of_the_curve_is_deeper_than_the_drawdown(made: list[TradeRecord]) -> None:
    curve = [0, *(point.net_usd for point in equity(made))]
    falls = [high - low for number, high in enumerate(curve) for low in curve[number:]]
    assert drawdown(equity(made)).drawdown_usd == max(falls)


def test_a_drawdown_says_from_when_to_when() -> None:
    curve = [Point(1, 5), Point(2, 3), Point(3, 9), Point(4, -2), Point(5, 8)]
    assert drawdown(curve) == Drawdown(11, 3, 4)
    assert drawdown([Point(1, -4), Point(2, 1)]) == Drawdown(4, None, 1)
    assert drawdown([Point(1, 1), Point(2, 1)]) == drawdown([]) == Drawdown(0, None, None)


def test_the_hour_is_of_the_closing_in_utc() -> None:
    assert [hour(at(second)) for second in (0, 1799.999, 1800)] == ["23:00", "23:00", "00:00"]


# -- orders of a trade ------------------------------------------------------------------------------------------------


def test_orders_go_to_the_trade_whose_fills_they_are() -> None:
    first, second = trade("a.0", 1, BTC, (1, 5), ("1", "0")), trade("c.1", 1, BTC, (8, 9), ("1", "0"))
    orders = [
        execution("early", 0.5, "OPEN"),  # never filled: of no trade
        filled("a", 1, "OPEN"),
        execution("again", 2, "OPEN"),  # never filled either, while something is held
        execution("a.exit", 3, "CLOSE"),
        filled("a.sold", 5, "CLOSE"),
        filled("c", 8, "OPEN"),
        filled("c.sold", 9, "CLOSE"),
        filled("open", 12, "OPEN"),  # a position that is still held
        execution("open.exit", 13, "CLOSE"),
    ]
    found = orders_of_trades([first, second], reversed(orders))
    assert {name: [each.intent_id for each in own] for name, own in found.items()} == {
        "a.0": ["a", "a.exit", "a.sold"],
        "c.1": ["c", "c.sold"],
    }


def test_what_ends_in_the_millisecond_in_which_the_next_begins_is_not_mixed_up() -> None:
    first, second = trade("a.0", 1, BTC, (1, 5), ("1", "0")), trade("b.1", 1, BTC, (5, 9), ("1", "0"))
    orders = [
        filled("a", 1, "OPEN"),
        filled("a.sold", 5, "CLOSE"),
        filled("b", 5, "OPEN"),
        filled("b.sold", 9, "CLOSE"),
    ]
    found = orders_of_trades([first, second], orders)
    assert [each.intent_id for each in found["a.0"]] == ["a", "a.sold"]
    assert [each.intent_id for each in found["b.1"]] == ["b", "b.sold"]


def test_attempts_of_a_forced_exit_are_counted_with_what_became_of_them() -> None:
    exits = {"forced": True, "reason": "T-2, touch"}
    closed = trade("a.0", 1, BTC, (1, 5), ("-1", "0.1"), reason="T-2", forced=True)
    held = trade("b.1", 1, BTC, (6, 9), ("-2", "0.1"), reason="settlement")
    quiet = trade("c.2", 1, BTC, (10, 11), ("-3", "0.1"), reason="settlement")
    orders = [
        filled("a", 1, "OPEN"), execution("a1", 2, "CLOSE", **exits),
        msgspec.structs.replace(filled("a2", 5, "CLOSE"), forced=True, reason="T-2, deeper"),
        filled("b", 6, "OPEN"), execution("b1", 7, "CLOSE", **exits), filled("c", 10, "OPEN"),
    ]  # fmt: skip
    whole = results([Closed(each, "w") for each in (closed, held, quiet)], orders)
    forced = whole.forced
    (found,) = forced.values()
    assert list(forced) == ["T-2"]
    assert (found.trades, found.held, found.orders, found.most_orders, found.unfilled_orders) == (1, 1, 3, 2, 2)
    assert (found.pnl_net_usd, found.fees_usd) == (micros(-3), micros("0.2"))
    assert [(each.trade_id, each.reason, each.why, each.orders) for each in whole.held] == [("b.1", "T-2", "", 1)]


def test_an_exit_that_was_given_up_before_any_order_counts_as_held() -> None:
    held = trade("b.1", 1, BTC, (6, 9), ("-2", "0.1"), reason="settlement")
    found = results([Closed(held, "w")], (), [GivenUp(1, "0xb", "UP", "flatten", "the gate is closed", at(8))])
    assert {name: (each.trades, each.held, each.orders) for name, each in found.forced.items()} == {
        "flatten": (0, 1, 0)
    }


# -- slippage ---------------------------------------------------------------------------------------------------------


@given(
    bid=st.integers(1, 998),
    ticks=st.integers(1, 49),
    side=st.sampled_from(["UP", "DOWN"]),
    action=st.sampled_from(["OPEN", "CLOSE"]),
)
def test_the_touch_that_a_decision_saw_is_in_its_features(
    bid: int, ticks: int, side: Side, action: IntentAction
) -> None:
    ask = min(999, bid + ticks)
    up_bid, up_ask = bid / 1000, ask / 1000
    features = fused_features(
        FusedInputs(
            asset="BTC", up_bid=up_bid, up_ask=up_ask, down_bid=1 - up_ask, down_ask=1 - up_bid, fee_rate=0.07,
            fee_exponent=1, fair=None, fair_moves=(0.0,) * 4, distance=0.0, volatility=0.0, volatility_expansion=0.0,
            book_imbalance_l1=0.0, book_imbalance_l5=0.0, trade_flow_imbalance=0.0, cvd_acceleration=0.0,
            trade_intensity=0.0, large_trade_flag=0.0, held_side=None, held_value_usd=0.0, held_cost_usd=0.0,
            time_remaining=0.5, can_open=True, book_age_s=0.0,
        )
    ).tolist()  # fmt: skip
    price, spread = (features[FUSED_FEATURES.names.index(name)] for name in ("price", "spread"))
    expected = {
        ("UP", "OPEN"): ask, ("UP", "CLOSE"): bid, ("DOWN", "OPEN"): 1000 - bid, ("DOWN", "CLOSE"): 1000 - ask,
    }  # fmt: skip
    assert decision_touch(price, spread, side, action) == expected[side, action] * 1000


def test_a_spread_too_wide_for_its_feature_gives_no_touch() -> None:
    assert decision_touch(0.0, 1.0, "UP", "OPEN") is None
    assert decision_touch(float("nan"), 0.2, "UP", "OPEN") is None


def test_slippage_is_worse_for_a_buyer_above_and_for_a_seller_below() -> None:
    bought = execution(
        "a", 1, "OPEN", filled_shares=micros(10), notional_usd=micros("5.2"), touch_price=micros("0.5"),
        limit_price=micros("0.53"),
    )  # fmt: skip
    sold = msgspec.structs.replace(bought, action="CLOSE", limit_price=micros("0.48"))
    unknown = msgspec.structs.replace(bought, touch_price=None)
    waiting = execution("w", 1, "OPEN", ended=False)
    nothing = execution("n", 1, "OPEN")
    found = slippage([bought, unknown, waiting, nothing])
    assert (found.orders, found.unfilled) == (4, 1)
    assert (found.filled_shares, found.measured_shares) == (micros(20), micros(10))
    assert (found.decision_price, found.worse_price) == (micros("0.5"), micros("0.02"))
    assert (found.worse_usd, found.within_limit_usd) == (micros("0.2"), micros("0.2"))
    assert (slippage([sold]).worse_usd, slippage([sold]).within_limit_usd) == (micros("-0.2"), micros("0.4"))
    assert slippage([unknown]).worse_price is None
