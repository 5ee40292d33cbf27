"""Prints docs/command-line.md from the commands themselves: `python -m cli.reference > docs/command-line.md`."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from cli.examples import EXAMPLES
from cli.exit_codes import MEANINGS
from cli.main import app
from config.place import PROJECT_ROOT

PROGRAM = "python supervisor.py"

HEAD = """\
# Command line

Each command is given to `supervisor.py`, run with the Python of `.venv`, or to `fusebox` where the package is installed
(`.venv/bin/fusebox`). `--help` says of each what this page says of it, `--version` prints the release.

- What prints data takes `--json`; its names say their units, and dollars, shares and prices are decimal strings.
- Data goes to standard output; what is said beside it (errors, progress, timing) to standard error. A closed pipe, as
  after `| head -1`, ends a command quietly with exit code 1.
- On a terminal there are colours, panels and progress bars; `NO_COLOR` switches the colours off. In a pipe or a file
  there are plain lines to grep.
- A mistake is one line that names the thing, the value and the remedy, and a second one where to read on. A mistyped
  command or option is answered with the one that comes close. Only a defect of the program shows a traceback.
- Settings come from the environment and a `.env` file ([configuration](configuration.md)); `config show` says which
  value is from where.

## Exit codes

| Code | Meaning |
|---|---|
{exit_codes}
What they mean for single commands is in each command's help, and for a running process in [operating](operating.md).

## Completion

    fusebox --install-completion        # for the shell that this runs in, or name it: bash, zsh, fish
    fusebox --show-completion zsh       # only print the script

It completes commands, options, assets and actors, and while the database runs the numbers of sessions and the ids of
trades. It completes `fusebox`, which has to be on the `PATH`; not `supervisor.py`.
"""

TAIL = """
This page is what `python -m cli.reference` prints.
"""


def page() -> str:
    """Return the whole page as Markdown."""
    exit_codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in sorted(MEANINGS.items()))
    commands = "".join(_section(path, command) for path, command in commands_of(app))
    return HEAD.format(exit_codes=exit_codes) + commands + TAIL


def commands_of(program: typer.Typer) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, loaded, with its path below the program."""
    group: Any = typer.main.get_group(program)
    context = typer.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        below = getattr(command, "commands", None)
        if below is None:
            yield name, command
        else:
            yield from ((f"{name} {each}", below[each]) for each in below)


def _section(path: str, command: Any) -> str:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    usage = " ".join([PROGRAM, path, *map(_argument, arguments), "[OPTIONS]"])
    text = inspect.cleandoc(command.help or "")
    examples = "".join(f"    {PROGRAM} {line}   # {purpose}\n" for line, purpose in EXAMPLES[path])
    rows = "".join(f"| `{_argument(each)}` |  | {_cell(each.help)} |\n" for each in arguments)
    rows += "".join(f"| {_names(each)} | {_default(each)} | {_cell(each.help)} |\n" for each in options)
    table = f"\n| Option | Default | Meaning |\n|---|---|---|\n{rows}" if rows else ""
    return f"\n## {path}\n\n    {usage}\n\n{text}\n\n{examples}{table}"


def _argument(parameter: Any) -> str:
    name = str(parameter.name).upper()
    return name if parameter.required else f"[{name}]"


def _names(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    return names + (", may be repeated" if option.multiple else "")


def _default(option: Any) -> str:
    if option.required:
        return "required"
    default = option.default
    if option.is_flag or default is None or default in ("", ()) or callable(default):
        return ""
    value = getattr(default, "value", default)
    if isinstance(value, Path) and value.is_absolute():
        value = value.relative_to(PROJECT_ROOT)
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "&#124;")


if __name__ == "__main__":
    sys.stdout.write(page())
