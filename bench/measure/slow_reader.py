"""A reader who prices the binary from minute closes, so late by up to a minute or more, and takes what looks cheap."""

from collections.abc import Sequence
from math import erf, log, sqrt

import msgspec
import numpy as np

from bench.measure.market_sample import MinuteWindow
from venues.sim.world.noise import Floats

MEMORY = 60
"""Minutes from which the reader takes volatility."""

_HALF_SPREAD, _FEE = 0.005, 0.07
_RESAMPLES = 2000


class Earned(msgspec.Struct, frozen=True):
    """What the trades above one threshold earned: how many, dollars a share, and the 95 % interval of the mean."""

    trades: int
    mean: float
    low: float
    high: float


def digital_value(closes: Sequence[float], strike: float, minutes_left: float) -> float:
    """Return P(price at the close >= strike) of a driftless lognormal: N(ln(S / K) / (sd sqrt(minutes left))).

    `closes` are the last `MEMORY` + 1 minute closes in dollars, from whose returns the standard deviation comes.
    """
    deviation = float(np.diff(np.log(closes)).std()) * sqrt(minutes_left)
    return 0.5 * (1 + erf(log(closes[-1] / strike) / deviation / sqrt(2)))


def cost(price: float) -> float:
    """Return what a share costs a taker whose market's mid is `price`: half a tick and the fee on top."""
    return price + _HALF_SPREAD + _FEE * price * (1 - price)


def gains(window: MinuteWindow, age: int, threshold: float) -> Floats:
    """Return the gain a share of every purchase whose value exceeds its cost by `threshold`, held to settlement."""
    earned = []
    for price, value in zip(window.prices.tolist(), window.values[age].tolist(), strict=True):
        if value - cost(price) > threshold:
            earned.append(window.won - cost(price))
        if 1 - value - cost(1 - price) > threshold:
            earned.append(1 - window.won - cost(1 - price))
    return np.array(earned)


def earned(windows: list[MinuteWindow], age: int, threshold: float) -> Earned:
    """Return the mean gain a share over all windows and its interval, from resampling whole windows."""
    found = [gains(window, age, threshold) for window in windows]
    sums, counts = np.array([f.sum() for f in found]), np.array([len(f) for f in found])
    if not counts.sum():
        return Earned(0, 0.0, 0.0, 0.0)
    drawn = np.random.default_rng(1).integers(0, len(found), (_RESAMPLES, len(found)))
    means = sums[drawn].sum(axis=1) / np.maximum(1, counts[drawn].sum(axis=1))
    low, high = np.quantile(means, (0.025, 0.975))
    return Earned(int(counts.sum()), float(sums.sum() / counts.sum()), float(low), float(high))
