"""Baselines that hold the book against a value: one computes it from spot, one knows it."""

from collections.abc import Callable

from core.market.action import Action
from core.market.features import FUSED_FEATURES
from core.market.state import MarketState
from models.baselines.baseline import CERTAIN, Decision, fee

TrueValue = Callable[[str, int, int], float]
"""P(Up) of the market of (asset, unix second of its opening) at a unix millisecond."""


class FairValue:
    """Opens where price and fair value differ by more than the spread and the fees; leaves where the price is better.

    The value prices the binary from spot, strike, time and volatility: `core.market.fair`.
    """

    schema = FUSED_FEATURES

    def __init__(self, *, settles: bool = False, margin: float = 0.0) -> None:
        self._settles = settles
        self._margin = margin

    def decide(self, state: MarketState) -> Decision:
        """Return what the difference between fair value and price is worth doing."""
        if state.fair is None:
            return CERTAIN[Action.HOLD]
        spread = state.up_ask - state.up_bid
        return CERTAIN[worthwhile(state, state.fair, spread / 2 + self._margin, settles=self._settles)]


class Oracle:
    """Knows the true value at every moment, and trades on it under the rules and at the costs of everybody else.

    It opens for any gain on average above `margin`: one that waits for more has the position free for it.
    """

    schema = FUSED_FEATURES

    def __init__(self, true_value: TrueValue, *, settles: bool = False, margin: float = 0.01) -> None:
        self._true_value = true_value
        self._settles = settles
        self._margin = margin

    def decide(self, state: MarketState) -> Decision:
        """Return what the difference between true value and price is worth doing."""
        value = self._true_value(state.asset, state.opens_at_s, state.at_ms)
        return CERTAIN[worthwhile(state, value, self._margin, settles=self._settles)]


def worthwhile(state: MarketState, value: float, margin: float, *, settles: bool) -> Action:
    """Return the action that gains most on average for who believes that an Up share is worth `value` dollars.

    Taking the offer costs its price and fee; where positions are sold before the close, selling at the value costs half
    a spread and the fee again. Holding on is better than selling until the bid, less the fee, exceeds the value.

    Args:
        state: the touch of both tokens, what is held, the fee.
        value: what an Up share is worth, in dollars.
        margin: dollars a share that an opening has to gain at least.
        settles: whether what is opened is held to settlement.
    """
    if state.held_side is not None:
        bid, worth = (state.up_bid, value) if state.held_side == "UP" else (state.down_bid, 1.0 - value)
        if bid - fee(state, bid) > worth:
            return Action.SELL if state.held_side == "UP" else Action.BUY
        return Action.HOLD
    if not state.can_open:
        return Action.HOLD
    leaving = 0.0 if settles else fee(state, value) + (state.up_ask - state.up_bid) / 2
    up = value - state.up_ask - fee(state, state.up_ask) - leaving
    down = 1.0 - value - state.down_ask - fee(state, state.down_ask) - leaving
    if max(up, down) <= margin:
        return Action.HOLD
    return Action.BUY if up >= down else Action.SELL
