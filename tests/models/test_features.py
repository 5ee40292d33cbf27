"""Features are the reference's, to the sixth decimal; what is not a number never becomes one."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RejectedError
from core.market.features import HISTORY_STATES, REFERENCE_FEATURES, FeatureHistory, MarketInputs, reference_features
from core.market.signal import fused_signal
from tests.models.reference import a_state, expected, needs_reference, states

INDEX = {name: index for index, name in enumerate(REFERENCE_FEATURES.names)}
FLOAT_INPUTS = [name for name in MarketInputs.__struct_fields__ if MarketInputs.__annotations__[name] is float]


@needs_reference
def test_features_and_histories_equal_the_references_in_file_order() -> None:
    answers = expected()
    histories: dict[str, FeatureHistory] = {}
    for number, state in enumerate(states()):
        features = reference_features(state)
        history = histories.setdefault(state.asset, FeatureHistory())
        history.push(features)
        assert features.dtype == np.float32
        np.testing.assert_allclose(features, answers["features"][number], rtol=0, atol=1e-6)
        np.testing.assert_allclose(history.array(), answers["history"][number], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "change", "value"),
    [
        ("returns_1m", {"returns_1m": 0.01}, 0.5),
        ("returns_10m", {"returns_10m": -0.04}, -1.0),
        ("cvd_acceleration", {"cvd_acceleration": 0.03}, 0.3),
        ("spread", {"spread": 0.01, "prob": 0.5}, 0.4),
        ("spread", {"spread": 0.0001, "prob": 0.0}, 0.2),
        ("trade_intensity", {"trade_intensity": 4.0}, 0.4),
        ("has_position", {"has_position": True, "position_side": "UP"}, 1.0),
        ("position_side", {"has_position": True, "position_side": "UP"}, 1.0),
        ("position_side", {"has_position": True, "position_side": "DOWN"}, -1.0),
        ("position_pnl", {"position_pnl": -10.0}, -0.2),
        ("time_remaining", {"time_remaining": 0.75}, 0.75),
    ],
)
def test_each_input_is_scaled_as_documented(name: str, change: dict[str, object], value: float) -> None:
    assert reference_features(a_state(**change))[INDEX[name]] == pytest.approx(value, abs=1e-6)


@given(st.lists(st.floats(0.001, 0.999), min_size=0, max_size=100))
def test_volatility_is_the_population_deviation_of_the_last_thirty_mids(mids: list[float]) -> None:
    feature = reference_features(a_state(prob_history=mids))[INDEX["volatility_5m"]]
    deviation = statistics.pstdev(mids[-30:]) if len(mids) >= 30 else 0.0
    assert feature == pytest.approx(min(1.0, deviation * 20), abs=1e-6)


@given(st.fixed_dictionaries({name: st.floats(allow_nan=False, allow_infinity=False) for name in FLOAT_INPUTS}))
def test_every_finite_state_gives_eighteen_numbers_within_one(numbers: dict[str, float]) -> None:
    features = reference_features(a_state(**numbers))
    assert features.shape == (18,)
    assert np.isfinite(features).all()
    assert np.abs(features).max() <= 1.0


@pytest.mark.parametrize("name", FLOAT_INPUTS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_input_that_is_not_finite_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(RejectedError, match=rf"BTC: input {name} is"):
        reference_features(a_state(**{name: value}))


@pytest.mark.parametrize("length", [3, 30, 100])
def test_a_mid_that_is_not_finite_is_refused_however_short_the_history(length: int) -> None:
    with pytest.raises(RejectedError, match="prob_history is nan"):
        reference_features(a_state(prob_history=(0.5,) * (length - 1) + (math.nan,)))


def test_a_history_is_oldest_first_with_zero_rows_where_nothing_was() -> None:
    history = FeatureHistory()
    rows = [np.full(18, number, np.float32) for number in range(1, 8)]
    for row in rows[:2]:
        history.push(row)
    assert len(history) == 2
    assert history.array()[:, 0].tolist() == [0, 0, 0, 1, 2]
    for row in rows[2:]:
        history.push(row)
    assert len(history) == HISTORY_STATES
    assert history.array()[:, 0].tolist() == [3, 4, 5, 6, 7]
    assert history.array().dtype == np.float32


def test_what_array_returned_does_not_change_with_later_pushes() -> None:
    history = FeatureHistory()
    before = history.array()
    history.push(np.ones(18, np.float32))
    assert not before.any()


@pytest.mark.parametrize("held", range(HISTORY_STATES + 1))
def test_a_dumped_history_goes_on_where_it_stopped(held: int) -> None:
    rng = np.random.default_rng(held)
    history, restored = FeatureHistory(), FeatureHistory()
    restored.push(np.ones(18, np.float32))
    for _ in range(held):
        history.push(rng.normal(size=18).astype(np.float32))
    restored.load(history.dump())
    assert len(restored) == held
    assert np.array_equal(restored.array(), history.array())
    history.clear()
    assert len(history) == 0
    assert not history.array().any()
    assert history.dump() == b""


def test_a_history_of_another_width_is_refused() -> None:
    history = FeatureHistory()
    with pytest.raises(RejectedError, match=r"shape \(18,\), got \(17,\)"):
        history.push(np.zeros(17, np.float32))
    with pytest.raises(RejectedError, match="got 71"):
        history.load(b"\0" * 71)
    with pytest.raises(RejectedError, match="0 to 5 rows"):
        history.load(b"\0" * 72 * 6)


def test_the_signal_points_where_both_venues_point_and_is_balanced() -> None:
    up = a_state(
        returns_1m=1.0,
        returns_5m=1.0,
        trade_flow_imbalance=1.0,
        cvd_acceleration=1.0,
        order_book_imbalance_l1=1.0,
        order_book_imbalance_l5=1.0,
    )
    assert fused_signal(reference_features(up)) == pytest.approx(1.0)
    assert fused_signal(-reference_features(up)) == pytest.approx(-1.0)
    assert fused_signal(reference_features(a_state(volatility=1.0, time_remaining=1.0, trade_intensity=9.0))) == 0.0


def test_the_signal_hears_both_the_fast_venue_and_the_slow_book() -> None:
    assert fused_signal(reference_features(a_state(trade_flow_imbalance=0.5))) > 0.0
    assert fused_signal(reference_features(a_state(order_book_imbalance_l1=-0.5))) < 0.0
