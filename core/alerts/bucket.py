"""A token bucket as a value: it survives a restart with the rest of a checkpoint, so a restart earns no new burst."""

import math

import msgspec

from core.alerts.channel import Rate


class Bucket(msgspec.Struct, frozen=True):
    """Tokens that there were at unix `at_ms`; None is a bucket nobody has used, which is full."""

    tokens: float | None = None
    at_ms: int = 0


def tokens_at(bucket: Bucket, rate: Rate, now_ms: int) -> float:
    """Return the tokens of now; a clock that was set back earns none."""
    if bucket.tokens is None:
        return float(rate.burst)
    return min(float(rate.burst), bucket.tokens + max(0, now_ms - bucket.at_ms) / 1000 * rate.per_s)


def ready_ms(bucket: Bucket, rate: Rate, now_ms: int, *, tokens: int = 1) -> int:
    """Return the first moment from `now_ms` on at which there are as many tokens, or as many as it holds."""
    lacking = min(tokens, rate.burst) - tokens_at(bucket, rate, now_ms)
    return now_ms if lacking <= 0 else now_ms + math.ceil(lacking / rate.per_s * 1000)


def spent(bucket: Bucket, rate: Rate, now_ms: int) -> Bucket:
    """Return the bucket with one token less."""
    return Bucket(max(0.0, tokens_at(bucket, rate, now_ms) - 1.0), now_ms)


def emptied(now_ms: int) -> Bucket:
    """Return a bucket that has to fill from nothing: the other side has said that we were too quick."""
    return Bucket(0.0, now_ms)
