"""A policy's weights as one immutable value, and that value as safetensors bytes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from core.errors import FatalError
from core.market.features import REFERENCE_FEATURES, SCHEMAS, FeatureSchema
from models.architecture import tensor_shapes

_METADATA_KEY = "fusebox"


class WeightsError(FatalError):
    """Raised when weights are missing, damaged, or made for another network or feature schema."""


class TrainingStats(msgspec.Struct, frozen=True):
    """What training keeps beside the tensors: running reward statistics (dollars) and its settings."""

    reward_mean: float = 0.0
    reward_std: float = 1.0
    reward_count: int = 0
    gamma: float = 0.95
    buffer_size: int = 256


class Weights(msgspec.Struct, frozen=True, eq=False):
    """One generation of the actor's and critic's tensors: float32 and read-only, so any thread may hold them.

    `version` counts the updates since the fresh start; a file of the reference's own has none and counts as 0.
    """

    tensors: Mapping[str, npt.NDArray[np.float32]]
    version: int = 0
    schema: FeatureSchema = REFERENCE_FEATURES
    stats: TrainingStats = TrainingStats()

    @classmethod
    def of(
        cls,
        tensors: Mapping[str, npt.ArrayLike],
        *,
        version: int = 0,
        schema: FeatureSchema = REFERENCE_FEATURES,
        stats: TrainingStats | None = None,
        source: str = "weights",
    ) -> Self:
        """Return weights of read-only copies of `tensors`; `source` names them in errors.

        Raises:
            WeightsError: for a missing, surplus, misshapen or non-finite tensor, named in the message.
        """
        arrays = {name: np.array(tensor, np.float32) for name, tensor in sorted(tensors.items())}
        _check_tensors(arrays, schema, source)
        for array in arrays.values():
            array.setflags(write=False)
        return cls(MappingProxyType(arrays), version, schema, stats or TrainingStats())

    def to_bytes(self) -> bytes:
        """Return the weights as the bytes of a safetensors file; equal weights give equal bytes."""
        description = _Description(
            version=self.version,
            schema=self.schema.name,
            schema_version=self.schema.version,
            features=self.schema.names,
            stats=self.stats,
        )
        # one key only: the file format does not fix the order of several
        metadata = {_METADATA_KEY: msgspec.json.encode(description).decode()}
        return safetensors.numpy.save(dict(self.tensors), metadata)

    @classmethod
    def from_bytes(cls, data: bytes, *, source: str = "weights", stats: TrainingStats | None = None) -> Self:
        """Return the weights in a safetensors file's bytes; `stats` stand in where the file tells none.

        Raises:
            WeightsError: when the bytes are damaged, or of another network or feature schema.
        """
        try:
            tensors = safetensors.numpy.load(data)
        except (safetensors.SafetensorError, KeyError, ValueError) as error:
            raise WeightsError(f"{source}: not a whole safetensors file ({error})") from error
        described = _describe(data, source)
        if described is None:
            return cls.of(tensors, stats=stats, source=source)
        schema = _known_schema(described, source)
        return cls.of(tensors, version=described.version, schema=schema, stats=described.stats, source=source)


class _Description(msgspec.Struct, frozen=True):
    version: int
    schema: str
    schema_version: int
    features: tuple[str, ...]
    stats: TrainingStats


def _describe(data: bytes, source: str) -> _Description | None:
    """Return what the header says beside the tensors; None for a file that is not fusebox's own."""
    header: dict[str, Any] = msgspec.json.decode(data[8 : 8 + int.from_bytes(data[:8], "little")])
    text = (header.get("__metadata__") or {}).get(_METADATA_KEY)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=_Description)
    except msgspec.DecodeError as error:
        raise WeightsError(f"{source}: its description cannot be read ({error})") from error


def _known_schema(described: _Description, source: str) -> FeatureSchema:
    schema = SCHEMAS.get((described.schema, described.schema_version))
    if schema is None:
        known = ", ".join(f"{name} v{version}" for name, version in SCHEMAS)
        asked = f"{described.schema} v{described.schema_version}"
        raise WeightsError(f"{source}: trained on feature schema {asked}, this version computes {known}")
    if described.features != schema.names:
        differing = sorted(set(described.features) ^ set(schema.names)) or ["their order"]
        raise WeightsError(f"{source}: its features differ from schema {schema.name} in {', '.join(differing)}")
    return schema


def _check_tensors(tensors: Mapping[str, npt.NDArray[np.float32]], schema: FeatureSchema, source: str) -> None:
    expected = tensor_shapes(schema.size)
    if "actor.fc1.weight" in tensors and not any("temporal_encoder" in name for name in tensors):
        raise WeightsError(
            f"{source}: the reference's older feed-forward model has no temporal encoder and cannot learn; "
            "give it to `--policy`, as a baseline"
        )
    missing, surplus = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or surplus:
        raise WeightsError(f"{source}: tensors missing: {missing or 'none'}; not known: {surplus or 'none'}")
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise WeightsError(f"{source}: {name} has shape {tensors[name].shape}, the network needs {shape}")
        if not np.isfinite(tensors[name]).all():
            raise WeightsError(f"{source}: {name} holds a number that is not finite")
