"""The fused features: values, edges after fees, moves of the fair value; scaled, clamped, refused when absurd."""

import contextlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RejectedError
from core.market.fair import deviation, fair_up, fee_per_share
from core.market.features import FUSED_FEATURES
from core.market.fused_features import FusedInputs, fused_features

CALM: dict[str, Any] = {
    "asset": "BTC",
    "up_bid": 0.49,
    "up_ask": 0.51,
    "down_bid": 0.49,
    "down_ask": 0.51,
    "fee_rate": 0.07,
    "fee_exponent": 1,
    "fair": 0.55,
    "fair_moves": (0.01, 0.02, 0.03, 0.04),
    "distance": 0.3,
    "volatility": 1e-4,
    "volatility_expansion": 0.2,
    "book_imbalance_l1": 0.1,
    "book_imbalance_l5": 0.2,
    "trade_flow_imbalance": 0.3,
    "cvd_acceleration": 0.01,
    "trade_intensity": 10.0,
    "large_trade_flag": 0.0,
    "held_side": None,
    "held_value_usd": 0.0,
    "held_cost_usd": 0.0,
    "time_remaining": 0.5,
    "can_open": True,
    "book_age_s": 0.2,
}


def named(**changes: Any) -> dict[str, float]:
    features = fused_features(FusedInputs(**{**CALM, **changes}))
    return dict(zip(FUSED_FEATURES.names, features.tolist(), strict=True))


def test_edges_are_what_a_share_earns_after_its_fee() -> None:
    seen, fee = named(), fee_per_share(0.51, 0.07, 1)

    assert seen["edge_up"] == pytest.approx((0.55 - 0.51 - fee) * 10)
    assert seen["edge_down"] == pytest.approx((0.45 - 0.51 - fee) * 10)
    assert seen["edge_exit"] == 0.0
    assert named(held_side="UP")["edge_exit"] == pytest.approx((0.49 - fee_per_share(0.49, 0.07, 1) - 0.55) * 10)
    assert named(held_side="DOWN")["edge_exit"] == pytest.approx((0.49 - fee_per_share(0.49, 0.07, 1) - 0.45) * 10)


def test_without_a_fair_value_there_is_no_edge() -> None:
    seen = named(fair=None)

    assert (seen["edge_up"], seen["edge_down"], seen["gap"]) == (-1.0, -1.0, 0.0)


def test_the_position_shows_as_side_and_return() -> None:
    seen = named(held_side="DOWN", held_cost_usd=50.0, held_value_usd=55.0)

    assert seen["position_side"] == -1.0
    assert seen["position_return"] == pytest.approx(0.1)


@given(
    st.sampled_from([name for name, value in CALM.items() if isinstance(value, float)]),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)
def test_a_number_that_is_not_finite_is_refused_or_has_no_part_in_it(name: str, value: float) -> None:
    features = None
    with contextlib.suppress(RejectedError):
        features = fused_features(FusedInputs(**{**CALM, name: value}))

    assert features is None or np.isfinite(features).all()


def test_what_is_refused_names_the_asset_and_the_feature() -> None:
    with pytest.raises(RejectedError, match="BTC: feature price is not finite"):
        fused_features(FusedInputs(**{**CALM, "up_bid": math.nan}))


def test_every_feature_is_clamped() -> None:
    features = fused_features(FusedInputs(**{**CALM, "distance": 1e9, "cvd_acceleration": -1e9}))

    assert features.shape == (FUSED_FEATURES.size,)
    assert np.abs(features).max() <= 1.0


def test_the_fair_value_is_even_at_the_strike_and_follows_spot() -> None:
    assert fair_up(0.0) == 0.5
    assert fair_up(1.0) == pytest.approx(0.8413, abs=1e-4)


def test_the_mean_that_settles_varies_less_than_spot_at_the_close() -> None:
    """Against brute force: the variance of the mean of the last 60 of `left` one-second steps."""
    rng = np.random.default_rng(1)
    for left in (30, 60, 300, 600):
        steps = rng.standard_normal((4000, left)) * 1e-4
        paths = np.cumsum(steps, axis=1)
        means = paths[:, -60:].sum(axis=1) / 60  # before the last minute began, spot stood at 0
        assert deviation(1e-4, left, 60.0) == pytest.approx(means.std(), rel=0.06)
