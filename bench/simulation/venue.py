"""A small venue in memory: books, flow, prices and winners as functions of seed, asset and time alone."""

import functools
import random
from collections.abc import Callable, Iterator

import msgspec

from bench.simulation.scenario import FIRST_OPENS_S, Scenario
from core.market.events import BookSnapshot, BookTicker, Level, MarketEvent, MarketResolved, SettlementPrice, Trade
from core.market.market import FeeSchedule, Market, Side
from core.market.window import Window
from core.runtime.faults import SkewedClock
from core.trading.money import MICRO
from venues.transport import StreamOpened, StreamReceived

STEP_MS = 500
RESOLVED_AFTER_MS = 2_000
FIRST_BOOK_MS = 20
LEVELS = 5
TICK = MICRO // 100

Events = Callable[[int], Iterator[tuple[int, tuple[MarketEvent, ...]]]]
"""From a time of the world on: (unix ms, events of one frame)."""


class Outcome(msgspec.Struct, frozen=True):
    """What the venue's record says of a market."""

    winner: Side | None
    strike: float | None = None


class Quote(msgspec.Struct, frozen=True):
    """The UP book at one step; best level first."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


@functools.lru_cache(maxsize=64)
def quotes(seed: int, asset: str, opens_at_s: int, window_s: int) -> tuple[Quote, ...]:
    """Return the books of one market, one for each step from its first half window before the opening to the close."""
    rng = random.Random(f"quotes {seed} {asset} {opens_at_s}")
    cents, found = rng.randint(35, 65), []
    for _ in range(window_s * 1500 // STEP_MS + 1):
        cents = min(93, max(7, cents + rng.choice((-2, -1, -1, 0, 0, 0, 1, 1, 2))))
        spread = rng.choice((1, 1, 2))
        bids = tuple(((cents - n) * TICK, rng.randint(5, 400) * MICRO) for n in range(LEVELS))
        asks = tuple(((cents + spread + n) * TICK, rng.randint(5, 400) * MICRO) for n in range(LEVELS))
        found.append(Quote(tuple(b for b in bids if b[0] > 0), tuple(a for a in asks if a[0] < MICRO)))
    return tuple(found)


def _mirrored(levels: tuple[Level, ...]) -> tuple[Level, ...]:
    return tuple((MICRO - price, size) for price, size in levels)


def _market(window: Window) -> Market:
    condition_id = f"{window.asset}.{window.opens_at_s}"
    return Market(
        window=window,
        condition_id=condition_id,
        up_token=f"{condition_id}.up",
        down_token=f"{condition_id}.down",
        tick_size=TICK,
        min_order_shares=5 * MICRO,
        fees=FeeSchedule(rate=0.07),
        taker_delay_ms=150,
    )


def _snapshots(market: Market, quote: Quote, at_ms: int) -> tuple[BookSnapshot, BookSnapshot]:
    up = BookSnapshot(market.up_token, quote.bids, quote.asks, at_ms)
    return up, BookSnapshot(market.down_token, _mirrored(quote.asks), _mirrored(quote.bids), at_ms)


class Venue:
    """Lists the scenario's windows and speaks for both venues; also the calendar that the discovery asks."""

    def __init__(self, scenario: Scenario, clock: SkewedClock) -> None:
        self._scenario = scenario
        self._clock = clock
        length_s = scenario.window_s
        self.markets = {
            (asset, opens_s): _market(Window(asset, opens_s, length_s))
            for asset in scenario.assets
            for opens_s in range(FIRST_OPENS_S, FIRST_OPENS_S + scenario.windows * length_s, length_s)
        }
        self._by_slug = {market.window.slug: market for market in self.markets.values()}

    def market(self, window: Window) -> Market | None:
        """Return the market of a window, None outside the run."""
        return self.markets.get((window.asset, window.opens_at_s))

    def outcome(self, slug: str) -> Outcome:
        """Return the winner once the venue has named it."""
        market = self._by_slug[slug]
        known = self._clock.true_ms() >= market.window.closes_at_s * 1000 + RESOLVED_AFTER_MS
        return Outcome(self.winner(market) if known else None)

    def winner(self, market: Market) -> Side:
        """Return who wins, whether it is known yet or not."""
        return "UP" if self._quotes(market)[-1].bids[0][0] >= MICRO // 2 else "DOWN"

    def winners(self) -> dict[str, Side]:
        """Return the winner of every market of the run by condition id."""
        return {market.condition_id: self.winner(market) for market in self.markets.values()}

    def _quotes(self, market: Market) -> tuple[Quote, ...]:
        window = market.window
        return quotes(self._scenario.seed, window.asset, window.opens_at_s, window.length_s)

    # -- streams ------------------------------------------------------------------------------------------------

    def book_stream(self, market: Market) -> "Schedule":
        """Return the market stream of one market: whole books of both tokens, then its resolution."""
        return Schedule(lambda from_ms: self._books(market, from_ms), self._clock)

    def flow_streams(self, asset: str) -> tuple["Schedule"]:
        """Return the fast venue's stream of one asset."""
        return (Schedule(lambda from_ms: self._flow(asset, from_ms), self._clock),)

    def prices(self) -> "Schedule":
        """Return the settlement stream of all assets."""
        return Schedule(self._prices, self._clock)

    def _books(self, market: Market, from_ms: int) -> Iterator[tuple[int, tuple[MarketEvent, ...]]]:
        books = self._quotes(market)
        closes_ms = market.window.closes_at_s * 1000
        first_ms = closes_ms - (len(books) - 1) * STEP_MS
        last = min(len(books) - 1, max(0, (from_ms - first_ms) // STEP_MS))
        yield from_ms + FIRST_BOOK_MS, _snapshots(market, books[last], from_ms)
        for number in range(last + 1, len(books)):
            at_ms = first_ms + number * STEP_MS + (number * 37) % 100
            yield at_ms, _snapshots(market, books[number], at_ms)
        resolved_ms = closes_ms + RESOLVED_AFTER_MS
        winning = market.token(self.winner(market))
        yield max(from_ms, resolved_ms), (MarketResolved(market.condition_id, winning, resolved_ms),)

    def _flow(self, asset: str, from_ms: int) -> Iterator[tuple[int, tuple[MarketEvent, ...]]]:
        symbol = f"{asset}USDT"
        rng = random.Random(f"flow {self._scenario.seed} {asset} {from_ms}")
        price = 100.0
        for at_ms in range(from_ms - from_ms % STEP_MS + STEP_MS, self._scenario.ends_ms + RESOLVED_AFTER_MS, STEP_MS):
            price *= 1.0 + rng.gauss(0.0, 2e-4)
            touch = BookTicker(symbol, price, 1.0, price + 0.01, 1.0, at_ms)
            trade = Trade(symbol, price, rng.expovariate(2.0), rng.random() < 0.5, at_ms)
            yield at_ms, (touch, trade)

    def _prices(self, from_ms: int) -> Iterator[tuple[int, tuple[MarketEvent, ...]]]:
        step_ms = 5_000
        for at_ms in range(from_ms - from_ms % step_ms + step_ms, self._scenario.ends_ms, step_ms):
            yield at_ms + 150, tuple(SettlementPrice(asset, 100.0, at_ms, 60) for asset in self._scenario.assets)


class Schedule:
    """Events at the world's times as a scheduled stream; stamped on receipt by the machine's clock, skewed or not."""

    def __init__(self, events: Events, clock: SkewedClock) -> None:
        self._events = events
        self._clock = clock

    def items(self, from_ms: int) -> Iterator[tuple[int, object]]:
        """Yield the connection and what it brings from the world's `from_ms` on."""
        yield from_ms, StreamOpened(from_ms)
        for at_ms, events in self._events(from_ms):
            yield at_ms, StreamReceived(events, at_ms + self._clock.skew_ms)
