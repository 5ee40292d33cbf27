"""What a learner's update costs its neighbours: steps of PPO's gradient on the real networks, one after the other."""

import threading
from collections.abc import Mapping

import mlx.core as mx
import numpy as np

from core.market.features import HISTORY_STATES, REFERENCE_FEATURES
from models.checkpoint import fresh_weights
from models.networks import actor_logits, critic_value

BATCH = 64
ACTIONS = 3
CLIP = 0.2
ENTROPY = 0.03
LEARNING_RATE = 1e-4


class GradientLoad:
    """A thread that computes gradient steps of a batch of 64, without a pause, between `resume` and `pause`.

    Each step is a loss of clipped policy, value and entropy, its gradient, and an update of every tensor, evaluated;
    compiled before the constructor returns, which takes some twenty seconds where it never was.
    """

    def __init__(self) -> None:
        self.steps = 0
        self._run = threading.Event()
        self._end = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, name="gradient-load")
        self._thread.start()
        self._ready.wait()

    def resume(self) -> None:
        """Begin, or go on."""
        self._run.set()

    def pause(self) -> None:
        """Rest after the step that is being computed."""
        self._run.clear()

    def stop(self) -> None:
        """End the thread."""
        self._end.set()
        self._run.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            with mx.stream(mx.new_thread_unsafe_stream(mx.cpu)):
                self._steps()
        finally:
            mx.clear_streams()  # a thread that leaves its streams behind makes the process abort at its exit

    def _steps(self) -> None:
        rng = np.random.default_rng(1)
        size = REFERENCE_FEATURES.size
        features = mx.array(rng.uniform(-1, 1, (BATCH, size)).astype(np.float32))
        history = mx.array(rng.uniform(-1, 1, (BATCH, size * HISTORY_STATES)).astype(np.float32))
        actions = mx.array(rng.integers(0, ACTIONS, (BATCH, 1)))
        returns = mx.array(rng.normal(0, 1, (BATCH, 1)).astype(np.float32))
        tensors = {name: mx.array(tensor) for name, tensor in fresh_weights(1).tensors.items()}
        old = mx.take_along_axis(_log_probabilities(tensors, features, history), actions, axis=-1)
        mx.eval(old)

        def loss(tensors: Mapping[str, mx.array]) -> mx.array:
            logs = _log_probabilities(tensors, features, history)
            ratio = mx.exp(mx.take_along_axis(logs, actions, axis=-1) - old)
            value = critic_value(tensors, features, history)
            advantage = mx.stop_gradient(returns - value)
            clipped = mx.clip(ratio, 1 - CLIP, 1 + CLIP)
            entropy = -mx.mean(mx.sum(mx.exp(logs) * logs, axis=-1))
            policy = -mx.mean(mx.minimum(ratio * advantage, clipped * advantage))
            return policy + mx.mean(mx.square(returns - value)) - ENTROPY * entropy

        gradient = mx.value_and_grad(loss)

        def update(tensors: dict[str, mx.array]) -> dict[str, mx.array]:
            _, gradients = gradient(tensors)
            return {name: tensor - LEARNING_RATE * gradients[name] for name, tensor in tensors.items()}

        step = mx.compile(update)
        mx.eval(step(tensors))
        self._ready.set()
        while not self._end.is_set():
            self._run.wait()
            tensors = step(tensors)
            mx.eval(tensors)
            self.steps += 1


def _log_probabilities(tensors: Mapping[str, mx.array], features: mx.array, history: mx.array) -> mx.array:
    logits = actor_logits(tensors, features, history)
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)
