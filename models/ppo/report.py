"""What one update has to tell."""

import msgspec


class UpdateReport(msgspec.Struct, frozen=True, kw_only=True):
    """One update in numbers; means over minibatches of the last epoch where nothing else is said.

    `entropy` is the policy's mean entropy in nats after the update, over the steps that taught it. `kl` is the mean
    divergence of the policy from the one that acted, `clip_fraction` the share of ratios outside 1 +- epsilon,
    `first_ratio_error` the largest |ratio - 1| of the first minibatch, before anything was learnt: rounding, unless
    stale transitions are in it.
    `explained_variance` is of the returns by the values before the update. Norms are those before clipping.
    """

    version: int
    """Of the weights that the update returned."""
    steps: int
    """Transitions it learnt from."""
    taught: int
    """Transitions among them that taught the actor: the action was free and nothing was forced."""
    stale: int
    """Transitions that older weights decided."""
    segments: int
    windows_ended: int
    reward_sum_usd: float
    """Change of the net liquidation value over all transitions, in dollars."""
    reward_mean_usd: float
    """The same per segment."""
    reward_deviation_usd: float
    """What rewards were divided by."""
    explained_variance: float
    log_prob_gap: float
    """Largest distance between recorded and evaluated log-probability of a step that the present weights decided."""
    epochs: int = 0
    policy_loss: float = 0.0
    value_loss: float = 0.0
    entropy: float = 0.0
    kl: float = 0.0
    clip_fraction: float = 0.0
    first_ratio_error: float = 0.0
    actor_norm: float = 0.0
    critic_norm: float = 0.0
    stopped: str | None = None
    """Why epochs were left out."""
    rolled_back: str | None = None
    """Why the state was kept as it was."""
