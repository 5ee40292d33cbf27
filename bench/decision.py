"""What one decision costs: raw numbers to features, history, and inference, beside the reference's way of doing it.

Run as `python -m bench.decision [DECISIONS]`. Both ways share features and history. The reference's way runs actor
and critic one after the other, uncompiled, each with an evaluation of its own.
"""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import mlx.core as mx
import msgspec
import numpy as np

from core.market.features import FeatureHistory, FloatArray, MarketInputs, reference_features
from models.architecture import LAYER_NORM_EPSILON
from models.checkpoint import fresh_weights, load_weights
from models.policy import Policy, sample
from models.streams import INFERENCE
from models.weights import Weights

UPSTREAM = Path(__file__).resolve().parents[2] / "shared" / "upstream"
TARGET_RATIO = 3.0
AGREEMENT = 1e-4
ROUND = 50
"""Decisions of one way before the other's turn: a busy moment of the machine then falls on both."""

Evaluate = Callable[[FloatArray, FloatArray], tuple[tuple[float, ...], float]]


def main(decisions: int = 3000) -> None:
    """Print median and 99th percentile of both ways in microseconds, and how often ours fits into theirs."""
    weights, states = _material()
    policy = Policy(weights)
    began = time.perf_counter()
    policy.warm_up()
    print(f"warm-up {time.perf_counter() - began:.2f} s, compiled: {policy.compiled}")
    ways: dict[str, Evaluate] = {"fusebox": policy.evaluate, "reference's way": _reference_way(weights)}
    _compare(ways, states[0])
    times: dict[str, list[float]] = {name: [] for name in ways}
    for first in range(0, decisions, ROUND):
        for name, evaluate in ways.items():
            times[name] += _time_us(evaluate, states, first)
    medians = {name: float(np.median(taken)) for name, taken in times.items()}
    for name, taken in times.items():
        print(f"{name:16s} median {medians[name]:7.1f} us   p99 {np.percentile(taken, 99):7.1f} us   n {len(taken)}")
    ratio = medians["reference's way"] / medians["fusebox"]
    print(f"ratio {ratio:.2f} (target {TARGET_RATIO:.1f}: {'met' if ratio >= TARGET_RATIO else 'missed'})")


def _time_us(evaluate: Evaluate, states: list[MarketInputs], first: int) -> list[float]:
    history = FeatureHistory()
    rng = np.random.default_rng(first)
    taken = []
    for number in range(first, first + ROUND):
        state = msgspec.structs.asdict(states[number % len(states)])
        began = time.perf_counter_ns()
        features = reference_features(MarketInputs(**state))
        history.push(features)
        probabilities, _ = evaluate(features, history.array())
        sample(probabilities, rng)
        taken.append((time.perf_counter_ns() - began) / 1000)
    return taken


def _compare(ways: Mapping[str, Evaluate], state: MarketInputs) -> None:
    """Refuse to time two ways that do not answer alike."""
    features = reference_features(state)
    history = FeatureHistory()
    history.push(features)
    answers = [np.array([*probs, value]) for probs, value in (way(features, history.array()) for way in ways.values())]
    if np.ptp(answers, axis=0).max() > AGREEMENT:
        sys.exit(f"the two ways disagree: {answers}")


def _material() -> tuple[Weights, list[MarketInputs]]:
    """The reference's weights and states where they are at hand, fresh weights and one flat state elsewhere."""
    states_file = UPSTREAM / "market_states.json"
    if states_file.exists():
        states = msgspec.json.decode(states_file.read_bytes(), type=list[MarketInputs])
        return load_weights(UPSTREAM / "rl_model.safetensors"), states
    print("the reference's data is not here: fresh weights and one flat state instead (the timing is the same)")
    numbers = dict.fromkeys(MarketInputs.__struct_fields__, 0.0)
    flat = {"asset": "BTC", "prob_history": [0.5] * 100, "has_position": False, "position_side": None, "prob": 0.5}
    return fresh_weights(0), [msgspec.convert(numbers | flat, MarketInputs)]


def _reference_way(weights: Weights) -> Evaluate:
    tensors = {name: mx.array(tensor) for name, tensor in weights.tensors.items()}

    def layer(prefix: str, number: int, x: mx.array) -> mx.array:
        gain, shift = tensors[f"{prefix}.ln{number}.weight"], tensors[f"{prefix}.ln{number}.bias"]
        return mx.tanh(mx.fast.layer_norm(dense(f"{prefix}.fc{number}", x), gain, shift, LAYER_NORM_EPSILON))

    def dense(name: str, x: mx.array) -> mx.array:
        return mx.addmm(tensors[f"{name}.bias"], x, tensors[f"{name}.weight"].T)

    def network(name: str, features: mx.array, history: mx.array) -> mx.array:
        encoder = f"{name}.temporal_encoder"
        state = mx.concatenate([features, layer(encoder, 2, layer(encoder, 1, history))], axis=-1)
        return dense(f"{name}.fc3", layer(name, 2, layer(name, 1, state)))

    def evaluate(features: FloatArray, history: FloatArray) -> tuple[tuple[float, ...], float]:
        with INFERENCE.turn():
            x, past = mx.array(features[None]), mx.array(history.reshape(1, -1))
            probabilities = mx.softmax(network("actor", x, past), axis=-1)
            mx.eval(probabilities)
            value = network("critic", x, past)
            mx.eval(value)
            return tuple(np.array(probabilities)[0].tolist()), float(np.array(value)[0, 0])

    return evaluate


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
