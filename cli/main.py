"""The command line's root: names the commands, and turns mistakes in the arguments into two lines and an exit code.

Each command's module is imported when the command is invoked: `restart` must not wait for what only `run` needs.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import typer
from typer.exceptions import Abort, TyperException

from cli.exit_codes import EXIT_BAD_CONFIG, EXIT_ESCALATED, EXIT_FAILED
from cli.lazy import LazyCommand, LazyGroup

__all__ = ["EXIT_BAD_CONFIG", "EXIT_ESCALATED", "EXIT_FAILED", "app", "main"]

COMPLETION = "_FUSEBOX_COMPLETE"
"""Set by a shell that asks for completions: `cli.completion`."""
TRADING, RUNNING, STORED = "Trading", "A running process", "What is stored"
LEARNING, SETTING_UP = "Learning", "Setting up"


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
            "dashboard",
            "cli.dashboard:dashboard",
            RUNNING,
            "Serve the web page of what trades, or traded, with the same database.",
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
        LazyCommand(
            "doctor",
            "cli.doctor:doctor",
            SETTING_UP,
            "Check host, database, venues, keys, limits and all else a run depends on; say what to do about it.",
        ),
        LazyCommand(
            "config",
            "cli.config_commands:config",
            SETTING_UP,
            "The settings: show each with its source, or check them.",
        ),
        LazyCommand(
            "migrate",
            "cli.migrate:migrate",
            SETTING_UP,
            "Bring the database's schema forward to this release, or back.",
        ),
    )


app = typer.Typer(
    name="fusebox",
    cls=Commands,
    help="Trades Polymarket's 15-minute crypto Up or Down markets. Paper money unless told otherwise.",
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _install(shell: str) -> None:
    if shell:
        from cli.completion import install_for  # noqa: PLC0415 -- once in a while

        install_for(shell)


def _show(shell: str) -> None:
    if shell:
        from cli.completion import show_for  # noqa: PLC0415

        show_for(shell)


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
    install_completion: Annotated[
        str,
        typer.Option(
            help="Complete in bash, zsh or fish from now on.",
            metavar="[SHELL]",
            callback=_install,
            is_eager=True,
            show_default=False,
        ),
    ] = "",
    show_completion: Annotated[
        str,
        typer.Option(
            help="Print the script that does so.", metavar="[SHELL]", callback=_show, is_eager=True, show_default=False
        ),
    ] = "",
) -> None:
    """Exit codes: 0 done or stopped, 1 could not go on, 2 bad usage or settings, 70 gave up so that a host restarts.

    `run`: 75 another process has taken over. Commands for a running process: 3 none runs, 4 it did not answer in time.
    """


def main(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; a mistake in the arguments is told in two lines.

    Raises:
        FuseboxError: the command failed.
    """
    if COMPLETION in os.environ:
        from cli.completion import complete  # noqa: PLC0415 -- once in a while

        return complete(app)
    given = list(arguments)
    if not given:
        given = ["--help"]
    elif given[-1].endswith("-completion"):
        from cli.completion import with_shell  # noqa: PLC0415

        given = with_shell(given)
    try:
        code = typer.main.get_group(app).main(
            given, prog_name=program(), complete_var=COMPLETION, standalone_mode=False
        )
    except TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group without a command: its help is the message
            sys.stdout.write(f"{error.message}\n" if error.message else "")
        else:
            from cli.mistakes import told  # noqa: PLC0415

            sys.stderr.write(told(error, given))
        return EXIT_BAD_CONFIG
    except Abort:
        sys.stderr.write("fusebox: nothing was done\n")
        return EXIT_FAILED
    if not arguments:
        return EXIT_BAD_CONFIG
    return code if isinstance(code, int) else 0


def program() -> str:
    """Return how the program was called, for what a person is to type next."""
    name = Path(sys.argv[0]).name
    return "fusebox" if name == "fusebox" else "python supervisor.py"
