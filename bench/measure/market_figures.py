"""The figures by which a simulated market is held against a recorded one."""

from collections.abc import Callable, Iterable

import numpy as np

from bench.measure.market_sample import FlowStretch, Follow, MinuteWindow, Sample
from venues.sim.world.measure import Touches
from venues.sim.world.noise import Floats

NOISE = 1e-9
"""Moves below this are rounding."""

MINUTES_PER_YEAR = 525_600


def correlation(a: Floats, b: Floats) -> float:
    """Return the correlation over the entries that both know."""
    known = ~np.isnan(a) & ~np.isnan(b)
    return float(np.corrcoef(a[known], b[known])[0, 1])


def echo(series: Iterable[Floats], lag: int) -> float:
    """Return the autocorrelation at `lag`, pooled over series, NaN skipped."""
    kept = [s - np.nanmean(s) for s in series if np.sum(~np.isnan(s)) > lag + 1]
    return correlation(np.concatenate([s[:-lag] for s in kept]), np.concatenate([s[lag:] for s in kept]))


def mids(touches: Touches) -> Floats:
    """Return the mid of each second."""
    middle: Floats = (touches.bid + touches.ask) / 2
    return middle


def spreads(sample: Sample) -> Floats:
    """Return every second's spread, in dollars."""
    wide = np.concatenate([t.ask - t.bid for t in sample.touches])
    known: Floats = np.round(wide[~np.isnan(wide)], 4)
    return known


def moves(sample: Sample) -> Floats:
    """Return the size of every one-second move of the mid, in dollars."""
    sizes = np.concatenate([np.abs(np.diff(mids(t))) for t in sample.touches])
    known: Floats = sizes[~np.isnan(sizes)]
    return known


def variance_ratio(sample: Sample, seconds: int) -> float:
    """Return the variance of the mid's moves over `seconds` against that of as many independent one-second moves."""
    paths = [mids(t) for t in sample.touches]
    long = np.concatenate([p[seconds:] - p[:-seconds] for p in paths])
    short = np.concatenate([np.diff(p) for p in paths])
    return float(np.nanvar(long) / seconds / np.nanvar(short))


def unchanged_s(sample: Sample) -> Floats:
    """Return for how many seconds at a time the touch stands still."""
    runs = []
    for touch in sample.touches:
        changed = np.flatnonzero((np.diff(touch.bid) != 0) | (np.diff(touch.ask) != 0))
        runs.append(np.diff(changed))
    return np.concatenate(runs).astype(np.float64)


def lag_correlation(follows: list[Follow], lag: int) -> float:
    """Return the correlation of the settlement tick's move with the mid's `lag` seconds later (earlier if negative)."""

    def shifted(f: Follow) -> tuple[Floats, Floats]:
        n = len(f.mid_moves)
        return f.tick_moves[max(0, -lag) : n - max(0, lag)], f.mid_moves[max(0, lag) : n + min(0, lag)]

    pairs = [shifted(f) for f in follows]
    return correlation(np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs]))


def lead_correlation(flow: list[FlowStretch], lag: int) -> float:
    """Return the mean correlation of a second's imbalance with spot's return `lag` seconds later."""
    found = []
    for f in flow:
        n = len(f.counts)
        found.append(correlation(f.imbalance[max(0, -lag) : n - max(0, lag)], f.returns[max(0, lag) : n + min(0, lag)]))
    return float(np.mean(found))


def minute_returns(sample: Sample) -> list[Floats]:
    """Return the log returns from minute to minute of each stretch of closes."""
    return [np.diff(closes) for closes in sample.closes]


def kurtosis(values: Floats) -> float:
    """Return the fourth moment over the squared second: 3 for a normal."""
    return float(np.mean(values**4) / np.mean(values**2) ** 2)


def blocks_volatility(sample: Sample, minutes: int) -> Floats:
    """Return the annualised volatility within blocks of so many minutes."""
    parts = [r[: len(r) // minutes * minutes].reshape(-1, minutes) for r in minute_returns(sample)]
    rate: Floats = np.sqrt(np.square(np.concatenate(parts)).mean(axis=1) * MINUTES_PER_YEAR)
    return rate


def by_hour(sample: Sample) -> Floats:
    """Return the annualised volatility of the minute returns of each UTC hour."""
    returns, hours = np.concatenate(minute_returns(sample)), np.concatenate([h[1:] for h in sample.hours])
    return np.array([np.sqrt(np.mean(returns[hours == h] ** 2) * MINUTES_PER_YEAR) for h in range(24)])


def brier(windows: list[MinuteWindow], minute: int | None = None) -> float:
    """Return the mean squared distance of the price from the outcome, of one minute or of all."""
    return float(np.mean(np.concatenate([_errors(w, minute) for w in windows]) ** 2))


def _errors(window: MinuteWindow, minute: int | None) -> Floats:
    kept = window.prices if minute is None else window.prices[window.minutes == minute]
    return kept - window.won


def interval(windows: list[MinuteWindow], figure: Callable[[list[MinuteWindow]], float]) -> tuple[float, float]:
    """Return the 95 % interval of a figure, from resampling whole windows 500 times."""
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, len(windows), (500, len(windows)))
    low, high = np.quantile([figure([windows[k] for k in row]) for row in drawn.tolist()], (0.025, 0.975))
    return float(low), float(high)
