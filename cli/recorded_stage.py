"""Stretches of a recording as stages: only windows whose winner the recording knows are listed, and so traded."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from cli.recorded import RecordedCalendar, Segment, Tape, segments, tradable
from cli.usage import UsageError
from cli.wiring import Venues
from core.errors import RejectedError
from core.market.book import LocalBook
from core.market.market import Market, Side
from core.runtime.clock import VirtualClock
from venues.recordings.opening import open_recording
from venues.recordings.recording import BINANCE_FLOW, Recording

SETTLE_AFTER_S = 90
GAPS = 2.0
"""Windows: a longer silence than this many of them ends a stretch."""


class Recorded(msgspec.Struct, frozen=True):
    """The stretch of a recording that `number` counts from its beginning."""

    path: str
    number: int


class RecordedStage:
    """One stretch of a recording, see `Stage`."""

    def __init__(self, recording: Recording, segment: Segment, markets: Sequence[Market], number: int) -> None:
        self._recording = recording
        self._segment = segment
        self.played = tuple(m for m in markets if m.condition_id in segment.books)
        self.name = f"{recording.path.name} {number}"
        self.seed = number
        self.assets = recording.assets
        self.window_s = markets[0].window.length_s
        self.has_flow = BINANCE_FLOW not in recording.lacks
        self.starts_ms = segment.first_ms
        settle_ms = round(SETTLE_AFTER_S * self.window_s / 900 * 1000)
        closes_ms = [market.window.closes_at_s * 1000 for market in self.played]
        self.ends_ms = max([segment.last_ms, *closes_ms]) + settle_ms

    def winner(self, market: Market) -> Side:
        """Return who won a market of `played`."""
        side = self._recording.outcomes[market.condition_id]
        if side is None:
            raise KeyError(market.condition_id)
        return side

    def venues(self, clock: VirtualClock) -> Venues:
        """Return what was recorded, at the time of `clock`."""
        segment, recording = self._segment, self._recording
        return Venues(
            book_stream=lambda market: Tape(segment.books.get(market.condition_id, ())),
            make_book=lambda market, epoch: LocalBook(
                market, sized=recording.sized, continuous_snapshots=recording.snapshots_only, epoch=epoch
            ),
            flow_streams=lambda asset: (Tape(segment.flows.get(asset, ())),),
            candles=None,
            calendar=RecordedCalendar(recording, self.played, clock),
            prices=(lambda: Tape(segment.prices)) if segment.prices else None,
        )


@lru_cache(maxsize=2)
def recorded_stages(path: str) -> tuple[RecordedStage, ...]:
    """Return the stretches of a recording in which a window with a known winner was recorded.

    Raises:
        UsageError: it cannot be read, no window in it has a known winner, or it holds windows of several lengths.
    """
    try:
        recording = open_recording(Path(path))
    except RejectedError as error:
        raise UsageError(f"--recordings: {error}") from error
    markets = [market for market in tradable(recording) if recording.outcomes.get(market.condition_id) is not None]
    lengths = {market.window.length_s for market in markets}
    if len(lengths) != 1:
        held = f"holds windows of {sorted(lengths)} s" if lengths else "names the winner of none of its windows"
        raise UsageError(f"--recordings {path} {held}: give a recording of one length, with winners")
    found = (
        RecordedStage(recording, segment, markets, number)
        for number, segment in enumerate(segments(recording, gap_s=GAPS * lengths.pop()))
    )
    return tuple(stage for stage in found if stage.played)
