"""Holds the embedded world against recorded markets: a table on standard output, pictures in a folder.

python -m bench.world_report --recordings FOLDER --out docs/world
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.measure import market_figures as figures
from bench.measure.market_plots import draw_all
from bench.measure.market_sample import LEVELS, MinuteWindow, Sample
from bench.measure.recorded_market import recorded_sample
from bench.measure.simulated_market import simulated_sample
from bench.measure.slow_reader import earned
from venues.sim.world.noise import Floats

Row = tuple[str, Callable[[Sample], str]]


def _quantiles(values: Callable[[Sample], Floats], points: tuple[float, ...], form: str) -> Callable[[Sample], str]:
    return lambda sample: " / ".join(format(v, form) for v in np.nanquantile(values(sample), points))


def _each(figure: Callable[[Sample, int], float], at: tuple[int, ...]) -> Callable[[Sample], str]:
    return lambda sample: " / ".join(f"{figure(sample, k):.2f}" for k in at)


def _scored(sample: Sample, score: Callable[[list[MinuteWindow]], float]) -> str:
    low, high = figures.interval(sample.windows, score)
    return f"{score(sample.windows):.3f} ({low:.3f} to {high:.3f})"


def _value_score(windows: list[MinuteWindow]) -> float:
    return float(np.mean(np.concatenate([w.values[0] - w.won for w in windows]) ** 2))


def _earned(sample: Sample, age: int, threshold: float) -> str:
    found = earned(sample.windows, age, threshold)
    return f"{found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f}), n {found.trades}"


def _annual(sample: Sample) -> str:
    return f"{np.sqrt(np.mean(np.concatenate(figures.minute_returns(sample)) ** 2) * figures.MINUTES_PER_YEAR):.2f}"


def _swings(sample: Sample) -> str:
    return " / ".join(f"{np.log(figures.blocks_volatility(sample, m)).std():.2f}" for m in (60, 15))


def _flow(pick: str) -> Callable[[Sample], Floats]:
    return lambda sample: np.concatenate([getattr(f, pick) for f in sample.flow])


def _level(level: int) -> Callable[[Sample], Floats]:
    return lambda sample: sample.depths[:, level]


def _gain(age: int, threshold: float) -> Callable[[Sample], str]:
    return lambda sample: _earned(sample, age, threshold)


def _tail(sample: Sample) -> str:
    returns = np.concatenate(figures.minute_returns(sample))
    p50, p99, p999 = np.quantile(np.abs(returns), (0.5, 0.99, 0.999)) / returns.std()
    return f"{p50:.2f} / {p99:.1f} / {p999:.1f}"


ROWS: list[Row] = [
    ("spread, median / p90 / p99", _quantiles(figures.spreads, (0.5, 0.9, 0.99), ".3f")),
    ("seconds with a spread of two ticks of 0.01 or more", lambda s: f"{np.mean(figures.spreads(s) > 0.0151):.1%}"),
    ("seconds in which the mid moves", lambda s: f"{np.mean(figures.moves(s) > figures.NOISE):.0%}"),
    ("one-second move, p90 / p99 / p99.9", _quantiles(figures.moves, (0.9, 0.99, 0.999), ".3f")),
    ("variance ratio of the mid over 2 / 10 / 60 s", _each(figures.variance_ratio, (2, 10, 60))),
    ("touch unchanged, p50 / p90 / p99, s", _quantiles(figures.unchanged_s, (0.5, 0.9, 0.99), ".0f")),
    *[
        (f"shares on level {k + 1}, p10 / p50 / p90", _quantiles(_level(k), (0.1, 0.5, 0.9), ".0f"))
        for k in range(LEVELS)
    ],
    (
        "shares on five levels, p10 / p50 / p90",
        _quantiles(lambda s: s.depths[~np.isnan(s.depths).any(axis=1)].sum(axis=1), (0.1, 0.5, 0.9), ".0f"),
    ),
    (
        "mid's move with the tick's, mid 2 / 1 s earlier, same second, 1 / 2 s later",
        _each(lambda s, k: figures.lag_correlation(s.follows, k), (-2, -1, 0, 1, 2)),
    ),
    ("Brier score of the price, minutes 1 to 14", lambda s: _scored(s, figures.brier)),
    ("Brier score of a value from minute closes", lambda s: _scored(s, _value_score)),
    ("share of Up", lambda s: f"{s.outcomes.mean():.2f} of {len(s.outcomes)}"),
    ("annualised volatility of minute returns", _annual),
    (
        "hourly volatility, p10 / p50 / p90",
        _quantiles(lambda s: figures.blocks_volatility(s, 60), (0.1, 0.5, 0.9), ".2f"),
    ),
    ("SD of log volatility, by hour / by 15 min", _swings),
    (
        "kurtosis of minute returns",
        lambda s: " / ".join(f"{figures.kurtosis(r):.0f}" for r in figures.minute_returns(s)),
    ),
    ("their sizes in SDs, p50 / p99 / p99.9", _tail),
    (
        "autocorrelation of their sizes, 1 / 15 / 60 / 240 min",
        _each(lambda s, k: figures.echo([np.abs(r) for r in figures.minute_returns(s)], k), (1, 15, 60, 240)),
    ),
    ("trades a second, p50 / p95 / p99", _quantiles(_flow("counts"), (0.5, 0.95, 0.99), ".0f")),
    ("trade size in dollars, p10 / p50 / p90 / p99", _quantiles(_flow("usd"), (0.1, 0.5, 0.9, 0.99), ".0f")),
    (
        "autocorrelation of trade sides, 1 / 5 / 20 trades",
        _each(lambda s, k: figures.echo([f.sides for f in s.flow], k), (1, 5, 20)),
    ),
    ("SD of a second's imbalance", lambda s: f"{_flow('imbalance')(s).std():.2f}"),
    ("its autocorrelation, 1 / 2 / 5 s", _each(lambda s, k: figures.echo([f.imbalance for f in s.flow], k), (1, 2, 5))),
    (
        "its correlation with spot's return, same second / 1 / 2 s later",
        _each(lambda s, k: figures.lead_correlation(s.flow, k), (0, 1, 2)),
    ),
    *[
        (f"gain a share: close known {age} min late, edge above {threshold}", _gain(age, threshold))
        for age in (0, 1)
        for threshold in (0.0, 0.05, 0.1)
    ],
]


def main(arguments: list[str] | None = None) -> int:
    """Print the table as Markdown and draw the pictures."""
    flags = argparse.ArgumentParser(prog="python -m bench.world_report", description=(__doc__ or "").splitlines()[0])
    flags.add_argument("--recordings", type=Path, required=True)
    flags.add_argument("--out", type=Path, required=True, help="where the pictures go")
    flags.add_argument("--seed", type=int, default=11)
    flags.add_argument("--windows", type=int, default=600)
    chosen = flags.parse_args(arguments)
    samples = [recorded_sample(chosen.recordings)]
    samples += [simulated_sample(name, chosen.seed, chosen.windows) for name in ("today", "lagged")]
    print("| | " + " | ".join(f"`{s.name}`" if s.name != "recorded" else s.name for s in samples) + " |")
    print("| --- |" + " --- |" * len(samples))
    for title, figure in ROWS:
        print(f"| {title} | " + " | ".join(figure(sample) for sample in samples) + " |")
    chosen.out.mkdir(parents=True, exist_ok=True)
    draw_all(samples, chosen.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
