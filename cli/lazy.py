"""A command group that imports a command's module when that command is invoked, not before."""

from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class LazyCommand(NamedTuple):
    """A command: its name, `module:function` or `module:typer_app`, the help's panel, and its line in the help."""

    name: str
    target: str
    panel: str
    summary: str


class LazyGroup(TyperGroup):
    """Lists its commands from `lazy_commands` alone; subclasses name them."""

    lazy_commands: ClassVar[tuple[LazyCommand, ...]] = ()

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._targets = {each.name: each.target for each in self.lazy_commands}
        self._listing = False
        for each in self.lazy_commands:
            self.add_command(TyperCommand(each.name, help=each.summary, rich_help_panel=each.panel))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, loaded; while the help is printed, only its line in it."""
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


def loaded(name: str, target: str) -> Any:
    """Import and return the command at `module:attribute`."""
    module, attribute = target.split(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        return typer.main.get_command(found)
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return typer.main.get_command(alone)
