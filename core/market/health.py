"""How well a feed is: healthy, degraded (it works, with faults) or critical (what it says must not be traded on)."""

from enum import StrEnum

import msgspec

RECOVERED = "recovered"
"""What a turn back to healthy is called where turns are written down."""


class Health(StrEnum):
    """How well a part of the system is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    CRITICAL = "critical"


class FeedSigns(msgspec.Struct, frozen=True):
    """What is known of one feed; ages in seconds.

    `silent_s` is the time since its actor last spoke, `age_s` that since its last data, both now. `bad_frames` and
    `reconnects` are those of late.
    """

    silent_s: float
    connected: bool
    has_data: bool
    age_s: float
    detail: str = ""
    bad_frames: int = 0
    reconnects: int = 0


class FeedRules(msgspec.Struct, frozen=True):
    """Beyond `stale_s` data is stale, beyond `silent_s` the feed's actor is dead or hung."""

    stale_s: float
    silent_s: float = 3.0
    reconnects: int = 3
    """So many of late are a fault even though data flows."""


def stale_because(signs: FeedSigns | None, rules: FeedRules) -> str | None:
    """Return why a feed's data must not be traded on, None while it may; no signs: it was never heard."""
    if signs is None:
        return "not heard yet"
    if signs.silent_s > rules.silent_s:
        return f"silent for {signs.silent_s:.1f} s: its actor is dead or hung"
    if not signs.connected:
        return signs.detail
    if not signs.has_data:
        return "connected, no data yet"
    if signs.age_s <= rules.stale_s:
        return None
    return f"stale, last data {signs.age_s:.1f} s ago, limit {rules.stale_s:g} s"


def faulty_because(signs: FeedSigns, rules: FeedRules) -> str | None:
    """Return what is wrong with a feed whose data may be traded on, None when nothing is."""
    if signs.bad_frames:
        return f"{signs.bad_frames} frames of late could not be read"
    if signs.reconnects >= rules.reconnects:
        return f"reconnected {signs.reconnects} times of late"
    return None


def health_of(signs: FeedSigns | None, rules: FeedRules) -> tuple[Health, str]:
    """Return how well a feed is, and why where it is not healthy."""
    stale = stale_because(signs, rules)
    if stale is not None or signs is None:
        return Health.CRITICAL, stale or ""
    faulty = faulty_because(signs, rules)
    return (Health.HEALTHY, "data flows") if faulty is None else (Health.DEGRADED, faulty)


def skew_refusal(lag_ms: int | None, max_skew_ms: int | None, *, prompt: bool) -> str | None:
    """Return why our clock and a venue's cannot both be right, None where they may be.

    Args:
        lag_ms: smallest time from the venue's stamp to receipt of late; None without data.
        max_skew_ms: what is tolerated; None: anything.
        prompt: whether the venue stamps what it sends when it sends it. A book's stamp is that of its last change,
            which may be old; it only cannot lie in the future.
    """
    if lag_ms is None or max_skew_ms is None:
        return None
    if lag_ms < -max_skew_ms:
        return f"the venue's clock is {-lag_ms} ms ahead of ours, {max_skew_ms} allowed"
    if prompt and lag_ms > max_skew_ms:
        return f"our clock is {lag_ms} ms ahead of the venue's, or its data comes that late; {max_skew_ms} allowed"
    return None
