"""Rewards are scaled by what was seen so far, and a zero stays a zero."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ppo.normaliser import RewardNormaliser
from models.weights import TrainingStats

rewards = st.lists(st.floats(-1e4, 1e4), max_size=30)


@given(st.lists(rewards, max_size=5))
def test_batches_add_up_to_the_statistics_of_all_rewards(batches: list[list[float]]) -> None:
    normaliser = RewardNormaliser()
    for batch in batches:
        normaliser = normaliser.seen(np.array(batch))
    everything = [reward for batch in batches for reward in batch]
    assert normaliser.count == len(everything)
    if everything:
        assert normaliser.mean == pytest.approx(np.mean(everything), rel=1e-9, abs=1e-6)
        assert normaliser.squares == pytest.approx(np.var(everything) * len(everything), rel=1e-6, abs=1e-3)


@given(rewards)
def test_a_zero_stays_zero_and_no_sign_changes(seen: list[float]) -> None:
    normaliser = RewardNormaliser().seen(np.array([5.0, 7.0, *seen]))
    scaled = normaliser.scaled(np.array([0.0, 3.0, -3.0]))
    assert scaled[0] == 0.0
    assert scaled[1] > 0 > scaled[2]


def test_rewards_that_never_differed_are_left_alone() -> None:
    normaliser = RewardNormaliser().seen(np.zeros(100))
    assert normaliser.scaled(np.array([0.0, 2.5])).tolist() == [0.0, 2.5]


def test_statistics_of_earlier_training_are_taken_up() -> None:
    normaliser = RewardNormaliser.of(TrainingStats(reward_mean=-0.5, reward_std=31.25, reward_count=77))
    assert (normaliser.mean, normaliser.count) == (-0.5, 77)
    assert normaliser.deviation == pytest.approx(31.25)
