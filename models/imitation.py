"""Learning an actor from what another policy does: a start for `models.ppo` that need not find trading by chance.

Plain behaviour cloning (Pomerleau 1989): the cross entropy between the actor's probabilities and the actions seen is
minimised by Adam. The critic stays as it is.
"""

from typing import Any

import mlx.core as mx
import mlx.optimizers
import numpy as np
import numpy.typing as npt

from models.networks import actor_logits
from models.streams import LEARNING
from models.weights import Weights

EPOCHS, BATCH, LEARNING_RATE = 6, 512, 1e-3

Tensors = dict[str, mx.array]


def imitate(
    weights: Weights,
    features: npt.NDArray[np.float32],
    history: npt.NDArray[np.float32],
    actions: npt.NDArray[np.int32],
    seed: int,
) -> tuple[Weights, float]:
    """Return weights whose actor does what was seen, and the mean cross entropy (nats) of the last epoch.

    Args:
        weights: to begin with.
        features: states, shape (N, n).
        history: their histories, shape (N, 5 n).
        actions: what the other policy did, shape (N,).
        seed: of the order of the states.
    """
    rng = np.random.default_rng(seed)
    with LEARNING.turn():
        tensors = {name: mx.array(tensor) for name, tensor in weights.tensors.items() if name.startswith("actor.")}
        optimizer = mlx.optimizers.Adam(learning_rate=LEARNING_RATE)
        step = mx.value_and_grad(_loss)
        losses: list[float] = []
        for _ in range(EPOCHS):
            order = rng.permutation(len(actions))
            losses.clear()
            for start in range(0, len(order), BATCH):
                rows = order[start : start + BATCH]
                batch = (mx.array(features[rows]), mx.array(history[rows]), mx.array(actions[rows][:, None]))
                loss, gradients = step(tensors, *batch)
                tensors = optimizer.apply_gradients(gradients, tensors)
                mx.eval(tensors, optimizer.state, loss)
                losses.append(float(np.array(loss)))
        learnt: dict[str, Any] = {name: np.array(tensor) for name, tensor in tensors.items()}
    made = Weights.of({**weights.tensors, **learnt}, version=weights.version, schema=weights.schema)
    return made, float(np.mean(losses))


def _loss(tensors: Tensors, features: mx.array, history: mx.array, actions: mx.array) -> mx.array:
    logits = actor_logits(tensors, features, history)
    logs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    return -mx.mean(mx.take_along_axis(logs, actions, axis=-1))
