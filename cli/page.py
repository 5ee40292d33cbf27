"""Figures, and one HTML page that carries them and tables with it: it asks no other host for anything."""

import base64
import html
from collections.abc import Iterable, Sequence
from io import BytesIO

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cli.grid import Grid

mpl.use("Agg")

_STYLE = (
    "body{font-family:system-ui,sans-serif;margin:2rem;max-width:70rem}table{border-collapse:collapse;margin:1rem 0}"
    "td,th{padding:.2rem .6rem;border-bottom:1px solid #ccc;text-align:right}td:first-child,th:first-child"
    "{text-align:left}table.words td,table.words th{text-align:left}img{max-width:100%}"
)
_DPI = 110


def framed(title: str, across: str, up: str) -> tuple[Figure, Axes]:
    """Return a figure with one set of axes, and the axes."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    return figure, axes


def as_png(figure: Figure) -> bytes:
    """Return a figure as PNG; the same figure gives the same bytes."""
    out = BytesIO()
    figure.savefig(out, format="png", dpi=_DPI, metadata={"Software": None})
    return out.getvalue()


def as_page(title: str, lines: Sequence[str], grids: Iterable[Grid], pictures: Iterable[tuple[str, bytes]]) -> str:
    """Return a page of lines, tables and PNG pictures by name."""
    said = "<br>".join(html.escape(line) for line in lines)
    tables = "".join(_table(grid) for grid in grids)
    shown = "".join(
        f'<h2>{html.escape(name)}</h2><img alt="{html.escape(name)}" src="data:image/png;base64,'
        f'{base64.b64encode(data).decode()}">'
        for name, data in pictures
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>fusebox: {html.escape(title.lower())}</title>"
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1><p>{said}</p>{tables}{shown}</html>\n"
    )


def _table(grid: Grid) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in grid.columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>" for cells in grid.rows)
    kind = ' class="words"' if grid.words else ""
    return f"<h2>{html.escape(grid.title)}</h2><table{kind}><tr>{head}</tr>{body}</table>"
