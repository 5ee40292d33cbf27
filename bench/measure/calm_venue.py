"""A venue in memory: real windows of 900 s, an event every so often, nothing kept; in virtual time or in real time."""

import random
from collections.abc import Callable, Iterator

import msgspec

from core.market.events import BookSnapshot, BookTicker, Level, MarketEvent, MarketResolved, SettlementPrice, Trade
from core.market.market import FeeSchedule, Market, Side
from core.market.window import REFERENCE_LENGTH_S, Window
from core.runtime.clock import Clock
from core.runtime.stream import StopSignal
from core.trading.money import MICRO
from venues.transport import StreamOpened, StreamReceived

LEVELS = 5
TICK = MICRO // 100
LEAD_MS = 120_000
RESOLVED_AFTER_MS = 2_000
PRICE_EVERY_MS = 5_000

Timed = Iterator[tuple[int, tuple[MarketEvent, ...]]]


class Outcome(msgspec.Struct, frozen=True):
    """What the venue's record says of a market."""

    winner: Side | None
    strike: float | None = None


class CalmVenue:
    """Every window of every asset exists; books walk by chance, one whole book of both tokens every `every_ms`."""

    def __init__(self, clock: Clock, assets: tuple[str, ...], seed: int, every_ms: int) -> None:
        self._clock = clock
        self._assets = assets
        self._seed = seed
        self._every_ms = every_ms

    def market(self, window: Window) -> Market:
        """Return the market of a window."""
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

    def outcome(self, slug: str) -> Outcome:
        """Return the winner once the window is over: by chance, but always the same."""
        asset, *_, opens_at_s = slug.upper().split("-")
        known_ms = (int(opens_at_s) + REFERENCE_LENGTH_S) * 1000 + RESOLVED_AFTER_MS
        return Outcome(self._winner(asset, int(opens_at_s)) if self._clock.now_ms() >= known_ms else None, 100.0)

    def _winner(self, asset: str, opens_at_s: int) -> Side:
        return "UP" if random.Random(f"winner {self._seed} {asset} {opens_at_s}").random() < 0.5 else "DOWN"

    def book_stream(self, market: Market) -> "Timetable":
        """Return the market stream of one market, from shortly before it opens to its resolution."""
        return Timetable(self, self._clock, market)

    def flow_streams(self, asset: str) -> tuple["Timetable"]:
        """Return the fast venue's stream of one asset; it never ends."""
        return (Timetable(self, self._clock, asset),)

    def prices(self) -> "Timetable":
        """Return the settlement stream of all assets; it never ends."""
        return Timetable(self, self._clock, None)

    def books(self, market: Market, from_ms: int) -> Timed:
        """Yield whole books until the close, then the resolution."""
        window = market.window
        rng = random.Random(f"books {self._seed} {market.condition_id} {from_ms}")
        cents, closes_ms = rng.randint(35, 65), window.closes_at_s * 1000
        for at_ms in range(max(from_ms + 20, window.opens_at_s * 1000 - LEAD_MS), closes_ms, self._every_ms):
            cents = min(93, max(7, cents + rng.choice((-2, -1, 0, 0, 1, 2))))
            yield at_ms, _snapshots(market, cents, rng, at_ms)
        resolved_ms = max(from_ms, closes_ms + RESOLVED_AFTER_MS)
        winner = market.token(self._winner(window.asset, window.opens_at_s))
        yield resolved_ms, (MarketResolved(market.condition_id, winner, resolved_ms),)

    def flow(self, asset: str, from_ms: int) -> Timed:
        """Yield a touch and a trade at a time."""
        symbol, price = f"{asset}USDT", 100.0
        rng = random.Random(f"flow {self._seed} {asset} {from_ms}")
        at_ms = from_ms
        while True:
            at_ms += self._every_ms
            price *= 1.0 + rng.gauss(0.0, 2e-4)
            touch = BookTicker(symbol, price, 1.0, price + 0.01, 1.0, at_ms)
            yield at_ms, (touch, Trade(symbol, price, rng.expovariate(2.0), rng.random() < 0.5, at_ms))

    def settlement_prices(self, from_ms: int) -> Timed:
        """Yield a price of every asset every five seconds."""
        at_ms = from_ms - from_ms % PRICE_EVERY_MS
        while True:
            at_ms += PRICE_EVERY_MS
            yield at_ms + 150, tuple(SettlementPrice(asset, 100.0, at_ms, 60) for asset in self._assets)


class Timetable:
    """One of the venue's streams: scheduled for virtual time, blocking for real time."""

    def __init__(self, venue: CalmVenue, clock: Clock, subject: object) -> None:
        self._venue = venue
        self._clock = clock
        self._subject = subject

    def run(self, emit: Callable[[object], None], stop: StopSignal) -> None:
        """Emit everything when its time comes, stamped then."""
        now_ms = self._clock.now_ms()
        emit(StreamOpened(now_ms))
        for at_ms, events in self._events(now_ms):
            wait_s = (at_ms - self._clock.now_ms()) / 1000
            if stop.wait(max(0.0, wait_s)):
                return
            emit(StreamReceived(events, self._clock.now_ms()))

    def items(self, from_ms: int) -> Iterator[tuple[int, object]]:
        """Yield the connection and what it brings."""
        yield from_ms, StreamOpened(from_ms)
        for at_ms, events in self._events(from_ms):
            yield at_ms, StreamReceived(events, at_ms)

    def _events(self, from_ms: int) -> Timed:
        if isinstance(self._subject, Market):
            return self._venue.books(self._subject, from_ms)
        if isinstance(self._subject, str):
            return self._venue.flow(self._subject, from_ms)
        return self._venue.settlement_prices(from_ms)


def _snapshots(market: Market, cents: int, rng: random.Random, at_ms: int) -> tuple[BookSnapshot, BookSnapshot]:
    bids = tuple(((cents - n) * TICK, rng.randint(5, 400) * MICRO) for n in range(LEVELS))
    asks = tuple(((cents + 1 + n) * TICK, rng.randint(5, 400) * MICRO) for n in range(LEVELS))
    up = BookSnapshot(market.up_token, bids, asks, at_ms)
    return up, BookSnapshot(market.down_token, _mirrored(asks), _mirrored(bids), at_ms)


def _mirrored(levels: tuple[Level, ...]) -> tuple[Level, ...]:
    return tuple((MICRO - price, size) for price, size in levels)
