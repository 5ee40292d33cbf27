"""The command line's root: collects the commands and turns our own errors into one line and an exit code."""

import sys

import typer

from cli.checkpoints import checkpoints
from cli.client import NoAnswerError, NotRunningError
from cli.operate import EXIT_NOT_RUNNING, add, remove, restart, status
from cli.replay import replay
from cli.run import run
from config.load import ConfigError
from core.errors import FuseboxError

EXIT_FAILED = 1
EXIT_BAD_CONFIG = 2
EXIT_NO_ANSWER = 4
EXIT_ESCALATED = 70
EXIT_CODES: dict[type[FuseboxError], int] = {
    ConfigError: EXIT_BAD_CONFIG,
    NotRunningError: EXIT_NOT_RUNNING,
    NoAnswerError: EXIT_NO_ANSWER,
}

app = typer.Typer(
    name="fusebox",
    help="Trades Polymarket's 15-minute crypto Up or Down markets. Paper money unless told otherwise.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (run, replay, status, restart, add, remove):
    app.command()(command)
app.add_typer(checkpoints, name="checkpoints")


@app.callback()
def _root() -> None:
    """Exit codes: 0 done or stopped, 1 could not go on, 2 bad usage or settings, 70 gave up so that a host restarts.

    Commands for a running process: 3 none runs, 4 it did not answer in time.
    """


def main() -> None:
    """Run a command; an error of ours is one line, anything else is a defect and keeps its traceback."""
    try:
        app()
    except FuseboxError as error:
        sys.stderr.write(f"fusebox: {error}\n")
        sys.exit(EXIT_CODES.get(type(error), EXIT_FAILED))
    except KeyboardInterrupt:
        sys.exit(0)
