"""Totals, intervals, drawdown and paired differences of round trips."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trading.performance import (
    RoundTrip,
    equity_curve,
    interval,
    max_drawdown,
    paired,
    per_window,
    performance,
)

DOLLAR = 1_000_000
WINDOWS = [f"w{number}" for number in range(8)]

trips = st.lists(
    st.builds(
        RoundTrip,
        window=st.sampled_from(WINDOWS),
        asset=st.sampled_from(["BTC", "ETH"]),
        side=st.sampled_from(["UP", "DOWN"]),
        closed_ms=st.integers(0, 10**6),
        fees_usd=st.integers(0, 10 * DOLLAR),
        pnl_net_usd=st.integers(-100 * DOLLAR, 100 * DOLLAR),
    ),
    max_size=30,
)


def trip(window: str, pnl_usd: int, closed_ms: int = 0, asset: str = "BTC") -> RoundTrip:
    return RoundTrip(window, asset, "UP", closed_ms, DOLLAR, pnl_usd * DOLLAR)


@given(trips)
def test_slices_by_asset_and_by_side_add_up_to_the_whole(made: list[RoundTrip]) -> None:
    found = performance(made, WINDOWS, resamples=50)
    for slices in (found.by_asset, found.by_side):
        assert sum(each.trades for each in slices.values()) == found.all.trades
        assert sum(each.pnl_net_usd for each in slices.values()) == found.all.pnl_net_usd
    assert found.net.total_usd == found.all.pnl_net_usd == found.all.pnl_gross_usd - found.all.fees_usd
    assert found.max_drawdown_usd >= 0


@given(trips, trips)
def test_a_difference_is_the_difference_of_the_totals_and_none_to_itself(
    first: list[RoundTrip], second: list[RoundTrip]
) -> None:
    ahead = paired(first, second, WINDOWS, resamples=50)
    assert ahead.total_usd == sum(t.pnl_net_usd for t in first) - sum(t.pnl_net_usd for t in second)
    same = paired(first, first, WINDOWS, resamples=50)
    assert (same.total_usd, same.low_usd, same.high_usd) == (0, 0, 0)


def test_a_constant_lead_has_no_uncertainty_however_noisy_both_are() -> None:
    rng = np.random.default_rng(3)
    noise = [int(x) for x in rng.integers(-50, 50, len(WINDOWS))]
    first = [trip(w, x + 2) for w, x in zip(WINDOWS, noise, strict=True)]
    second = [trip(w, x) for w, x in zip(WINDOWS, noise, strict=True)]
    lead = paired(first, second, WINDOWS)
    assert (lead.low_usd, lead.high_usd) == (16 * DOLLAR, 16 * DOLLAR)


def test_the_interval_is_that_of_the_central_limit_theorem_when_there_are_many_windows() -> None:
    values = (np.random.default_rng(1).normal(1.0, 10.0, 900) * DOLLAR).astype(np.int64)
    found = interval(values)
    half = 1.96 * values.std() * np.sqrt(900)
    assert found.low_usd == pytest.approx(found.total_usd - half, abs=0.08 * half)
    assert found.high_usd == pytest.approx(found.total_usd + half, abs=0.08 * half)
    assert interval(values) == found


def test_windows_are_resampled_whole() -> None:
    one = [trip("w0", 10), trip("w0", -10), trip("w1", 5, asset="ETH"), trip("w1", -5)]
    found = performance(one, WINDOWS)
    assert (found.net.low_usd, found.net.high_usd) == (0, 0)
    assert found.windows_traded == 2


def test_the_deepest_fall_is_measured_from_the_peak_before_it() -> None:
    made = [trip("w0", 5, 1), trip("w0", -3, 2), trip("w1", -4, 0), trip("w2", 9, 0), trip("w3", -6, 0)]
    curve = equity_curve(reversed(made), WINDOWS)
    assert (curve // DOLLAR).tolist() == [5, 2, -2, 7, 1]
    assert max_drawdown(curve) == 7 * DOLLAR
    assert max_drawdown(equity_curve([trip("w0", -2)], WINDOWS)) == 2 * DOLLAR
    assert max_drawdown(equity_curve([], WINDOWS)) == 0


def test_nothing_traded_is_no_trade_and_no_rate() -> None:
    found = performance([], WINDOWS)
    assert (found.all.trades, found.all.win_rate, found.net.total_usd) == (0, None, 0)
    assert performance([], []).net.windows == 0


def test_a_trade_of_another_window_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="window elsewhere"):
        per_window([trip("elsewhere", 1)], WINDOWS)
    with pytest.raises(ValueError, match="named twice"):
        per_window([], ["w0", "w0"])
