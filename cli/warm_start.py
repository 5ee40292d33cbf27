"""What a training run begins with: untrained weights, those of a file, or an actor that imitates a baseline."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from cli.policies import policy_maker
from cli.rollout import Terms, run_episode
from cli.simulated import episode_of
from cli.stages import Shown, stage_of
from cli.training_folder import Plan
from cli.usage import UsageError
from cli.workers import Workers
from core.market.features import FUSED_FEATURES
from models.baselines import NAMES
from models.checkpoint import fresh_weights, load_weights
from models.imitation import imitate
from models.weights import Weights

EPISODES = 12
_FIRST_EPISODE = 1_000_000
"""Number of the first episode that is imitated: none that the run itself will play."""


class Watching(msgspec.Struct, frozen=True):
    """One task: a stage on which a baseline is watched."""

    shown: Shown
    teacher: str
    terms: Terms


class Watched(msgspec.Struct, frozen=True, eq=False):
    """States (N, n), their histories (N, 5 n), and what was done in them (N,)."""

    features: npt.NDArray[np.float32]
    history: npt.NDArray[np.float32]
    actions: npt.NDArray[np.int32]


def watch(task: Watching) -> Watched:
    """Play a stage and return what the teacher did; steps in which an action had no effect teach nothing."""
    stage = stage_of(task.shown)
    maker = policy_maker(task.teacher, stage, settles=task.terms.exit_before_s is None)
    steps = [step for step in run_episode(stage, maker, task.terms).transitions if step.free and not step.forced]
    return Watched(
        np.stack([step.features for step in steps]),
        np.stack([step.history.reshape(-1) for step in steps]),
        np.array([step.action for step in steps], np.int32),
    )


def check_start(plan: Plan) -> None:
    """Refuse what no run can begin with.

    Raises:
        UsageError: neither file nor baseline, another feature schema, or a baseline without a world to watch it in.
    """
    start, schema = plan.warm_start, plan.profile.feature_schema
    if start is None:
        return
    if start in NAMES:
        if schema != FUSED_FEATURES or not plan.worlds:
            raise UsageError(f"--warm-start {start}: a baseline sees fused features in a world; give a policy's file")
        return
    if not Path(start).is_file():
        known = ", ".join(NAMES)
        raise UsageError(f"--warm-start {start}: no such file or baseline; give a policy's file or one of {known}")
    found = load_weights(Path(start)).schema
    if found != schema:
        raise UsageError(
            f"--warm-start {start} sees the {found.name} features, the profile the {schema.name} ones: give weights "
            "and profile of one schema"
        )


def first_weights(plan: Plan) -> Weights:
    """Return what the run begins with; the same plan gives the same weights."""
    fresh = fresh_weights(plan.seed, plan.profile.feature_schema)
    if plan.warm_start is None:
        return fresh
    if plan.warm_start not in NAMES:
        return load_weights(Path(plan.warm_start))
    with Workers(plan.envs) as workers:
        watched = list(workers.map(watch, _tasks(plan, plan.warm_start)))
    features, history = (np.concatenate([getattr(w, name) for w in watched]) for name in ("features", "history"))
    return imitate(fresh, features, history, np.concatenate([w.actions for w in watched]), plan.seed)[0]


def _tasks(plan: Plan, teacher: str) -> Sequence[Watching]:
    profile = plan.profile
    terms = msgspec.structs.replace(profile.terms, sample=False)
    numbers = range(_FIRST_EPISODE, _FIRST_EPISODE + EPISODES)
    return [
        Watching(
            episode_of(plan.worlds[n % len(plan.worlds)], plan.seed, n, profile.window_s, profile.assets),
            teacher,
            terms,
        )
        for n in numbers
    ]
