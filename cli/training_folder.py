"""A training run's folder: what it was asked, its log, a checkpoint after every update, and the policy it came to.

config.json        everything needed to repeat the run
metrics.jsonl      one line per update
checkpoint.msgpack the newest training state; replaced whole
policy.safetensors the weights, and policy.lineage.json: what they were trained on
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import msgspec

from cli.training_profile import Profile
from cli.usage import UsageError
from models.checkpoint import MODEL, model_payload, read_model
from models.ppo.state import TrainingState
from models.weights import Weights

CONFIG, METRICS, CHECKPOINT, POLICY = "config.json", "metrics.jsonl", "checkpoint.msgpack", "policy.safetensors"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was asked: `windows` counts each asset's; `worlds` is empty where `recordings` are learnt from."""

    worlds: tuple[str, ...]
    recordings: str | None
    seed: int
    windows: int
    envs: int
    keep_every: int
    warm_start: str | None
    seeds_before: tuple[int, ...] = ()
    """Worlds that the policy it was started from had been trained on."""
    profile: Profile

    @property
    def seeds(self) -> tuple[int, ...]:
        """Every world that the run's policy has seen."""
        own = () if self.recordings is not None else (self.seed,)
        return tuple(sorted({*self.seeds_before, *own}))


class Progress(msgspec.Struct, frozen=True):
    """How far a run is: updates tried, windows and episodes played."""

    rounds: int = 0
    windows: int = 0
    episodes: int = 0


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy was trained on, beside its weights."""

    weights_sha256: str
    worlds: tuple[str, ...]
    recordings: str | None
    seeds: tuple[int, ...]
    windows: int
    updates: int
    window_s: int
    schema: str
    profile: Profile


class _Saved(msgspec.Struct, frozen=True):
    progress: Progress
    schema_version: int
    model: bytes


class RunFolder:
    """One run's folder. Everything in it is written whole or not at all."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path = path
        self.plan = plan

    @classmethod
    def create(cls, path: Path, plan: Plan) -> "RunFolder":
        """Begin a run in a new folder.

        Raises:
            UsageError: there is a run in it, or it cannot be written.
        """
        if (path / CONFIG).exists():
            raise UsageError(f"{path} holds a run already: go on with it by --resume, or give another --out")
        folder = cls(path, plan)
        try:
            path.mkdir(parents=True, exist_ok=True)
            folder._write_plan()
        except OSError as error:
            raise UsageError(f"--out {path}: {error.strerror}; give a folder that can be written") from error
        return folder

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Return an existing run.

        Raises:
            UsageError: there is none, or its plan cannot be read.
        """
        try:
            plan = msgspec.json.decode((path / CONFIG).read_bytes(), type=Plan)
        except OSError as error:
            raise UsageError(f"--resume: no run in {path}: give the folder of one by --out") from error
        except msgspec.DecodeError as error:
            raise UsageError(f"{path / CONFIG}: {error}; start a new run") from error
        return cls(path, plan)

    def extend(self, windows: int) -> None:
        """Have the run go on to this many windows."""
        self.plan = msgspec.structs.replace(self.plan, windows=windows)
        self._write_plan()

    def _write_plan(self) -> None:
        _replace(self.path / CONFIG, msgspec.json.format(msgspec.json.encode(self.plan), indent=2) + b"\n")

    def save(self, progress: Progress, state: TrainingState) -> None:
        """Replace the checkpoint."""
        model = model_payload(
            state.weights,
            source=state.source,
            parent_sha256=state.parent_sha256,
            training=state.to_bytes(),
        )
        _replace(self.path / CHECKPOINT, msgspec.msgpack.encode(_Saved(progress, MODEL.version, model)))

    def load(self) -> tuple[Progress, TrainingState] | None:
        """Return where the run stopped, None where it has no checkpoint yet; the log is cut back to it.

        Raises:
            UsageError: the checkpoint cannot be read.
            WeightsError: it is damaged.
        """
        path = self.path / CHECKPOINT
        if not path.exists():
            return None
        progress, weights, training = _read(path)
        if training is None:
            raise UsageError(f"{path} holds no training state: start a new run")
        metrics = self.path / METRICS
        if metrics.exists():
            rows = metrics.read_bytes().splitlines(keepends=True)
            _replace(metrics, b"".join(row for row in rows if json.loads(row)["update"] <= progress.rounds))
        return progress, TrainingState.from_bytes(training, weights)

    def log(self, row: dict[str, Any]) -> None:
        """Append a line to the log."""
        with (self.path / METRICS).open("a") as file:
            file.write(json.dumps(row) + "\n")

    def export(self, progress: Progress, weights: Weights, name: str = POLICY) -> Path:
        """Write the weights and their lineage, and return the weights' path."""
        path, plan = self.path / name, self.plan
        data = weights.to_bytes()
        lineage = Lineage(
            weights_sha256=hashlib.sha256(data).hexdigest(),
            worlds=plan.worlds,
            recordings=plan.recordings,
            seeds=plan.seeds,
            windows=progress.windows,
            updates=weights.version,
            window_s=plan.profile.window_s,
            schema=plan.profile.schema,
            profile=plan.profile,
        )
        _replace(lineage_path(path), msgspec.json.format(msgspec.json.encode(lineage), indent=2) + b"\n")
        _replace(path, data)
        return path


def lineage_path(policy: Path) -> Path:
    """Return where the lineage of a policy's file lies."""
    return policy.with_name(f"{policy.stem}.lineage.json")


def read_lineage(policy: Path) -> Lineage | None:
    """Return what the policy in a file was trained on; None where nothing beside it says so of these very weights.

    Raises:
        UsageError: the lineage cannot be read.
    """
    path = lineage_path(policy)
    if not path.exists():
        return None
    try:
        lineage = msgspec.json.decode(path.read_bytes(), type=Lineage)
    except msgspec.DecodeError as error:
        raise UsageError(f"{path}: {error}; export the policy again") from error
    return lineage if hashlib.sha256(policy.read_bytes()).hexdigest() == lineage.weights_sha256 else None


def checkpoint_weights(path: Path) -> Weights:
    """Return the weights in a run's checkpoint.

    Raises:
        UsageError: it is none.
        WeightsError: it is damaged.
    """
    return _read(path)[1]


def _read(path: Path) -> tuple[Progress, Weights, bytes | None]:
    try:
        saved = msgspec.msgpack.decode(path.read_bytes(), type=_Saved)
    except (msgspec.DecodeError, OSError) as error:
        raise UsageError(f"{path} is no checkpoint of a training run ({error})") from error
    weights, model = read_model(saved.schema_version, saved.model)
    return saved.progress, weights, model.training


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole: it is on disk before its name points to it."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
