"""A sample of the embedded world, in the shape of the recordings."""

import numpy as np

from bench.measure.market_sample import LEVELS, FlowStretch, Follow, MinuteWindow, Sample, flow_stretch
from bench.measure.slow_reader import MEMORY, digital_value
from venues.sim.world import World
from venues.sim.world.measure import Touches, sampled_opens
from venues.sim.world.noise import Floats

DAY_S = 86_400
AGES = (0, 1)
"""Minutes that pass before a minute close is known to the slow reader, on top of the seconds since."""

_LAST_DAY = 20_780
_STAMP_S = 7
"""The recorded minute prices are stamped some seconds into their minute; half of them within seven."""

_STRETCH_S, _VOLATILITY = 345, (0.55, 0.85)
"""Flow is compared over stretches as long, and about as volatile a year, as the recorded one with its 0.69."""

_SECONDS_PER_YEAR = 365 * DAY_S


def simulated_sample(name: str, seed: int, windows: int, asset: str = "BTC") -> Sample:
    """Return a sample of `windows` windows of 900 s over twenty days, a fifth of them second by second."""
    world = World(seed, name, 900)
    opens = sampled_opens(world, _LAST_DAY * DAY_S, windows)
    by_second = opens[:: max(1, len(opens) // max(1, windows // 5))]
    touches = [_touches(world, asset, start) for start in by_second]
    days = [world.prices.day(asset, _LAST_DAY - k).spot_usd[:: 60 * 10] for k in reversed(range(20))]
    return Sample(
        name=name,
        touches=touches,
        depths=np.array([row for start in by_second for row in _depths(world, asset, start)]),
        follows=[_follow(world, asset, start, t) for start, t in zip(by_second, touches, strict=True)],
        closes=[np.log(np.concatenate(days))],
        hours=[np.tile(np.arange(DAY_S // 60) // 60, len(days))],
        flow=_stretches(world, asset),
        windows=[minute_window(world, asset, start) for start in opens],
        outcomes=np.array([world.winner(asset, start) == "Up" for start in opens], dtype=float),
    )


def _touches(world: World, asset: str, opens_at_s: int) -> Touches:
    quotes = [world.quote(asset, opens_at_s, (opens_at_s + s) * 1000) for s in range(world.window_s)]
    return Touches(np.array([q.bid for q in quotes]) / 1e6, np.array([q.ask for q in quotes]) / 1e6)


def _depths(world: World, asset: str, opens_at_s: int) -> list[list[float]]:
    books = [world.book(asset, opens_at_s, (opens_at_s + s) * 1000) for s in range(30, world.window_s - 30, 20)]
    sides = [side[:LEVELS] for book in books for side in (book.bids, book.asks)]
    return [[shares / 1e6 for _, shares in side] + [np.nan] * (LEVELS - len(side)) for side in sides]


def _follow(world: World, asset: str, opens_at_s: int, touches: Touches) -> Follow:
    ticks = np.array([world.tick(asset, opens_at_s + s) for s in range(world.window_s)]) / 1e8
    return Follow(np.diff((touches.bid + touches.ask) / 2), np.diff(ticks))


def minute_window(world: World, asset: str, opens_at_s: int) -> MinuteWindow:
    """Return minute prices, and the value of who knows spot at whole minutes and the price to beat.

    What is left of the variance is that of a mean over the last minute: until it begins, and a third of it.
    """
    minutes = np.arange(1, 15)
    quotes = [world.quote(asset, opens_at_s, (opens_at_s + int(m) * 60 + _STAMP_S) * 1000) for m in minutes]
    strike = world.strike(asset, opens_at_s)
    spots = [world.spot(asset, (opens_at_s + m * 60) * 1000) for m in range(-MEMORY - max(AGES), 15)]
    values = []
    for age in AGES:
        ends = [int(m) - age + MEMORY + max(AGES) + 1 for m in minutes]
        left = [15 - int(m) + age - 2 / 3 for m in minutes]
        known = [spots[end - MEMORY - 1 : end] for end in ends]
        values.append(np.array([digital_value(k, strike, rest) for k, rest in zip(known, left, strict=True)]))
    return MinuteWindow(
        minutes=minutes,
        prices=np.array([(q.bid + q.ask) / 2e6 for q in quotes]),
        values=tuple(values),
        won=float(world.winner(asset, opens_at_s) == "Up"),
    )


def _stretches(world: World, asset: str) -> list[FlowStretch]:
    found = []
    for k in range(0, 4 * DAY_S, 2400):
        start = (_LAST_DAY - 4) * DAY_S + k
        prices: Floats = world.prices.spots(asset, (start + np.arange(_STRETCH_S + 1)) * 1000)
        annual = float(np.diff(np.log(prices)).std()) * np.sqrt(_SECONDS_PER_YEAR)
        if _VOLATILITY[0] < annual < _VOLATILITY[1]:
            trades = world.trades(asset, start * 1000, (start + _STRETCH_S) * 1000)
            sides = np.where(trades.buyer_is_maker, -1.0, 1.0)
            found.append(flow_stretch(trades.t_ms, trades.price_usd, trades.quantity, sides))
    return found
