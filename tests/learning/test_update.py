"""An update learns what it should, stops when it should, and gives back the state it was given when it has to."""

from typing import Any

import msgspec
import numpy as np
import pytest

from core.errors import RejectedError
from models.checkpoint import fresh_weights
from models.policy import Policy
from models.ppo import gradient
from models.ppo.hyper import Hyperparameters
from models.ppo.state import TrainingState
from models.ppo.step import Segment
from models.ppo.update import update, warm_up
from tests.learning.made import SIZE, lively_weights, probabilities, segment

HYPER = Hyperparameters(target_kl=10.0)
"""As shipped, without the early stop."""


def started(seed: int = 0) -> TrainingState:
    return TrainingState.fresh(lively_weights(), seed)


def bits(state: TrainingState) -> tuple[bytes, bytes]:
    return state.weights.to_bytes(), state.to_bytes()


def test_the_first_ratio_is_one_for_what_the_present_weights_decided() -> None:
    state = started()
    policy = Policy(state.weights)
    made = segment(state.weights)
    decided = np.log(
        [
            policy.evaluate(features, history.reshape(5, SIZE))[0][action]
            for features, history, action in zip(made.features, made.history, made.actions, strict=True)
        ]
    )
    made = msgspec.structs.replace(made, log_probs=decided.astype(np.float32))
    _, report = update(state, [made], HYPER)
    assert report.first_ratio_error < 1e-6
    assert report.log_prob_gap < 1e-4
    assert (report.stale, report.taught, report.steps) == (0, 256, 256)


def test_a_step_recorded_with_the_state_before_it_is_noticed() -> None:
    made = segment(lively_weights())
    shifted = msgspec.structs.replace(
        made, features=np.roll(made.features, 1, axis=0), history=np.roll(made.history, 1, axis=0)
    )
    assert update(started(), [shifted], HYPER)[1].log_prob_gap > 0.1


def test_what_older_weights_decided_keeps_its_recorded_probability() -> None:
    made = segment(lively_weights())
    older = msgspec.structs.replace(made, versions=made.versions - 1, log_probs=made.log_probs - 0.1)
    _, report = update(started(), [older], HYPER)
    assert report.stale == 256
    assert report.first_ratio_error == pytest.approx(np.exp(0.1) - 1, rel=1e-3)


def test_an_update_goes_one_version_on_and_tells_what_it_did() -> None:
    before = started()
    segments = [segment(before.weights, 0, 200), segment(before.weights, 1, 120, ends=True)]
    after, report = update(before, segments, HYPER)
    assert (after.version, report.version, after.updates, after.hyper) == (1, 1, 1, HYPER)
    assert after.adam_steps == 10 * 5
    assert (report.steps, report.segments, report.windows_ended, report.epochs) == (320, 2, 1, 10)
    assert report.reward_sum_usd == pytest.approx(sum(each.rewards_usd.sum() for each in segments) / 1e6)
    assert after.weights.stats.reward_count == 320
    assert 0 < report.kl < 1
    assert 0 < report.entropy < np.log(3)
    assert report.rolled_back is None
    assert report.stopped is None
    assert bits(before) == bits(started())


def test_a_policy_that_runs_away_is_stopped_after_the_epoch() -> None:
    hyper = Hyperparameters(lr_actor=3e-3, target_kl=0.001)
    after, report = update(started(), [segment(lively_weights())], hyper)
    assert report.epochs < 10
    assert report.stopped is not None
    assert report.stopped.startswith("KL ")
    assert after.version == 1


def test_a_gradient_that_is_not_finite_changes_nothing_and_says_so() -> None:
    before, made = started(), segment(lively_weights())
    log_probs = made.log_probs.copy()
    log_probs[17] = -800.0  # its ratio overflows
    poisoned = msgspec.structs.replace(made, log_probs=log_probs, versions=made.versions - 1)
    after, report = update(before, [poisoned], HYPER)
    assert after is before
    assert report.rolled_back is not None
    assert "not finite in epoch 1" in report.rolled_back
    assert report.version == before.version


def test_a_collapsed_policy_is_undone_and_says_so() -> None:
    before = started()
    after, report = update(before, [segment(before.weights)], Hyperparameters(min_entropy=1.09))
    assert after is before
    assert report.rolled_back is not None
    assert "the policy collapsed: mean entropy" in report.rolled_back


def test_killed_and_run_again_it_is_bit_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    first, segments = started(), [segment(lively_weights()), segment(lively_weights(), 5, 77, ends=True)]
    saved = (first.to_bytes(), first.weights)
    unharmed, _ = update(first, segments, HYPER)
    whole, calls = gradient.step, []

    def killed(*arguments: Any) -> object:
        calls.append(1)
        if len(calls) == 23:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(gradient, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        update(first, segments, HYPER)
    monkeypatch.undo()
    again, _ = update(TrainingState.from_bytes(*saved), segments, HYPER)
    assert bits(again) == bits(unharmed)


def test_steps_that_teach_nobody_leave_the_actor_where_it_was() -> None:
    made = segment(lively_weights())
    silent = msgspec.structs.replace(made, learns=np.zeros(256, np.bool_))
    before = started()
    after, report = update(before, [silent], Hyperparameters(min_entropy=1.0))
    assert (report.taught, report.rolled_back) == (0, None)
    for name, tensor in after.weights.tensors.items():
        moved = not np.array_equal(tensor, before.weights.tensors[name])
        assert moved == name.startswith("critic."), name


def test_nothing_and_states_of_another_width_are_refused() -> None:
    with pytest.raises(RejectedError, match="a step at least"):
        update(started(), [], HYPER)
    made = segment(lively_weights())
    narrow = msgspec.structs.replace(made, features=made.features[:, 1:])
    with pytest.raises(RejectedError, match="states of 17 features, the networks take 18"):
        update(started(), [narrow], HYPER)


def test_a_contextual_bandit_is_solved() -> None:
    """The sign of the first feature says which side earns a dollar; the other loses one, holding is free."""
    hyper = Hyperparameters(lr_actor=2e-3, lr_critic=2e-3, entropy=0.003, buffer=256, batch=128, target_kl=0.1)
    state = TrainingState.fresh(fresh_weights(4), 4)
    for number in range(30):
        state, _ = update(state, bandit(state, number), hyper)
    played = bandit(state, 1000)
    assert np.mean([each.rewards_usd[0] for each in played]) > 0.9e6


def bandit(state: TrainingState, seed: int, plays: int = 256) -> list[Segment]:
    """Windows of a single step each."""
    rng = np.random.default_rng(seed)
    history = rng.uniform(-1, 1, (plays, 5 * SIZE)).astype(np.float32)
    features = history[:, -SIZE:]
    chances = probabilities(state.weights, features.astype(np.float64), history.astype(np.float64))
    actions = (rng.random((plays, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    right = np.where(features[:, 0] > 0, 1, 2)
    rewards = np.where(actions == 0, 0, np.where(actions == right, 1_000_000, -1_000_000))
    return [
        Segment(
            asset="BTC",
            condition_id=str(play),
            features=features[play : play + 1],
            history=history[play : play + 1],
            actions=actions[play : play + 1].astype(np.int32),
            log_probs=np.log(chances[play, actions[play]])[None].astype(np.float32),
            versions=np.array([state.version]),
            learns=np.array([True]),
            rewards_usd=rewards[play : play + 1].astype(np.int64),
            next_features=None,
            next_history=None,
        )
        for play in range(plays)
    ]


def test_warming_up_changes_nothing() -> None:
    state = started()
    warm_up(state, HYPER)
    assert bits(state) == bits(started())
