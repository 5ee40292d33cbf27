"""`config`: what the settings are and where each comes from, and whether they can be used."""

import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer
from rich import box
from rich.table import Table
from rich.text import Text

from cli.config_rows import NONE, Row, rows
from cli.exit_codes import EXIT_BAD_CONFIG
from cli.status_view import console
from config.load import Problem, checked
from config.settings import PROJECT_ROOT, Settings
from config.sources import VARIABLES, Layers, layers
from core.errors import FatalError

ROOM = 100
"""Columns that a table needs to be easier to read than lines."""

config = typer.Typer(
    no_args_is_help=True, add_completion=False, help="The settings: show each with its source, or check them."
)

Profile = Annotated[str | None, typer.Option(help="As `run --profile` would: demo or real.", show_default=False)]
Mode = Annotated[str | None, typer.Option(help="As `run --mode` would: paper, live or dual.", show_default=False)]


@config.command()
def show(
    changed: Annotated[bool, typer.Option("--changed", help="Only what differs from the defaults.")] = False,
    profile: Profile = None,
    mode: Mode = None,
    output_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every setting with its value, its unit and where it comes from. Secrets are only shown as set or not.

    What cannot be used is named, and shown as if it had not been set. Exit codes: 0 done, 2 something cannot be used.
    """
    given = given_layers(profile, mode)
    settings, problems, used = usable(given)
    found = [each for each in rows(settings, used) if each.changed or not changed]
    if output_json:
        told = [problem.line for problem in problems]
        _print_json({"settings": [msgspec.to_builtins(each) for each in found], "problems": told})
    else:
        _show(found)
    _tell(problems)


@config.command()
def check(
    profile: Profile = None,
    mode: Mode = None,
    output_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the settings as `run` does before it starts. `doctor` looks at what they name as well.

    Exit codes: 0 they can be used, 2 one line for each that cannot.
    """
    given = given_layers(profile, mode)
    settings, problems = checked(given)
    if output_json:
        sys.stdout.write(
            json.dumps({"ok": not problems, "problems": [each.line for each in problems]}, indent=2) + "\n"
        )
    elif settings is not None and not problems:
        sys.stdout.write(f"the settings can be used: profile {settings.profile}, mode {settings.mode}\n")
    _tell(problems)


def given_layers(profile: str | None, mode: str | None) -> Layers:
    """Return what this shell, the project's `.env` file and the options say.

    Raises:
        ConfigError: the `.env` file cannot be read.
    """
    return layers(os.environ, {"profile": profile, "mode": mode}, PROJECT_ROOT / ".env")


def usable(given: Layers) -> tuple[Settings, list[Problem], Layers]:
    """Return the settings with what cannot be used left out, each reason why something was, and what was used.

    Raises:
        FatalError: the defaults cannot be used either.
    """
    problems: list[Problem] = []
    while True:
        settings, more = checked(given)
        problems += [problem for problem in more if problem not in problems]
        if settings is not None:
            return settings, problems, given
        blamed = frozenset(name for problem in more for name in _blamed(problem))
        if not any(name in blamed and not each.of_profile for name, each in given.given.items()):
            raise FatalError("\n".join(problem.line for problem in problems))
        given = given.without(blamed)


def _blamed(problem: Problem) -> set[str]:
    """Return the settings that a problem is about; those that contradict each other are all named in its line."""
    named = set(re.findall(r"\b[A-Z_]+\b", problem.line))
    return {problem.setting} if problem.setting else {name for name, each in VARIABLES.items() if each in named}


def _tell(problems: Sequence[Problem]) -> None:
    for problem in problems:
        sys.stderr.write(f"fusebox: {problem.line}\n")
    if problems:
        raise typer.Exit(EXIT_BAD_CONFIG)


def _show(found: Sequence[Row]) -> None:
    """Print a table where there is room for one, else lines as a `.env` file has them."""
    screen = console()
    if screen.is_terminal and screen.width >= ROOM:
        screen.print(_table(found))
        return
    for each in found:
        value = "" if each.value == NONE else each.value
        notes = [each.unit, each.comes_to and f"comes to {each.comes_to}", each.source]
        sys.stdout.write(f"{each.variable}={value}  # {', '.join(filter(None, notes))}\n")


def _table(found: Sequence[Row]) -> Any:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("setting", no_wrap=True)
    for column in ("value", "unit", "comes to", "source"):
        table.add_column(column, overflow="fold")
    for each in found:
        style = "bold" if each.changed else ""
        cells = (each.variable, each.value, each.unit, each.comes_to, each.source)
        table.add_row(*(Text(cell, style=style) for cell in cells))
    return table


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
