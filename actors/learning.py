"""What a learner goes on from, as a model's checkpoint and back; its messages as steps, its reports as rows."""

import msgspec

from core.messages import TransitionRecorded
from core.records import MetricRecord
from models.checkpoint import MODEL, model_payload, read_model
from models.ppo.hyper import Hyperparameters
from models.ppo.report import UpdateReport
from models.ppo.state import TrainingState
from models.ppo.step import Step
from models.ppo.trajectory import Trajectories

METRICS = (
    "entropy",
    "kl",
    "policy_loss",
    "value_loss",
    "clip_fraction",
    "explained_variance",
    "reward_sum_usd",
    "reward_deviation_usd",
    "steps",
    "version",
)
"""What of an update's report goes into the table of metrics, as `learner.NAME`."""


class Loaded(msgspec.Struct, frozen=True):
    """The model that a learner starts from: its generation in the line of models, and its payload in today's layout."""

    generation: int
    payload: bytes


class Learnt(msgspec.Struct, frozen=True):
    """A training state and the transitions that were not learnt from yet."""

    training: TrainingState
    trajectories: Trajectories


def opened(payload: bytes, hyper: Hyperparameters, seed: int = 0) -> Learnt:
    """Return what a model's payload holds; a model that never learnt starts with fresh moments and an empty buffer.

    Raises:
        WeightsError, UnreadableStateError, RejectedError: a part of it is damaged or does not fit the others.
    """
    weights, state = read_model(MODEL.version, payload)
    if state.training is None:
        training = TrainingState.fresh(weights, seed, source=state.source)
    else:
        training = TrainingState.from_bytes(state.training, weights)
    trajectories = Trajectories(weights.schema.size, hyper.reward)
    if state.buffer is not None:
        kept = Trajectories.load(state.buffer)
        if kept.reward == hyper.reward:  # another profile counts other rewards
            trajectories = kept
    return Learnt(training, trajectories)


def packed(learnt: Learnt, source: str) -> bytes:
    """Return a model's payload with everything that `opened` needs; `source` names what the line began with."""
    training = learnt.training
    return model_payload(
        training.weights,
        source=f"{source}, update {training.updates}" if training.updates else source,
        parent_sha256=training.parent_sha256,
        training=training.to_bytes(),
        buffer=learnt.trajectories.dump(),
    )


def step_of(message: TransitionRecorded, version: int) -> Step:
    """Return a transition as the learner keeps it; `version` is that of the weights that decided."""
    return Step(
        features=message.features,
        history=message.history,
        action=message.action,
        log_prob=message.log_prob,
        version=version,
        equity_usd=message.equity_usd,
        held=message.held,
        free=message.free,
        forced=message.forced,
        at_ms=message.at_ms,
    )


def rows_of(report: UpdateReport, session_id: int, at_ms: int) -> tuple[MetricRecord, ...]:
    """Return an update's numbers as rows."""
    return tuple(MetricRecord(session_id, f"learner.{name}", float(getattr(report, name)), at_ms) for name in METRICS)
