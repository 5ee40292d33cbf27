"""Weights on disk in the reference's format (`NAME.safetensors`, `NAME_stats.npz` beside it), and as a checkpoint."""

import hashlib
import os
import zipfile
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from core.market.action import Action
from core.market.features import HISTORY_STATES, REFERENCE_FEATURES, FeatureSchema
from core.runtime.checkpoint import StateFormat, UnreadableStateError
from models.architecture import ENCODER_OUTPUT, NETWORKS, tensor_shapes
from models.weights import TrainingStats, Weights, WeightsError

ACTOR_OUTPUT_BIAS = "actor.fc3.bias"
UNTRAINED_HOLD_BIAS = 3.5
"""Logit that untrained weights give HOLD beyond the others: about 94 of 100 decisions."""

_STATS_FIELDS = TrainingStats.__struct_fields__
_OPTIONAL_STATS = {"gamma", "buffer_size"}


class ModelState(msgspec.Struct, frozen=True):
    """A model's checkpoint: weights as a safetensors file's bytes, and where they come from.

    `given_sha256` is the checksum of the weights that the settings named when this line of generations began; it goes
    on from generation to generation, so that a start can tell a new file from one it has already learnt from.
    `training` is what a learner goes on from beside the weights (`models.ppo.state.TrainingState.to_bytes`), `buffer`
    the transitions it has not learnt from yet (`models.ppo.trajectory.Trajectories.dump`); None where nobody learnt.
    """

    weights: bytes
    weights_sha256: str
    source: str
    version: int
    given_sha256: str
    parent_sha256: str | None = None
    training: bytes | None = None
    buffer: bytes | None = None


class _ModelState1(msgspec.Struct, frozen=True):
    """Schema version 1, before there was a learner."""

    weights: bytes
    weights_sha256: str
    source: str
    version: int
    given_sha256: str
    parent_sha256: str | None = None


def _from_1(payload: bytes) -> bytes:
    older = msgspec.msgpack.decode(payload, type=_ModelState1)
    return msgspec.msgpack.encode(ModelState(**msgspec.structs.asdict(older)))


MODEL = StateFormat(2, ModelState, upgrades={1: _from_1})
"""The layout of a model's checkpoint; an older one that is known is upgraded, an unknown one refused by name."""


def model_payload(
    weights: Weights,
    *,
    source: str,
    given_sha256: str | None = None,
    parent_sha256: str | None = None,
    training: bytes | None = None,
    buffer: bytes | None = None,
) -> bytes:
    """Return the payload of a checkpoint (of schema `MODEL.version`) with these weights and their lineage.

    Args:
        weights: what is stored.
        source: where they come from, for people: a file's name, `untrained, seed 0`, `update 12`.
        given_sha256: of the weights this line began with; None when it is these.
        parent_sha256: of the weights they were made from, if any.
        training: what a learner goes on from beside the weights, if one does.
        buffer: the transitions it has not learnt from yet.
    """
    data = weights.to_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return msgspec.msgpack.encode(
        ModelState(data, digest, source, weights.version, given_sha256 or digest, parent_sha256, training, buffer)
    )


def read_model(schema_version: int, payload: bytes) -> tuple[Weights, ModelState]:
    """Return the weights of a model's checkpoint and its lineage.

    Raises:
        UnreadableStateError: its layout is unknown or does not decode.
        WeightsError: the weights in it are damaged, or of another network or feature schema.
    """
    state = msgspec.msgpack.decode(MODEL.read(schema_version, payload), type=ModelState)
    if hashlib.sha256(state.weights).hexdigest() != state.weights_sha256:
        raise WeightsError(f"the weights of {state.source} do not have their checksum")
    return Weights.from_bytes(state.weights, source=state.source), state


def regiven(schema_version: int, payload: bytes, newest_version: int, newest: bytes) -> bytes:
    """Return a model's payload as one of the line of `newest`; unchanged where either cannot be read."""
    try:
        state = msgspec.msgpack.decode(MODEL.read(schema_version, payload), type=ModelState)
        line = msgspec.msgpack.decode(MODEL.read(newest_version, newest), type=ModelState)
    except UnreadableStateError:
        return payload
    return msgspec.msgpack.encode(msgspec.structs.replace(state, given_sha256=line.given_sha256))


def load_weights(path: Path) -> Weights:
    """Return the weights in the safetensors file at `path`.

    Statistics come from the file itself when fusebox wrote it, else from the `_stats.npz` beside it if there is one.

    Raises:
        WeightsError: when the file is missing, damaged, or of another network or feature schema.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot read the weights ({error.strerror})") from error
    stats_path = _stats_path(path)
    stats = _load_stats(stats_path) if stats_path.exists() else None
    return Weights.from_bytes(data, source=str(path), stats=stats)


def save_weights(weights: Weights, path: Path) -> None:
    """Write `path` and its `_stats.npz`, each replaced whole and on disk before its name points to it.

    Raises:
        OSError: when the folder cannot be written.
    """
    stats_path = _stats_path(path)
    partial = stats_path.with_name(stats_path.name + ".partial")
    with partial.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            **{name: np.asarray(getattr(weights.stats, name)) for name in _STATS_FIELDS},
            input_dim=np.asarray(weights.schema.size),
            hidden_size=np.asarray(NETWORKS["actor"][0]),
            critic_hidden_size=np.asarray(NETWORKS["critic"][0]),
            history_len=np.asarray(HISTORY_STATES),
            temporal_dim=np.asarray(ENCODER_OUTPUT),
        )
        _settle(file, partial, stats_path)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(weights.to_bytes())
        _settle(file, partial, path)


def fresh_weights(seed: int, schema: FeatureSchema = REFERENCE_FEATURES) -> Weights:
    """Return untrained weights: dense layers uniform in +-1/sqrt(inputs), normalisations the identity.

    The actor's bias leans to HOLD: who knows nothing should trade seldom, for every trade costs spread and fees. The
    same seed gives the same weights, on every machine.
    """
    rng = np.random.default_rng(seed)
    shapes = tensor_shapes(schema.size)
    tensors = {}
    for name, shape in shapes.items():
        layer, kind = name.rsplit(".", 1)
        if layer.rsplit(".", 1)[-1].startswith("ln"):
            tensors[name] = np.full(shape, 1.0 if kind == "weight" else 0.0, np.float32)
        else:
            bound = shapes[f"{layer}.weight"][1] ** -0.5
            tensors[name] = rng.uniform(-bound, bound, shape).astype(np.float32)
    tensors[ACTOR_OUTPUT_BIAS][Action.HOLD] += UNTRAINED_HOLD_BIAS
    return Weights.of(tensors, schema=schema)


def _stats_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}_stats.npz")


def _settle(file: BinaryIO, partial: Path, path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    partial.replace(path)


def _load_stats(path: Path) -> TrainingStats:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            numbers = {name: stored[name].item() for name in _STATS_FIELDS if name in stored}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: not a whole statistics file ({error})") from error
    missing = sorted(set(_STATS_FIELDS) - numbers.keys() - _OPTIONAL_STATS)
    if missing:
        raise WeightsError(f"{path}: statistics missing: {', '.join(missing)}")
    return TrainingStats(**numbers)
