"""Spot, volatility and settlement ticks at any moment: the days of one asset, computed when first asked for."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from venues.sim.world.day import DAY_S, STEP_MS, Day, make_day
from venues.sim.world.noise import Floats, Ints
from venues.sim.world.variants import ASSETS

_DAYS_KEPT = 9
"""Four assets on both sides of a midnight, and one look into the past."""

TICK_DELAY_S = 1
"""The settlement stream trails the fast venue: the tick stamped s is the spot of s - 1."""


class Prices:
    """The price paths of every asset under one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.day = lru_cache(maxsize=_DAYS_KEPT)(self._make_day)

    def _make_day(self, asset: str, day: int) -> Day:
        return make_day(self.seed, ASSETS[asset], day)

    def spot(self, asset: str, t_ms: int) -> float:
        """Return the price in dollars at `t_ms` (unix milliseconds), constant within each 100 ms step."""
        day, ms = divmod(t_ms, DAY_S * 1000)
        return float(self.day(asset, day).spot_usd[ms // STEP_MS])

    def spots(self, asset: str, t_ms: Ints) -> Floats:
        """Return the prices in dollars at each of `t_ms`."""
        out = np.empty(len(t_ms))
        days = t_ms // (DAY_S * 1000)
        for day in np.unique(days):
            here = days == day
            out[here] = self.day(asset, int(day)).spot_usd[(t_ms[here] - day * (DAY_S * 1000)) // STEP_MS]
        return out

    def variance(self, asset: str, from_s: int, to_s: int) -> float:
        """Return the integrated variance of the log price over `[from_s, to_s)`."""
        days = self._days(asset, from_s, to_s)
        return sum(float(day.variance_sums[high] - day.variance_sums[low]) for day, low, high in days)

    def variances(self, asset: str, from_s: int, to_s: int) -> Floats:
        """Return the variance of the log price in each second of `[from_s, to_s)`."""
        return np.concatenate(
            [np.diff(day.variance_sums[low : high + 1]) for day, low, high in self._days(asset, from_s, to_s)]
        )

    def ticks(self, asset: str, from_s: int, to_s: int) -> Ints:
        """Return the settlement ticks (integers of 1e-8 dollars) of the seconds in `[from_s, to_s)`."""
        days = self._days(asset, from_s - TICK_DELAY_S, to_s - TICK_DELAY_S)
        return np.concatenate([np.diff(day.tick_sums[low : high + 1]) for day, low, high in days])

    def tick_sum(self, asset: str, from_s: int, to_s: int) -> int:
        """Return the sum of the settlement ticks of the seconds in `[from_s, to_s)`, in 1e-8 dollars."""
        days = self._days(asset, from_s - TICK_DELAY_S, to_s - TICK_DELAY_S)
        return sum(int(day.tick_sums[high] - day.tick_sums[low]) for day, low, high in days)

    def _days(self, asset: str, from_s: int, to_s: int) -> Iterator[tuple[Day, int, int]]:
        """Yield each day that `[from_s, to_s)` touches, with the seconds of the day between which it does."""
        while from_s < to_s:
            day, low = divmod(from_s, DAY_S)
            high = min(to_s - day * DAY_S, DAY_S)
            yield self.day(asset, day), low, high
            from_s = day * DAY_S + high

    def returns(self, asset: str, t_ms: Ints, ahead_ms: int) -> Floats:
        """Return the relative move of spot from each `t_ms` to `ahead_ms` later (earlier when negative)."""
        now = self.spots(asset, t_ms)
        later: Floats = self.spots(asset, t_ms + ahead_ms)
        return later / now - 1.0
