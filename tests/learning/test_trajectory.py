"""Every window is a trajectory of its own, and what its steps earn adds up to what the market paid."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RejectedError
from core.market.market import Side
from models.ppo.hyper import RewardProfile
from models.ppo.step import Segment
from models.ppo.trajectory import Trajectories
from tests.learning.made import SIZE, step

BTC, ETH = ("BTC", "0x1"), ("ETH", "0x2")
MICRO = 1_000_000


def rewards(segments: list[Segment]) -> list[int]:
    return [int(reward) for segment in segments for reward in segment.rewards_usd]


def same(one: Segment, other: Segment) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        if getattr(one, name) is not None
        else getattr(other, name) is None
        for name in Segment.__struct_fields__
    )


fills = st.tuples(
    st.integers(-50 * MICRO, 50 * MICRO),  # shares bought, sold where negative
    st.integers(0, MICRO),  # price
    st.integers(0, MICRO),  # fee in dollars
    st.integers(0, MICRO),  # bid at the next step
    st.booleans(),  # whether an update takes what is ready then
)


@given(st.lists(fills, max_size=12), st.sampled_from(["UP", "DOWN"]), st.sampled_from(["net_liquidation", "close"]))
def test_rewards_add_up_to_the_realised_net_pnl(
    trades: list[tuple[int, int, int, int, bool]], winner: Side, profile: RewardProfile
) -> None:
    trajectories = Trajectories(SIZE, profile)
    trajectories.add(BTC, step(0), done=not trades)
    cash = shares = equity = 0
    earned: list[int] = []
    for number, (bought, price, fee, bid, taken) in enumerate(trades, start=1):
        traded = max(bought, -shares)
        cash -= traded * price // MICRO + (fee if traded else 0)
        shares += traded
        equity = cash + shares * bid // MICRO
        made = step(number, equity, held=shares > 0)
        trajectories.add(BTC, made, done=number == len(trades))
        if taken:
            earned += rewards(trajectories.take())
    pnl = cash + (shares if winner == "UP" else 0)
    trajectories.close(BTC, pnl)
    earned += rewards(trajectories.take())
    assert sum(earned) == pnl
    assert len(earned) == len(trades) + 1
    if profile == "close":
        assert not any(earned[:-1])


def test_a_step_earns_what_the_equity_changes_until_the_next() -> None:
    trajectories = Trajectories(SIZE)
    for at, equity in enumerate((0, -3, 4, 4)):
        trajectories.add(BTC, step(at, equity), done=at == 3)
    assert rewards(trajectories.take()) == [-3, 7, 0, 0]


def test_the_newest_step_waits_for_the_next_one_and_is_where_a_cut_segment_goes_on() -> None:
    trajectories = Trajectories(SIZE)
    for at in range(3):
        trajectories.add(BTC, step(at, 10 * at), done=False)
    assert trajectories.ready == 2
    (segment,) = trajectories.take()
    assert rewards([segment]) == [10, 10]
    assert segment.next_features is not None
    assert np.array_equal(segment.next_features, step(2).features)
    assert segment.next_history is not None
    assert np.array_equal(segment.next_history, step(2).history.reshape(-1))
    assert (trajectories.ready, trajectories.take()) == (0, [])

    trajectories.add(BTC, step(3, 25), done=True)
    (segment,) = trajectories.take()
    assert rewards([segment]) == [5, 0]
    assert segment.next_features is None


def test_a_window_that_ends_with_something_held_waits_for_its_winner() -> None:
    trajectories = Trajectories(SIZE)
    trajectories.add(BTC, step(0, 0), done=False)
    trajectories.add(BTC, step(1, -2, held=True), done=True)
    assert (trajectories.ready, trajectories.waiting, trajectories.take()) == (0, (BTC,), [])
    trajectories.close(BTC, 40)
    assert trajectories.ready == 2
    (segment,) = trajectories.take()
    assert rewards([segment]) == [-2, 42]
    assert segment.next_features is None


def test_a_winner_that_is_known_before_the_last_step_came_is_not_lost() -> None:
    trajectories = Trajectories(SIZE)
    trajectories.add(BTC, step(0, 0, held=True), done=False)
    trajectories.close(BTC, 7)
    assert trajectories.ready == 0
    trajectories.add(BTC, step(1, 3, held=True), done=True)
    assert rewards(trajectories.take()) == [3, 4]


def test_a_new_window_ends_the_one_whose_last_step_was_lost() -> None:
    trajectories = Trajectories(SIZE)
    trajectories.add(("BTC", "0x1"), step(0, 0), done=False)
    trajectories.add(("BTC", "0x1"), step(1, 5), done=False)
    trajectories.add(("BTC", "0x9"), step(2, 0), done=False)
    (segment,) = trajectories.take()
    assert (segment.condition_id, rewards([segment]), segment.next_features) == ("0x1", [5, 0], None)


def test_assets_that_take_turns_stay_apart() -> None:
    trajectories = Trajectories(SIZE)
    for at in range(4):
        trajectories.add(BTC, step(2 * at, 100 * at), done=at == 3)
        trajectories.add(ETH, step(2 * at + 1, -at), done=at == 3)
    one, other = trajectories.take()
    assert (one.asset, rewards([one])) == ("BTC", [100, 100, 100, 0])
    assert (other.asset, rewards([other])) == ("ETH", [-1, -1, -1, 0])
    assert np.array_equal(other.features[2], step(5).features)


def test_a_step_that_comes_again_is_known() -> None:
    trajectories = Trajectories(SIZE)
    assert trajectories.add(BTC, step(0), done=False)
    assert not trajectories.add(BTC, step(0, 99), done=False)
    assert trajectories.add(BTC, step(1), done=True)
    trajectories.take()
    assert not trajectories.add(BTC, step(1, 99), done=True)
    assert trajectories.ready == 0


@pytest.mark.parametrize(
    "poison",
    [
        {"features": np.full(SIZE, math.nan, np.float32)},
        {"features": np.zeros(SIZE - 1, np.float32)},
        {"history": np.full((5, SIZE), -math.inf, np.float32)},
        {"log_prob": -math.inf},
        {"log_prob": 0.5},
        {"equity_usd": math.nan},
        {"action": 3},
    ],
)
def test_a_poisoned_step_is_refused_before_the_buffer(poison: dict[str, Any]) -> None:
    trajectories = Trajectories(SIZE)
    trajectories.add(BTC, step(0, 0), done=False)
    with pytest.raises(RejectedError, match="step at 1 ms"):
        trajectories.add(BTC, step(1, **poison), done=False)
    assert trajectories.ready == 0
    trajectories.add(BTC, step(2, 8), done=True)
    assert rewards(trajectories.take()) == [8, 0]


def test_what_could_have_no_effect_and_what_was_forced_does_not_teach_the_actor() -> None:
    trajectories = Trajectories(SIZE)
    trajectories.add(BTC, step(0), done=False)
    trajectories.add(BTC, step(1, free=False), done=False)
    trajectories.add(BTC, step(2, forced=True), done=True)
    (segment,) = trajectories.take()
    assert segment.learns.tolist() == [True, False, False]


def test_a_window_that_is_never_settled_is_given_up_and_told() -> None:
    trajectories = Trajectories(SIZE, patience=2)
    for window in range(4):
        trajectories.add(("BTC", str(window)), step(window, held=True), done=True)
        trajectories.add(("ETH", str(window)), step(window), done=False)
    assert trajectories.given_up() == (("BTC", "0"),)
    assert trajectories.given_up() == ()
    assert trajectories.waiting == tuple(("BTC", str(window)) for window in (1, 2, 3))
    assert not trajectories.add(("BTC", "0"), step(9), done=True)


def test_a_stored_buffer_goes_on_as_if_nothing_had_happened() -> None:
    def filled() -> Trajectories:
        trajectories = Trajectories(SIZE, "close", patience=3)
        for at in range(5):
            trajectories.add(BTC, step(at, at, held=True), done=at == 4)
            trajectories.add(ETH, step(at, -at, free=at % 2 == 0), done=False)
        trajectories.take()
        return trajectories

    kept, loaded = filled(), Trajectories.load(filled().dump())
    assert loaded.dump() == kept.dump()
    for trajectories in (kept, loaded):
        trajectories.close(BTC, 12)
        trajectories.add(ETH, step(5, -9), done=True)
    assert all(same(one, other) for one, other in zip(kept.take(), loaded.take(), strict=True))


def test_a_damaged_buffer_is_refused() -> None:
    trajectories = Trajectories(SIZE)
    trajectories.add(BTC, step(0), done=False)
    for payload in (b"", b"nothing", trajectories.dump()[:-3]):
        with pytest.raises(RejectedError, match="the stored trajectories cannot be read"):
            Trajectories.load(payload)
