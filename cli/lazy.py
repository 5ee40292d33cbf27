"""Command groups and commands: a module is imported when its command is invoked, and each help ends with examples."""

import os
import sys
from importlib import import_module
from typing import Any, ClassVar, Literal, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from cli.examples import EXAMPLES, Example


class LazyCommand(NamedTuple):
    """A command: its name, `module:function` or `module:typer_app`, the help's panel, and its line in the help."""

    name: str
    target: str
    panel: str
    summary: str


def help_style() -> Literal["rich"] | None:
    """Return how help is drawn: in panels on a terminal, in plain lines for a pipe, a file or a dumb terminal."""
    drawn = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return "rich" if drawn else None


class ExplainedCommand(TyperCommand):
    """A command whose help ends with its examples."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        self.rich_markup_mode = help_style()
        super().format_help(ctx, formatter)
        _print_examples(ctx, formatter)


class ExplainedGroup(TyperGroup):
    """A group whose plain help keeps its panels apart, as the drawn one does."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        self.rich_markup_mode = help_style()
        super().format_help(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Print the commands, each panel under its title."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is None or command.hidden:
                continue
            title = getattr(command, "rich_help_panel", None)
            summary = " ".join((command.help or "").split("\n\n")[0].split())
            panels.setdefault(title if isinstance(title, str) else "Commands", []).append((name, summary))
        for title, rows in panels.items():
            with formatter.section(title):
                formatter.write_dl(rows)


class LazyGroup(ExplainedGroup):
    """Lists its commands from `lazy_commands` alone; subclasses name them."""

    lazy_commands: ClassVar[tuple[LazyCommand, ...]] = ()

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._targets = {each.name: each.target for each in self.lazy_commands}
        self._listing = False
        for each in self.lazy_commands:
            self.add_command(ExplainedCommand(each.name, help=each.summary, rich_help_panel=each.panel))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, loaded; while the commands are listed, only its line."""
        if self._listing or cmd_name not in self._targets:
            return super().get_command(ctx, cmd_name)
        return loaded(cmd_name, self._targets[cmd_name])

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help without loading what it lists."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Complete a command's name without loading any."""
        self._listing = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self._listing = False


def loaded(name: str, target: str) -> Any:
    """Import and return the command at `module:attribute`."""
    module, attribute = target.split(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        found.info.cls = ExplainedGroup
        for each in found.registered_commands:
            each.cls = ExplainedCommand
        return typer.main.get_command(found)
    alone = typer.Typer(add_completion=False)
    alone.command(name, cls=ExplainedCommand)(found)
    return typer.main.get_command(alone)


def _examples(ctx: Any) -> tuple[str, tuple[Example, ...]]:
    program = ctx.find_root().info_name or "fusebox"
    return program, EXAMPLES.get(ctx.command_path.removeprefix(program).strip(), ())


def _print_examples(ctx: Any, formatter: Any) -> None:
    program, examples = _examples(ctx)
    if not examples:
        return
    if help_style() is None:
        with formatter.section("Examples"):
            for line, purpose in examples:
                indent = " " * formatter.current_indent
                formatter.write(f"{indent}{program} {line}\n{indent}    {purpose}\n")
        return
    from rich.console import Console  # noqa: PLC0415 -- only where it is drawn
    from rich.panel import Panel  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    text = Text()
    for number, (line, purpose) in enumerate(examples):
        text.append("\n" if number else "").append(f"{program} {line}", style="cyan").append(f"\n  {purpose}")
    Console().print(Panel(text, title="Examples", title_align="left", border_style="dim"))
