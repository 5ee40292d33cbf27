"""Actor and critic stacked into one batch of matrices: the same numbers as `networks` in fewer operations.

On a CPU a single decision costs what its operations cost to start, not what they compute, so both networks run as one
batch of two (the actor's trunk padded with zeros to the critic's width). The mean that LayerNorm subtracts is linear in
the layer's input: taken out of the weights beforehand, only the mean square is left to do at run time.
"""

from collections.abc import Mapping, Sequence

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from models.architecture import LAYER_NORM_EPSILON, NETWORKS
from models.weights import Weights

_WIDTH = max(hidden for hidden, _ in NETWORKS.values())
_OUTPUTS = max(outputs for _, outputs in NETWORKS.values())
_ENCODER_LAYERS = 2

Tensors = Mapping[str, npt.NDArray[np.float32]]
Matrix = npt.NDArray[np.float64]


def stack(weights: Weights) -> list[mx.array]:
    """Return the arguments of `forward` for these weights: plain data, so any thread may use them."""
    tensors, features = weights.tensors, weights.schema.size
    blocks: list[Matrix] = []
    for number in range(1, _ENCODER_LAYERS + 1):
        blocks += _stacked_layer(tensors, ".temporal_encoder", number)
    matrix, *rest = _stacked_layer(tensors, "", 1, _WIDTH)
    blocks += [matrix[:, :features], matrix[:, features:], *rest]
    matrix, *rest = _stacked_layer(tensors, "", 2, _WIDTH)
    blocks += [matrix, *rest]
    blocks.append(_stacked([tensors[f"{name}.fc3.weight"].T for name in NETWORKS], (_WIDTH, _OUTPUTS)))
    blocks.append(_stacked([tensors[f"{name}.fc3.bias"][None] for name in NETWORKS], (1, _OUTPUTS)))
    blocks.append(np.array([1.0 / hidden for hidden, _ in NETWORKS.values()]).reshape(len(NETWORKS), 1, 1))
    return [mx.array(np.ascontiguousarray(block, np.float32)) for block in blocks]


def forward(x: mx.array, stacked: Sequence[mx.array]) -> mx.array:
    """Return shape (2, 1, 3): the actor's logits, and the critic's value in the first place of the second row.

    `x` is one state and its history in a row, shape (1, 6 * features); `stacked` comes from `stack`.
    """
    w1, b1, g1, s1, w2, b2, g2, s2, wf, wt, b3, g3, s3, w4, b4, g4, s4, w5, b5, share = stacked
    features = wf.shape[1]
    h = _normalised(x[:, features:] @ w1 + b1, g1, s1)
    h = _normalised(h @ w2 + b2, g2, s2)
    h = _normalised(x[:, :features] @ wf + h @ wt + b3, g3, s3, share)
    h = _normalised(h @ w4 + b4, g4, s4, share)
    return h @ w5 + b5


def _normalised(x: mx.array, gain: mx.array, shift: mx.array, share: mx.array | None = None) -> mx.array:
    """LayerNorm of rows whose mean is already 0, then tanh; `share` is 1 / width where rows are padded with zeros."""
    square = mx.square(x)
    mean = mx.mean(square, axis=-1, keepdims=True) if share is None else mx.sum(square, axis=-1, keepdims=True) * share
    return mx.tanh(x * mx.rsqrt(mean + LAYER_NORM_EPSILON) * gain + shift)


def _stacked_layer(tensors: Tensors, part: str, number: int, width: int | None = None) -> list[Matrix]:
    """Matrix (2, inputs, outputs), bias, gain and shift (2, 1, outputs) of both networks, mean taken out, padded."""
    columns: list[list[Matrix]] = [[], [], [], []]
    for network in NETWORKS:
        layer, norm = f"{network}{part}.fc{number}", f"{network}{part}.ln{number}"
        weight = tensors[f"{layer}.weight"].astype(np.float64)
        bias = tensors[f"{layer}.bias"].astype(np.float64)
        columns[0].append((weight - weight.mean(axis=0)).T)
        columns[1].append((bias - bias.mean())[None])
        columns[2].append(tensors[f"{norm}.weight"][None].astype(np.float64))
        columns[3].append(tensors[f"{norm}.bias"][None].astype(np.float64))
    rows = max(matrix.shape[0] for matrix in columns[0])
    outputs = width or columns[0][0].shape[1]
    return [_stacked(columns[0], (rows, outputs)), *(_stacked(column, (1, outputs)) for column in columns[1:])]


def _stacked(matrices: Sequence[npt.NDArray[np.floating]], shape: tuple[int, int]) -> Matrix:
    block = np.zeros((len(matrices), *shape))
    for row, matrix in zip(block, matrices, strict=True):
        row[: matrix.shape[0], : matrix.shape[1]] = matrix
    return block
