"""The command line's root: names the commands and turns our own errors into one line and an exit code.

Each command's module is imported when the command is invoked: `restart` must not wait for what only `run` needs.
"""

import sys
from typing import ClassVar

import typer

from cli.exit_codes import EXIT_BAD_CONFIG, EXIT_ESCALATED, EXIT_FAILED, exit_code
from cli.lazy import LazyCommand, LazyGroup
from core.errors import FuseboxError

__all__ = ["EXIT_BAD_CONFIG", "EXIT_ESCALATED", "EXIT_FAILED", "app", "main"]

TRADING, RUNNING, STORED = "Trading", "A running process", "What is stored"
LEARNING = "Learning"


class Commands(LazyGroup):
    """Every command of the program, with the first sentence of its own help."""

    lazy_commands: ClassVar[tuple[LazyCommand, ...]] = (
        LazyCommand("run", "cli.run:run", TRADING, "Start trading and resume the last session."),
        LazyCommand(
            "replay",
            "cli.replay:replay",
            TRADING,
            "Feed a recording through the actors in virtual time and report windows, orders, fees and PnL.",
        ),
        LazyCommand(
            "train",
            "cli.train:train",
            LEARNING,
            "Train a policy with PPO; a checkpoint after every update, Ctrl-C stops after it.",
        ),
        LazyCommand(
            "evaluate",
            "cli.evaluate:evaluate",
            LEARNING,
            "Judge policies on the same windows: PnL net of fees with its interval, and differences between them.",
        ),
        LazyCommand(
            "status",
            "cli.operate:status",
            RUNNING,
            "Show what runs: actors, assets, gate, positions, PnL, who holds the lease; or what the database knows.",
        ),
        LazyCommand(
            "restart",
            "cli.operate:restart",
            RUNNING,
            "Replace an asset's actors, or one actor, in the running process; their state is kept.",
        ),
        LazyCommand(
            "add", "cli.operate:add", RUNNING, "Start trading an asset in the running process, until that process ends."
        ),
        LazyCommand(
            "remove",
            "cli.operate:remove",
            RUNNING,
            "Take an asset out of trading in the running process: what is held is sold, then its actors end.",
        ),
        LazyCommand(
            "halt",
            "cli.halting:halt",
            RUNNING,
            "Close the gate: nothing is opened, nothing is sold, what rests is cancelled.",
        ),
        LazyCommand("resume", "cli.halting:resume", RUNNING, "Lift what only a person lifts, and show what it was."),
        LazyCommand(
            "flatten",
            "cli.halting:flatten",
            RUNNING,
            "Sell what is held, in one asset or in all, and open nothing there until `resume`.",
        ),
        LazyCommand(
            "report",
            "cli.report:report",
            STORED,
            "Report PnL net of fees by asset, side, hour and exit reason, drawdown, forced exits and slippage.",
        ),
        LazyCommand(
            "trace",
            "cli.trace:trace",
            STORED,
            "Tell one trade's story: market, decision, orders, fills, exit steps, settlement, what failed meanwhile.",
        ),
        LazyCommand(
            "checkpoints",
            "cli.checkpoints:checkpoints",
            STORED,
            "Saved states of actors and models: list, show, move, roll back.",
        ),
    )


app = typer.Typer(
    name="fusebox",
    cls=Commands,
    help="Trades Polymarket's 15-minute crypto Up or Down markets. Paper money unless told otherwise.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def _root() -> None:
    """Exit codes: 0 done or stopped, 1 could not go on, 2 bad usage or settings, 70 gave up so that a host restarts.

    `run`: 75 another process has taken over. Commands for a running process: 3 none runs, 4 it did not answer in time.
    """


def main() -> None:
    """Run a command; an error of ours is one line, anything else is a defect and keeps its traceback."""
    try:
        app()
    except FuseboxError as error:
        sys.stderr.write(f"fusebox: {error}\n")
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(0)
