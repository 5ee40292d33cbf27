"""Temporal encoder, actor and critic in MLX, as functions of a flat dictionary of named tensors."""

from collections.abc import Mapping

import mlx.core as mx

from models.architecture import LAYER_NORM_EPSILON

Parameters = Mapping[str, mx.array]
"""Tensors by name, such as `actor.temporal_encoder.fc1.weight`: what a weight file holds and an optimizer updates."""


def actor_logits(parameters: Parameters, features: mx.array, history: mx.array) -> mx.array:
    """Return unnormalised log-probabilities of the actions, shape (batch, 3).

    Args:
        parameters: tensors by name.
        features: shape (batch, features).
        history: shape (batch, 5 * features), the oldest state first.
    """
    return _trunk(parameters, "actor", features, history)


def critic_value(parameters: Parameters, features: mx.array, history: mx.array) -> mx.array:
    """Return the value of each state, shape (batch, 1); arguments as for `actor_logits`."""
    return _trunk(parameters, "critic", features, history)


def temporal_encoder(parameters: Parameters, network: str, history: mx.array) -> mx.array:
    """Return what `network`'s encoder makes of the last five states, shape (batch, 32)."""
    prefix = f"{network}.temporal_encoder"
    return _layer(parameters, prefix, 2, _layer(parameters, prefix, 1, history))


def _trunk(parameters: Parameters, network: str, features: mx.array, history: mx.array) -> mx.array:
    state = mx.concatenate([features, temporal_encoder(parameters, network, history)], axis=-1)
    hidden = _layer(parameters, network, 2, _layer(parameters, network, 1, state))
    return _dense(parameters, f"{network}.fc3", hidden)


def _layer(parameters: Parameters, prefix: str, number: int, x: mx.array) -> mx.array:
    """Dense, LayerNorm, tanh."""
    x = _dense(parameters, f"{prefix}.fc{number}", x)
    # written out because on the CPU the library's own kernel costs more than these few operations when compiled
    x = x - mx.mean(x, axis=-1, keepdims=True)
    x = x * mx.rsqrt(mx.mean(mx.square(x), axis=-1, keepdims=True) + LAYER_NORM_EPSILON)
    return mx.tanh(x * parameters[f"{prefix}.ln{number}.weight"] + parameters[f"{prefix}.ln{number}.bias"])


def _dense(parameters: Parameters, name: str, x: mx.array) -> mx.array:
    return mx.addmm(parameters[f"{name}.bias"], x, parameters[f"{name}.weight"].T)
