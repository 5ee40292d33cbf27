"""One asset's UTC day: spot on a 100 ms grid, its volatility, and the ticks of the stream that settles markets.

Days are tied to anchors that depend on seed and date alone; between two anchors runs a Brownian bridge, whose law is
that of the free motion when the anchors' distance has the motion's variance. So a day needs no other day, and the
path is continuous across midnight. The bridge's time is the variance so far: in the clock's time its pull would be a
trend in quiet hours, for anybody to follow.
"""

import math
from functools import lru_cache

import msgspec
import numpy as np

from venues.sim.world.noise import Floats, Ints, generator, interpolated, normal_knots
from venues.sim.world.variants import SECONDS_PER_YEAR, Asset

DAY_S = 86_400
STEP_MS = 100
STEPS_PER_S = 1000 // STEP_MS
TICK_UNIT = 100_000_000
"""Ticks of the settlement stream are integers of 1e-8 dollars, so that sums and ties are exact."""

_HOURLY_SD, _BRIEF_SD, _BURST_SD = 0.60, 0.35, 0.70
_REVERSION, _MEMORY_DAYS = 0.97, 200
_JUMPS_PER_DAY, _JUMP_SHARE = 20.0, 0.05
"""Jumps grow with volatility, so that they are the same share of the variance in quiet and in wild hours."""

_RUSH_HOUR, _RUSH_HOURS, _RUSH = 15.0, 1.7, 1.6
"""The American opening, in UTC: when volatility peaks, for how long (a standard deviation), and how much it adds."""


def _mean_square() -> float:
    """Return E[exp(2 x)] of the swings: between two knots of variance v, the variance is v ((1 - f)^2 + f^2)."""
    smooth = np.linspace(0, 1, 101)
    thirds = np.arange(3) / 3
    product = 1.0
    for sd, between in ((_HOURLY_SD, smooth), (_BRIEF_SD, smooth), (_BURST_SD, thirds)):
        product *= float(np.exp(2 * sd**2 * ((1 - between) ** 2 + between**2)).mean())
    return product


_MEAN_SQUARE = _mean_square()


@lru_cache(maxsize=1)
def _rhythm() -> Floats:
    """Return how volatility depends on the time of day, one factor a second; their mean square is one."""
    hours = np.arange(DAY_S) / 3600
    away = np.abs(hours - _RUSH_HOUR)
    away = np.minimum(away, 24 - away)
    factor = 1 + _RUSH * np.exp(-0.5 * (away / _RUSH_HOURS) ** 2)
    rhythm: Floats = factor / math.sqrt(float(np.square(factor).mean()))
    return rhythm


class Day(msgspec.Struct, frozen=True):
    """One asset-day. `spot_usd` has 864,000 steps, `sigma` (per square root of a second) and the sums one per second.

    `tick_sums[k]` is the sum of the settlement ticks of the day's first `k` seconds, `variance_sums[k]` the integral
    of the variance over them.
    """

    spot_usd: Floats
    sigma: Floats
    tick_sums: Ints
    variance_sums: Floats


def anchor(seed: int, asset: Asset, day: int) -> float:
    """Return the log price at the midnight that opens `day` (days since 1970).

    A mean-reverting walk, cut off after 200 days so that it can be computed from nothing.
    """
    weights = _REVERSION ** np.arange(_MEMORY_DAYS)
    shocks = [_day_shock(seed, asset, day - 1 - k) for k in range(_MEMORY_DAYS)]
    return math.log(asset.price_usd) + float(weights @ np.array(shocks))


def _day_shock(seed: int, asset: Asset, day: int) -> float:
    rho = asset.market_correlation
    common = generator(seed, "anchor", day).standard_normal()
    own = generator(seed, f"anchor {asset.ticker}", day).standard_normal()
    daily = asset.annual_volatility / math.sqrt(365)
    return daily * (rho * common + math.sqrt(1 - rho * rho) * own)


def _volatility(seed: int, asset: Asset, day: int) -> Floats:
    """Return sigma per square root of a second, one a second: swings of an hour, two minutes and three seconds.

    They ride on a daily rhythm; the briefest make most seconds quiet and a few wild, as trading is.
    """
    hourly = interpolated(normal_knots(_HOURLY_SD), seed, "hourly volatility", day, knots=24, points=DAY_S)
    brief = interpolated(
        normal_knots(_BRIEF_SD), seed, f"brief volatility {asset.ticker}", day, knots=720, points=DAY_S
    )
    bursts = interpolated(normal_knots(_BURST_SD), seed, f"bursts {asset.ticker}", day, knots=DAY_S // 3, points=DAY_S)
    base = asset.annual_volatility / math.sqrt(SECONDS_PER_YEAR)
    swings: Floats = base * _rhythm() * np.exp(hourly + brief + bursts) / math.sqrt(_MEAN_SQUARE)
    return swings


def make_day(seed: int, asset: Asset, day: int) -> Day:
    """Return the whole day of one asset; about 60 ms of work and 8 MB."""
    sigma = _volatility(seed, asset, day)
    steps = DAY_S * STEPS_PER_S
    rho = asset.market_correlation
    shocks = generator(seed, "market", day).standard_normal(steps, dtype=np.float32)
    shocks *= rho
    shocks += math.sqrt(1 - rho * rho) * generator(seed, f"path {asset.ticker}", day).standard_normal(
        steps, dtype=np.float32
    )
    shocks *= np.repeat((sigma * math.sqrt((1 - _JUMP_SHARE) / STEPS_PER_S)).astype(np.float32), STEPS_PER_S)
    rng = generator(seed, f"jumps {asset.ticker}", day)
    when = rng.integers(0, steps, rng.poisson(_JUMPS_PER_DAY))
    usual = sigma[when // STEPS_PER_S] * math.sqrt(DAY_S * _JUMP_SHARE / _JUMPS_PER_DAY)
    shocks[when] += rng.standard_normal(len(when)) * usual

    opening, closing = anchor(seed, asset, day), anchor(seed, asset, day + 1)
    path = np.empty(steps + 1)
    path[0] = 0.0
    np.cumsum(shocks, dtype=np.float64, out=path[1:])
    elapsed = np.concatenate([np.zeros(1), np.cumsum(np.repeat(np.square(sigma), STEPS_PER_S))])
    path += elapsed * ((closing - opening - path[-1]) / elapsed[-1])
    spot = np.exp(path[:-1] + opening)

    ticks = np.rint(spot[::STEPS_PER_S] * TICK_UNIT).astype(np.int64)
    return Day(
        spot_usd=spot,
        sigma=sigma,
        tick_sums=np.concatenate([np.zeros(1, np.int64), np.cumsum(ticks)]),
        variance_sums=np.concatenate([np.zeros(1), np.cumsum(sigma**2)]),
    )
