"""Trades on the fast venue: more of them when volatility is high, and on the side to which spot is about to move."""

import math
from functools import lru_cache

import msgspec
import numpy as np

from venues.sim.world.day import DAY_S, STEPS_PER_S
from venues.sim.world.noise import Floats, Ints, generator, interpolated, normal_knots
from venues.sim.world.prices import Prices
from venues.sim.world.variants import ASSETS, SECONDS_PER_YEAR

_QUIET_RATE_PER_S, _RATE_PER_S, _CHASE_PER_S, _MOST_CHASE = 5.0, 5.0, 5.0, 80.0
"""Trades a second: always, for each usual volatility, for each squared usual one-second move, and the square's cap."""

_LEAD_MS, _LEAD_PULL = 800, 0.30
_ECHO_MS, _ECHO_PULL = 500, 0.24
_HERDING = 0.12
_SWEEP = 0.5
"""The chance that a trade goes on with the side of the one before it: orders sweep levels and come in slices."""

_LARGE_SHARE, _LARGE_FACTOR, _LARGE_PULL = 0.008, 8.0, 0.34
_SIZE_SD = 1.8
MINUTE_MS = 60_000


class Trades(msgspec.Struct, frozen=True):
    """Trades in the order of time: aggregate ids, unix milliseconds, dollars, base quantity, and who was passive."""

    ids: Ints
    t_ms: Ints
    price_usd: Floats
    quantity: Floats
    buyer_is_maker: np.ndarray[tuple[int], np.dtype[np.bool_]]

    def between(self, from_ms: int, to_ms: int) -> "Trades":
        """Return the trades with `from_ms <= t_ms < to_ms`."""
        low, high = np.searchsorted(self.t_ms, (from_ms, to_ms))
        return Trades(
            self.ids[low:high],
            self.t_ms[low:high],
            self.price_usd[low:high],
            self.quantity[low:high],
            self.buyer_is_maker[low:high],
        )


def joined(parts: list[Trades]) -> Trades:
    """Return consecutive stretches of trades as one."""
    return Trades(
        np.concatenate([p.ids for p in parts]),
        np.concatenate([p.t_ms for p in parts]),
        np.concatenate([p.price_usd for p in parts]),
        np.concatenate([p.quantity for p in parts]),
        np.concatenate([p.buyer_is_maker for p in parts]),
    )


class Flow:
    """The order flow of every asset, in blocks of one minute."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._seed = prices.seed
        self._counts = lru_cache(maxsize=9)(self._make_counts)
        self.minute = lru_cache(maxsize=64)(self._make_minute)

    def _make_counts(self, asset: str, day: int) -> tuple[Ints, Ints]:
        """Return trades per second of a day, and how many came before each second: ids without a gap within a day."""
        path = self._prices.day(asset, day)
        usual = ASSETS[asset].annual_volatility / math.sqrt(SECONDS_PER_YEAR)
        seconds = np.append(path.spot_usd[::STEPS_PER_S], path.spot_usd[-1])
        moves = np.minimum(np.square(np.diff(np.log(seconds)) / usual), _MOST_CHASE)
        rate = _QUIET_RATE_PER_S + _RATE_PER_S * path.sigma / usual + _CHASE_PER_S * moves
        counts = generator(self._seed, f"trade counts {asset}", day).poisson(rate)
        return counts, np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])

    def _make_minute(self, asset: str, minute: int) -> Trades:
        day, second = divmod(minute * 60, DAY_S)
        counts, before = self._counts(asset, day)
        per_second = counts[second : second + 60]
        n = int(per_second.sum())
        rng = generator(self._seed, f"trades {asset}", minute)
        seconds = np.repeat(np.arange(60), per_second)
        t_ms = np.sort(minute * MINUTE_MS + seconds * 1000 + rng.integers(0, 1000, n))

        large = rng.random(n) < _LARGE_SHARE
        buys = rng.random(n) < self._buy_probability(asset, minute, t_ms, large)
        buys = buys[np.maximum.accumulate(np.where(rng.random(n) < _SWEEP, 0, np.arange(n)))]
        spec = ASSETS[asset]
        spot = self._prices.spots(asset, t_ms)
        bid = np.floor(spot / spec.tick_usd) * spec.tick_usd
        usd = spec.median_trade_usd * np.exp(_SIZE_SD * rng.standard_normal(n)) * np.where(large, _LARGE_FACTOR, 1.0)
        quantity = np.maximum(np.round(usd / spot, spec.quantity_decimals), 10.0**-spec.quantity_decimals)
        return Trades(
            ids=day * 10_000_000 + before[second] + np.arange(n),
            t_ms=t_ms,
            price_usd=np.round(np.where(buys, bid + spec.tick_usd, bid), 4).astype(np.float64),
            quantity=quantity.astype(np.float64),
            buyer_is_maker=~buys,
        )

    def _buy_probability(
        self, asset: str, minute: int, t_ms: Ints, large: np.ndarray[tuple[int], np.dtype[np.bool_]]
    ) -> Floats:
        """Flow leads spot by less than a second, echoes its last half second, and herds for no reason."""
        sigma = math.sqrt(self._prices.variance(asset, minute * 60, minute * 60 + 60) / 60)
        ahead = self._prices.returns(asset, t_ms, _LEAD_MS) / (sigma * math.sqrt(_LEAD_MS / 1000))
        behind = -self._prices.returns(asset, t_ms, -_ECHO_MS) / (sigma * math.sqrt(_ECHO_MS / 1000))
        herd = interpolated(normal_knots(1.0), self._seed, f"herding {asset}", minute, knots=8, points=600)
        herding = herd[(t_ms - minute * MINUTE_MS) // 100]
        pull = np.where(large, _LARGE_PULL, _LEAD_PULL)
        tilt = pull * np.tanh(ahead) + _ECHO_PULL * np.tanh(behind) + _HERDING * np.tanh(herding)
        return np.clip(0.5 + tilt, 0.02, 0.98)

    def between(self, asset: str, from_ms: int, to_ms: int) -> Trades:
        """Return the trades of `asset` with `from_ms <= t_ms < to_ms` (unix milliseconds)."""
        minutes = range(from_ms // MINUTE_MS, max(from_ms, to_ms - 1) // MINUTE_MS + 1)
        return joined([self.minute(asset, minute).between(from_ms, to_ms) for minute in minutes])
