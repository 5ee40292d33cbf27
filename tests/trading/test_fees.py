"""The fee formula, its rounding and its symmetry."""

from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RejectedError
from core.market.market import FeeSchedule
from core.trading.fees import taker_fee, worst_fee, worst_fee_of_dollars
from core.trading.money import MICRO, decimal, micros
from tests.trading.builders import CRYPTO_FEES

SHARES = st.integers(0, 1_000_000 * MICRO)
PRICES = st.integers(0, MICRO)
SCHEDULES = st.builds(
    FeeSchedule,
    rate=st.sampled_from([0.0, 0.02, 0.07, 0.072, 0.25, 1 / 3]),
    exponent=st.sampled_from([1, 2, 3]),
)


def test_a_hundred_shares_at_even_odds_cost_a_dollar_seventy_five() -> None:
    assert taker_fee(100 * MICRO, MICRO // 2, CRYPTO_FEES) == micros("1.75")


def test_exponent_two_squares_the_odds() -> None:
    assert taker_fee(100 * MICRO, MICRO // 2, FeeSchedule(0.25, 2)) == micros("1.5625")


def test_fees_are_rounded_to_five_decimals() -> None:
    # 1 share at 0.37: 0.07 * 0.2331 = 0.016317
    assert taker_fee(MICRO, micros("0.37"), CRYPTO_FEES) == micros("0.01632")


def test_less_than_a_hundred_thousandth_of_a_dollar_is_not_charged() -> None:
    # 0.0005 shares at 0.5 owe 0.00000875, which rounding alone would make 0.00001
    assert taker_fee(500, MICRO // 2, CRYPTO_FEES) == 0
    assert taker_fee(572, MICRO // 2, CRYPTO_FEES) == 10


@pytest.mark.parametrize("price", [0, MICRO])
def test_certainty_costs_nothing(price: int) -> None:
    assert taker_fee(100 * MICRO, price, CRYPTO_FEES) == 0


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -0.07])
def test_a_schedule_that_is_not_a_number_is_refused(rate: float) -> None:
    with pytest.raises(RejectedError, match="fee schedule"):
        taker_fee(MICRO, MICRO // 2, FeeSchedule(rate))


@pytest.mark.parametrize(("shares", "price"), [(-1, 500_000), (MICRO, -1), (MICRO, MICRO + 1)])
def test_impossible_fills_have_no_fee(shares: int, price: int) -> None:
    with pytest.raises(RejectedError, match="no fee"):
        taker_fee(shares, price, CRYPTO_FEES)


@given(SHARES, PRICES, SCHEDULES)
def test_integers_agree_with_wide_decimals(shares: int, price: int, fees: FeeSchedule) -> None:
    with localcontext() as context:
        context.prec = 120
        p = decimal(price)
        exact = decimal(shares) * Decimal(str(fees.rate)) * (p * (1 - p)) ** fees.exponent
        charged = exact.quantize(Decimal("0.00001"), ROUND_HALF_UP) if exact >= Decimal("0.00001") else Decimal(0)

    assert decimal(taker_fee(shares, price, fees)) == charged


@given(SHARES, PRICES, SCHEDULES)
def test_fee_is_symmetric_in_the_odds(shares: int, price: int, fees: FeeSchedule) -> None:
    assert taker_fee(shares, price, fees) == taker_fee(shares, MICRO - price, fees)


@given(SHARES, SHARES, PRICES, SCHEDULES)
def test_more_shares_never_cost_less(one: int, other: int, price: int, fees: FeeSchedule) -> None:
    few, many = sorted((one, other))

    assert taker_fee(few, price, fees) <= taker_fee(many, price, fees)


@given(st.lists(st.tuples(st.integers(1, 100 * MICRO), PRICES), min_size=1, max_size=20), SCHEDULES)
def test_worst_fee_bounds_any_way_of_filling_up_to_the_limit(parts: list[tuple[int, int]], fees: FeeSchedule) -> None:
    limit = max(price for _, price in parts)
    paid = sum(taker_fee(shares, price, fees) for shares, price in parts)

    assert paid <= worst_fee(sum(shares for shares, _ in parts), limit, fees, len(parts))


def test_worst_fee_covers_the_rounding_of_many_small_fills() -> None:
    # each of these owes 1.5015 steps of 0.00001 and pays two
    paid = 20 * taker_fee(858, MICRO // 2, CRYPTO_FEES)

    assert paid == 400
    assert paid <= worst_fee(20 * 858, MICRO // 2, CRYPTO_FEES, 20)


@given(st.integers(MICRO, 500 * MICRO), st.integers(1, 99), SCHEDULES)
def test_dollars_at_any_price_up_to_the_limit_pay_no_more_than_the_bound(
    dollars: int, limit_ticks: int, fees: FeeSchedule
) -> None:
    tick = MICRO // 100
    bound = worst_fee_of_dollars(dollars, limit_ticks * tick, tick, fees, 1)
    paid = [taker_fee(dollars * MICRO // (n * tick), n * tick, fees) for n in range(1, limit_ticks + 1)]

    assert isinstance(bound, int)
    assert max(paid) <= bound


def test_the_smallest_fee_is_charged_from_its_own_amount_on() -> None:
    # a thousandth of a share at 0.5 owes 0.04 * 0.25 * 0.001 dollars: one step
    assert taker_fee(1_000, MICRO // 2, FeeSchedule(0.04)) == 10
    assert taker_fee(999, MICRO // 2, FeeSchedule(0.04)) == 0


def test_where_nothing_is_charged_no_number_of_fills_costs_anything() -> None:
    assert worst_fee(MICRO, MICRO // 2, FeeSchedule(0.0), 9) == 0
