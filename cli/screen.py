"""What a person sees: on a terminal the live table with the log scrolling above it, elsewhere one line a transition."""

import contextlib
from collections.abc import Iterator

from loguru import logger
from rich.console import Console
from rich.live import Live
from rich.text import Text

from actors.addresses import market
from cli.alerting import scrubber_of
from cli.live_table import live_table
from cli.log_sinks import open_log
from config.settings import Settings
from core.runtime.system import ActorSystem
from storage.queries import Session

REFRESH_S = 0.5
MONEY = {"paper": "paper money", "live": "live money", "dual": "live money, paper beside it"}
WORLDS = {
    "lagged": "world lagged: its book follows several seconds late, it pays more than the real one",
    "today": "world today: lag and fees as on the real venue",
}


class Screen:
    """Owns standard output and the log sinks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._console = Console()
        self._live: Live | None = None
        self.refresh_s = REFRESH_S
        self._table = self._console.is_terminal and settings.log_format != "json"
        open_log(settings, scrubber_of(settings), self._print if self._table else None)

    def _print(self, line: str) -> None:
        self._console.print(Text(line.rstrip("\n")), soft_wrap=True)

    def say(self, text: str) -> None:
        """Report a step of starting up."""
        logger.info("{}", text)

    @contextlib.contextmanager
    def live(self, system: ActorSystem, session: Session) -> Iterator[None]:
        """Show the live table while the block runs, if there is a terminal."""
        self._title = self._headline(session)
        if not self._table:
            logger.info("{}", self._title)
            yield
            return
        with Live(console=self._console, auto_refresh=False, transient=False) as live:
            self._live = live
            self.show(system)
            try:
                yield
            finally:
                self._live = None

    def show(self, system: ActorSystem) -> None:
        """Draw the table as things stand."""
        if self._live is not None:
            self._live.update(live_table(system, traded(system), self._title, self._console.width), refresh=True)

    def _headline(self, session: Session) -> str:
        settings = self._settings
        where = WORLDS[settings.world] if settings.profile == "demo" else "public venues"
        return f"fusebox {settings.profile}, {MONEY[settings.mode]}, session {session.id}, {where}"


def traded(system: ActorSystem) -> tuple[str, ...]:
    """Return the assets that have a market actor now, in the order they were added."""
    cells = list(system.cells.values())
    return tuple(c.spec.asset for c in cells if c.spec.asset is not None and c.spec.address == market(c.spec.asset))
