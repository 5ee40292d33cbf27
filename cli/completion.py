"""Completion of commands, options and names in bash, zsh and fish. Always of `fusebox`, however it is asked for."""

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import typer
from typer._completion_classes import completion_init
from typer._completion_shared import _get_shell_name, get_completion_script, install
from typer.exceptions import Exit

from cli.usage import UsageError

PROGRAM = "fusebox"
VARIABLE = "_FUSEBOX_COMPLETE"
"""Set by the scripts in the shell: the program is asked for completions, not for work."""
SHELLS = ("bash", "zsh", "fish")
DETECT = "auto"
OPTIONS = ("--install-completion", "--show-completion")


def complete(app: typer.Typer) -> int:
    """Answer a shell that asks for completions, and return the exit code.

    Whatever goes wrong, there is just nothing to complete: no traceback belongs between what somebody types.
    """
    completion_init()
    with contextlib.redirect_stderr(None):
        try:
            typer.main.get_group(app).main([], prog_name=PROGRAM, complete_var=VARIABLE)
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else 1
        except Exception:  # noqa: BLE001 -- see above
            return 1
    return 0


def with_shell(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the shell to be detected where an option of completion names none."""
    given = list(arguments)
    if given and given[-1] in OPTIONS:
        given.append(DETECT)
    return given


def install_for(shell: str) -> None:
    """Install completion for a shell, or the one that this runs in, and say where.

    Raises:
        UsageError: it is none of `SHELLS`, or its files cannot be written.
    """
    name = _shell(shell)
    try:
        _, path = install(shell=name, prog_name=PROGRAM, complete_var=VARIABLE)
    except OSError as error:
        raise UsageError(
            f"completion for {name}: {error.filename}: {error.strerror}; put there by hand what "
            f"`--show-completion {name}` prints"
        ) from error
    sys.stdout.write(f"completion of `{PROGRAM}` for {name} is in {path}; it works in the next shell\n")
    raise Exit(0)


def show_for(shell: str) -> None:
    """Print the script that completes in a shell.

    Raises:
        UsageError: it is none of `SHELLS`.
    """
    sys.stdout.write(get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=_shell(shell)) + "\n")
    raise Exit(0)


def _shell(given: str) -> str:
    name = (_get_shell_name() or Path(os.environ.get("SHELL", "")).name) if given == DETECT else given
    if name not in SHELLS:
        told = f"the shell {name!r}" if name else "an unknown shell"
        raise UsageError(f"completion for {told} is not there: name one of {', '.join(SHELLS)}")
    return name
