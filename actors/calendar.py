"""The venue's listing as the discovery asks for it: which market a window has, and what became of it."""

from typing import Protocol

from core.market.market import Market, Side
from core.market.window import Window


class Outcome(Protocol):
    """What the venue's record says of a market; None where it says nothing yet."""

    @property
    def winner(self) -> Side | None:
        """The winning side, only from a closed market whose prices are exactly 1 and 0."""
        ...

    @property
    def strike(self) -> float | None:
        """The price to beat, once published."""
        ...


class Calendar(Protocol):
    """The venue's listing, asked from workers."""

    def market(self, window: Window) -> Market | None:
        """Return the market of a window, None when it is not listed."""
        ...

    def outcome(self, slug: str) -> Outcome:
        """Return what the record says of a market."""
        ...
