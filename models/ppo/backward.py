"""The networks' forward pass with what its gradient needs, and that gradient, derived by hand.

The same numbers as automatic differentiation of `models.networks` in two thirds of its operations: on a CPU a step
of this size costs its matrix products and little less for everything else. A layer is

    z = x W^T + b      n = (z - mean z) rho,  rho = (var z + eps)^-1/2      h = tanh(n g + s)

and its gradient, with `dh` that of the loss by h and means taken over a row,

    u = dh (1 - h^2)      dg = sum u n      ds = sum u      v = u g
    dz = rho (v - mean v - n mean(v n))      dW = dz^T x      db = sum dz      dx = dz W
"""

from collections.abc import Sequence
from typing import NamedTuple

import mlx.core as mx

from models.architecture import LAYER_NORM_EPSILON
from models.networks import Parameters

_TANH_END = 7.90531110763549805
_TANH_ABOVE = (
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
_TANH_BELOW = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)

Gradients = dict[str, mx.array]


class Layer(NamedTuple):
    """What one layer leaves behind for its gradient; `h` is its output."""

    x: mx.array
    n: mx.array
    rho: mx.array
    h: mx.array


class Trace(NamedTuple):
    """The layers of one network in the order they ran: two of the encoder, two of the trunk."""

    encoder: tuple[Layer, Layer]
    trunk: tuple[Layer, Layer]


def forward(parameters: Parameters, network: str, features: mx.array, history: mx.array) -> tuple[mx.array, Trace]:
    """Return the outputs of `network`, shape (B, outputs), as `models.networks` does, and their trace."""
    encoder = f"{network}.temporal_encoder"
    first = _layer(parameters, encoder, 1, history)
    second = _layer(parameters, encoder, 2, first.h)
    third = _layer(parameters, network, 1, mx.concatenate([features, second.h], axis=-1))
    fourth = _layer(parameters, network, 2, third.h)
    weight, bias = parameters[f"{network}.fc3.weight"], parameters[f"{network}.fc3.bias"]
    return mx.addmm(bias, fourth.h, weight.T), Trace((first, second), (third, fourth))


def backward(parameters: Parameters, network: str, trace: Trace, slope: mx.array) -> Gradients:
    """Return the gradient by each tensor of `network`, given the one by its outputs, shape (B, outputs)."""
    gradients: Gradients = {}
    encoder, output = f"{network}.temporal_encoder", f"{network}.fc3"
    gradients[f"{output}.weight"] = slope.T @ trace.trunk[1].h
    gradients[f"{output}.bias"] = mx.sum(slope, axis=0)
    by_hidden = slope @ parameters[f"{output}.weight"]
    by_z = _layer_gradient(parameters, network, 2, trace.trunk[1], by_hidden, gradients)
    by_z = _layer_gradient(
        parameters, network, 1, trace.trunk[0], by_z @ parameters[f"{network}.fc2.weight"], gradients
    )
    memory = trace.encoder[1].h.shape[-1]
    by_memory = by_z @ parameters[f"{network}.fc1.weight"][:, -memory:]
    by_z = _layer_gradient(parameters, encoder, 2, trace.encoder[1], by_memory, gradients)
    _layer_gradient(parameters, encoder, 1, trace.encoder[0], by_z @ parameters[f"{encoder}.fc2.weight"], gradients)
    return gradients


def _layer(parameters: Parameters, prefix: str, number: int, x: mx.array) -> Layer:
    dense, norm = f"{prefix}.fc{number}", f"{prefix}.ln{number}"
    z = mx.addmm(parameters[f"{dense}.bias"], x, parameters[f"{dense}.weight"].T)
    centred = z - mx.mean(z, axis=-1, keepdims=True)
    # contiguous keeps the root out of the next kernel, which would take it anew for every element of the row
    rho = mx.contiguous(mx.rsqrt(mx.mean(mx.square(centred), axis=-1, keepdims=True) + LAYER_NORM_EPSILON))
    n = centred * rho
    scaled = n * parameters[f"{norm}.weight"] + parameters[f"{norm}.bias"]
    return Layer(x, n, rho, _tanh(mx.contiguous(scaled)))


def _tanh(x: mx.array) -> mx.array:
    """Return tanh to 4e-7, as the quotient of two polynomials: the library's own takes each element by itself.

    Coefficients: the minimax approximation on [-7.9, 7.9] that the Eigen library uses.
    """
    x = mx.clip(x, -_TANH_END, _TANH_END)
    square = mx.square(x)
    above, below = (_polynomial(square, coefficients) for coefficients in (_TANH_ABOVE, _TANH_BELOW))
    return x * above / below


def _polynomial(x: mx.array, coefficients: Sequence[float]) -> mx.array:
    """Horner's scheme, the constant last."""
    value = x * coefficients[0] + coefficients[1]
    for coefficient in coefficients[2:]:
        value = value * x + coefficient
    return value


def _layer_gradient(
    parameters: Parameters, prefix: str, number: int, layer: Layer, by_h: mx.array, gradients: Gradients
) -> mx.array:
    """Note the gradient by the layer's tensors and return the one by z."""
    dense, norm = f"{prefix}.fc{number}", f"{prefix}.ln{number}"
    u = by_h * (1.0 - mx.square(layer.h))
    gradients[f"{norm}.weight"] = mx.sum(u * layer.n, axis=0)
    gradients[f"{norm}.bias"] = mx.sum(u, axis=0)
    v = u * parameters[f"{norm}.weight"]
    by_z = v - mx.mean(v, axis=-1, keepdims=True) - layer.n * mx.mean(v * layer.n, axis=-1, keepdims=True)
    by_z = by_z * layer.rho
    gradients[f"{dense}.weight"] = by_z.T @ layer.x
    gradients[f"{dense}.bias"] = mx.sum(by_z, axis=0)
    return by_z
