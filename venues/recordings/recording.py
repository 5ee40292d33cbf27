"""A recorded stretch of market: what it holds, what it lacks, and its events in order of receipt."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from core.market.events import MarketEvent
from core.market.market import Market, Side

Venue = Literal["polymarket", "binance", "prices"]

FEE_SCHEDULE = "fee schedule"
BINANCE_FLOW = "Binance flow"
BOOKS = "Polymarket books"
SIZES = "sizes"
OUTCOME = "outcome"
SETTLEMENT_PRICES = "settlement prices"
TRADES = "Polymarket trades"
TAKER_DELAY = "taker delay"
MINIMUM_ORDER = "minimum order size"
MARKET_IDS = "market and token ids"
FULL_DEPTH = "depth beyond five levels"


class RecordedEvent(msgspec.Struct, frozen=True, gc=False):
    """One event as a live feed would have had it: received at `at_ms` (unix ms) for `asset` from `venue`.

    `condition_id` is the market's for Polymarket events, None for the others.
    """

    at_ms: int
    asset: str
    venue: Venue
    condition_id: str | None
    event: MarketEvent


class Recording(msgspec.Struct, frozen=True):
    """One opened recording. `events()` starts from the beginning each time and yields the same events each time."""

    format: str
    path: Path
    assets: tuple[str, ...]
    markets: tuple[Market, ...]
    outcomes: Mapping[str, Side | None]
    """The winner by condition id; None where the recording itself does not say."""
    lacks: tuple[str, ...]
    """What a replay has to do without or to assume, in plain words."""
    sized: bool
    """False when levels carry a nominal size because only prices were recorded."""
    source: Callable[[], Iterator[RecordedEvent]]
    snapshots_only: bool = False
    """True when each book event is a whole book: pass it on to `LocalBook(continuous_snapshots=…)`."""
    inferred_outcomes: Mapping[str, Side] = msgspec.field(default_factory=dict)
    """Winners that follow from `inference_rule` instead of the venue's word."""
    inference_rule: str | None = None
    notes: tuple[str, ...] = ()
    """Peculiarities of this very recording that its user should know."""
    skipped: Counter[str] = msgspec.field(default_factory=Counter)
    """Raw frames that could not be read, by file, in the run of `events()` so far: live they would be skipped too."""

    def events(self) -> Iterator[RecordedEvent]:
        """Yield all events in order of receipt, reading as it goes.

        Raises:
            RejectedError: when a file turns out to be truncated or unreadable on the way.
        """
        self.skipped.clear()
        return self.source()

    def market(self, condition_id: str) -> Market | None:
        """Return the market with this condition id."""
        return next((market for market in self.markets if market.condition_id == condition_id), None)
