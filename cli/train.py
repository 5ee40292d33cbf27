"""`train`: a policy learns on the embedded world, or on recordings, far faster than real time."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.recorded_stage import recorded_stages
from cli.simulated import known_world
from cli.training import Training
from cli.training_folder import POLICY, Plan, Progress, RunFolder, read_lineage
from cli.training_profile import SHIPPED, Profile, read_profile
from cli.training_screen import TrainingScreen
from cli.usage import UsageError
from cli.workers import Workers
from models.checkpoint import fresh_weights, load_weights
from models.ppo.state import TrainingState
from models.weights import Weights

DEFAULT_OUT = Path("runs/policy")


def train(
    venue: Annotated[str, typer.Option(help="Where: `sim`, the embedded exchange's world.")] = "sim",
    world: Annotated[str, typer.Option(help="World, or several in turn: lagged,today.")] = "today",
    windows: Annotated[
        int | None, typer.Option(help="Windows to learn from; those of each asset count.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the world, the episodes and the untrained weights.", min=0)] = 1,
    envs: Annotated[int, typer.Option(help="Episodes at a time, each in a process of its own.", min=1, max=64)] = 2,
    profile: Annotated[
        Path, typer.Option(help="Hyperparameters: a TOML file, or a name in config/learning.")
    ] = SHIPPED,
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = DEFAULT_OUT,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, to the bit.")] = False,
    recordings: Annotated[Path | None, typer.Option(help="Learn from a recording instead of a world.")] = None,
    warm_start: Annotated[Path | None, typer.Option(help="Weights to begin with: a safetensors file.")] = None,
    keep_every: Annotated[int, typer.Option(help="Also keep the policy of every so many updates.", min=0)] = 0,
) -> None:
    """Train a policy with PPO; a checkpoint after every update, Ctrl-C stops after it.

    Example: `supervisor.py train --world lagged,today --windows 20000 --seed 1 --envs 2 --out runs/first`.
    """
    if resume:
        training = resumed(out, windows)
    else:
        if venue != "sim":
            raise UsageError(f"--venue {venue}: only sim can be trained on; see --recordings")
        if windows is None:
            raise UsageError("--windows is missing: give how many windows to learn from")
        plan = _plan(world, windows, seed, envs, read_profile(profile), recordings, warm_start, keep_every)
        training = begun(out, plan)
    if training.finished:
        raise UsageError(f"{out} has played its {training.progress.windows} windows: give more by --windows")
    _run(training)


def begun(out: Path, plan: Plan) -> Training:
    """Return a new run, not started."""
    state = TrainingState.fresh(
        _first_weights(plan), plan.seed, source=plan.warm_start or f"untrained, seed {plan.seed}"
    )
    return Training(RunFolder.create(out, plan), Progress(), state)


def resumed(out: Path, windows: int | None) -> Training:
    """Return the run in a folder, where it stopped; `windows` extends it."""
    folder = RunFolder.open(out)
    if windows is not None:
        folder.extend(windows)
    saved = folder.load()
    if saved is None:
        plan = folder.plan
        return Training(folder, Progress(), TrainingState.fresh(_first_weights(plan), plan.seed))
    return Training(folder, *saved)


def _run(training: Training) -> None:
    folder = training.folder
    try:
        with Workers(folder.plan.envs) as workers, TrainingScreen(training, Console(stderr=True)) as screen:
            training.run(workers, screen.told)
    except KeyboardInterrupt:
        sys.stderr.write(
            f"stopped after update {training.progress.rounds}; go on by: train --resume --out {folder.path}\n"
        )
        return
    training.export(POLICY)
    sys.stdout.write(f"{folder.path / POLICY}\n")


def _plan(
    world: str,
    windows: int,
    seed: int,
    envs: int,
    profile: Profile,
    recordings: Path | None,
    warm_start: Path | None,
    keep_every: int,
) -> Plan:
    worlds = tuple(known_world(name.strip()) for name in world.split(","))
    before = None if warm_start is None or not warm_start.exists() else read_lineage(warm_start)
    if recordings is not None:
        recorded_stages(str(recordings))  # to refuse now what cannot be played
    return Plan(
        worlds=() if recordings is not None else worlds,
        recordings=None if recordings is None else str(recordings),
        seed=seed,
        windows=windows,
        envs=envs,
        keep_every=keep_every,
        warm_start=None if warm_start is None else str(warm_start),
        seeds_before=() if before is None else before.seeds,
        profile=profile,
    )


def _first_weights(plan: Plan) -> Weights:
    schema = plan.profile.feature_schema
    if plan.warm_start is None:
        return fresh_weights(plan.seed, schema)
    path = Path(plan.warm_start)
    if not path.is_file():
        raise UsageError(f"--warm-start {path}: no such file; give a policy's safetensors file")
    weights = load_weights(path)
    if weights.schema != schema:
        raise UsageError(
            f"--warm-start {plan.warm_start} sees the {weights.schema.name} features, the profile the {schema.name} "
            "ones: give weights and profile of one schema"
        )
    return weights
