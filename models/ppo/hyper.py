"""The numbers that learning is tuned by, each under the field's own name, checked when they are read."""

import math
from typing import Literal

import msgspec

from core.errors import FatalError

RewardProfile = Literal["net_liquidation", "close"]
"""What a step earns: the change of the net liquidation value over it, or nothing until the window's last step."""

_ACTIONS_ENTROPY = math.log(3)


class HyperparameterError(FatalError):
    """Raised for a hyperparameter outside its range."""


class Hyperparameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The profile of proximal policy optimisation (Schulman et al. 2017); the defaults are the reference's.

    `lr_actor`, `lr_critic`: learning rates of the two Adam optimizers (Kingma & Ba 2015).
    `gamma`: discount per grid step. `lam`: lambda of generalised advantage estimation (Schulman et al. 2016).
    `clip`: epsilon of the surrogate objective: how far the probability ratio may move before its gradient stops.
    `entropy`: coefficient of the entropy bonus, at update `entropy_updates` and later `entropy_end`, linear between;
    0 updates keep it constant.
    `value_clip`: how far a value may move from the one before the update, in normalised dollars; 0 turns it off.
    `grad_norm`: global norm that each network's gradient is clipped to.
    `buffer`: transitions an update waits for. `batch`: transitions of a minibatch. `epochs`: passes over the buffer.
    `target_kl`: mean KL divergence of an epoch from the policy that acted, beyond which no further epoch follows.
    `reward`: `net_liquidation` or `close`.
    `min_entropy`: mean entropy in nats (at most ln 3) below which the policy counts as collapsed and the update is
    undone.
    `normalise_advantages`: whether advantages are shifted and scaled to mean 0 and deviation 1 over the whole buffer.

    Raises:
        HyperparameterError: a field is outside its range; names field, value and range.
    """

    lr_actor: float = 1e-4
    lr_critic: float = 3e-4
    gamma: float = 0.95
    lam: float = 0.95
    clip: float = 0.2
    entropy: float = 0.03
    entropy_end: float = 0.0
    entropy_updates: int = 0
    value_clip: float = 0.2
    grad_norm: float = 0.5
    buffer: int = 256
    batch: int = 64
    epochs: int = 10
    target_kl: float = 0.02
    reward: RewardProfile = "net_liquidation"
    min_entropy: float = 1e-3
    normalise_advantages: bool = True

    def __post_init__(self) -> None:
        """Refuse what lies outside its range."""
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:  # a NaN is refused too
                raise HyperparameterError(f"{name} is {value}: give a value from {low:g} to {high:g}")
        if self.batch > self.buffer:
            raise HyperparameterError(
                f"batch is {self.batch}, more than the buffer of {self.buffer}: lower batch or raise buffer"
            )

    def entropy_at(self, update: int) -> float:
        """Return the coefficient of the entropy bonus in the update after `update` others."""
        if self.entropy_updates == 0:
            return self.entropy
        share = min(1.0, update / self.entropy_updates)
        return self.entropy + share * (self.entropy_end - self.entropy)


_RANGES: dict[str, tuple[float, float]] = {
    "lr_actor": (0.0, 1.0),
    "lr_critic": (0.0, 1.0),
    "gamma": (0.0, 1.0),
    "lam": (0.0, 1.0),
    "clip": (1e-3, 1.0),
    "entropy": (0.0, 1.0),
    "entropy_end": (0.0, 1.0),
    "entropy_updates": (0, 10**9),
    "value_clip": (0.0, 1e6),
    "grad_norm": (1e-6, 1e6),
    "buffer": (2, 10**6),
    "batch": (2, 10**5),
    "epochs": (1, 1000),
    "target_kl": (1e-6, 1e6),
    "min_entropy": (0.0, _ACTIONS_ENTROPY),
}
