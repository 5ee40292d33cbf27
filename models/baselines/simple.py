"""Doing nothing, and doing anything."""

import zlib

import numpy as np

from core.market.action import Action
from core.market.features import FUSED_FEATURES
from core.market.state import MarketState
from models.baselines.baseline import CERTAIN, Decision


class Hold:
    """Never trades."""

    schema = FUSED_FEATURES

    def decide(self, state: MarketState) -> Decision:  # noqa: ARG002 -- the interface of every policy
        """Return HOLD."""
        return CERTAIN[Action.HOLD]


class Random:
    """Opens and closes by chance: each step one in a hundred for either side."""

    schema = FUSED_FEATURES

    def __init__(self, seed: int, chance: float = 0.01) -> None:
        self._seed = seed
        self._chance = chance
        self._rng: np.random.Generator | None = None

    def decide(self, state: MarketState) -> Decision:
        """Draw an action; the draws of an asset depend on seed and asset alone."""
        if self._rng is None:
            self._rng = np.random.Generator(np.random.PCG64((self._seed, zlib.crc32(state.asset.encode()))))
        point = self._rng.random()
        if point < self._chance:
            return CERTAIN[Action.BUY]
        return CERTAIN[Action.SELL if point < 2 * self._chance else Action.HOLD]
