"""Stretches of a recording as stages. A window whose winner the recording does not tell is listed only where asked for.

Nothing settles in such a window: what is not sold by its end stays open, and is counted.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec
from msgspec.structs import replace

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
SIZED_FILLS = "paper: the order walks the recorded book of the moment it arrives at, and what it takes stays taken"
UNSIZED_FILLS = "paper: whole at the recorded touch of the moment it arrives at, no sizes were recorded"
GAPS = 2.0
"""Windows: a longer silence than this many of them ends a stretch."""


class Recorded(msgspec.Struct, frozen=True):
    """The stretch of a recording that `number` counts from its beginning; `known`: only windows with a known winner."""

    path: str
    number: int
    known: bool = True


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

    @property
    def fill_model(self) -> str:
        """How orders are filled, for people."""
        return SIZED_FILLS if self._recording.sized else UNSIZED_FILLS

    @property
    def inference_rule(self) -> str | None:
        """How winners were inferred, None where the venue named them."""
        return self._recording.inference_rule

    def winner(self, market: Market) -> Side | None:
        """Return who won a market, None where the recording does not tell."""
        return self._recording.outcomes.get(market.condition_id)

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
def recorded_stages(path: str, *, known: bool = True) -> tuple[RecordedStage, ...]:
    """Return the stretches of a recording that have a window to play, one with a known winner if `known`.

    Winners that follow from the recording's own rule count as known.

    Raises:
        UsageError: it cannot be read, has no such window, or holds windows of several lengths.
    """
    try:
        recording = open_recording(Path(path))
    except RejectedError as error:
        raise UsageError(f"--recordings: {error}") from error
    told = {condition_id: side for condition_id, side in recording.outcomes.items() if side is not None}
    recording = replace(recording, outcomes={**recording.inferred_outcomes, **told})
    markets = [m for m in tradable(recording) if not known or m.condition_id in recording.outcomes]
    lengths = {market.window.length_s for market in markets}
    if len(lengths) != 1:
        held = f"holds windows of {sorted(lengths)} s" if lengths else "holds no window whose winner is known"
        raise UsageError(f"--recordings {path} {held}: give a recording of one length, with winners")
    found = (
        RecordedStage(recording, segment, markets, number)
        for number, segment in enumerate(segments(recording, gap_s=GAPS * lengths.pop()))
    )
    return tuple(stage for stage in found if stage.played)
