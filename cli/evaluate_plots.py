"""The plots of an evaluation: PNG files, and one HTML page that carries them and every table with it."""

import base64
import html
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cli.evaluate_report import Grid, grids, header
from cli.evaluation import Evaluation
from cli.judging import TIME_BINS, Judged, trips_of
from core.trading.performance import per_window

mpl.use("Agg")

_STYLE = (
    "body{font-family:system-ui,sans-serif;margin:2rem;max-width:70rem}table{border-collapse:collapse;margin:1rem 0}"
    "td,th{padding:.2rem .6rem;border-bottom:1px solid #ccc;text-align:right}td:first-child,th:first-child"
    "{text-align:left}img{max-width:100%}"
)
_ACTIONS = ("HOLD", "BUY", "SELL")
_DPI = 110
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
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=_DPI, metadata={"Software": None})
        pictures.append((name, base64.b64encode(path.read_bytes()).decode()))
    page = folder / "evaluation.html"
    page.write_text(_page(evaluation, pictures))
    return page


def _equity(judged: Sequence[Judged], names: Sequence[str]) -> Figure:
    figure, axes = _figure("net PnL, window by window", "windows", "USD")
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
    figure, axes = _figure(f"{label} of round trips", label, "round trips")
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
    figure, axes = _figure("calibration of the traded side", "mean entry price, USD", "share whose side won")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.5)
    for row in evaluation.rows:
        if row.calibration:
            prices, won = [c.mean_price for c in row.calibration], [c.won_share for c in row.calibration]
            axes.plot(prices, won, marker="o", markersize=3, label=row.policy, linewidth=1)
    if len(axes.lines) > 1:
        axes.legend(fontsize="small")
    return figure


def _figure(title: str, across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    return figure, axes


def _page(evaluation: Evaluation, pictures: Sequence[tuple[str, str]]) -> str:
    lines = "<br>".join(html.escape(line) for line in header(evaluation.conditions))
    tables = "".join(_table(grid) for grid in grids(evaluation))
    shown = "".join(f'<h2>{name}</h2><img alt="{name}" src="data:image/png;base64,{data}">' for name, data in pictures)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>fusebox: evaluation</title>'
        f"<style>{_STYLE}</style><h1>Evaluation</h1><p>{lines}</p>{tables}{shown}</html>\n"
    )


def _table(grid: Grid) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in grid.columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>" for cells in grid.rows)
    return f"<h2>{html.escape(grid.title)}</h2><table><tr>{head}</tr>{body}</table>"
