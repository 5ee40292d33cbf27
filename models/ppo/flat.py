"""All tensors of one network in one vector: what an optimizer updates in a handful of operations."""

from collections.abc import Mapping

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from models.architecture import NETWORKS, tensor_shapes

Vector = npt.NDArray[np.float32]


def network_shapes(network: str, features: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of `network`'s tensors by name, in the order they lie in its vector: sorted."""
    return {name: shape for name, shape in sorted(tensor_shapes(features).items()) if name.startswith(network + ".")}


def network_size(network: str, features: int) -> int:
    """Return how many numbers `network` has."""
    return sum(int(np.prod(shape)) for shape in network_shapes(network, features).values())


def flatten(network: str, tensors: Mapping[str, npt.NDArray[np.float32]]) -> Vector:
    """Return the tensors of `network` end to end."""
    return np.concatenate([tensors[name].reshape(-1) for name in sorted(tensors) if name.startswith(network + ".")])


def unflatten(vectors: Mapping[str, Vector], features: int) -> dict[str, npt.NDArray[np.float32]]:
    """Return the tensors that lie in the vectors of the networks."""
    tensors = {}
    for network in NETWORKS:
        start = 0
        for name, shape in network_shapes(network, features).items():
            end = start + int(np.prod(shape))
            tensors[name] = vectors[network][start:end].reshape(shape)
            start = end
    return tensors


def tensors_in(vector: mx.array, network: str, features: int) -> dict[str, mx.array]:
    """Return views of the tensors in `network`'s vector."""
    tensors, start = {}, 0
    for name, shape in network_shapes(network, features).items():
        end = start + int(np.prod(shape))
        tensors[name] = vector[start:end].reshape(shape)
        start = end
    return tensors
