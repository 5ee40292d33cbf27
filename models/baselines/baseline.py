"""What baselines have in common: they see the fused features, and are certain of what they do."""

from typing import Protocol

from core.market.action import Action
from core.market.fair import fee_per_share
from core.market.features import FeatureSchema
from core.market.state import MarketState

Decision = tuple[tuple[float, float, float], float]

CERTAIN: dict[Action, Decision] = {
    Action.HOLD: ((1.0, 0.0, 0.0), 0.0),
    Action.BUY: ((0.0, 1.0, 0.0), 0.0),
    Action.SELL: ((0.0, 0.0, 1.0), 0.0),
}
"""Probabilities of HOLD, BUY and SELL, and the value of the state, of which a baseline knows nothing."""


class Baseline(Protocol):
    """A policy for one asset; may remember the states it has seen."""

    @property
    def schema(self) -> FeatureSchema:
        """The features it is handed."""
        ...

    def decide(self, state: MarketState) -> Decision:
        """Return (probabilities of HOLD, BUY, SELL; value) of the next state of its asset."""
        ...


def fee(state: MarketState, price: float) -> float:
    """Return the taker's fee of one share at `price`, in dollars."""
    return fee_per_share(min(1.0, max(0.0, price)), state.fee_rate, state.fee_exponent)
