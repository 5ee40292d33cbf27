"""Rewards brought to unit scale: divided by their running deviation, never shifted, so that a zero stays zero."""

import math
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt

from models.weights import TrainingStats


class RewardNormaliser(msgspec.Struct, frozen=True):
    """Running mean and squared deviations (dollars) of every reward seen; batches are merged as in Chan et al. 1983."""

    mean: float = 0.0
    squares: float = 0.0
    """Sum of squared deviations from the mean."""
    count: int = 0

    @classmethod
    def of(cls, stats: TrainingStats) -> Self:
        """Return the normaliser that training with these statistics goes on from."""
        return cls(stats.reward_mean, stats.reward_std**2 * stats.reward_count, stats.reward_count)

    @property
    def deviation(self) -> float:
        """Population standard deviation in dollars; 1 until two rewards differ."""
        return math.sqrt(self.squares / self.count) if self.squares > 0.0 else 1.0

    def seen(self, rewards: npt.NDArray[np.float64]) -> Self:
        """Return the normaliser after these rewards, in dollars."""
        if rewards.size == 0:
            return self
        mean = float(rewards.mean())
        squares = float(np.square(rewards - mean).sum())
        count = self.count + rewards.size
        shift = mean - self.mean
        return type(self)(
            self.mean + shift * rewards.size / count,
            self.squares + squares + shift * shift * self.count * rewards.size / count,
            count,
        )

    def scaled(self, rewards: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the rewards over their deviation: signs and zeros are kept."""
        return rewards / self.deviation
