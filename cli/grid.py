"""Tables as text: the same cells on a terminal and on a page."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich import box
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from core.trading.money import decimal


class Grid(msgspec.Struct, frozen=True):
    """A table as text: the first column is what a row is about, the others are numbers unless all are `words`."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: bool = False


def as_group(lines: Sequence[str], grids: Iterable[Grid]) -> RenderableType:
    """Return lines and the tables that have rows, for a terminal."""
    shown: list[RenderableType] = [Text("\n".join(lines))]
    for grid in grids:
        if not grid.rows:
            continue
        table = Table(title=grid.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
        for number, column in enumerate(grid.columns):
            justify: JustifyMethod = "left" if grid.words or number == 0 else "right"
            table.add_column(column, justify=justify, no_wrap=number == 0, overflow="fold")
        for cells in grid.rows:
            table.add_row(*map(Text, cells))
        shown.append(table)
    return Group(*shown)


def dollars(value: Any, suffixes: tuple[str, ...] = ("_usd",), name: str = "") -> Any:
    """Return plain values with the integers of 1e-6 whose names end in `suffixes` as decimal strings."""
    if isinstance(value, dict):
        return {key: dollars(each, suffixes, key) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [dollars(each, suffixes, name) for each in value]
    if name.endswith(suffixes) and isinstance(value, int):
        return str(decimal(value))
    return value
