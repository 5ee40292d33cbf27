"""What a policy's round trips come to: totals, a bootstrap interval, drawdown, and differences between two policies.

The unit that is resampled is the window, all assets of it together: trades within a window, and assets in the same
quarter of an hour, are not independent of each other. Dollars are integers of 1e-6.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

import msgspec
import numpy as np
import numpy.typing as npt

from core.market.market import Side

RESAMPLES = 10_000
LEVEL = 0.95
_CHUNK = 500
_SEED = 0x5EED

Dollars = npt.NDArray[np.int64]


class RoundTrip(msgspec.Struct, frozen=True):
    """One closed trade, and the window it belongs to; `pnl_net_usd` is after `fees_usd`."""

    window: str
    asset: str
    side: Side
    closed_ms: int
    fees_usd: int
    pnl_net_usd: int

    @property
    def pnl_gross_usd(self) -> int:
        """What it would have come to without fees."""
        return self.pnl_net_usd + self.fees_usd


class Slice(msgspec.Struct, frozen=True):
    """Some of the round trips, added up. `win_rate` is None without any."""

    trades: int
    win_rate: float | None
    pnl_gross_usd: int
    fees_usd: int
    pnl_net_usd: int


class Interval(msgspec.Struct, frozen=True):
    """A total with the bootstrap interval around it, and how many windows it is of."""

    total_usd: int
    low_usd: int
    high_usd: int
    windows: int

    @property
    def per_window_usd(self) -> float:
        """The mean over the windows; 0 without any."""
        return self.total_usd / self.windows if self.windows else 0.0


class Performance(msgspec.Struct, frozen=True):
    """A policy on a set of windows; those in which it did nothing count with 0."""

    all: Slice
    net: Interval
    max_drawdown_usd: int
    windows_traded: int
    by_asset: dict[str, Slice]
    by_side: dict[str, Slice]


def performance(trips: Sequence[RoundTrip], windows: Sequence[str], *, resamples: int = RESAMPLES) -> Performance:
    """Return what `trips` come to on `windows`, which are in the order of the equity curve.

    Raises:
        ValueError: a trip belongs to none of the windows, or a window is named twice.
    """
    by_window = per_window(trips, windows)
    return Performance(
        all=added_up(trips),
        net=interval(by_window, resamples=resamples),
        max_drawdown_usd=max_drawdown(equity_curve(trips, windows)),
        windows_traded=len({trip.window for trip in trips}),
        by_asset=_sliced(trips, lambda trip: trip.asset),
        by_side=_sliced(trips, lambda trip: trip.side),
    )


def added_up(trips: Iterable[RoundTrip]) -> Slice:
    """Return the totals of some round trips; one wins whose net result is above 0."""
    kept = list(trips)
    wins = sum(trip.pnl_net_usd > 0 for trip in kept)
    return Slice(
        trades=len(kept),
        win_rate=wins / len(kept) if kept else None,
        pnl_gross_usd=sum(trip.pnl_gross_usd for trip in kept),
        fees_usd=sum(trip.fees_usd for trip in kept),
        pnl_net_usd=sum(trip.pnl_net_usd for trip in kept),
    )


def per_window(trips: Iterable[RoundTrip], windows: Sequence[str]) -> Dollars:
    """Return the net result of each window, shape (windows,).

    Raises:
        ValueError: a trip belongs to none of the windows, or a window is named twice.
    """
    place = _places(windows)
    totals = np.zeros(len(windows), np.int64)
    for trip in trips:
        if trip.window not in place:
            raise ValueError(f"a trade in window {trip.window}, which is not one of the {len(windows)} judged")
        totals[place[trip.window]] += trip.pnl_net_usd
    return totals


def interval(by_window: Dollars, *, resamples: int = RESAMPLES, level: float = LEVEL) -> Interval:
    """Return the sum of `by_window` with its percentile bootstrap interval (Efron 1979).

    The windows are drawn with replacement, `resamples` times, by a generator of fixed seed: the same numbers give the
    same interval.
    """
    count, total = len(by_window), int(by_window.sum())
    if count == 0:
        return Interval(0, 0, 0, 0)
    rng = np.random.Generator(np.random.PCG64(_SEED))
    sums = np.empty(resamples)
    for start in range(0, resamples, _CHUNK):
        drawn = rng.integers(0, count, (min(_CHUNK, resamples - start), count))
        sums[start : start + _CHUNK] = by_window[drawn].sum(axis=1)
    low, high = np.quantile(sums, ((1 - level) / 2, (1 + level) / 2))
    return Interval(total, round(float(low)), round(float(high)), count)


def paired(
    first: Iterable[RoundTrip], second: Iterable[RoundTrip], windows: Sequence[str], *, resamples: int = RESAMPLES
) -> Interval:
    """Return how much more `first` earned than `second` on the same windows; both are resampled together.

    Raises:
        ValueError: as `per_window`.
    """
    return interval(per_window(first, windows) - per_window(second, windows), resamples=resamples)


def equity_curve(trips: Iterable[RoundTrip], windows: Sequence[str]) -> Dollars:
    """Return the running net result after each round trip, window by window, in the order of their closing."""
    place = _places(windows)
    ordered = sorted(trips, key=lambda trip: (place[trip.window], trip.closed_ms))
    return np.cumsum(np.array([trip.pnl_net_usd for trip in ordered], np.int64))


def max_drawdown(curve: Dollars) -> int:
    """Return the largest fall of an equity curve that starts at 0 from a peak to a later trough, at least 0."""
    if len(curve) == 0:
        return 0
    peaks = np.maximum(np.maximum.accumulate(curve), 0)
    return int((peaks - curve).max())


def _places(windows: Sequence[str]) -> Mapping[str, int]:
    place = {window: number for number, window in enumerate(windows)}
    if len(place) != len(windows):
        raise ValueError(f"{len(windows) - len(place)} windows are named twice")
    return place


def _sliced(trips: Iterable[RoundTrip], key: Callable[[RoundTrip], str]) -> dict[str, Slice]:
    return {name: added_up(group) for name, group in groupby(sorted(trips, key=key), key=key)}
