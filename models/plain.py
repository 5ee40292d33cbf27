"""Inference in numpy, for training and evaluation: one state costs a tenth of what starting MLX's operations costs.

The same matrices as `models.fused`, the same numbers to about 1e-6. A process that plays millions of steps uses it;
where weights are trained the learner asks the networks themselves again before the first epoch.
"""

import math

import numpy as np
import numpy.typing as npt

from core.errors import FatalError
from core.market.features import FeatureSchema
from core.market.state import MarketState
from models.architecture import LAYER_NORM_EPSILON
from models.fused import stack
from models.weights import Weights

Matrix = npt.NDArray[np.float32]


class PlainPolicy:
    """A policy's weights, ready to decide on one thread without warming up."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.schema: FeatureSchema = weights.schema
        self._blocks = [np.array(block) for block in stack(weights)]

    def decide(self, state: MarketState) -> tuple[tuple[float, float, float], float]:
        """Return the probabilities of HOLD, BUY and SELL, and the value of a state of this schema."""
        return self.evaluate(state.features, state.history)

    def evaluate(self, features: Matrix, history: Matrix) -> tuple[tuple[float, float, float], float]:
        """Return the probabilities and the value for features (n,) and history (5, n).

        Raises:
            FatalError: when the networks' answer is not finite.
        """
        w1, b1, g1, s1, w2, b2, g2, s2, wf, wt, b3, g3, s3, w4, b4, g4, s4, w5, b5, share = self._blocks
        h = _normalised(history.reshape(1, -1) @ w1 + b1, g1, s1, 1.0 / w1.shape[2])
        h = _normalised(h @ w2 + b2, g2, s2, 1.0 / w2.shape[2])
        h = _normalised(features[None] @ wf + h @ wt + b3, g3, s3, share)
        h = _normalised(h @ w4 + b4, g4, s4, share)
        (logits,), ((value, _, _),) = (h @ w5 + b5).tolist()
        if not math.isfinite(sum(logits) + value):
            raise FatalError(f"weights v{self.weights.version} give logits {logits} and value {value}")
        top = max(logits)
        hold, buy, sell = (math.exp(logit - top) for logit in logits)
        total = hold + buy + sell
        return (hold / total, buy / total, sell / total), value


def _normalised(x: Matrix, gain: Matrix, shift: Matrix, share: Matrix | float) -> Matrix:
    """LayerNorm of rows whose mean is already 0, then tanh; `share` is 1 / width without the padding."""
    mean = np.einsum("abc,abc->ab", x, x)[:, :, None] * share
    normalised: Matrix = np.tanh(x * (gain / np.sqrt(mean + LAYER_NORM_EPSILON)) + shift)
    return normalised
