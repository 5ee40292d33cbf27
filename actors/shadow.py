"""A policy that is asked and not followed: what it would have done at each step, written down when that changes."""

from typing import Protocol

import msgspec

from actors.market_features import Fused
from core.market.action import Action
from core.market.features import FeatureHistory, FeatureSchema
from core.market.state import MarketState
from core.records import MetricRecord
from models.policy import greedy


class ShadowPolicy(Protocol):
    """What is asked; see `actors.market.Policy`."""

    @property
    def schema(self) -> FeatureSchema:
        """The features it wants to see."""
        ...

    def decide(self, state: MarketState) -> tuple[tuple[float, ...], float]:
        """Return (probabilities, value) of one state."""
        ...


class Shadow:
    """The shadow of one asset's policy; it sees the position that the real one holds.

    Args:
        policy: is asked; its features may be others than the real policy's.
        asset: whose.
        session_id: of the rows.
    """

    def __init__(self, policy: ShadowPolicy, asset: str, session_id: int) -> None:
        self._policy = policy
        self._asset = asset
        self._session_id = session_id
        self._history = FeatureHistory(policy.schema.size)
        self._condition_id = ""
        self._last = Action.HOLD
        self.steps = self.alike = 0

    @property
    def schema(self) -> FeatureSchema:
        """The features it sees."""
        return self._policy.schema

    def see(self, fused: Fused, action: int) -> tuple[MetricRecord, ...]:
        """Ask about one step, of which the real policy made `action`; return a row where the answer has changed."""
        state = fused.state
        if state.condition_id != self._condition_id:
            self._condition_id = state.condition_id
            self._history.clear()
        self._history.push(fused.features)
        probabilities, _ = self._policy.decide(msgspec.structs.replace(state, history=self._history.array()))
        wished = Action(greedy(probabilities))
        self.steps += 1
        self.alike += wished == action
        if wished is self._last:
            return ()
        self._last = wished
        return (MetricRecord(self._session_id, f"shadow.{self._asset}", float(wished), state.at_ms),)

    def told(self) -> str:
        """Return how often it agreed, for people."""
        return f"{self._asset}: the shadow agreed in {self.alike} of {self.steps} steps"
