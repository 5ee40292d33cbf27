"""Baselines that look at nothing but the book's own price: with it, against it, and against its spikes."""

from collections import deque

from core.market.action import Action
from core.market.features import FUSED_FEATURES
from core.market.state import MarketState
from models.baselines.baseline import CERTAIN, Decision

_CLOSES = {"UP": Action.SELL, "DOWN": Action.BUY}


class _Remembered:
    """The Up mids of the last `span_s` seconds of the present market, with the moments they were seen at."""

    schema = FUSED_FEATURES

    def __init__(self, span_s: float) -> None:
        self._span_ms = span_s * 1000
        self._condition_id = ""
        self._seen: deque[tuple[int, float]] = deque()

    def _past(self, state: MarketState) -> list[float] | None:
        """Note the present mid and return the ones before it, oldest first; None until the span is filled."""
        if state.condition_id != self._condition_id:
            self._condition_id = state.condition_id
            self._seen.clear()
        since_ms = state.at_ms - self._span_ms
        filled = bool(self._seen) and self._seen[0][0] <= since_ms
        while len(self._seen) > 1 and self._seen[1][0] <= since_ms:
            self._seen.popleft()
        past = [mid for _, mid in self._seen]
        self._seen.append((state.at_ms, state.up_mid))
        return past if filled else None


class Momentum(_Remembered):
    """Goes with a move of ten seconds, and leaves when it has turned."""

    def __init__(self, threshold: float = 0.04, span_s: float = 10.0) -> None:
        super().__init__(span_s)
        self._threshold = threshold

    def decide(self, state: MarketState) -> Decision:
        """Return BUY after a rise of the Up mid by the threshold, SELL after a fall."""
        past = self._past(state)
        if past is None:
            return CERTAIN[Action.HOLD]
        move = state.up_mid - past[0]
        if state.held_side is not None:
            turned = move < 0 if state.held_side == "UP" else move > 0
            return CERTAIN[_CLOSES[state.held_side] if turned else Action.HOLD]
        return CERTAIN[_beyond(move, self._threshold)]


class MeanReversion(_Remembered):
    """Goes against the distance to the minute's mean, and leaves when the price is back there."""

    def __init__(self, threshold: float = 0.06, span_s: float = 60.0) -> None:
        super().__init__(span_s)
        self._threshold = threshold

    def decide(self, state: MarketState) -> Decision:
        """Return SELL above the mean by the threshold, BUY below it."""
        past = self._past(state)
        if past is None:
            return CERTAIN[Action.HOLD]
        distance = state.up_mid - sum(past) / len(past)
        if state.held_side is not None:
            back = distance >= 0 if state.held_side == "UP" else distance <= 0
            return CERTAIN[_CLOSES[state.held_side] if back else Action.HOLD]
        return CERTAIN[_beyond(-distance, self._threshold)]


class FadeSpike(_Remembered):
    """Goes against a move of two seconds, and leaves when half of it is undone, or ten seconds later."""

    def __init__(self, threshold: float = 0.05, span_s: float = 2.0, patience_s: float = 10.0) -> None:
        super().__init__(span_s)
        self._threshold = threshold
        self._patience_ms = patience_s * 1000
        self._target = 0.0
        self._spiked_ms = 0

    def decide(self, state: MarketState) -> Decision:
        """Return SELL after a spike up by the threshold, BUY after one down."""
        past = self._past(state)
        if state.held_side is not None:
            undone = state.up_mid >= self._target if state.held_side == "UP" else state.up_mid <= self._target
            over = state.at_ms - self._spiked_ms >= self._patience_ms
            return CERTAIN[_CLOSES[state.held_side] if undone or over else Action.HOLD]
        if past is None:
            return CERTAIN[Action.HOLD]
        move = state.up_mid - past[0]
        action = _beyond(-move, self._threshold)
        if action is not Action.HOLD:
            self._target, self._spiked_ms = state.up_mid - move / 2, state.at_ms
        return CERTAIN[action]


def _beyond(score: float, threshold: float) -> Action:
    if score >= threshold:
        return Action.BUY
    return Action.SELL if score <= -threshold else Action.HOLD
