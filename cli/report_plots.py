"""The page of a report: its lines and tables, with the equity curve, results by what they are grouped by, slippage."""

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.figure import Figure

from cli.page import as_page, as_png, framed
from cli.report_view import Report, grids, lines
from core.trading.performance import Slice
from core.trading.report import Point, Results

_NET, _FEES, _LOSS = "#1f77b4", "#999999", "#d62728"


def page(report: Report) -> str:
    """Return the page: one file that needs nothing else, the same for the same report."""
    pictures = [(name, as_png(figure)) for name, figure in _figures(report.results)]
    return as_page("Report", lines(report), grids(report), pictures)


def _figures(found: Results) -> Iterator[tuple[str, Figure]]:
    if not found.all.trades:
        return
    yield "equity and drawdown", _equity(found.equity)
    yield "net result and fees", _parts(found)
    measured = {name: each.worse_usd / 1e6 for name, each in found.slippage.items() if each.measured_shares}
    if measured:
        yield "slippage", _slippage(measured)


def _equity(points: tuple[Point, ...]) -> Figure:
    figure, axes = framed("net PnL of closed trades, fees paid", "UTC", "USD")
    times = np.array([point.at_ms for point in points], "datetime64[ms]")
    net = np.array([point.net_usd for point in points]) / 1e6
    peaks = np.maximum(np.maximum.accumulate(net), 0.0)
    axes.step(times, net, where="post", color=_NET, linewidth=1.4, marker=".", markersize=3, label="equity")
    axes.fill_between(times, net, peaks, step="post", color=_LOSS, alpha=0.15, label="below the peak")
    axes.axhline(0, color="grey", linewidth=0.5)
    figure.autofmt_xdate()
    axes.legend(fontsize="small")
    return figure


def _parts(found: Results) -> Figure:
    figure = Figure(figsize=(9, 7), layout="constrained")
    grouped: tuple[tuple[str, Mapping[str, Slice]], ...] = (
        ("by asset", found.by_asset),
        ("by side", found.by_side),
        ("by hour of closing, UTC", found.by_hour),
        ("by exit reason", found.by_reason),
    )
    for axes, (title, slices) in zip(figure.subplots(2, 2).flat, grouped, strict=True):
        places = range(len(slices))
        net = [part.pnl_net_usd / 1e6 for part in slices.values()]
        fees = [part.fees_usd / 1e6 for part in slices.values()]
        axes.bar(places, net, color=[_NET if value >= 0 else _LOSS for value in net], width=0.5, label="net")
        axes.bar([place + 0.35 for place in places], fees, color=_FEES, width=0.2, label="fees paid")
        axes.set_xticks(list(places), list(slices), rotation=60 if len(slices) > 4 else 0, fontsize="small")  # noqa: PLR2004 -- more labels overlap
        axes.set_xlim(-0.6, max(len(slices), 3) - 0.2)
        axes.axhline(0, color="grey", linewidth=0.5)
        axes.set_title(f"{title}, USD", fontsize="medium")
        axes.legend(fontsize="x-small")
    return figure


def _slippage(measured: Mapping[str, float]) -> Figure:
    figure, axes = framed("what fills cost beyond the price decided at", "orders", "USD, above 0 is worse")
    axes.bar(list(measured), list(measured.values()), color=_NET, width=0.4)
    axes.axhline(0, color="grey", linewidth=0.5)
    return figure
