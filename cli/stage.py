"""Where an episode is played: some windows of the embedded world or of a recording, in the place of the venues."""

from typing import Protocol

from cli.wiring import Venues
from core.market.market import Market, Side
from core.runtime.clock import VirtualClock


class Stage(Protocol):
    """Windows of one length, and everything that is heard during them; may be played again by another policy."""

    @property
    def name(self) -> str:
        """What tells it from every other one."""
        ...

    @property
    def assets(self) -> tuple[str, ...]:
        """Tickers."""
        ...

    @property
    def window_s(self) -> int:
        """Length of each window."""
        ...

    @property
    def starts_ms(self) -> int:
        """Unix milliseconds at which the actors start."""
        ...

    @property
    def ends_ms(self) -> int:
        """Unix milliseconds at which everything is settled."""
        ...

    @property
    def seed(self) -> int:
        """Decides the order of simultaneous events and the policy's draws."""
        ...

    @property
    def has_flow(self) -> bool:
        """Whether the fast venue is heard."""
        ...

    @property
    def played(self) -> tuple[Market, ...]:
        """The markets that are listed, in order of opening."""
        ...

    def winner(self, market: Market) -> Side | None:
        """Return who wins a market of `played`, None where nobody will tell."""
        ...

    def venues(self, clock: VirtualClock) -> Venues:
        """Return what the actors hear and ask, at the time of `clock`."""
        ...
