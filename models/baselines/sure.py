"""A policy that acts only where another one is sure: the same judgement, fewer trades."""

from typing import Protocol

from core.market.action import Action
from core.market.features import FeatureSchema
from core.market.state import MarketState
from models.baselines.baseline import CERTAIN


class Judge(Protocol):
    """What is asked; see `models.baselines.Baseline`."""

    @property
    def schema(self) -> FeatureSchema:
        """The features it wants to see."""
        ...

    def decide(self, state: MarketState) -> tuple[tuple[float, ...], float]:
        """Return (probabilities of HOLD, BUY, SELL; value) of one state."""
        ...


class Sure:
    """Holds unless `policy` gives BUY or SELL at least the probability `least`; leaving a position needs no more.

    Args:
        policy: is asked at every step.
        least: probability in [0, 1] that an opening needs.
    """

    def __init__(self, policy: Judge, least: float) -> None:
        self._policy = policy
        self._least = least

    @property
    def schema(self) -> FeatureSchema:
        """The features of the policy that is asked."""
        return self._policy.schema

    def decide(self, state: MarketState) -> tuple[tuple[float, ...], float]:
        """Return the policy's answer, or HOLD where it is not sure enough to open."""
        probabilities, value = self._policy.decide(state)
        sure = max(probabilities[Action.BUY], probabilities[Action.SELL]) >= self._least
        if sure or state.held_side is not None:
            return probabilities, value
        return CERTAIN[Action.HOLD][0], value
