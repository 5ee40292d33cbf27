"""The policy that decides: one state and its history in, action probabilities and the state's value out."""

import functools
import math
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt
from loguru import logger

from core.errors import FatalError, RejectedError
from core.market.action import Action
from core.market.features import HISTORY_STATES, FeatureSchema
from core.market.state import MarketState
from models.fused import forward, stack
from models.streams import INFERENCE
from models.weights import Weights

Probabilities = tuple[float, float, float]
"""Chances of HOLD, BUY and SELL; they add up to 1."""

_COMPILER = "g++"
_compiled_forward = mx.compile(forward)
"""Weights are arguments, so every policy shares what was compiled, and new weights compile nothing."""


class Policy:
    """Inference on one generation of weights. May be called from any thread; calls of all policies take turns.

    Call `warm_up` before the first decision counts: the first one in a process may compile for seconds. A new thread's
    first decision takes about a millisecond longer than the rest.
    """

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self._stacked = stack(weights)
        self._features = weights.schema.size
        self._state_shape = (self._features,)
        self._history_shape = (HISTORY_STATES, self._features)
        self._forward: Callable[[mx.array, Sequence[mx.array]], mx.array] | None = None

    @property
    def version(self) -> int:
        """Version of the weights."""
        return self.weights.version

    @property
    def schema(self) -> FeatureSchema:
        """The features that the weights were trained on."""
        return self.weights.schema

    @property
    def compiled(self) -> bool:
        """Whether `warm_up` ran and found a compiler that works; without one decisions take about twice as long."""
        return self._forward is _compiled_forward and shutil.which(_COMPILER) is not None

    def warm_up(self) -> None:
        """Compile, or settle for uncompiled operations where that fails, and log once which compiler is missing."""
        row = np.zeros((1, self._features * (1 + HISTORY_STATES)), np.float32)
        if shutil.which(_COMPILER) is None:
            # MLX then runs the operations one by one by itself
            _log_uncompiled(f"there is no {_COMPILER} on this host")
        try:
            with INFERENCE.turn():
                _compiled_forward(mx.array(row), self._stacked).tolist()
        except RuntimeError as error:
            if "[Compile" not in str(error):
                raise
            _log_uncompiled(f"{_COMPILER} fails on this host")
            logger.debug("{}", error)
            self._forward = forward
        else:
            self._forward = _compiled_forward

    def decide(self, state: MarketState) -> tuple[Probabilities, float]:
        """Return the action probabilities and the value of one state; see `evaluate`."""
        return self.evaluate(state.features, state.history)

    def evaluate(
        self, features: npt.NDArray[np.float32], history: npt.NDArray[np.float32]
    ) -> tuple[Probabilities, float]:
        """Return the action probabilities and the value of one state.

        Args:
            features: the present state, shape (features,).
            history: the last five states, the present one last, zero rows where there is none; shape (5, features).

        Raises:
            RejectedError: for other shapes.
            FatalError: when the networks' answer is not finite.
        """
        if features.shape != self._state_shape or history.shape != self._history_shape:
            expected = f"{self._state_shape} and {self._history_shape}"
            raise RejectedError(f"state and history have shapes {features.shape} and {history.shape}, not {expected}")
        if self._forward is None:
            self.warm_up()
        run = self._forward or forward
        row = np.concatenate((features, history), axis=None, dtype=np.float32)[None]
        with INFERENCE.turn():
            answer: Any = run(mx.array(row), self._stacked).tolist()
        logits, value = answer[0][0], answer[1][0][0]
        if not math.isfinite(sum(logits) + value):
            raise FatalError(f"weights v{self.version} give logits {logits} and value {value} for {features.tolist()}")
        return _softmax(logits), value


def greedy(probabilities: Sequence[float]) -> int:
    """Return the most probable action; of equal ones the first, so a policy that does not care holds."""
    return max(Action, key=lambda action: probabilities[action])


def sample(probabilities: Sequence[float], rng: np.random.Generator) -> int:
    """Draw an action with the given probabilities; takes one number from `rng`."""
    point = rng.random() * sum(probabilities)
    for action in Action:
        point -= probabilities[action]
        if point < 0.0:
            return action
    return greedy(probabilities)


def _softmax(logits: Sequence[float]) -> Probabilities:
    top = max(logits)
    hold, buy, sell = (math.exp(logit - top) for logit in logits)
    total = hold + buy + sell
    return hold / total, buy / total, sell / total


@functools.cache
def _log_uncompiled(reason: str) -> None:
    logger.warning("policy runs uncompiled, about half as fast: {}", reason)
