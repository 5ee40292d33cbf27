"""The embedded world in the place of the venues: the same streams, calendar and prices that the actors see live.

What happens is computed once a market and kept, so that several policies can be shown the same windows. Books are cut
to the levels near the touch: an order of the sizes traded here never reaches further.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import msgspec
import numpy as np

from cli.simulated_events import BOOK_LEAD_MS, Item, book_items, flow_items, price_items
from cli.usage import UsageError
from cli.wiring import Venues
from core.market.book import LocalBook
from core.market.market import FeeSchedule, Market, Side
from core.market.window import Window
from core.runtime.clock import VirtualClock
from core.trading.money import MICRO
from venues.polymarket.gamma import Outcome
from venues.sim.world import VARIANTS, World
from venues.transport import StreamOpened

TAKER_DELAY_MS = 150
"""How long the venue holds a marketable order, as the embedded exchange does."""
MIN_ORDER_SHARES = 5 * MICRO
RESOLVED_AFTER_MS = 1_000
"""The winner is told this long after the close; the venue takes a minute, in which nothing can be traded any more."""
WARM_S = 615
"""Seconds of trades (at W = 900) before the first window: the longest lookback of the features is 600 s."""

FIRST_DAY, DAYS, DAY_S = 20_000, 720, 86_400
"""Days since 1970 that episodes are taken from."""
LEAD_S = 3_600
"""No episode begins in a day's first hour: the trades that warm it up would need the day before."""


class Episode(msgspec.Struct, frozen=True):
    """Consecutive windows of a world: `windows` of them per asset, the first one opens at `first_opens_s`."""

    world: str
    seed: int
    window_s: int
    assets: tuple[str, ...]
    first_opens_s: int
    windows: int = 1


def episode_of(world: str, seed: int, number: int, window_s: int, assets: Sequence[str], windows: int = 1) -> Episode:
    """Return episode `number` of a seed: windows from an hour of a day that both numbers decide, within that day."""
    rng = np.random.Generator(np.random.PCG64([seed, number]))
    day = FIRST_DAY + int(rng.integers(DAYS))
    opens_s = day * DAY_S + int(rng.integers(LEAD_S, DAY_S - (windows + 1) * window_s))
    return Episode(world, seed, window_s, tuple(assets), opens_s - opens_s % window_s, windows)


def known_world(name: str) -> str:
    """Return the name of a world.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in VARIANTS:
        raise UsageError(f"--world {name}: no such world; give one of {', '.join(VARIANTS)}")
    return name


@lru_cache(maxsize=2)
def world_of(name: str, seed: int, window_s: int) -> World:
    """Return a world; the last ones are kept, and with them their days and blocks.

    An older one, whose caches refer to it, goes now: it is a hundred megabytes, and episodes collect no garbage.
    """
    gc.collect()
    return World(seed, name, window_s)


class Schedule:
    """Items at their times as a scheduled stream; the ones that are past come at once."""

    def __init__(self, items: Callable[[int], Iterator[Item]]) -> None:
        self._items = items

    def items(self, from_ms: int) -> Iterator[tuple[int, object]]:
        """Yield the connection and then what it brings."""
        yield from_ms, StreamOpened(from_ms)
        yield from self._items(from_ms)


class SimulatedStage:
    """The windows of an episode, see `Stage`. It remembers what it has shown until it is dropped."""

    has_flow = True

    def __init__(self, episode: Episode) -> None:
        world = self.world = world_of(episode.world, episode.seed, episode.window_s)
        first_opens_s, windows = episode.first_opens_s, episode.windows
        self.name = f"{episode.world} {episode.seed} {first_opens_s}"
        self.seed = episode.seed * 1_000_003 + first_opens_s
        self.window_s = episode.window_s
        self.assets = episode.assets
        self.starts_ms = first_opens_s * 1000 - BOOK_LEAD_MS
        self.closes_ms = (first_opens_s + windows * world.window_s) * 1000
        self.markets = {
            (asset, opens_s): _market(world, asset, opens_s)
            for asset in episode.assets
            for opens_s in range(first_opens_s, first_opens_s + windows * world.window_s, world.window_s)
        }
        self._books: dict[str, tuple[Item, ...]] = {}
        self._flows: dict[str, tuple[Item, ...]] = {}
        self._prices: tuple[Item, ...] | None = None

    @property
    def ends_ms(self) -> int:
        """Unix milliseconds at which the last winner is known and settled."""
        return self.closes_ms + 4 * RESOLVED_AFTER_MS

    def winner(self, market: Market) -> Side:
        """Return who wins a market, whether it is over or not."""
        return "UP" if self.world.winner(market.asset, market.window.opens_at_s) == "Up" else "DOWN"

    @property
    def played(self) -> tuple[Market, ...]:
        """All of them: a world keeps no secrets."""
        return tuple(self.markets.values())

    def venues(self, clock: VirtualClock) -> Venues:
        """Return the world's streams and calendar."""
        return Venues(
            book_stream=self.book_stream,
            make_book=lambda market, epoch: LocalBook(market, continuous_snapshots=True, epoch=epoch),
            flow_streams=self.flow_streams,
            candles=None,
            calendar=SimulatedCalendar(self, clock),
            prices=self.prices,
        )

    # -- streams ------------------------------------------------------------------------------------------------

    def book_stream(self, market: Market) -> Schedule:
        """Return the market stream of one market: whole books of both tokens near the touch."""
        return Schedule(lambda from_ms: _since(self._books_of(market), from_ms))

    def flow_streams(self, asset: str) -> tuple[Schedule]:
        """Return the fast venue's stream of one asset; the trades before the first window come at once, to warm up."""
        return (Schedule(lambda _from_ms: iter(self._flow_of(asset))),)

    def prices(self) -> Schedule:
        """Return the settlement stream of all assets."""
        return Schedule(lambda from_ms: _since(self._priced(), from_ms))

    def _books_of(self, market: Market) -> tuple[Item, ...]:
        items = self._books.get(market.condition_id)
        if items is None:
            items = self._books[market.condition_id] = tuple(book_items(self.world, market))
        return items

    def _flow_of(self, asset: str) -> tuple[Item, ...]:
        items = self._flows.get(asset)
        if items is None:
            warm_ms = round(WARM_S * 1000 * self.world.window_s / 900)
            found = flow_items(self.world, asset, self.starts_ms - warm_ms, self.starts_ms, self.closes_ms)
            items = self._flows[asset] = tuple(found)
        return items

    def _priced(self) -> tuple[Item, ...]:
        if self._prices is None:
            self._prices = tuple(price_items(self.world, self.assets, self.starts_ms, self.ends_ms))
        return self._prices


class SimulatedCalendar:
    """The venue's listing and record of the windows of a run, at the time of its clock."""

    def __init__(self, venue: SimulatedStage, clock: VirtualClock) -> None:
        self._markets = venue.markets
        self._by_slug = {market.window.slug: market for market in venue.markets.values()}
        self._venue = venue
        self._clock = clock

    def market(self, window: Window) -> Market | None:
        """Return the market of a window, None outside the run."""
        return self._markets.get((window.asset, window.opens_at_s))

    def outcome(self, slug: str) -> Outcome:
        """Return the winner once the venue has named it."""
        market = self._by_slug.get(slug)
        if market is None or self._clock.now_ms() < market.window.closes_at_s * 1000 + RESOLVED_AFTER_MS:
            return Outcome(None, None, None)
        return Outcome(self._venue.winner(market), None, None)


def _market(world: World, asset: str, opens_at_s: int) -> Market:
    listing = world.market(asset, opens_at_s)
    return Market(
        window=Window(asset, opens_at_s, world.window_s),
        condition_id=listing.condition_id,
        up_token=listing.up_token,
        down_token=listing.down_token,
        tick_size=MICRO // 100,
        min_order_shares=MIN_ORDER_SHARES,
        fees=FeeSchedule(rate=world.variant.fee_rate),
        taker_delay_ms=TAKER_DELAY_MS,
    )


def _since(items: Sequence[Item], from_ms: int) -> Iterator[Item]:
    return (item for item in items if item[0] >= from_ms)
