"""Fair value of an Up share: the chance that the mean of the settlement ticks at the close reaches that at the open."""

import math
from functools import lru_cache

import msgspec
import numpy as np

from venues.sim.world.day import TICK_UNIT
from venues.sim.world.listing import Listing
from venues.sim.world.noise import Floats, Ints
from venues.sim.world.prices import TICK_DELAY_S, Prices


class _Course(msgspec.Struct, frozen=True):
    """What a market's value is made of, ready to be looked up by how much of it is known.

    `opening_sums[k]` and `closing_sums[k]` are the sums of the first `k` ticks of the two means, in 1e-8 dollars;
    `variance_left[k]` is the mean variance per second from second `first_s + k` to the close, as the ticks feel it.
    """

    first_s: int
    opening_sums: Ints
    closing_sums: Ints
    variance_left: Floats


def variance_of_sum(first_gap_s: Floats, ticks: Ints) -> Floats:
    """Return the variance of the sum of `ticks` one-second-spaced values of a unit Brownian motion.

    The first lies `first_gap_s` ahead. It is the sum over i, j of min(t_i, t_j) = g n^2 + (n - 1) n (2n - 1) / 6.
    """
    n = ticks.astype(np.float64)
    variance: Floats = first_gap_s * n * n + (n - 1) * n * (2 * n - 1) / 6
    return variance


class Valuation:
    """Fair values of every market under one set of prices."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._course = lru_cache(maxsize=64)(self._make_course)

    def _make_course(self, market: Listing) -> _Course:
        span, first_s = market.lookback_s, market.opens_at_s - market.lookback_s + 1
        closing_s = market.closes_at_s - span + 1
        variance = self._prices.variances(market.asset, first_s - TICK_DELAY_S, market.closes_at_s - TICK_DELAY_S)
        left = np.cumsum(variance[::-1]) / np.arange(1, len(variance) + 1)
        return _Course(
            first_s=first_s,
            opening_sums=_running(self._prices.ticks(market.asset, first_s, first_s + span)),
            closing_sums=_running(self._prices.ticks(market.asset, closing_s, closing_s + span)),
            variance_left=left[::-1],
        )

    def values(self, market: Listing, known_ms: Ints) -> Floats:
        """Return P(Up) as of each moment of `known_ms` (unix milliseconds), from the ticks and the spot known then.

        The size of the moves to come is taken as known, never their sign. Before the open the strike itself is still
        a mean in the making; what is missing of it is expected at spot. As ticks trail spot, who knows spot knows the
        ticks of the next `TICK_DELAY_S`, and the winner that long before the close.
        """
        course, span = self._course(market), market.lookback_s
        spot = self._prices.spots(market.asset, known_ms)
        tick_ms = known_ms + TICK_DELAY_S * 1000
        second = tick_ms // 1000
        unopened = np.clip(market.opens_at_s - second, 0, span)
        unclosed = np.clip(market.closes_at_s - second, 0, span)
        strike = course.opening_sums[span - unopened] / TICK_UNIT + unopened * spot
        expected = course.closing_sums[span - unclosed] / TICK_UNIT + unclosed * spot
        start = np.maximum(second, course.first_s)
        rate = course.variance_left[np.minimum(start - course.first_s, len(course.variance_left) - 1)]
        gap_s = np.maximum(market.closes_at_s - span, second) + 1 - np.maximum(tick_ms / 1000, course.first_s)
        deviation = spot * np.sqrt(rate * variance_of_sum(gap_s, unclosed))
        settled = unclosed == 0
        score = (expected - strike) / np.where(settled, 1.0, deviation) / math.sqrt(2.0)
        chance = 0.5 * (1 + np.fromiter(map(math.erf, score.tolist()), np.float64, len(score)))
        return np.where(settled, (course.closing_sums[-1] >= course.opening_sums[-1]) * 1.0, chance)


def _running(ticks: Ints) -> Ints:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(ticks)])
