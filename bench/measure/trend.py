"""Numbers about numbers: a least-squares slope with its standard error, and percentiles."""

import math
from collections.abc import Sequence

import msgspec


class Trend(msgspec.Struct, frozen=True):
    """A straight line through samples: its slope, and the standard error of it if samples were independent.

    Samples of memory are not quite independent, so the true error is larger than the one given.
    """

    slope: float
    error: float


def trend(xs: Sequence[float], ys: Sequence[float]) -> Trend | None:
    """Return the least-squares line of `ys` over `xs`; None for fewer than three samples or all at one place."""
    count = len(xs)
    if count < 3:
        return None
    mean_x, mean_y = sum(xs) / count, sum(ys) / count
    spread = sum((x - mean_x) ** 2 for x in xs)
    if spread == 0.0:
        return None
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    left = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in zip(xs, ys, strict=True))
    return Trend(slope, math.sqrt(left / (count - 2) / spread))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below or at which `share` (0 to 1) of the values lie.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("a percentile of nothing")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def summary_ms(values: Sequence[float]) -> str:
    """Return median, 99th percentile and largest of milliseconds, for a line of a report."""
    if not values:
        return "none"
    p50, p99 = percentile(values, 0.50), percentile(values, 0.99)
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {max(values):.1f} ms ({len(values):,})"
