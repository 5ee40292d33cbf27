"""Sizing weights: bounded, falling with what an asset loses, and slow to believe a few trades."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trading.money import MICRO
from core.trading.weighting import Weighting, weights

SIZE = 100 * MICRO
RULE = Weighting()
RESULTS = st.tuples(st.integers(0, 500), st.integers(-2_000 * MICRO, 2_000 * MICRO))
RECORDS = st.dictionaries(st.sampled_from(("BTC", "ETH", "SOL", "XRP")), RESULTS, min_size=1)


@given(RECORDS)
def test_every_weight_lies_between_the_least_and_one(records: dict[str, tuple[int, int]]) -> None:
    found = weights(records, SIZE, RULE)
    assert found.keys() == records.keys()
    assert all(RULE.least <= weight <= 1.0 for weight in found.values())


@given(st.integers(1, 400), st.integers(-500, 500), st.integers(1, 500), RESULTS)
def test_whoever_lost_more_over_as_many_trades_is_traded_no_larger(
    count: int, net: int, less: int, other: tuple[int, int]
) -> None:
    found = weights({"BTC": (count, net * MICRO), "ETH": (count, (net - less) * MICRO), "SOL": other}, SIZE, RULE)
    assert found["ETH"] <= found["BTC"]


def test_nobody_who_earns_is_traded_larger_than_full_size() -> None:
    assert weights({"BTC": (200, 5_000 * MICRO), "ETH": (200, 1)}, SIZE, RULE) == {"BTC": 1.0, "ETH": 1.0}


def test_without_any_trade_everything_has_its_full_size() -> None:
    assert weights({"BTC": (0, 0), "ETH": (0, 0)}, SIZE, RULE) == {"BTC": 1.0, "ETH": 1.0}


def test_what_has_no_trades_gets_the_common_weight() -> None:
    found = weights({"BTC": (100, -100 * MICRO), "ETH": (100, -100 * MICRO), "SOL": (0, 0)}, SIZE, RULE)
    assert found["SOL"] == pytest.approx(found["BTC"]) == pytest.approx(0.8)  # a loss of 1 % of the size, 5 % is all


def test_few_trades_are_pulled_towards_the_common_mean_as_by_thirty_more() -> None:
    records = {"BTC": (10, -50 * MICRO), "ETH": (90, 50 * MICRO)}
    # BTC lost 5 % of the size a trade, all together nothing: (10 * -0.05 + 30 * 0) / 40 = -0.0125, a quarter of 0.05
    assert weights(records, SIZE, RULE) == {"BTC": pytest.approx(0.75), "ETH": 1.0}


@given(st.integers(0, 60), st.integers(60, 300))
def test_the_more_trades_lost_alike_the_smaller(few: int, many: int) -> None:
    def weight(count: int) -> float:
        rest = {"ETH": (1_000, 1_000 * MICRO)}
        return weights({"BTC": (count, -3 * count * MICRO), **rest}, SIZE, RULE)["BTC"]

    assert weight(many) <= weight(few)


@pytest.mark.parametrize(("least", "expected"), [(0.25, 0.25), (0.5, 0.5)])
def test_the_least_weight_is_what_remains_of_a_bad_asset(least: float, expected: float) -> None:
    assert weights({"BTC": (100, -10_000 * MICRO)}, SIZE, Weighting(least)) == {"BTC": expected}


def test_without_shrinkage_the_mean_decides_and_the_scale_says_how_much() -> None:
    rule = Weighting(least=0.1, prior_trades=0, scale=0.1)
    assert weights({"BTC": (10, -50 * MICRO)}, SIZE, rule) == {"BTC": pytest.approx(0.5)}
