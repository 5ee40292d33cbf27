"""One step of PPO's gradient on both networks, as one compiled function: losses, gradients, clipping and Adam.

    ratio   = exp(log pi(a|s) - log pi_old(a|s))
    actor   = -mean min(ratio A, clip(ratio, 1 - eps, 1 + eps) A) - c mean H(pi(.|s))
    critic  = 1/2 mean max((V - R)^2, (V_old + clip(V - V_old, -delta, delta) - R)^2)

after Schulman et al. 2017 (equation 7), the critic's clipping as in OpenAI's `baselines`. Nothing is read back: what a
step has to tell comes as arrays, to be evaluated with the next parameters. Call within `LEARNING.turn()`.
"""

from typing import NamedTuple

import mlx.core as mx

from models.networks import Parameters, actor_logits, critic_value
from models.ppo.flat import tensors_in

BETA_MEAN, BETA_SQUARE, ADAM_EPSILON = 0.9, 0.999, 1e-8
_NORM_EPSILON = 1e-6


class Learnt(NamedTuple):
    """What a step changes: each network's parameters and Adam's two moments of them, as flat vectors."""

    actor: mx.array
    actor_mean: mx.array
    actor_square: mx.array
    critic: mx.array
    critic_mean: mx.array
    critic_square: mx.array


class Batch(NamedTuple):
    """The rows of a minibatch, each of shape (B, 1) but for `features` (B, n) and `history` (B, 5 n).

    `present` is 1 for a row and 0 for padding; `learns` is 1 where the actor learns from it as well. `actions` are
    int32, all else float32; `returns` and `values` are in normalised dollars.
    """

    features: mx.array
    history: mx.array
    actions: mx.array
    log_probs: mx.array
    advantages: mx.array
    returns: mx.array
    values: mx.array
    learns: mx.array
    present: mx.array


class Settings(NamedTuple):
    """What may differ from step to step without compiling anew: scalars of shape ()."""

    lr_actor: mx.array
    lr_critic: mx.array
    clip: mx.array
    entropy: mx.array
    value_clip: mx.array
    grad_norm: mx.array
    mean_correction: mx.array
    """1 / (1 - 0.9^t) at Adam's step t."""
    square_correction: mx.array
    """1 / (1 - 0.999^t)."""


Losses = tuple[mx.array, mx.array, mx.array, mx.array, mx.array, mx.array]
"""The first fields of `Diagnostics`: those that need no gradient."""


class Diagnostics(NamedTuple):
    """What a step found before it changed anything; scalars of shape (), means over the rows that count."""

    policy_loss: mx.array
    value_loss: mx.array
    entropy: mx.array
    kl: mx.array
    clip_fraction: mx.array
    ratio_error: mx.array
    """Largest distance of a probability ratio from 1."""
    actor_norm: mx.array
    critic_norm: mx.array


def log_probabilities(parameters: Parameters, features: mx.array, history: mx.array) -> mx.array:
    """Return the log-probability of every action, shape (B, 3)."""
    logits = actor_logits(parameters, features, history)
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


def _evaluate(actor: mx.array, critic: mx.array, features: mx.array, history: mx.array, actions: mx.array) -> mx.array:
    """Return log-probability of the action, value and entropy of each row, shape (3, B, 1)."""
    size = features.shape[-1]
    logs = log_probabilities(tensors_in(actor, "actor", size), features, history)
    values = critic_value(tensors_in(critic, "critic", size), features, history)
    entropy = -mx.sum(mx.exp(logs) * logs, axis=-1, keepdims=True)
    return mx.stack([mx.take_along_axis(logs, actions, axis=-1), values, entropy])


def _losses(parameters: Parameters, batch: Batch, settings: Settings) -> tuple[mx.array, Losses]:
    rows = mx.maximum(mx.sum(batch.learns), 1.0)
    logs = log_probabilities(parameters, batch.features, batch.history)
    change = (mx.take_along_axis(logs, batch.actions, axis=-1) - batch.log_probs) * batch.learns
    ratio = mx.exp(change)
    clipped = mx.clip(ratio, 1.0 - settings.clip, 1.0 + settings.clip)
    gain = mx.minimum(ratio * batch.advantages, clipped * batch.advantages)
    policy_loss = -mx.sum(gain * batch.learns) / rows
    entropy = -mx.sum(mx.exp(logs) * logs * batch.learns) / rows

    value = critic_value(parameters, batch.features, batch.history)
    near = batch.values + mx.clip(value - batch.values, -settings.value_clip, settings.value_clip)
    square = mx.maximum(mx.square(value - batch.returns), mx.square(near - batch.returns))
    value_loss = 0.5 * mx.sum(square * batch.present) / mx.maximum(mx.sum(batch.present), 1.0)

    kl = mx.sum(ratio - 1.0 - change) / rows
    outside = mx.sum(mx.abs(ratio - 1.0) > settings.clip) / rows
    found = (policy_loss, value_loss, entropy, kl, outside, mx.max(mx.abs(ratio - 1.0)))
    return policy_loss - settings.entropy * entropy + value_loss, found


def _adam(
    learnt: tuple[mx.array, mx.array, mx.array], gradient: mx.array, rate: mx.array, settings: Settings
) -> tuple[tuple[mx.array, mx.array, mx.array], mx.array]:
    """Return parameters and moments after a step (Kingma & Ba 2015), and the gradient's norm before clipping."""
    parameters, mean, square = learnt
    norm = mx.sqrt(mx.sum(mx.square(gradient)))
    gradient = gradient * mx.minimum(1.0, settings.grad_norm / (norm + _NORM_EPSILON))
    mean = BETA_MEAN * mean + (1.0 - BETA_MEAN) * gradient
    square = BETA_SQUARE * square + (1.0 - BETA_SQUARE) * mx.square(gradient)
    root = mx.sqrt(square * settings.square_correction) + ADAM_EPSILON
    return (parameters - rate * settings.mean_correction * mean / root, mean, square), norm


def _step(learnt: Learnt, batch: Batch, settings: Settings) -> tuple[Learnt, Diagnostics]:
    size = batch.features.shape[-1]
    actor, critic = tensors_in(learnt.actor, "actor", size), tensors_in(learnt.critic, "critic", size)
    (_, found), gradients = mx.value_and_grad(_losses)(actor | critic, batch, settings)
    along = [mx.concatenate([gradients[name].reshape(-1) for name in network]) for network in (actor, critic)]
    new_actor, actor_norm = _adam(learnt[:3], along[0], settings.lr_actor, settings)
    new_critic, critic_norm = _adam(learnt[3:], along[1], settings.lr_critic, settings)
    return Learnt(*new_actor, *new_critic), Diagnostics(*found, actor_norm, critic_norm)


step = mx.compile(_step)
evaluate = mx.compile(_evaluate)
