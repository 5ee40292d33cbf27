"""The compiled step follows the gradient of the losses as they are written down, and clips it per network."""

from collections.abc import Callable, Mapping

import mlx.core as mx
import numpy as np
import numpy.typing as npt
import pytest

from models.architecture import NETWORKS
from models.ppo import gradient
from models.ppo.flat import flatten, unflatten
from models.ppo.gradient import ADAM_EPSILON, BETA_MEAN, Batch, Diagnostics, Learnt, Settings
from models.streams import LEARNING
from tests.learning import plain
from tests.learning.made import SIZE, lively_weights, probabilities

ROWS, PADDED = 24, 32
CLIP, ENTROPY, VALUE_CLIP = 0.2, 0.03, 0.4
UNCLIPPED = 1e6
RATE = 0.01

TOLERANCE = 2e-4
"""Of a derivative, relative to the largest of its tensor's: float32 against central differences in float64."""

Tensors = Mapping[str, npt.NDArray[np.float32]]


def rows(seed: int = 0) -> dict[str, plain.Floats]:
    """Rows of which some are padding, some do not teach, some are clipped in ratio, value, or both."""
    rng = np.random.default_rng(seed)
    history = rng.uniform(-1, 1, (PADDED, 5 * SIZE)).astype(np.float32).astype(np.float64)
    features = history[:, -SIZE:]
    actions = rng.integers(0, 3, PADDED)
    chances = probabilities(lively_weights(), features, history)[np.arange(PADDED), actions]
    present = np.arange(PADDED) < ROWS
    columns = {
        "features": features,
        "history": history,
        "actions": actions.astype(np.float64),
        "log_probs": np.log(chances) + rng.normal(0, 0.3, PADDED),
        "advantages": rng.normal(0, 1, PADDED),
        "returns": rng.normal(0, 1, PADDED),
        "values": rng.normal(0, 0.5, PADDED),
        "learns": (present & (rng.random(PADDED) < 0.8)).astype(np.float64),
        "present": present.astype(np.float64),
    }
    return {name: column.astype(np.float32).astype(np.float64) for name, column in columns.items()}


def step(columns: Mapping[str, plain.Floats], grad_norm: float = UNCLIPPED) -> tuple[list[plain.Floats], Diagnostics]:
    """Return what one step from resting moments makes of the vectors in `Learnt`, and the diagnostics."""
    tensors = lively_weights().tensors
    with LEARNING.turn():
        vectors = [
            vector
            for network in NETWORKS
            for flat in (flatten(network, tensors),)
            for vector in (flat, np.zeros_like(flat), np.zeros_like(flat))
        ]
        batch = Batch(
            *(
                mx.array(column.astype(np.int32)[:, None] if name == "actions" else column.astype(np.float32))
                if name in {"features", "history", "actions"}
                else mx.array(column.astype(np.float32)[:, None])
                for name, column in columns.items()
            )
        )
        numbers = (RATE, RATE, CLIP, ENTROPY, VALUE_CLIP, grad_norm, 1 / (1 - BETA_MEAN), 1000.0)
        settings = Settings(*(mx.array(number) for number in numbers))
        learnt, found, stages = gradient.step(Learnt(*(mx.array(vector) for vector in vectors)), batch, settings)
        gradient.settle(learnt, found, stages)
        return [np.array(vector, np.float64) for vector in learnt], Diagnostics(*found)


def gradients(columns: Mapping[str, plain.Floats]) -> dict[str, npt.NDArray[np.float32]]:
    """Adam's mean after its first step is a tenth of the gradient."""
    vectors, _ = step(columns)
    return unflatten(
        {
            "actor": (vectors[1] / (1 - BETA_MEAN)).astype(np.float32),
            "critic": (vectors[4] / (1 - BETA_MEAN)).astype(np.float32),
        },
        SIZE,
    )


def test_gradients_match_finite_differences_of_the_losses_in_every_tensor() -> None:
    columns, rng, width = rows(), np.random.default_rng(1), 1e-5
    exact = {name: tensor.astype(np.float64) for name, tensor in lively_weights().tensors.items()}
    losses: dict[str, Callable[[plain.Tensors], float]] = {
        "actor": lambda tensors: plain.actor_loss(tensors, columns, CLIP, ENTROPY),
        "critic": lambda tensors: plain.critic_loss(tensors, columns, VALUE_CLIP),
    }
    for name, found in gradients(columns).items():
        loss = losses[name.split(".")[0]]
        largest = float(np.abs(found).max())
        for flat in {int(np.abs(found).argmax()), *rng.integers(0, found.size, 4).tolist()}:
            at = np.unravel_index(flat, found.shape)
            sides = []
            for sign in (1, -1):
                moved = exact[name].copy()
                moved[at] += sign * width
                sides.append(loss(exact | {name: moved}))
            assert float(found[at]) == pytest.approx((sides[0] - sides[1]) / (2 * width), abs=TOLERANCE * largest), name


def test_what_a_step_tells_are_the_losses_as_they_are_written_down() -> None:
    columns = rows()
    exact = {name: tensor.astype(np.float64) for name, tensor in lively_weights().tensors.items()}
    _, found = step(columns)
    teaching = columns["learns"] > 0
    logs = plain.log_probabilities(exact, columns["features"], columns["history"])
    change = (logs[np.arange(PADDED), columns["actions"].astype(int)] - columns["log_probs"])[teaching]
    ratio = np.exp(change)
    entropy = -(np.exp(logs) * logs).sum(axis=1)[teaching].mean()
    expected = {
        "policy_loss": plain.actor_loss(exact, columns, CLIP, 0.0),
        "value_loss": plain.critic_loss(exact, columns, VALUE_CLIP),
        "entropy": entropy,
        "kl": (ratio - 1 - change).mean(),
        "clip_fraction": (np.abs(ratio - 1) > CLIP).mean(),
        "ratio_error": np.abs(ratio - 1).max(),
    }
    for name, number in expected.items():
        assert getattr(found, name).item() == pytest.approx(number, rel=1e-4, abs=1e-6), name


def test_each_network_is_clipped_by_its_own_norm() -> None:
    columns = rows()
    whole = [step(columns)[0][index] / (1 - BETA_MEAN) for index in (1, 4)]
    norms = [float(np.linalg.norm(vector)) for vector in whole]
    limit = min(norms) / 3
    vectors, found = step(columns, limit)
    for index, vector, norm, told in zip((1, 4), whole, norms, (found.actor_norm, found.critic_norm), strict=True):
        assert told.item() == pytest.approx(norm, rel=1e-4)
        np.testing.assert_allclose(vectors[index] / (1 - BETA_MEAN), vector * limit / norm, rtol=1e-3, atol=1e-7)


def test_adams_first_step_goes_by_the_rate_against_the_gradient() -> None:
    vectors, _ = step(rows())
    for network, first in (("actor", 0), ("critic", 3)):
        before = flatten(network, lively_weights().tensors).astype(np.float64)
        slope = vectors[first + 1] / (1 - BETA_MEAN)
        expected = before - RATE * slope / (np.abs(slope) + ADAM_EPSILON)
        np.testing.assert_allclose(vectors[first], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(vectors[first + 2], 0.001 * slope**2, rtol=1e-3, atol=1e-12)


def test_padding_and_steps_that_do_not_teach_leave_no_trace_in_the_actor() -> None:
    columns = rows()
    changed = dict(columns)
    silent = columns["learns"] == 0
    for name in ("advantages", "log_probs"):
        changed[name] = np.where(silent, -3.0, columns[name])
    absent = columns["present"] == 0
    for name in ("returns", "values"):
        changed[name] = np.where(absent, 99.0, columns[name])
    one, other = step(columns)[0], step(changed)[0]
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
