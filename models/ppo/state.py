"""Everything that learning goes on from, as one immutable value, and as bytes beside the weights it belongs to."""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

from core.market.features import HISTORY_STATES, FeatureSchema
from models.architecture import NETWORKS, tensor_shapes
from models.ppo.flat import network_size
from models.ppo.hyper import Hyperparameters
from models.ppo.normaliser import RewardNormaliser
from models.weights import Weights, WeightsError

_LAYOUT = 1

Vectors = Mapping[str, npt.NDArray[np.float32]]
"""One flat float32 vector per network."""


class TrainingState(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One point in a line of updates: the same state and the same segments give the same next state, bit by bit.

    `means` and `squares` are Adam's moments after `adam_steps` gradient steps. `rng` is the state of the generator that
    shuffles minibatches. `updates` counts those this line has made, `weights.version` those the weights have in them.
    `hyper` is what the last update ran with, `parent_sha256` the checksum of the weights it started from.
    """

    weights: Weights
    means: Vectors
    squares: Vectors
    adam_steps: int
    normaliser: RewardNormaliser
    rng: bytes
    updates: int
    hyper: Hyperparameters
    source: str
    parent_sha256: str | None

    @classmethod
    def fresh(cls, weights: Weights, seed: int, *, source: str = "weights") -> Self:
        """Return the state of a learner that takes up `weights` without having learnt anything itself.

        Raises:
            WeightsError: these are not weights of the networks with a temporal encoder.
        """
        _check_learnable(weights)
        zeros = {name: np.zeros(network_size(name, weights.schema.size), np.float32) for name in NETWORKS}
        return cls(
            weights=weights,
            means=read_only(zeros),
            squares=read_only(zeros),
            adam_steps=0,
            normaliser=RewardNormaliser.of(weights.stats),
            rng=rng_bytes(np.random.Generator(np.random.PCG64(seed))),
            updates=0,
            hyper=Hyperparameters(),
            source=source,
            parent_sha256=None,
        )

    @property
    def version(self) -> int:
        """Version of the weights."""
        return self.weights.version

    def to_bytes(self) -> bytes:
        """Return all but the weights; equal states give equal bytes."""
        schema = self.weights.schema
        return msgspec.msgpack.encode(
            _Stored(
                layout=_LAYOUT,
                schema=schema,
                weights_sha256=sha256_of(self.weights),
                means={name: self.means[name].astype("<f4").tobytes() for name in NETWORKS},
                squares={name: self.squares[name].astype("<f4").tobytes() for name in NETWORKS},
                adam_steps=self.adam_steps,
                normaliser=self.normaliser,
                rng=self.rng,
                updates=self.updates,
                hyper=self.hyper,
                source=self.source,
                parent_sha256=self.parent_sha256,
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes, weights: Weights) -> Self:
        """Return the state of `to_bytes` with the weights that were stored beside it.

        Raises:
            WeightsError: it does not decode, or is of another feature schema, other shapes or other weights.
        """
        _check_learnable(weights)
        try:
            stored = msgspec.msgpack.decode(data, type=_Stored)
        except msgspec.MsgspecError as error:
            raise WeightsError(f"the training state cannot be read ({error})") from error
        if stored.layout != _LAYOUT:
            raise WeightsError(f"the training state has layout {stored.layout}, this program reads {_LAYOUT}")
        _check_schema(stored.schema, weights.schema)
        if stored.weights_sha256 != sha256_of(weights):
            raise WeightsError(
                f"the training state of {stored.source} belongs to weights {stored.weights_sha256[:12]}, "
                f"not to these of version {weights.version}: load both from one checkpoint"
            )
        moments = [_vectors(vectors, weights.schema.size) for vectors in (stored.means, stored.squares)]
        return cls(
            weights=weights,
            means=moments[0],
            squares=moments[1],
            adam_steps=stored.adam_steps,
            normaliser=stored.normaliser,
            rng=stored.rng,
            updates=stored.updates,
            hyper=stored.hyper,
            source=stored.source,
            parent_sha256=stored.parent_sha256,
        )


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    layout: int
    schema: FeatureSchema
    weights_sha256: str
    means: dict[str, bytes]
    squares: dict[str, bytes]
    adam_steps: int
    normaliser: RewardNormaliser
    rng: bytes
    updates: int
    hyper: Hyperparameters
    source: str
    parent_sha256: str | None


def sha256_of(weights: Weights) -> str:
    """Return the checksum of the weights' file."""
    return hashlib.sha256(weights.to_bytes()).hexdigest()


def rng_bytes(rng: np.random.Generator) -> bytes:
    """Return the state of a PCG64 generator."""
    return msgspec.json.encode(rng.bit_generator.state, enc_hook=int, order="sorted")


def rng_of(state: bytes) -> np.random.Generator:
    """Return the generator that goes on from `rng_bytes`."""
    bits = np.random.PCG64(0)
    bits.state = msgspec.json.decode(state)
    return np.random.Generator(bits)


def _check_learnable(weights: Any) -> None:
    """Refuse a baseline that somebody took for weights."""
    if not isinstance(weights, Weights):
        raise WeightsError(
            f"a {type(weights).__name__} cannot learn: give the learner weights of the networks with a temporal "
            f"encoder ({HISTORY_STATES} states), and this one to `--policy`"
        )
    expected = tensor_shapes(weights.schema.size)
    wrong = [name for name, shape in expected.items() if weights.tensors[name].shape != shape]
    if wrong:
        raise WeightsError(f"{wrong[0]} has shape {weights.tensors[wrong[0]].shape}, not {expected[wrong[0]]}")


def _check_schema(stored: FeatureSchema, schema: FeatureSchema) -> None:
    if stored == schema:
        return
    differing = sorted(set(stored.names) ^ set(schema.names)) or ["their order or version"]
    raise WeightsError(
        f"the training state is of feature schema {stored.name} v{stored.version}, the weights of {schema.name} "
        f"v{schema.version}; they differ in {', '.join(differing)}"
    )


def _vectors(stored: Mapping[str, bytes], features: int) -> Vectors:
    vectors = {}
    for name in NETWORKS:
        vectors[name] = np.frombuffer(stored.get(name, b""), "<f4").astype(np.float32)
        size = network_size(name, features)
        if vectors[name].size != size:
            raise WeightsError(f"the moments of the {name} are {vectors[name].size} numbers, the network has {size}")
    return read_only(vectors)


def read_only(vectors: dict[str, npt.NDArray[np.float32]]) -> Vectors:
    """Return the vectors, which nobody may write to any more."""
    for vector in vectors.values():
        vector.setflags(write=False)
    return MappingProxyType(vectors)
