"""One step of PPO's gradient on both networks, as one compiled function: losses, gradients, clipping and Adam.

    ratio   = exp(log pi(a|s) - log pi_old(a|s))
    actor   = -mean min(ratio A, clip(ratio, 1 - eps, 1 + eps) A) - c mean H(pi(.|s))
    critic  = 1/2 mean max((V - R)^2, (V_old + clip(V - V_old, -delta, delta) - R)^2)

after Schulman et al. 2017 (equation 7), the critic's clipping as in OpenAI's `baselines`. Nothing is read back: what a
step has to tell comes as arrays, to be evaluated with the next parameters by `settle`. Call within `LEARNING.turn()`.
"""

from typing import NamedTuple

import mlx.core as mx

from models.ppo.backward import backward, forward
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


ActorLosses = tuple[mx.array, mx.array, mx.array, mx.array, mx.array]
"""Surrogate, entropy, divergence, share of ratios outside the clipping, and the largest distance of one from 1."""


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


def _evaluate(actor: mx.array, critic: mx.array, features: mx.array, history: mx.array, actions: mx.array) -> mx.array:
    """Return log-probability of the action, value and entropy of each row, shape (3, B, 1)."""
    size = features.shape[-1]
    logits, _ = forward(tensors_in(actor, "actor", size), "actor", features, history)
    values, _ = forward(tensors_in(critic, "critic", size), "critic", features, history)
    logs = _log_softmax(logits)
    entropy = -mx.sum(mx.exp(logs) * logs, axis=-1, keepdims=True)
    return mx.stack([mx.take_along_axis(logs, actions, axis=-1), values, entropy])


def _log_softmax(logits: mx.array) -> mx.array:
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


def _actor_loss(logits: mx.array, batch: Batch, settings: Settings) -> tuple[mx.array, ActorLosses]:
    """Return the gradient of the actor's loss by the logits, and what there is to tell.

    With p the probabilities and A' = A where the ratio is not clipped, else 0, the surrogate's gradient is
    -ratio A' (onehot(a) - p), the entropy's -p (log p + H).
    """
    share = batch.learns / mx.maximum(mx.sum(batch.learns), 1.0)
    logs = _log_softmax(logits)
    chances = mx.exp(logs)
    change = (mx.take_along_axis(logs, batch.actions, axis=-1) - batch.log_probs) * batch.learns
    ratio = mx.exp(change)
    free, clipped = (
        ratio * batch.advantages,
        mx.clip(ratio, 1.0 - settings.clip, 1.0 + settings.clip) * batch.advantages,
    )
    entropy = -mx.sum(chances * logs, axis=-1, keepdims=True)
    chosen = (mx.arange(logits.shape[-1])[None] == batch.actions).astype(logits.dtype)
    pull = mx.where(free <= clipped, free, 0.0)
    slope = share * (settings.entropy * chances * (logs + entropy) - pull * (chosen - chances))
    away = mx.abs(ratio - 1.0)
    return slope, (
        -mx.sum(share * mx.minimum(free, clipped)),
        mx.sum(share * entropy),
        mx.sum(share * (ratio - 1.0 - change)),
        mx.sum(share * (away > settings.clip)),
        mx.max(away),
    )


def _critic_loss(value: mx.array, batch: Batch, settings: Settings) -> tuple[mx.array, mx.array]:
    """Return the gradient of the critic's loss by the values, and the loss."""
    share = batch.present / mx.maximum(mx.sum(batch.present), 1.0)
    moved = value - batch.values
    error = value - batch.returns
    near = batch.values + mx.clip(moved, -settings.value_clip, settings.value_clip) - batch.returns
    inside = mx.abs(moved) <= settings.value_clip
    slope = mx.where(mx.square(error) >= mx.square(near), error, mx.where(inside, near, 0.0))
    return share * slope, 0.5 * mx.sum(share * mx.maximum(mx.square(error), mx.square(near)))


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


class Stages(NamedTuple):
    """Halts on the way to the next parameters; see `settle`."""

    outputs: mx.array
    """Logits and values side by side, shape (B, 4)."""
    actor: mx.array
    """The actor's gradient, a flat vector."""
    critic: mx.array


def settle(learnt: Learnt, found: Diagnostics, stages: Stages) -> None:
    """Evaluate what a step returned, a stage at a time.

    MLX lets an evaluation wait while more than ten tasks are under way in the process, on whatever stream. A step's
    operations asked for at once would make every decision queue behind them: 60 at a time do not.
    """
    for stage in stages:
        mx.eval(stage)
    mx.eval(learnt, found)


def _step(learnt: Learnt, batch: Batch, settings: Settings) -> tuple[Learnt, Diagnostics, Stages]:
    size = batch.features.shape[-1]
    actor, critic = tensors_in(learnt.actor, "actor", size), tensors_in(learnt.critic, "critic", size)
    logits, actor_trace = forward(actor, "actor", batch.features, batch.history)
    value, critic_trace = forward(critic, "critic", batch.features, batch.history)
    outputs = mx.concatenate([logits, value], axis=-1)
    logits, value = outputs[:, :-1], outputs[:, -1:]
    by_logits, (policy_loss, entropy, kl, outside, away) = _actor_loss(logits, batch, settings)
    by_value, value_loss = _critic_loss(value, batch, settings)
    gradients = backward(actor, "actor", actor_trace, by_logits) | backward(critic, "critic", critic_trace, by_value)
    along = [mx.concatenate([gradients[name].reshape(-1) for name in network]) for network in (actor, critic)]
    new_actor, actor_norm = _adam(learnt[:3], along[0], settings.lr_actor, settings)
    new_critic, critic_norm = _adam(learnt[3:], along[1], settings.lr_critic, settings)
    found = Diagnostics(policy_loss, value_loss, entropy, kl, outside, away, actor_norm, critic_norm)
    return Learnt(*new_actor, *new_critic), found, Stages(outputs, *along)


step = mx.compile(_step)
evaluate = mx.compile(_evaluate)
