"""The networks and PPO's losses once more, in float64 and plain numpy: what MLX's answers are held against."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Tensors = Mapping[str, Floats]

EPSILON = 1e-5


def logits(tensors: Tensors, features: Floats, history: Floats) -> Floats:
    return _network(tensors, "actor", features, history)


def values(tensors: Tensors, features: Floats, history: Floats) -> Floats:
    return _network(tensors, "critic", features, history)[:, 0]


def log_probabilities(tensors: Tensors, features: Floats, history: Floats) -> Floats:
    raw = logits(tensors, features, history)
    raw = raw - raw.max(axis=1, keepdims=True)
    return np.asarray(raw - np.log(np.exp(raw).sum(axis=1, keepdims=True)))


def actor_loss(tensors: Tensors, rows: Mapping[str, Floats], clip: float, entropy: float) -> float:
    """Clipped surrogate less the entropy bonus, over the rows that teach."""
    logs = log_probabilities(tensors, rows["features"], rows["history"])
    chosen = logs[np.arange(len(logs)), rows["actions"].astype(int)]
    ratio = np.exp(chosen - rows["log_probs"])
    gain = np.minimum(ratio * rows["advantages"], np.clip(ratio, 1 - clip, 1 + clip) * rows["advantages"])
    spread = -(np.exp(logs) * logs).sum(axis=1)
    teaching = rows["learns"] > 0
    return float(-gain[teaching].mean() - entropy * spread[teaching].mean())


def critic_loss(tensors: Tensors, rows: Mapping[str, Floats], value_clip: float) -> float:
    """Half the mean of the larger square, clipped or not, over the rows that are there."""
    value, old, returns = values(tensors, rows["features"], rows["history"]), rows["values"], rows["returns"]
    near = old + np.clip(value - old, -value_clip, value_clip)
    square = np.maximum((value - returns) ** 2, (near - returns) ** 2)
    return float(0.5 * square[rows["present"] > 0].mean())


def _network(tensors: Tensors, network: str, features: Floats, history: Floats) -> Floats:
    encoder = f"{network}.temporal_encoder"
    memory = _layer(tensors, encoder, 2, _layer(tensors, encoder, 1, history))
    hidden = _layer(tensors, network, 2, _layer(tensors, network, 1, np.concatenate([features, memory], axis=1)))
    return np.asarray(hidden @ tensors[f"{network}.fc3.weight"].T + tensors[f"{network}.fc3.bias"])


def _layer(tensors: Tensors, prefix: str, number: int, x: Floats) -> Floats:
    z = x @ tensors[f"{prefix}.fc{number}.weight"].T + tensors[f"{prefix}.fc{number}.bias"]
    z = (z - z.mean(axis=1, keepdims=True)) / np.sqrt(z.var(axis=1, keepdims=True) + EPSILON)
    return np.asarray(np.tanh(z * tensors[f"{prefix}.ln{number}.weight"] + tensors[f"{prefix}.ln{number}.bias"]))
