"""A recording in the place of the venues: the same streams, calendar and prices that the actors see live."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from core.market.market import FeeSchedule, Market
from core.market.window import Window
from core.runtime.clock import VirtualClock
from venues.polymarket.gamma import Outcome
from venues.recordings.recording import RecordedEvent, Recording
from venues.transport import StreamOpened, StreamReceived

DEFAULT_FEES = FeeSchedule(rate=0.07, exponent=1)
"""What the venue charges for crypto today; used, and said so, where a recording carries no schedule."""
RESOLVED_AFTER_S = 60
"""The venue names the winner about this long after a window of 900 s closes."""


class Tape:
    """Recorded events of one feed as a scheduled stream."""

    def __init__(self, events: Sequence[RecordedEvent]) -> None:
        self._events = events

    def items(self, from_ms: int) -> Iterator[tuple[int, object]]:
        """Yield the connection and then each event from `from_ms` on, at its time of receipt."""
        if not any(recorded.at_ms >= from_ms for recorded in self._events[-1:]):
            return
        yield from_ms, StreamOpened(from_ms)
        for recorded in self._events:
            if recorded.at_ms >= from_ms:
                yield recorded.at_ms, StreamReceived((recorded.event,), recorded.at_ms)


class RecordedCalendar:
    """The markets of a recording as the venue would have listed them, and their winners where it says them."""

    def __init__(self, recording: Recording, markets: Sequence[Market], clock: VirtualClock) -> None:
        self._markets = {(market.asset, market.window.opens_at_s): market for market in markets}
        self._by_slug = {market.window.slug: market for market in markets}
        self._outcomes = recording.outcomes
        self._clock = clock

    def market(self, window: Window) -> Market | None:
        """Return the recorded market of exactly this window: one of tomorrow is not today's."""
        market = self._markets.get((window.asset, window.opens_at_s))
        return market if market is not None and market.window == window else None

    def outcome(self, slug: str) -> Outcome:
        """Return the winner once it would have been known; None where the recording does not say."""
        market = self._by_slug.get(slug)
        if market is None:
            return Outcome(None, None, None)
        known_ms = (market.window.closes_at_s + RESOLVED_AFTER_S * market.window.scale) * 1000
        if self._clock.now_ms() < known_ms:
            return Outcome(None, None, None)
        return Outcome(self._outcomes.get(market.condition_id), None, None)


class Segment:
    """A stretch of a recording without long gaps, sorted by feed."""

    def __init__(self) -> None:
        self.first_ms = 0
        self.last_ms = 0
        self.books: dict[str, list[RecordedEvent]] = {}
        self.flows: dict[str, list[RecordedEvent]] = {}
        self.prices: list[RecordedEvent] = []
        self.count = 0

    def add(self, recorded: RecordedEvent) -> None:
        """Append an event; they come in order of receipt."""
        if self.count == 0:
            self.first_ms = recorded.at_ms
        self.last_ms = recorded.at_ms
        self.count += 1
        if recorded.venue == "binance":
            self.flows.setdefault(recorded.asset, []).append(recorded)
        elif recorded.venue == "prices":
            self.prices.append(recorded)
        elif recorded.condition_id is not None:
            self.books.setdefault(recorded.condition_id, []).append(recorded)


def segments(recording: Recording, gap_s: float) -> Iterator[Segment]:
    """Cut a recording where nothing was received for longer than `gap_s`."""
    segment = Segment()
    for recorded in recording.events():
        if segment.count and recorded.at_ms - segment.last_ms > gap_s * 1000:
            yield segment
            segment = Segment()
        segment.add(recorded)
    if segment.count:
        yield segment


def tradable(recording: Recording) -> tuple[Market, ...]:
    """Return the recorded markets, with today's fee schedule where the recording carries none."""
    return tuple(replace(m, fees=DEFAULT_FEES) if m.fees is None else m for m in recording.markets)
