"""Restart rules as pure values: how often an actor may crash, how long it waits, and what happens beyond that."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from core.errors import FuseboxError


class RestartPolicy(msgspec.Struct, frozen=True):
    """Restart intensity and backoff, in OTP's sense: more than `max_restarts` within `window_s` escalates.

    The backoff before the n-th restart within the window is `backoff_s * factor ** (n - 1)`, at most
    `backoff_max_s`, times a random factor in `[1 - jitter, 1 + jitter]`.
    """

    max_restarts: int = 5
    window_s: float = 60.0
    backoff_s: float = 0.01
    factor: float = 4.0
    backoff_max_s: float = 5.0
    jitter: float = 0.2


class RestartAfter(msgspec.Struct, frozen=True):
    """Start the next incarnation after `delay_s`."""

    delay_s: float


class Escalate(msgspec.Struct, frozen=True):
    """The limit is exceeded: retire the asset, or above the root end the process."""

    reason: str


def after_crash(
    policy: RestartPolicy, crashes_s: Sequence[float], now_s: float, rng: np.random.Generator
) -> RestartAfter | Escalate:
    """Return what follows a crash; `crashes_s` are the monotonic seconds of the recent ones, this one included."""
    recent = sum(1 for at_s in crashes_s if now_s - at_s <= policy.window_s)
    if recent > policy.max_restarts:
        return Escalate(f"{recent} crashes within {policy.window_s:g} s, limit {policy.max_restarts}")
    delay_s = min(policy.backoff_max_s, policy.backoff_s * policy.factor ** (recent - 1))
    return RestartAfter(delay_s * (1.0 + policy.jitter * float(rng.uniform(-1.0, 1.0))))


class RestartRequestedError(FuseboxError):
    """Why an incarnation ended that an operator asked to be replaced."""


Life = Literal["new", "starting", "running", "backoff", "stopping", "stopped", "retired"]


class SystemEvent(msgspec.Struct, frozen=True):
    """A transition in the life of an actor, for logs, health events and alerts."""

    kind: Literal["started", "crashed", "hung", "replaced", "quarantined", "retired", "stopped", "failed"]
    address: str
    incarnation: int
    detail: str
    at_ms: int


class DeadLetter(msgspec.Struct, frozen=True):
    """A message nobody will process, and why."""

    target: str
    sender: str
    incarnation: int
    message_type: str
    reason: str
    at_ms: int


class ActorReport(msgspec.Struct, frozen=True):
    """What is known of one address at a moment; ages in seconds, None where there is nothing to measure."""

    address: str
    life: Life
    incarnation: int
    restarts: int
    last_failure: str | None
    mailbox: int
    last_message_age_s: float | None
    busy_s: float | None
    started_age_s: float | None
