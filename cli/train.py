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
from cli.warm_start import check_start, first_weights
from cli.workers import Workers
from models.ppo.state import TrainingState

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
    warm_start: Annotated[str | None, typer.Option(help="Begin with a policy's file, or imitating a baseline.")] = None,
    keep_every: Annotated[int, typer.Option(help="Also keep the policy of every so many updates.", min=0)] = 0,
) -> None:
    """Train a policy with PPO; a checkpoint after every update, Ctrl-C stops after it.

    Exit codes: 0 done or stopped by Ctrl-C, 1 failed, 2 bad usage.
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
    """Return a new run, not started.

    Raises:
        UsageError: it cannot begin like that, or not there.
    """
    check_start(plan)
    folder = RunFolder.create(out, plan)
    state = TrainingState.fresh(
        first_weights(plan), plan.seed, source=plan.warm_start or f"untrained, seed {plan.seed}"
    )
    folder.save(Progress(), state)
    return Training(folder, Progress(), state)


def resumed(out: Path, windows: int | None) -> Training:
    """Return the run in a folder, where it stopped; `windows` extends it."""
    folder = RunFolder.open(out)
    if windows is not None:
        folder.extend(windows)
    saved = folder.load()
    if saved is None:
        plan = folder.plan
        return Training(folder, Progress(), TrainingState.fresh(first_weights(plan), plan.seed))
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
    warm_start: str | None,
    keep_every: int,
) -> Plan:
    worlds = tuple(known_world(name.strip()) for name in world.split(","))
    before = None if warm_start is None or not Path(warm_start).is_file() else read_lineage(Path(warm_start))
    if recordings is not None:
        recorded_stages(str(recordings))  # to refuse now what cannot be played
    return Plan(
        worlds=() if recordings is not None else worlds,
        recordings=None if recordings is None else str(recordings),
        seed=seed,
        windows=windows,
        envs=envs,
        keep_every=keep_every,
        warm_start=warm_start,
        seeds_before=() if before is None else before.seeds,
        profile=profile,
    )
