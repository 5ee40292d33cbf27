"""The world's one face: spot, flow, books, strikes and winners of one seed and variant, all functions of time."""

from functools import lru_cache, partial
from typing import Literal

import msgspec
import numpy as np

from venues.sim.world.day import TICK_UNIT
from venues.sim.world.fair import Valuation
from venues.sim.world.flow import Flow, Trades
from venues.sim.world.ladder import ladder, market_key, resting_shares
from venues.sim.world.listing import Listing, make_listing, parse_slug
from venues.sim.world.prices import Prices
from venues.sim.world.quotes import BLOCK_STEPS, QUOTE_MS, Block, Print, Quoting
from venues.sim.world.variants import ASSETS, VARIANTS

Level = tuple[int, int]
"""(price, shares), both integers of 1e-6."""

_MICRO_PER_MILLI = 1000
_CONSUMED_STEPS = 5


class Book(msgspec.Struct, frozen=True):
    """Both sides of one token, best level first; prices, shares and tick are integers of 1e-6.

    `t_ms` is the quote's own moment: the last multiple of 200 ms.
    """

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    tick: int
    t_ms: int

    def mirrored(self) -> "Book":
        """Return the other token's book: an offer of Up at p is a bid for Down at 1 - p."""
        bids = tuple((1_000_000 - price, shares) for price, shares in self.asks)
        asks = tuple((1_000_000 - price, shares) for price, shares in self.bids)
        return Book(bids, asks, self.tick, self.t_ms)


class Quote(msgspec.Struct, frozen=True):
    """The touch of the Up token alone, integers of 1e-6: what `Book` says of it, at a fraction of the cost."""

    bid: int
    ask: int
    tick: int


class SlowTrade(msgspec.Struct, frozen=True):
    """One trade of the slow venue on the token it was printed for; price and shares are integers of 1e-6."""

    outcome: Literal["Up", "Down"]
    side: Literal["BUY", "SELL"]
    price: int
    shares: int
    t_ms: int


class World:
    """Everything that happens, as pure functions of seed, variant and time.

    Two instances with equal arguments agree on everything for ever, and asking in another order changes nothing.
    """

    def __init__(self, seed: int, name: str = "today", window_s: int = 900) -> None:
        if name not in VARIANTS:
            raise ValueError(f"no world named {name!r}: choose one of {', '.join(VARIANTS)}")
        if window_s < 1:
            raise ValueError(f"a window lasts at least one second, not {window_s}")
        self.seed, self.window_s, self.variant = seed, window_s, VARIANTS[name]
        self._listing = lru_cache(maxsize=1024)(partial(make_listing, seed, window_s))
        self.prices = Prices(seed)
        self.flow = Flow(self.prices)
        self.valuation = Valuation(self.prices)
        self.quoting = Quoting(self.prices, self.valuation, self.variant)

    def market(self, asset: str, opens_at_s: int) -> Listing:
        """Return the market of `asset` that opens at `opens_at_s`. Raises ValueError when no window opens then."""
        if opens_at_s % self.window_s:
            raise ValueError(f"no window of {self.window_s} s opens at {opens_at_s}")
        return self._listing(asset, opens_at_s)

    def market_named(self, slug: str, assets: tuple[str, ...] = tuple(ASSETS)) -> Listing | None:
        """Return the market of that slug, None when no such market can exist."""
        parsed = parse_slug(slug, self.window_s, assets)
        return None if parsed is None else self.market(*parsed)

    def spot(self, asset: str, t_ms: int) -> float:
        """Return the fast venue's price in dollars at `t_ms` (unix milliseconds)."""
        return self.prices.spot(asset, t_ms)

    def trades(self, asset: str, from_ms: int, to_ms: int) -> Trades:
        """Return the fast venue's trades with `from_ms <= t_ms < to_ms`."""
        return self.flow.between(asset, from_ms, to_ms)

    def tick(self, asset: str, t_s: int) -> int:
        """Return the settlement stream's spot tick of second `t_s`, in 1e-8 dollars."""
        return self.prices.tick_sum(asset, t_s, t_s + 1)

    def twap_sum(self, asset: str, t_s: int) -> int:
        """Return the sum, in 1e-8 dollars, of the settlement ticks of the `lookback` seconds that end with `t_s`."""
        span = self.market(asset, 0).lookback_s
        return self.prices.tick_sum(asset, t_s - span + 1, t_s + 1)

    def twap(self, asset: str, t_s: int) -> float:
        """Return the time-weighted average price in dollars stamped with second `t_s`."""
        return self.twap_sum(asset, t_s) / self.market(asset, 0).lookback_s / TICK_UNIT

    def strike(self, asset: str, opens_at_s: int) -> float:
        """Return the price to beat, in dollars: the TWAP at the open."""
        return self.twap(asset, opens_at_s)

    def winner(self, asset: str, opens_at_s: int) -> Literal["Up", "Down"]:
        """Return who wins: Up when the TWAP at the close is at least that at the open, so a tie is Up."""
        closing = self.twap_sum(asset, opens_at_s + self.window_s)
        return winning_outcome(self.twap_sum(asset, opens_at_s), closing)

    def fair(self, asset: str, opens_at_s: int, t_ms: int) -> float:
        """Return P(Up) given everything up to `t_ms`, without any lag."""
        return float(self.valuation.values(self.market(asset, opens_at_s), np.array([t_ms]))[0])

    def quote(self, asset: str, opens_at_s: int, t_ms: int) -> Quote:
        """Return the Up token's touch at `t_ms`."""
        block, i = self._at(self.market(asset, opens_at_s), t_ms)
        levels = ladder(fine=block.fine[i])
        bid, ask = int(levels[block.best_bid[i]]), int(levels[block.best_ask[i]])
        return Quote(bid * _MICRO_PER_MILLI, ask * _MICRO_PER_MILLI, _tick(fine=block.fine[i]))

    def book(self, asset: str, opens_at_s: int, t_ms: int) -> Book:
        """Return the Up token's full book at `t_ms`. After the close it stays as it was just before."""
        market = self.market(asset, opens_at_s)
        return self.market_book(market, t_ms)

    def market_book(self, market: Listing, t_ms: int) -> Book:
        """Return the Up token's full book of a market already looked up; see `book`."""
        block, i = self._at(market, t_ms)
        fine, bid, ask = block.fine[i], block.best_bid[i], block.best_ask[i]
        step = block.first_step + i
        levels = _prices(fine=fine)
        resting = resting_shares(market_key(market.slug), step, bid, ask, fine=fine)
        shares: list[int] = np.rint(resting * 1_000_000).astype(np.int64).tolist()
        for level, taken in self._consumed(market, step).items():
            if level in (levels[bid], levels[ask]):
                i = bid if level == levels[bid] else ask
                shares[i] = max(shares[i] - taken, 5_000_000)
        bids = tuple(zip(levels[bid::-1], shares[bid::-1], strict=True))
        return Book(bids, tuple(zip(levels[ask:], shares[ask:], strict=True)), _tick(fine=fine), step * QUOTE_MS)

    def _consumed(self, market: Listing, step: int) -> dict[int, int]:
        """Return the shares (1e-6) that takers took from each price within the last second, before makers refilled."""
        taken: dict[int, int] = {}
        for earlier in range(step - _CONSUMED_STEPS + 1, step + 1):
            for made in self._prints(market, earlier):
                price = made.level_milli * _MICRO_PER_MILLI
                taken[price] = taken.get(price, 0) + round(made.shares * 1_000_000)
        return taken

    def _prints(self, market: Listing, step: int) -> list[Print]:
        if step * QUOTE_MS >= market.closes_at_s * 1000:
            return []
        return self.quoting.block(market, step // BLOCK_STEPS).prints.get(step, [])

    def slow_trades(self, market: Listing, from_ms: int, to_ms: int) -> list[SlowTrade]:
        """Return the slow venue's trades of one market at the quote steps in `[from_ms, to_ms)`."""
        steps = range(-(-from_ms // QUOTE_MS), -(-to_ms // QUOTE_MS))
        return [_slow_trade(made) for step in steps for made in self._prints(market, step)]

    def _at(self, market: Listing, t_ms: int) -> tuple[Block, int]:
        last = market.closes_at_s * 1000 - 1
        block, i = divmod(min(t_ms, last) // QUOTE_MS, BLOCK_STEPS)
        return self.quoting.block(market, block), i


def winning_outcome(opening_sum: int, closing_sum: int) -> Literal["Up", "Down"]:
    """Return the outcome for two TWAP sums over the same number of ticks; a tie is Up."""
    return "Up" if closing_sum >= opening_sum else "Down"


@lru_cache(maxsize=2)
def _prices(*, fine: bool) -> list[int]:
    """Return the ladder's prices, integers of 1e-6."""
    return [price * _MICRO_PER_MILLI for price in ladder(fine=fine).tolist()]


def _tick(*, fine: bool) -> int:
    return 1_000 if fine else 10_000


def _slow_trade(made: Print) -> SlowTrade:
    price, buys = made.level_milli * _MICRO_PER_MILLI, made.taker_buys_up
    if not made.on_up_token:
        price, buys = 1_000_000 - price, not buys
    return SlowTrade(
        outcome="Up" if made.on_up_token else "Down",
        side="BUY" if buys else "SELL",
        price=price,
        shares=round(made.shares * 1_000_000),
        t_ms=made.step * QUOTE_MS,
    )
