"""Cheap policies in the place of the networks: a table over the window's course, and dice."""

from bench.simulation.scenario import PolicyKind
from core.market.features import REFERENCE_FEATURES
from core.market.state import MarketState
from core.trading.decisions import BUY, HOLD, SELL

_TIME_LEFT = REFERENCE_FEATURES.names.index("time_remaining")
_HAS_POSITION = REFERENCE_FEATURES.names.index("has_position")
_CERTAIN = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_TABLE = ((0.85, HOLD), (0.75, BUY), (0.60, HOLD), (0.50, SELL), (0.42, HOLD), (0.34, SELL), (-1.0, HOLD))
"""(share of the window left, action from there on down to it): buys UP, sells it, opens DOWN and keeps it."""
_DICE = (0.70, 0.15, 0.15)


class TablePolicy:
    """Says what the table says at this point of the window."""

    schema = REFERENCE_FEATURES

    def decide(self, state: MarketState) -> tuple[tuple[float, ...], float]:
        """Return certainty for the table's action."""
        left = float(state.features[_TIME_LEFT])
        action = next(action for above, action in _TABLE if left > above)
        return _CERTAIN[action], 0.0

    def __repr__(self) -> str:
        """Return the same text in every process: the event log is compared byte by byte."""
        return "TablePolicy()"


class DicePolicy:
    """Opens and closes by chance; the market actor draws."""

    schema = REFERENCE_FEATURES

    def decide(self, state: MarketState) -> tuple[tuple[float, ...], float]:
        """Return the same odds at every step, with a value that depends on whether something is held."""
        return _DICE, float(state.features[_HAS_POSITION])

    def __repr__(self) -> str:
        """Return the same text in every process."""
        return "DicePolicy()"


def make_policy(kind: PolicyKind) -> TablePolicy | DicePolicy:
    """Return the policy of a scenario."""
    return TablePolicy() if kind == "table" else DicePolicy()
