"""Draws a training run's log: what it earned, how often it traded, how sure it was, and what its critic knew.

python -m bench.training_curve models/shipped/training.jsonl --out docs/training
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import msgspec

mpl.use("Agg")

import matplotlib.pyplot as plt

SMOOTHED_OVER = 5
"""Updates whose mean the dark line shows."""


class Report(msgspec.Struct, frozen=True):
    """What of an update's report is drawn or told."""

    entropy: float
    kl: float
    explained_variance: float


class Logged(msgspec.Struct, frozen=True):
    """One line of `metrics.jsonl`."""

    update: int
    windows: int
    pnl_net_per_window_usd: float
    fees_per_window_usd: float
    trades_per_window: float
    seconds: float
    report: Report


SHOWN: dict[str, Callable[[Logged], float]] = {
    "PnL net of fees a window and asset, USD": lambda line: line.pnl_net_per_window_usd,
    "trades a window and asset": lambda line: line.trades_per_window,
    "entropy, nats": lambda line: line.report.entropy,
    "explained variance of the critic": lambda line: line.report.explained_variance,
}


def main() -> None:
    """Draw the curves and print a table of every ten updates."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("log", type=Path)
    flags.add_argument("--out", type=Path, default=Path("docs/training"))
    given = flags.parse_args()
    lines = [msgspec.json.decode(line, type=Logged) for line in given.log.read_bytes().splitlines()]
    given.out.mkdir(parents=True, exist_ok=True)
    _draw(lines, given.out / "curve.png")
    print("| updates | net | fees | trades | entropy | KL | explained variance |\n|---|---|---|---|---|---|---|")
    for first in range(0, len(lines), 10):
        print(_row(lines[first : first + 10]))
    print(f"{lines[-1].windows} windows, {sum(line.seconds for line in lines) / 60:.0f} minutes")


def _row(lines: list[Logged]) -> str:
    means = [
        f"{statistics.mean(getattr(line, name) for line in lines):{form}}"
        for name, form in (
            ("pnl_net_per_window_usd", "+.1f"),
            ("fees_per_window_usd", ".1f"),
            ("trades_per_window", ".1f"),
        )
    ]
    reports = [
        f"{statistics.mean(getattr(line.report, name) for line in lines):{form}}"
        for name, form in (("entropy", ".3f"), ("kl", ".4f"), ("explained_variance", ".2f"))
    ]
    return f"| {lines[0].update} to {lines[-1].update} | {' | '.join([*means, *reports])} |"


def _draw(lines: list[Logged], path: Path) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(10, 6), sharex=True)
    updates = [line.update for line in lines]
    for axis, (title, value) in zip(axes.flat, SHOWN.items(), strict=True):
        values = [value(line) for line in lines]
        smooth = [statistics.mean(values[max(0, i - SMOOTHED_OVER + 1) : i + 1]) for i in range(len(values))]
        axis.plot(updates, values, linewidth=0.8, color="#9bb7d4")
        axis.plot(updates, smooth, color="#1f4e79")
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.3)
    figure.supxlabel("update")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    main()
