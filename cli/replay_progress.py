"""What somebody who waits for a replay sees on a terminal: how far it is in the stretch that is being played."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


def nobody(_at_ms: int) -> None:
    """Tell nobody."""


@contextlib.contextmanager
def shown(first_ms: int, last_ms: int) -> Iterator[Callable[[int], None]]:
    """Yield what is told the market time, unix ms, and draws it; on standard error, and only if that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield nobody
        return
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        named = f"replaying {datetime.fromtimestamp(first_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC on"
        task = bar.add_task(named, total=max(1, last_ms - first_ms))
        yield lambda at_ms: bar.update(task, completed=at_ms - first_ms)
