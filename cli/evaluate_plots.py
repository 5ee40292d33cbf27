"""The plots of an evaluation: PNG files, and one HTML page that carries them and every table with it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cli.evaluate_report import grids, header
from cli.evaluation import Evaluation
from cli.judging import TIME_BINS, Judged, trips_of
from cli.page import as_page, as_png, framed
from core.trading.performance import per_window

_ACTIONS = ("HOLD", "BUY", "SELL")
_BINS = 30


def draw(evaluation: Evaluation, judged: Sequence[Judged], folder: Path) -> Path:
    """Write every plot and the page into a folder, and return the page's path.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [row.policy for row in evaluation.rows]
    figures = {
        "equity": _equity(judged, names),
        "entry-prices": _histograms(
            judged, names, "entry price, USD", "entry_price", [part / 20 for part in range(21)]
        ),
        "durations": _histograms(judged, names, "seconds held", "duration_s", _durations(judged, len(names))),
        "actions": _actions(judged, names),
        "calibration": _calibration(evaluation),
    }
    pictures = []
    for name, figure in figures.items():
        pictures.append((name, as_png(figure)))
        (folder / f"{name}.png").write_bytes(pictures[-1][1])
    page = folder / "evaluation.html"
    page.write_text(as_page("Evaluation", header(evaluation.conditions), grids(evaluation), pictures))
    return page


def _equity(judged: Sequence[Judged], names: Sequence[str]) -> Figure:
    figure, axes = framed("net PnL, window by window", "windows", "USD")
    windows = [window for each in judged for window in each.windows]
    for number, name in enumerate(names):
        earned = per_window((trip.trip for trip in trips_of(judged, number)), windows)
        axes.plot(np.arange(len(windows) + 1), np.concatenate([[0], earned.cumsum()]) / 1e6, label=name, linewidth=1.2)
    axes.axhline(0, color="grey", linewidth=0.5)
    axes.legend(fontsize="small")
    return figure


def _durations(judged: Sequence[Judged], count: int) -> list[float]:
    longest = max((t.duration_s for n in range(count) for t in trips_of(judged, n)), default=1.0)
    return [max(longest, 1.0) * part / _BINS for part in range(_BINS + 1)]


def _histograms(judged: Sequence[Judged], names: Sequence[str], label: str, field: str, bins: list[float]) -> Figure:
    figure, axes = framed(f"{label} of round trips", label, "round trips")
    for number, name in enumerate(names):
        values = [getattr(trip, field) for trip in trips_of(judged, number)]
        if values:
            axes.hist(values, bins=bins, histtype="step", label=name, linewidth=1.2)
    if axes.has_data():
        axes.legend(fontsize="small")
    return figure


def _actions(judged: Sequence[Judged], names: Sequence[str]) -> Figure:
    figure = Figure(figsize=(9, 2.2 * len(names)), layout="constrained")
    columns = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    left = 1 - (np.arange(TIME_BINS) + 0.5) / TIME_BINS
    for number, (name, axes) in enumerate(zip(names, columns, strict=True)):
        counts = np.array([each.played[number].actions for each in judged]).sum(axis=0)
        shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
        for action in (1, 2):
            axes.plot(left, shares[:, action], label=_ACTIONS[action])
        axes.set_title(f"{name}: share of the steps that are no HOLD", fontsize="small")
        axes.legend(fontsize="small")
    columns[-1].set_xlabel("share of the window left")
    columns[-1].invert_xaxis()
    return figure


def _calibration(evaluation: Evaluation) -> Figure:
    figure, axes = framed("calibration of the traded side", "mean entry price, USD", "share whose side won")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.5)
    for row in evaluation.rows:
        if row.calibration:
            prices, won = [c.mean_price for c in row.calibration], [c.won_share for c in row.calibration]
            axes.plot(prices, won, marker="o", markersize=3, label=row.policy, linewidth=1)
    if len(axes.lines) > 1:
        axes.legend(fontsize="small")
    return figure
