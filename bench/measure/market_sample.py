"""What is measured of a market, recorded or simulated: the same shapes for both, so that one code measures them."""

import msgspec
import numpy as np
import numpy.typing as npt

from venues.sim.world.measure import Touches
from venues.sim.world.noise import Floats, Ints

LEVELS = 5
"""Book levels a side that the recordings hold."""


class Follow(msgspec.Struct, frozen=True):
    """One window second by second: how the mid and the settlement stream's tick moved, in dollars, NaN if unknown."""

    mid_moves: Floats
    tick_moves: Floats


class FlowStretch(msgspec.Struct, frozen=True):
    """Some minutes of the fast venue, per second: trades, their mean side (buy 1, sell -1) and spot's log return.

    `usd` and `sides` have one entry a trade; a trade is what was executed at one price, side and millisecond.
    """

    counts: Ints
    imbalance: Floats
    returns: Floats
    usd: Floats
    sides: Floats


class MinuteWindow(msgspec.Struct, frozen=True):
    """One window's Up prices, once a minute from the first to the fourteenth, and what a slow reader made of them.

    `values[a]` are digital-option values from the last minute close known `a` minutes ago; `won` is 1 if Up won.
    """

    minutes: Ints
    prices: Floats
    values: tuple[Floats, ...]
    won: float


class Sample(msgspec.Struct, frozen=True):
    """One market's worth of measurements. `depths` is (books, LEVELS) in shares, NaN where a level is missing.

    `closes` are stretches of log prices a minute apart with the UTC hour of each; `outcomes` is 1 where Up won.
    """

    name: str
    touches: list[Touches]
    depths: Floats
    follows: list[Follow]
    closes: list[Floats]
    hours: list[Ints]
    flow: list[FlowStretch]
    windows: list[MinuteWindow]
    outcomes: Floats


def flow_stretch(t_ms: Ints, price: Floats, quantity: Floats, sides: Floats) -> FlowStretch:
    """Return the per-second figures of trades in the order of time; `sides` is 1 for a buying taker, -1 for a selling.

    Spot is the last trade's price; the first, incomplete second is left out, and so is the last.
    """
    second = t_ms // 1000 - t_ms[0] // 1000
    seconds = int(second[-1])
    counts = np.bincount(second, minlength=seconds + 1)
    imbalance = np.bincount(second, sides, seconds + 1) / np.maximum(1, counts)
    last = np.searchsorted(second, np.arange(seconds + 1), side="right") - 1
    returns = np.diff(np.log(price[last]))
    inner = slice(1, seconds)
    return FlowStretch(counts[inner], imbalance[inner], returns[: seconds - 1], price * quantity, sides)


def merged(t_ms: Ints, price: Floats, quantity: Floats, sides: Floats) -> tuple[Ints, Floats, Floats, Floats]:
    """Return the trades with those of one millisecond, price and side joined, as the venue's aggregate stream does."""
    first: npt.NDArray[np.bool_] = np.concatenate(
        [[True], (np.diff(t_ms) != 0) | (np.diff(price) != 0) | (np.diff(sides) != 0)]
    )
    return t_ms[first], price[first], np.bincount(np.cumsum(first) - 1, quantity).astype(np.float64), sides[first]
