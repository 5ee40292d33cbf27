"""Draws a simulated market beside the recorded one: one picture for each subject."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.measure import market_figures as figures
from bench.measure.market_sample import LEVELS, Sample
from bench.measure.slow_reader import earned
from venues.sim.world.noise import Floats

COLOURS = {"recorded": "#222222", "today": "#1f77b4", "lagged": "#d95f02"}
THRESHOLDS = (0.0, 0.02, 0.05, 0.1)

mpl.use("Agg")

Panel = Callable[[Axes, Sample], None]


def draw_all(samples: list[Sample], folder: Path) -> list[Path]:
    """Draw every picture into `folder` and return their paths."""
    pictures: dict[str, list[tuple[str, Panel]]] = {
        "touch": [
            ("spread: share of seconds wider than x, dollars", _spread),
            ("one-second move of the mid: share larger than x", _moves),
            ("touch unchanged: share of runs longer than x, s", _unchanged),
        ],
        "depth": [(f"shares on level {level}: share smaller than x", _level(level)) for level in (1, 2, LEVELS)],
        "lag": [
            ("correlation of mid and tick moves, mid later by x s", _lag),
            ("variance ratio of the mid over x s", _variance_ratio),
        ],
        "calibration": [
            ("Brier score of the price by minute", _brier),
            ("share of Up outcomes by price", _calibration),
        ],
        "volatility": [
            ("one-minute returns in SDs: share larger than x", _returns),
            ("autocorrelation of their sizes, lag in minutes", _clustering),
            ("annualised volatility by UTC hour", _hours),
        ],
        "flow": [
            ("trades in a second: share of seconds with more", _counts),
            ("trade size in median sizes: share larger than x", _sizes),
            ("correlation of imbalance with return x s later", _lead),
        ],
        "minute-old": [(f"gain a share by threshold, close known {age} min late", _earned(age)) for age in (0, 1)],
    }
    return [_picture(samples, panels, folder / f"{name}.png") for name, panels in pictures.items()]


def _picture(samples: list[Sample], panels: list[tuple[str, Panel]], path: Path) -> Path:
    figure = Figure(figsize=(4.4 * len(panels), 3.4), layout="constrained")
    for axes, (title, panel) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        for sample in samples:
            panel(axes, sample)
        axes.set_title(title, fontsize=9)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=80, metadata={"Software": None})
    return path


def _line(axes: Axes, sample: Sample, x: Floats | list[float], y: Floats | list[float], style: str = "-") -> None:
    axes.plot(x, y, style, color=COLOURS[sample.name], label=sample.name, linewidth=1.4, markersize=4)


def _exceeded(axes: Axes, sample: Sample, values: Floats) -> None:
    """Draw the share of values larger than each, on a logarithmic scale."""
    ordered = np.sort(values)
    share = 1 - np.arange(1, len(ordered) + 1) / len(ordered)
    kept = np.unique(np.linspace(0, len(ordered) - 1, 2000).astype(int))
    last = np.arange(max(0, len(ordered) - 500), len(ordered))
    shown = np.unique(np.concatenate([kept, last]))
    axes.step(ordered[shown], share[shown], where="post", color=COLOURS[sample.name], label=sample.name, linewidth=1.4)
    axes.set_yscale("log")


def _spread(axes: Axes, sample: Sample) -> None:
    _exceeded(axes, sample, figures.spreads(sample))


def _moves(axes: Axes, sample: Sample) -> None:
    _exceeded(axes, sample, figures.moves(sample))


def _unchanged(axes: Axes, sample: Sample) -> None:
    _exceeded(axes, sample, figures.unchanged_s(sample))


def _level(level: int) -> Panel:
    def panel(axes: Axes, sample: Sample) -> None:
        shares = sample.depths[:, level - 1]
        points = np.linspace(0.005, 0.995, 199)
        _line(axes, sample, np.nanquantile(shares, points), points)
        axes.set_xscale("log")

    return panel


def _lag(axes: Axes, sample: Sample) -> None:
    lags = list(range(-5, 6))
    _line(axes, sample, [float(k) for k in lags], [figures.lag_correlation(sample.follows, k) for k in lags], "o-")


def _variance_ratio(axes: Axes, sample: Sample) -> None:
    spans = [1, 2, 3, 5, 10, 20, 30, 60]
    _line(axes, sample, [float(s) for s in spans], [figures.variance_ratio(sample, s) for s in spans], "o-")
    axes.set_xscale("log")


def _brier(axes: Axes, sample: Sample) -> None:
    minutes = list(range(1, 15))
    _line(axes, sample, [float(m) for m in minutes], [figures.brier(sample.windows, m) for m in minutes], "o-")


def _calibration(axes: Axes, sample: Sample) -> None:
    prices = np.concatenate([w.prices for w in sample.windows])
    won = np.concatenate([np.full(len(w.prices), w.won) for w in sample.windows])
    tenth = np.minimum((prices * 10).astype(int), 9)
    kept = [k for k in range(10) if (tenth == k).any()]
    _line(axes, sample, [prices[tenth == k].mean() for k in kept], [won[tenth == k].mean() for k in kept], "o-")


def _returns(axes: Axes, sample: Sample) -> None:
    returns = np.concatenate(figures.minute_returns(sample))
    _exceeded(axes, sample, np.abs(returns) / returns.std())


def _clustering(axes: Axes, sample: Sample) -> None:
    sizes = [np.abs(r) for r in figures.minute_returns(sample)]
    lags = [1, 2, 5, 10, 15, 30, 60, 120, 240]
    _line(axes, sample, [float(k) for k in lags], [figures.echo(sizes, k) for k in lags], "o-")
    axes.set_xscale("log")


def _hours(axes: Axes, sample: Sample) -> None:
    _line(axes, sample, np.arange(24.0), figures.by_hour(sample), "o-")


def _counts(axes: Axes, sample: Sample) -> None:
    _exceeded(axes, sample, np.concatenate([f.counts for f in sample.flow]).astype(np.float64))


def _sizes(axes: Axes, sample: Sample) -> None:
    usd = np.concatenate([f.usd for f in sample.flow])
    _exceeded(axes, sample, usd / np.median(usd))
    axes.set_xscale("log")


def _lead(axes: Axes, sample: Sample) -> None:
    lags = list(range(-5, 6))
    _line(axes, sample, [float(k) for k in lags], [figures.lead_correlation(sample.flow, k) for k in lags], "o-")


def _earned(age: int) -> Panel:
    def panel(axes: Axes, sample: Sample) -> None:
        found = [earned(sample.windows, age, threshold) for threshold in THRESHOLDS]
        means = np.array([f.mean for f in found])
        reach = np.array([[f.mean - f.low for f in found], [f.high - f.mean for f in found]])
        aside = 0.002 * list(COLOURS).index(sample.name)
        at = np.array(THRESHOLDS) + aside
        axes.errorbar(at, means, yerr=reach, fmt="o", capsize=3, color=COLOURS[sample.name], label=sample.name)
        axes.axhline(0, color="#888888", linewidth=0.8)

    return panel
