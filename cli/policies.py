"""From what somebody calls a policy, a baseline's name or a file, to what decides, and what that was trained on."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from actors.market import Policy
from cli.policy_files import CHECKPOINT_SUFFIX, SHIPPED_FILE, policy_in
from cli.simulated import SimulatedStage
from cli.stage import Stage
from cli.training_folder import RunFolder, read_lineage
from cli.usage import UsageError
from core.errors import FatalError
from models.baselines import NAMES, ORACLE, make_baseline
from models.baselines.sure import Sure

SHIPPED = "shipped"
BASELINE = "a baseline"
"""What stands in the place of a training for a policy that nobody trained."""


def known_policy(text: str) -> str:
    """Return the name or file of a policy that can be had.

    Raises:
        UsageError: it is neither a baseline nor a file with weights of ours.
    """
    name, _ = asked(text)
    if name not in NAMES:
        _from_file(name)
    return text


def asked(text: str) -> tuple[str, float]:
    """Return a policy's name or file, and how sure it must be to open: `NAME@0.9` opens at 0.9, `NAME` at any chance.

    Raises:
        UsageError: what follows the last `@` is no probability.
    """
    name, at, least = text.rpartition("@")
    if not at or Path(text).is_file():
        return text, 0.0
    try:
        probability = float(least)
    except ValueError:
        probability = -1.0
    if not 0.0 <= probability <= 1.0:
        raise UsageError(f"--policy {text}: {least!r} is no probability; give NAME@0.9 to open only where that sure")
    return name, probability


def file_of(text: str) -> Path:
    """Return the file of a policy that is no baseline."""
    return SHIPPED_FILE if text == SHIPPED else Path(text)


def policy_maker(text: str, stage: Stage, *, settles: bool) -> Callable[[], Policy]:
    """Return what makes the policy of one asset on a stage; `settles` where positions are held to settlement.

    Raises:
        UsageError: there is no such policy, or the oracle is asked for where nobody knows the true value.
    """
    name, least = asked(text)
    if least:
        make = policy_maker(name, stage, settles=settles)
        return lambda: Sure(make(), least)
    if text not in NAMES:
        policy = _from_file(text)
        return lambda: policy
    value = stage.world.fair if isinstance(stage, SimulatedStage) else None
    if text == ORACLE and value is None:
        raise UsageError(f"--policy {ORACLE}: only a simulated world knows the true value; leave it out")
    return lambda: make_baseline(text, seed=stage.seed, settles=settles, true_value=value)


def known_training(text: str, source: str, seeds: Sequence[int]) -> str:
    """Return what a policy was trained on, for people.

    Args:
        text: its name or file.
        source: the recording that it is to be judged on, or empty.
        seeds: of the worlds that it is to be judged on.

    Raises:
        UsageError: it was trained on what it is to be judged on.
    """
    name, _ = asked(text)
    if name in NAMES:
        return BASELINE
    path = file_of(name)
    if path.suffix == CHECKPOINT_SUFFIX:
        plan = RunFolder.open(path.parent).plan
        worlds, recordings, trained = plan.worlds, plan.recordings, plan.seeds
    else:
        lineage = read_lineage(path)
        if lineage is None:
            return "not known"
        worlds, recordings, trained = lineage.worlds, lineage.recordings, lineage.seeds
    seen = sorted(set(trained) & set(seeds))
    if seen:
        some = ", ".join(map(str, seen[:5])) + (" ..." if len(seen) > 5 else "")  # noqa: PLR2004 -- the rest is alike
        raise UsageError(f"--policy {text} was trained on seeds {some}: judge it on others by --seeds")
    if source and recordings is not None and Path(recordings).resolve() == Path(source).resolve():
        raise UsageError(f"--policy {text} was trained on {source}: judge it on another recording")
    where = recordings if recordings is not None else "+".join(worlds)
    return where + (f", seeds {', '.join(map(str, trained))}" if trained else "")


@lru_cache(maxsize=16)
def _from_file(text: str) -> Policy:
    path = file_of(text)
    if not path.is_file():
        raise UsageError(f"--policy {text}: no such file or baseline; baselines are {', '.join(NAMES)}")
    try:
        return policy_in(path)
    except FatalError as error:
        raise UsageError(f"--policy {text}: {error}") from error
