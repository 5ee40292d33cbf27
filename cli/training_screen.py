"""What somebody who waits for a training run sees: how far it is, and the last update in numbers."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cli.training import Told, Training


class TrainingScreen:
    """A progress bar on a terminal; elsewhere a line for each update."""

    def __init__(self, training: Training, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[numbers]}"),
                console=console,
            )
            progress, plan = training.progress, training.folder.plan
            self._task = self._bar.add_task("windows", total=plan.windows, completed=progress.windows, numbers="")

    def told(self, told: Told) -> None:
        """Show an update."""
        if self._bar is None:
            self._console.print(f"update {told.update}: {told.windows} windows, {numbers(told)}", soft_wrap=True)
        else:
            self._bar.update(self._task, completed=told.windows, numbers=numbers(told))

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()


def numbers(told: Told) -> str:
    """Return an update in one line."""
    report = told.report
    text = (
        f"PnL {told.pnl_net_per_window_usd:+.2f} USD and {told.trades_per_window:.1f} trades a window, "
        f"entropy {report.entropy:.3f}, KL {report.kl:.4f}, {report.epochs} epochs, "
        f"{told.steps / told.seconds:.0f} steps/s"
    )
    return text if report.rolled_back is None else f"{text}; undone: {report.rolled_back}"
