"""One update: segments in, the next training state out, or the same one with the reason why it was kept.

A pure function: an update that was killed and is run again from the stored state gives the same bits.

Two kinds of steps do not teach the actor: those whose action could have no effect, and those in which the watchdog was
forcing an exit. They stay in the trajectory, so that what they earned reaches the advantages of the steps before them,
and the critic learns from them; the surrogate, the entropy and the divergence leave them out.

The old log-probability of a step that the present weights decided is evaluated anew by the learner's own forward pass:
the policy's differs from it by rounding (1e-5), and the first ratio has to be 1. `UpdateReport.log_prob_gap` tells how
far the two are apart: more than 1e-3 means that a step was recorded with another's state or action. Steps of older
weights keep what was recorded.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from core.market.features import HISTORY_STATES
from models.ppo.epochs import Epochs
from models.ppo.flat import unflatten
from models.ppo.hyper import Hyperparameters
from models.ppo.normaliser import RewardNormaliser
from models.ppo.report import UpdateReport
from models.ppo.rows import USD, check, gather
from models.ppo.state import TrainingState, read_only, rng_bytes, sha256_of
from models.ppo.step import Segment
from models.streams import LEARNING
from models.weights import TrainingStats, Weights


def update(
    state: TrainingState, segments: Sequence[Segment], hyper: Hyperparameters
) -> tuple[TrainingState, UpdateReport]:
    """Return the state after one update on every step of `segments`, and what there is to tell about it.

    Where a number stops being finite, or the policy's entropy falls below `hyper.min_entropy`, the state comes back
    as it was and `UpdateReport.rolled_back` says why. May be called from any thread; updates take turns.

    Raises:
        RejectedError: there is no step in the segments, or their width is not that of the state's schema.
    """
    check(segments, state.weights.schema.size)
    rewards = np.concatenate([segment.rewards_usd for segment in segments]) * USD
    normaliser = state.normaliser.seen(rewards)
    with LEARNING.turn():
        run = Epochs(state, hyper)
        rows, told = gather(segments, state.version, run.evaluate, normaliser, hyper)
        wrong = run.learn(rows)
        entropy = run.entropy(rows)
        if wrong is None and told.taught and entropy < hyper.min_entropy:
            wrong = f"the policy collapsed: mean entropy {entropy:.2g} is below {hyper.min_entropy:g}"
        new = state if wrong else _after(state, hyper, run, normaliser)
    return new, UpdateReport(
        version=new.version,
        steps=len(rewards),
        taught=told.taught,
        stale=told.stale,
        segments=len(segments),
        windows_ended=sum(segment.next_features is None for segment in segments),
        reward_sum_usd=float(rewards.sum()),
        reward_mean_usd=float(rewards.sum() / len(segments)),
        reward_deviation_usd=normaliser.deviation,
        explained_variance=told.explained_variance,
        log_prob_gap=told.log_prob_gap,
        rolled_back=wrong,
        stopped=run.stopped,
        epochs=run.done,
        entropy=entropy,
        first_ratio_error=run.first_ratio_error,
        **run.last,
    )


def _after(state: TrainingState, hyper: Hyperparameters, run: Epochs, normaliser: RewardNormaliser) -> TrainingState:
    stats = TrainingStats(
        reward_mean=normaliser.mean,
        reward_std=normaliser.deviation,
        reward_count=normaliser.count,
        gamma=hyper.gamma,
        buffer_size=hyper.buffer,
    )
    actor, actor_mean, actor_square, critic, critic_mean, critic_square = run.vectors()
    schema = state.weights.schema
    tensors = unflatten({"actor": actor, "critic": critic}, schema.size)
    return TrainingState(
        weights=Weights.of(tensors, version=state.version + 1, schema=schema, stats=stats),
        means=read_only({"actor": actor_mean, "critic": critic_mean}),
        squares=read_only({"actor": actor_square, "critic": critic_square}),
        adam_steps=run.adam_steps,
        normaliser=normaliser,
        rng=rng_bytes(run.rng),
        updates=state.updates + 1,
        hyper=hyper,
        source=f"update {state.version + 1}",
        parent_sha256=sha256_of(state.weights),
    )


def warm_up(state: TrainingState, hyper: Hyperparameters) -> None:
    """Have the gradient step compiled: some twenty seconds where this host never did, nothing where it has."""
    size = state.weights.schema.size
    nothing = Segment(
        asset="",
        condition_id="",
        features=np.zeros((1, size), np.float32),
        history=np.zeros((1, HISTORY_STATES * size), np.float32),
        actions=np.zeros(1, np.int32),
        log_probs=np.zeros(1, np.float32),
        versions=np.zeros(1, np.int64),
        learns=np.ones(1, np.bool_),
        rewards_usd=np.zeros(1, np.int64),
        next_features=None,
        next_history=None,
    )
    update(state, [nothing], msgspec.structs.replace(hyper, epochs=1))
