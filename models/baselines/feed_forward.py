"""The reference's model before its last: feed-forward, without a memory of past states. Read-only, to compare with.

actor    18 -> 128 -> tanh -> 128 -> tanh -> 3, softmax
critic   18 -> 128 -> tanh -> 128 -> tanh -> 1
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from core.errors import FatalError, RejectedError
from core.market.features import REFERENCE_FEATURES
from core.market.state import MarketState
from models.baselines.baseline import Decision
from models.weights import WeightsError

_HIDDEN = 128
_OUTPUTS = {"actor": 3, "critic": 1}

Tensors = Mapping[str, npt.NDArray[np.float32]]


class FeedForward:
    """Inference alone: it has no optimizer, no history and no version, and the learner refuses it."""

    schema = REFERENCE_FEATURES

    def __init__(self, tensors: Tensors, source: str = "feed-forward weights") -> None:
        _check(tensors, source)
        self.source = source
        self._layers = {
            network: [
                (tensors[f"{network}.fc{number}.weight"].T.copy(), tensors[f"{network}.fc{number}.bias"].copy())
                for number in (1, 2, 3)
            ]
            for network in _OUTPUTS
        }

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the model in the safetensors file at `path`.

        Raises:
            WeightsError: the file is missing, damaged, or of another network.
        """
        try:
            tensors = safetensors.numpy.load(path.read_bytes())
        except OSError as error:
            raise WeightsError(f"{path}: cannot read the weights ({error.strerror})") from error
        except (safetensors.SafetensorError, KeyError, ValueError) as error:
            raise WeightsError(f"{path}: not a whole safetensors file ({error})") from error
        return cls(tensors, str(path))

    def decide(self, state: MarketState) -> Decision:
        """Return the probabilities of HOLD, BUY and SELL, and the value of the state."""
        return self.evaluate(state.features)

    def evaluate(self, features: npt.NDArray[np.float32]) -> Decision:
        """Return the probabilities and the value for one state, shape (18,).

        Raises:
            RejectedError: for another shape.
            FatalError: when the networks' answer is not finite.
        """
        if features.shape != (self.schema.size,):
            raise RejectedError(f"a state has shape {(self.schema.size,)}, got {features.shape}")
        logits, (value,) = (self._answer(network, features) for network in _OUTPUTS)
        if not math.isfinite(sum(logits) + value):
            raise FatalError(f"{self.source} gives logits {logits} and value {value} for {features.tolist()}")
        top = max(logits)
        hold, buy, sell = (math.exp(logit - top) for logit in logits)
        total = hold + buy + sell
        return (hold / total, buy / total, sell / total), value

    def _answer(self, network: str, x: npt.NDArray[np.float32]) -> list[float]:
        first, second, (matrix, bias) = self._layers[network]
        for weight, shift in (first, second):
            x = np.tanh(x @ weight + shift)
        answer: list[float] = (x @ matrix + bias).tolist()
        return answer


def is_feed_forward(tensors: Mapping[str, object]) -> bool:
    """Return whether these are the older model's tensors, by their names."""
    return tensors.keys() == _shapes().keys()


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for network, outputs in _OUTPUTS.items():
        widths = (REFERENCE_FEATURES.size, _HIDDEN, _HIDDEN, outputs)
        for number in (1, 2, 3):
            shapes[f"{network}.fc{number}.weight"] = (widths[number], widths[number - 1])
            shapes[f"{network}.fc{number}.bias"] = (widths[number],)
    return shapes


def _check(tensors: Tensors, source: str) -> None:
    expected = _shapes()
    missing, surplus = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or surplus:
        raise WeightsError(
            f"{source}: not the reference's feed-forward model; missing: {missing or 'none'}; "
            f"not known: {surplus or 'none'}"
        )
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise WeightsError(f"{source}: {name} has shape {tensors[name].shape}, the network needs {shape}")
        if not np.isfinite(tensors[name]).all():
            raise WeightsError(f"{source}: {name} holds a number that is not finite")
