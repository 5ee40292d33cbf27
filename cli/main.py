"""The command line's root: collects the commands and turns our own errors into one line and an exit code."""

import sys

import typer

from cli.replay import replay
from cli.run import run
from core.errors import FuseboxError

EXIT_FAILED = 1
EXIT_BAD_CONFIG = 2
EXIT_ESCALATED = 70

app = typer.Typer(
    name="fusebox",
    help="Trades Polymarket's 15-minute crypto Up or Down markets. Paper money unless told otherwise.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(run)
app.command()(replay)


@app.callback()
def _root() -> None:
    """Exit codes: 0 done or stopped, 1 could not go on, 2 bad usage or settings, 70 gave up so that a host restarts."""


def main() -> None:
    """Run a command; an error of ours is one line, anything else is a defect and keeps its traceback."""
    try:
        app()
    except FuseboxError as error:
        sys.stderr.write(f"fusebox: {error}\n")
        sys.exit(EXIT_BAD_CONFIG if type(error).__name__ == "ConfigError" else EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(0)
