"""The policy answers as the reference does, whoever asks and in whatever thread."""

import math
import shutil

import mlx.core as mx
import numpy as np
import pytest

from core.errors import FatalError, RejectedError
from core.market.action import Action
from models.checkpoint import fresh_weights, load_weights
from models.networks import actor_logits, critic_value
from models.policy import Policy, greedy, sample
from models.weights import Weights
from tests.models.reference import WEIGHTS, expected, needs_reference

STATE, HISTORY = np.zeros(18, np.float32), np.zeros((5, 18), np.float32)


@needs_reference
def test_probabilities_values_and_greedy_actions_equal_the_references() -> None:
    policy, answers = Policy(load_weights(WEIGHTS)), expected()
    for features, history, probabilities, value, action in zip(
        *(answers[name] for name in ("features", "history", "probs", "values", "actions")), strict=True
    ):
        probs, state_value = policy.evaluate(features, history)
        np.testing.assert_allclose(probs, probabilities, rtol=0, atol=1e-4)
        assert state_value == pytest.approx(value, abs=1e-4)
        assert greedy(probs) == action


@pytest.mark.parametrize("seed", [0, 1])
def test_the_fused_form_answers_as_the_plain_networks_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fresh = fresh_weights(seed)
    weights = Weights.of({name: tensor + 0.1 * rng.normal(size=tensor.shape) for name, tensor in fresh.tensors.items()})
    parameters = {name: mx.array(tensor) for name, tensor in weights.tensors.items()}
    policy = Policy(weights)
    for _ in range(20):
        features, history = rng.uniform(-1, 1, 18).astype(np.float32), rng.uniform(-1, 1, (5, 18)).astype(np.float32)
        x, past = mx.array(features[None]), mx.array(history.reshape(1, -1))
        probs, value = policy.evaluate(features, history)
        np.testing.assert_allclose(probs, np.array(mx.softmax(actor_logits(parameters, x, past)))[0], atol=1e-5)
        assert value == pytest.approx(float(np.array(critic_value(parameters, x, past))[0, 0]), abs=1e-5)


def test_new_weights_answer_at_once_and_differently() -> None:
    one, other = Policy(fresh_weights(1)), Policy(fresh_weights(2))
    one.warm_up()
    assert one.evaluate(STATE, HISTORY) != other.evaluate(STATE, HISTORY)
    assert one.evaluate(STATE, HISTORY) == Policy(fresh_weights(1)).evaluate(STATE, HISTORY)


def test_probabilities_add_up_to_one() -> None:
    probs, value = Policy(fresh_weights(0)).evaluate(STATE, HISTORY)
    assert sum(probs) == pytest.approx(1.0, abs=1e-12)
    assert isinstance(value, float)


def test_other_shapes_are_refused() -> None:
    policy = Policy(fresh_weights(0))
    with pytest.raises(RejectedError, match=r"\(1,\)"):
        policy.evaluate(STATE[:1], HISTORY)
    with pytest.raises(RejectedError, match=r"\(4, 18\)"):
        policy.evaluate(STATE, HISTORY[1:])


def test_a_state_that_is_not_a_number_never_becomes_a_decision() -> None:
    with pytest.raises(FatalError, match="weights v0 give logits"):
        Policy(fresh_weights(0)).evaluate(np.full(18, np.nan, np.float32), HISTORY)


@pytest.mark.skipif(shutil.which("g++") is None, reason="this host has no C++ compiler")
def test_where_there_is_a_compiler_the_policy_is_compiled() -> None:
    policy = Policy(fresh_weights(0))
    assert not policy.compiled
    policy.warm_up()
    assert policy.compiled


def test_a_compiler_that_fails_leaves_a_slower_policy_with_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    expected_answer = Policy(fresh_weights(0)).evaluate(STATE, HISTORY)

    def broken(_x: mx.array, _stacked: object) -> mx.array:
        raise RuntimeError("[Compile::eval_cpu] Failed to compile function")

    monkeypatch.setattr("models.policy._compiled_forward", broken)
    policy = Policy(fresh_weights(0))
    policy.warm_up()
    assert not policy.compiled
    probs, value = policy.evaluate(STATE, HISTORY)
    np.testing.assert_allclose([*probs, value], [*expected_answer[0], expected_answer[1]], atol=1e-6)


def test_greedy_takes_the_most_probable_and_holds_when_it_does_not_matter() -> None:
    assert greedy((0.2, 0.3, 0.5)) == Action.SELL
    assert greedy((0.2, 0.5, 0.3)) == Action.BUY
    assert greedy((1 / 3, 1 / 3, 1 / 3)) == Action.HOLD


def test_samples_follow_the_probabilities_and_the_seed() -> None:
    probabilities, draws = (0.2, 0.5, 0.3), 20_000
    taken = [sample(probabilities, rng) for rng in [np.random.default_rng(7)] for _ in range(draws)]
    for action in Action:
        share = probabilities[action]
        assert taken.count(action) / draws == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / draws))
    rng = np.random.default_rng(7)
    assert [sample(probabilities, rng) for _ in range(100)] == taken[:100]
    assert {sample((0.0, 1.0, 0.0), rng) for _ in range(100)} == {Action.BUY}
