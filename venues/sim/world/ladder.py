"""The price levels makers quote on, and how much rests on each: a stateless function of level and time."""

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from venues.sim.world.noise import Floats, Ints, scrambled

MILLI = 1000
"""Prices are integers of 1e-3 here: the finest tick."""

_MEDIANS = np.array([195.0, 530.0, 690.0, 810.0, 870.0])
_SIZE_SDS = np.array([1.45, 0.95, 0.80, 0.65, 0.60])
"""Shares on the best level, the second, ... the fifth and all beyond: medians, and spreads of their logarithms."""

_THIN_SIDE, _THICK_SIDE = 1.25, 0.75
"""Sizes fall further below the median than they rise above it, in logarithms: what is at the touch is being eaten."""

_EDGE_FACTOR, _EDGE_WIDTH = 10.0, 0.015
_NEAR_LEVELS = 3
_LEAST_SHARES = 5.0


@lru_cache(maxsize=2)
def ladder(*, fine: bool) -> Ints:
    """Return the quoted prices: whole cents, and tenths of a cent beyond 0.96 and 0.04 once the tick is fine.

    In between, makers keep to cents on a fine tick too, as the recorded books with a tick of 0.001 show.
    """
    cents = np.arange(10, MILLI, 10)
    if not fine:
        return cents
    return np.unique(np.concatenate([np.arange(1, 40), cents, np.arange(961, MILLI)]))


@lru_cache(maxsize=2)
def _profile(*, fine: bool) -> Floats:
    """Return by how much more rests at each level: lottery tickets and collateral pile up at the edges."""
    levels = ladder(fine=fine) / MILLI
    edge = np.minimum(levels, 1 - levels) - 0.01
    factors: Floats = 1 + _EDGE_FACTOR * np.exp(-np.abs(edge) / _EDGE_WIDTH)
    return factors


@lru_cache(maxsize=1024)
def market_key(name: str) -> int:
    """Return the 64-bit key that tells one market's sizes from another's."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


@lru_cache(maxsize=2)
def _index(*, fine: bool) -> Ints:
    return np.arange(len(ladder(fine=fine)))


@lru_cache(maxsize=512)
def _orders(key: int, *, is_bid: bool, fine: bool) -> tuple[npt.NDArray[np.uint64], Ints, Ints, Ints]:
    """Return what one side's orders have of their own at each level: key, phase, periods near and far (steps)."""
    side = np.uint64(0xD1B54A32D192ED03 if is_bid else 0)
    with np.errstate(over="ignore"):
        own = np.uint64(key) + ladder(fine=fine).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + side
    pace = scrambled(own)
    offset = (pace * 1e6).astype(np.int64)
    return own, offset, (6 + 14 * pace).astype(np.int64), (60 + 180 * pace).astype(np.int64)


def resting_shares(key: int, step: int, best_bid: int, best_ask: int, *, fine: bool) -> Floats:
    """Return the shares (two decimals) on every level of the ladder at a 200 ms step.

    Levels up to `best_bid` (an index of the ladder) are bids, those from `best_ask` on are asks. A level keeps its
    size for a while of its own, shorter near the touch: orders come and go there.
    """
    bids, asks = _orders(key, is_bid=True, fine=fine), _orders(key, is_bid=False, fine=fine)
    split = best_bid + 1
    index = _index(fine=fine)
    own = np.concatenate((bids[0][:split], asks[0][split:]))
    offset, near, far = (np.concatenate((b[:split], a[split:])) for b, a in zip(bids[1:], asks[1:], strict=True))
    distance = np.concatenate((best_bid - index[:split], index[split:] - best_ask))
    period = np.where(distance < _NEAR_LEVELS, near, far)
    epoch = ((step + offset) // period).astype(np.uint64)
    chance = scrambled(own ^ (epoch * np.uint64(0xA0761D6478BD642F)))
    depth = np.clip(distance, 0, len(_MEDIANS) - 1)
    spread = np.log(chance / (1 - chance)) * (_SIZE_SDS[depth] * (np.sqrt(3) / np.pi))
    spread *= np.where(spread < 0, _THIN_SIDE, _THICK_SIDE)
    usual = _profile(fine=fine) * _MEDIANS[depth]
    shares: Floats = np.round(np.maximum(usual * np.exp(spread), _LEAST_SHARES), 2)
    return shares
