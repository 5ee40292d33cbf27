"""What the learner is told about one decision, and a stretch of decisions ready to be learnt from."""

import math

import msgspec
import numpy as np
import numpy.typing as npt

from core.errors import RejectedError
from core.market.action import Action
from core.market.features import HISTORY_STATES

FloatArray = npt.NDArray[np.float32]

_LOG_ONE = 1e-6
"""A log-probability may exceed 0 by the rounding of its making."""


class Step(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One decision on the grid: state, history, action and log-probability of the very same moment.

    `features` has shape (n,), `history` (5, n) with this state last; `version` is that of the weights that decided.
    `equity_usd` (integer of 1e-6) is the net liquidation value of everything done in this market; `held` tells whether
    a position or an order was open. `free` is False where the action could have no effect (an order was at work), and
    `forced` True where the watchdog was leaving the position: neither teaches the actor, both teach the critic.
    """

    features: FloatArray
    history: FloatArray
    action: int
    log_prob: float
    version: int
    equity_usd: int
    held: bool
    free: bool
    forced: bool
    at_ms: int

    def check(self, features: int) -> None:
        """Refuse a step that no gradient may see.

        Raises:
            RejectedError: another shape, an unknown action, or a number that is not finite; names it.
        """
        if self.features.shape != (features,) or self.history.shape != (HISTORY_STATES, features):
            shapes = f"{self.features.shape} and {self.history.shape}"
            raise RejectedError(
                f"step at {self.at_ms} ms: state and history have shapes {shapes}, not for {features} features"
            )
        if self.action not in set(Action):
            raise RejectedError(f"step at {self.at_ms} ms: no action has number {self.action}")
        if not math.isfinite(self.log_prob) or self.log_prob > _LOG_ONE:
            raise RejectedError(f"step at {self.at_ms} ms: log-probability is {self.log_prob}")
        if not math.isfinite(self.equity_usd):
            raise RejectedError(f"step at {self.at_ms} ms: equity is {self.equity_usd}")
        if not (np.isfinite(self.features).all() and np.isfinite(self.history).all()):
            raise RejectedError(f"step at {self.at_ms} ms: a feature is not finite")


class Segment(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Successive steps of one window, with what each earned: T rows per array, the oldest first.

    `features` (T, n), `history` (T, 5 n) and `log_probs` are float32, `rewards_usd` integers of 1e-6. `learns` is True
    where the action was the policy's own and could have an effect. `next_features` (n,) and `next_history` (5 n,) are
    the state after the last step; None where the window ended with it, so that nothing is worth anything after it.
    """

    asset: str
    condition_id: str
    features: FloatArray
    history: FloatArray
    actions: npt.NDArray[np.int32]
    log_probs: FloatArray
    versions: npt.NDArray[np.int64]
    learns: npt.NDArray[np.bool_]
    rewards_usd: npt.NDArray[np.int64]
    next_features: FloatArray | None
    next_history: FloatArray | None

    def __len__(self) -> int:
        """Steps in it."""
        return len(self.actions)
