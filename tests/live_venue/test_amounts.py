"""Signed amounts are the order's own, to the micro, and what the venue's client would have made of them."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from py_clob_client.order_builder.builder import OrderBuilder as Builder1
from py_clob_client_v2.order_builder.builder import ROUNDING_CONFIG, OrderBuilder

from core.errors import RejectedError
from core.trading.money import MICRO, decimal
from core.trading.orders import OrderSide, OrderType
from core.trading.sizing import LOT_SHARES, buy_lot
from tests.live_venue.builders import order
from venues.polymarket.amounts import ROUNDING, Amounts, amounts_of, limit_price


@st.composite
def sized(draw: st.DrawFn) -> tuple[int, int, int, OrderSide, OrderType]:
    tick = draw(st.sampled_from(sorted(ROUNDING)))
    price = draw(st.integers(1, MICRO // tick - 1)) * tick
    side: OrderSide = draw(st.sampled_from(["BUY", "SELL"]))
    order_type: OrderType = draw(st.sampled_from(["FOK", "FAK", "GTC"]))
    lot = buy_lot(price, order_type) if side == "BUY" else LOT_SHARES
    return tick, price, draw(st.integers(1, 40_000)) * lot, side, order_type


@given(sized())
def test_amounts_are_exactly_what_was_sized_and_reserved(case: tuple[int, int, int, OrderSide, OrderType]) -> None:
    tick, price, shares, side, order_type = case
    assume(side == "BUY" or order_type == "GTC")
    amounts = amounts_of(order(limit_price=price, shares=shares, side=side, order_type=order_type), tick)
    dollars = shares * price // MICRO
    assert dollars * MICRO == shares * price
    assert amounts == (Amounts(dollars, shares) if side == "BUY" else Amounts(shares, dollars))
    assert limit_price(side, amounts) == price


@given(sized())
def test_a_market_sell_asks_for_four_decimals_of_a_dollar_whatever_the_tick(
    case: tuple[int, int, int, OrderSide, OrderType],
) -> None:
    tick, price, shares, _, _ = case
    assume(shares >= 5 * MICRO)
    amounts = amounts_of(order(limit_price=price, shares=shares, side="SELL", order_type="FAK"), tick)
    assert amounts.maker == shares
    assert amounts.taker % 100 == 0
    assert 0 <= shares * price // MICRO - amounts.taker < 100


def test_a_market_sell_worth_nothing_the_venue_could_express_is_rejected() -> None:
    with pytest.raises(RejectedError, match="less than the venue can express"):
        amounts_of(order(limit_price=1_000, shares=LOT_SHARES, side="SELL", order_type="FAK"), 1_000)


@given(sized())
def test_the_vendors_own_rounding_gives_no_other_amounts(case: tuple[int, int, int, OrderSide, OrderType]) -> None:
    tick, price, shares, side, _ = case
    amounts = amounts_of(order(limit_price=price, shares=shares, side=side, order_type="GTC"), tick)
    config = ROUNDING_CONFIG[str(decimal(tick).normalize())]
    asked = (side, float(decimal(shares)), float(decimal(price)), config)
    _, maker, taker = OrderBuilder.get_order_amounts(None, *asked)
    # the vendor computes in floats and may lose a hundredth of a share, never more, and never to our cost
    lost = shares - (taker if side == "BUY" else maker)
    assert lost in {0, LOT_SHARES}
    if not lost:
        assert abs(maker - amounts.maker) <= 1
        assert abs(taker - amounts.taker) <= 1
    assert Builder1.get_order_amounts(None, *asked)[1:] == (maker, taker)


@pytest.mark.parametrize(
    ("changes", "tick", "reason"),
    [
        ({"limit_price": 525_000}, 10_000, "not on the tick 0.010000"),
        ({"limit_price": 0}, 10_000, "not on the tick"),
        ({"limit_price": MICRO}, 10_000, "not on the tick"),
        ({"limit_price": 520_000}, 20_000, "tick size 0.020000 is none of the venue's"),
        ({"shares": 10_005_000}, 10_000, "not whole hundredths"),
        ({"shares": 0}, 10_000, "not whole hundredths"),
        ({"limit_price": 530_000, "shares": 10_010_000}, 10_000, "not whole cents"),
        ({"limit_price": 530_000, "shares": 10_010_000, "order_type": "FAK"}, 10_000, "not whole cents"),
    ],
)
def test_what_the_venue_would_round_or_refuse_is_rejected_before_it_is_signed(
    changes: dict[str, object], tick: int, reason: str
) -> None:
    with pytest.raises(RejectedError, match=reason):
        amounts_of(order(**changes), tick)


def test_a_resting_buy_need_not_be_whole_cents() -> None:
    assert amounts_of(order(limit_price=530_000, shares=10_010_000, order_type="GTC"), 10_000).maker == 5_305_300
