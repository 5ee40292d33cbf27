"""The slow venue's makers and takers: one market's quotes and trades on a 200 ms grid, in blocks of one minute."""

from bisect import bisect_right
from functools import lru_cache

import msgspec
import numpy as np

from venues.sim.world.fair import Valuation
from venues.sim.world.ladder import MILLI, ladder
from venues.sim.world.listing import Listing
from venues.sim.world.noise import Floats, Ints, generator, interpolated, normal_knots, uniform_knots
from venues.sim.world.prices import Prices
from venues.sim.world.variants import Variant

QUOTE_MS = 200
BLOCK_STEPS = 300
BLOCK_MS = QUOTE_MS * BLOCK_STEPS

_SPREAD_STEPS = 5
"""Makers learn of a move one after the other: the quoted value averages what they know over so many steps."""

_OPINION_SD = 0.003
_PATIENCE, _PATIENCE_NEAR_EDGE = 5.5, 0.3
_FAST_MOVE = 0.045
_NERVOUS_SHARE = 0.5
_WIDE_SHARES = (0.010, 0.0028, 0.0010, 0.0004)
"""Chances that makers, for no reason, leave one level empty at a step, two, three or four."""

_WIDE_STEPS = 4
_FINE_WIDE_SHARE, _FINE_GAP, _FINE_WIDE_STEPS = 0.030, 9, 25
"""The chance of a gap between tenths of a cent, how many levels it has at most, and how many steps it stays."""
_FINE_BEYOND = 0.965
_TRADES_PER_S, _INFORMED, _MEDIAN_SHARES, _SHARES_SD = 0.8, 0.35, 14.0, 1.1


class Print(msgspec.Struct, frozen=True):
    """One trade of the slow venue, in Up's terms: the ladder's level it took, shares, and the taker's side."""

    step: int
    level_milli: int
    shares: float
    taker_buys_up: bool
    on_up_token: bool


class Block(msgspec.Struct, frozen=True):
    """Quotes of one minute: ladder indices of best bid and ask, whether the tick is fine, and the trades by step."""

    first_step: int
    best_bid: list[int]
    best_ask: list[int]
    fine: list[bool]
    prints: dict[int, list[Print]]


class Quoting:
    """The makers and takers of every market of one world."""

    def __init__(self, prices: Prices, valuation: Valuation, variant: Variant) -> None:
        self._prices = prices
        self._valuation = valuation
        self._variant = variant
        self._fine_from_ms = lru_cache(maxsize=256)(self._find_fine_from_ms)
        self.block = lru_cache(maxsize=96)(self._make_block)

    def known_ms(self, asset: str, t_ms: Ints) -> Ints:
        """Return the age-old moment whose spot the makers quote from, for each of the moments `t_ms` of one block."""
        block = int(t_ms[0]) // BLOCK_MS
        knots = uniform_knots(self._variant.lag_low_s, self._variant.lag_high_s)
        lag_s = interpolated(knots, self._prices.seed, f"lag {asset}", block, knots=6, points=BLOCK_STEPS)
        at = (t_ms - block * BLOCK_MS) // QUOTE_MS
        return t_ms - (lag_s[at] * 1000).astype(np.int64)

    def fine_from_ms(self, market: Listing) -> int | None:
        """Return when the market's tick became 0.001, None if it never does.

        The venue's trigger is a price above 0.96 or below 0.04; here the makers' value at whole seconds decides.
        """
        return self._fine_from_ms(market)

    def _find_fine_from_ms(self, market: Listing) -> int | None:
        lag_ms = int((self._variant.lag_low_s + self._variant.lag_high_s) * 500)
        seconds = np.arange(market.opens_at_s, market.closes_at_s, dtype=np.int64) * 1000
        values = self._valuation.values(market, seconds - lag_ms)
        beyond = np.flatnonzero(np.abs(values - 0.5) > _FINE_BEYOND - 0.5)
        return int(seconds[beyond[0]]) if len(beyond) else None

    def _make_block(self, market: Listing, block: int) -> Block:
        first = block * BLOCK_STEPS
        t_ms = (first + np.arange(BLOCK_STEPS, dtype=np.int64)) * QUOTE_MS
        known_ms = self.known_ms(market.asset, t_ms)
        earlier = known_ms[0] - QUOTE_MS * np.arange(_SPREAD_STEPS - 1, 0, -1)
        values = self._valuation.values(market, np.concatenate([earlier, known_ms]))
        values = np.convolve(values, np.full(_SPREAD_STEPS, 1 / _SPREAD_STEPS), "valid")
        doubt = 4 * values * (1 - values)
        noise = interpolated(
            normal_knots(_OPINION_SD),
            self._prices.seed,
            f"opinion {market.slug}",
            block,
            knots=20,
            points=BLOCK_STEPS,
        )
        rng = generator(self._prices.seed, f"quotes {market.slug}", block)
        fine_from = self.fine_from_ms(market)
        fine = (t_ms >= fine_from).tolist() if fine_from is not None else [False] * BLOCK_STEPS
        quoted = np.clip(values + noise * doubt, 0.0, 1.0)
        bids, asks = _touches(quoted, fine, rng)
        fresh = self._valuation.values(market, t_ms)
        block_of = Block(first, bids, asks, fine, {})
        return msgspec.structs.replace(block_of, prints=_trades(block_of, fresh, rng))


def _touches(quoted: Floats, fine: list[bool], rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Return best bid and ask as ladder indices: requoted when the value leaves the spread, wider after a fast move."""
    second_ago = np.concatenate([np.repeat(quoted[0], 5), quoted[:-5]])
    nervous = np.abs(quoted - second_ago) > _FAST_MOVE
    wide = rng.random(len(quoted))
    extra = np.where(nervous & (wide < _NERVOUS_SHARE), 1 + (wide < _NERVOUS_SHARE / 6), 0)
    extra += sum((wide > 1 - share).astype(np.int64) for share in _WIDE_SHARES)
    gaps = np.array(fine) & (np.abs(quoted - 0.5) > _FINE_BEYOND - 0.5) & (wide < _FINE_WIDE_SHARE)
    extra += np.where(gaps, 1 + wide / _FINE_WIDE_SHARE * _FINE_GAP, 0).astype(np.int64)
    bids: list[int] = []
    asks: list[int] = []
    values = (quoted * MILLI).tolist()
    was_fine: bool | None = None
    levels: list[int] = []
    bid = ask = hold_until = 0
    for i, (is_fine, value) in enumerate(zip(fine, values, strict=True)):
        fresh_ladder = is_fine is not was_fine
        if fresh_ladder:
            levels, was_fine = ladder(fine=is_fine).tolist(), is_fine
        patience = min(_PATIENCE, _PATIENCE_NEAR_EDGE * min(value, MILLI - value) + 0.5)
        outside = fresh_ladder or not levels[bid] - patience <= value <= levels[ask] + patience
        if outside or extra[i] or (ask - bid > 1 and i >= hold_until):
            bid = min(max(bisect_right(levels, value) - 1, 0), len(levels) - 2)
            ask = bid + 1
            if extra[i]:
                below = int(extra[i]) // 2
                bid, ask = max(bid - below, 0), min(ask + int(extra[i]) - below, len(levels) - 1)
                hold_until = i + (_FINE_WIDE_STEPS if gaps[i] else _WIDE_STEPS)
        bids.append(bid)
        asks.append(ask)
    return bids, asks


def _trades(quotes: Block, fresh: Floats, rng: np.random.Generator) -> dict[int, list[Print]]:
    """Return the takers' trades by step.

    Some takers see a value outside the spread and take it (`fresh` is P(Up) without lag), the rest trade for reasons
    of their own.
    """
    counts = rng.poisson(_TRADES_PER_S * QUOTE_MS / 1000, BLOCK_STEPS)
    prints: dict[int, list[Print]] = {}
    for i in np.flatnonzero(counts).tolist():
        levels = ladder(fine=quotes.fine[i])
        bid, ask = int(levels[quotes.best_bid[i]]), int(levels[quotes.best_ask[i]])
        made = []
        for _ in range(int(counts[i])):
            informed, size = rng.random(), rng.standard_normal()
            buys, on_up = (rng.random(2) < 1 / 2).tolist()
            if informed < _INFORMED and not bid <= fresh[i] * MILLI <= ask:
                buys = bool(fresh[i] * MILLI > ask)
            shares = round(max(5.0, _MEDIAN_SHARES * float(np.exp(_SHARES_SD * size))), 2)
            made.append(Print(quotes.first_step + i, ask if buys else bid, shares, buys, on_up))
        prints[quotes.first_step + i] = made
    return prints
