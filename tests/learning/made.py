"""Steps, segments and weights made for tests."""

from typing import Any

import numpy as np

from core.market.features import HISTORY_STATES
from models.checkpoint import fresh_weights
from models.ppo.step import Segment, Step
from models.weights import Weights
from tests.learning import plain

SIZE = 18


def step(at_ms: int = 0, equity_usd: int = 0, **changes: Any) -> Step:
    rng = np.random.default_rng(at_ms)
    history = rng.uniform(-1, 1, (HISTORY_STATES, SIZE)).astype(np.float32)
    made: dict[str, Any] = {
        "features": history[-1],
        "history": history,
        "action": 0,
        "log_prob": -0.1,
        "version": 0,
        "equity_usd": equity_usd,
        "held": False,
        "free": True,
        "forced": False,
        "at_ms": at_ms,
    }
    return Step(**made | changes)


def probabilities(weights: Weights, features: plain.Floats, history: plain.Floats) -> plain.Floats:
    tensors = {name: tensor.astype(np.float64) for name, tensor in weights.tensors.items()}
    return np.exp(plain.log_probabilities(tensors, features, history))


def segment(
    weights: Weights, seed: int = 0, steps: int = 256, *, ends: bool = False, rewards_usd: object = None
) -> Segment:
    """Steps that `weights` decided in random states, of random rewards of about a dollar."""
    rng = np.random.default_rng(seed)
    history = rng.uniform(-1, 1, (steps + 1, HISTORY_STATES * SIZE)).astype(np.float32)
    features = history[:, -SIZE:]
    chances = probabilities(weights, features[:steps].astype(np.float64), history[:steps].astype(np.float64))
    actions = (rng.random((steps, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(0, 2).astype(np.int32)
    rewards = rng.normal(0, 1e6, steps) if rewards_usd is None else rewards_usd
    return Segment(
        asset="BTC",
        condition_id=f"0x{seed}",
        features=features[:steps],
        history=history[:steps],
        actions=actions,
        log_probs=np.log(chances[np.arange(steps), actions]).astype(np.float32),
        versions=np.full(steps, weights.version),
        learns=np.ones(steps, np.bool_),
        rewards_usd=np.asarray(rewards).astype(np.int64),
        next_features=None if ends else features[steps],
        next_history=None if ends else history[steps],
    )


def lively_weights(seed: int = 1) -> Weights:
    """Weights that have moved away from their fresh start: every kind of tensor differs from its initial value."""
    rng = np.random.default_rng(seed)
    return Weights.of(
        {name: tensor + 0.1 * rng.normal(size=tensor.shape) for name, tensor in fresh_weights(seed).tensors.items()}
    )
