"""A stage for one actor in virtual time: neighbours that only listen, scripted streams, and markets of one window."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec
import numpy as np

from actors import addresses
from actors.market import MarketActor, MarketRules, Policy
from core.errors import FuseboxError
from core.market.events import BookSnapshot, LevelChange, MarketEvent, PriceChange, Trade
from core.market.features import REFERENCE_FEATURES
from core.market.market import FeeSchedule, Market, Side
from core.market.state import MarketState
from core.market.views import BookView, FlowView, TokenBook
from core.market.window import Window
from core.messages import (
    BookPublished,
    FlowPublished,
    IntentProposed,
    MarketListed,
    TransitionRecorded,
    WeightsPublished,
)
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.cell import Cell, Spec
from core.runtime.clock import Clock, VirtualClock
from core.runtime.context import Context
from core.runtime.message import WorkFailed
from core.runtime.stepped import SteppedRuntime
from core.runtime.supervision import RestartPolicy
from core.status import AssetStatus
from core.trading.money import MICRO, micros
from venues.transport import StreamOpened, StreamReceived

OPENS_S = 1_776_727_800
OPENS_MS = OPENS_S * 1000
WINDOW_S = 60
SOON = RestartPolicy(backoff_s=0.01, jitter=0.0)
KILL = WorkFailed("test", RuntimeError("killed by the test"))
"""Crashes every actor that judges the failures of its work."""
T = TypeVar("T")


class Listener(Actor):
    """A neighbour: keeps what it is told and when."""

    def __init__(self, context: Context, heard: list[tuple[int, object]]) -> None:
        super().__init__(context)
        self._heard = heard

    def receive(self, message: object) -> None:
        self._heard.append((self.context.clock.now_ms(), message))


class Stage:
    """A stepped runtime with one actor under test among listeners at every other address it may tell."""

    def __init__(self, now_ms: int = OPENS_MS, *, seed: int = 0, work_ms: int = 0) -> None:
        self.clock = VirtualClock(now_ms)
        self.system = SteppedRuntime(self.clock, seed=seed, work_ms=work_ms)
        self.said: list[str] = []
        self._heard: dict[Address, list[tuple[int, object]]] = {}

    def listen(self, *names: Address) -> None:
        for name in names:
            heard = self._heard.setdefault(name, [])
            self.system.add(Spec(name, lambda context, heard=heard: Listener(context, heard)))  # type: ignore[misc]
            self.system.start(name)

    def play(
        self,
        address: Address,
        make: Callable[[Context], Actor],
        asset: str | None = None,
        policy: RestartPolicy = SOON,
    ) -> Cell:
        self.system.add(Spec(address, make, asset, policy=policy))
        self.system.start(address)
        return self.system.cells[address]

    def tell(self, address: Address, *messages: object) -> None:
        for message in messages:
            self.system.tell(address, message)

    def run(self, seconds: float = 0.0) -> None:
        self.system.run_until(self.clock.now_ms() + round(seconds * 1000))

    def told(self, address: Address, kind: type[T]) -> list[T]:
        return [message for _, message in self._heard[address] if isinstance(message, kind)]

    def told_at(self, address: Address, kind: type[object]) -> list[int]:
        return [at_ms for at_ms, message in self._heard[address] if isinstance(message, kind)]

    def shown(self, key: str, kind: type[T]) -> T:
        read = self.system.board.read(key)
        assert read is not None
        assert isinstance(read[0], kind)
        return read[0]


class Script:
    """A scheduled stream: a connection at its opening, then each item at its time."""

    def __init__(self, items: Sequence[tuple[int, object]] = (), *, connects: bool = True) -> None:
        self._items = items
        self._connects = connects

    def items(self, from_ms: int) -> Iterator[tuple[int, object]]:
        if self._connects:
            yield from_ms, StreamOpened(from_ms)
        for at_ms, item in self._items:
            if at_ms >= from_ms:
                yield at_ms, item
        yield 2**62, None


def market_of(asset: str = "BTC", opens_s: int = OPENS_S, length_s: int = WINDOW_S) -> Market:
    """Build the market of one window, named by asset and opening."""
    return Market(
        window=Window(asset, opens_s, length_s),
        condition_id=f"0x{asset}{opens_s}",
        up_token=f"u{opens_s}",
        down_token=f"d{opens_s}",
        tick_size=MICRO // 100,
        min_order_shares=5 * MICRO,
        fees=FeeSchedule(0.07),
        taker_delay_ms=150,
    )


def frame(at_ms: int, *events: MarketEvent) -> tuple[int, StreamReceived]:
    """Build one frame received at `at_ms`."""
    return at_ms, StreamReceived(events, at_ms)


def snapshots(market: Market, at_ms: int, bid: str = "0.49", ask: str = "0.51") -> tuple[int, StreamReceived]:
    """Build a frame with the whole book of both tokens, 100 shares at the touch."""
    size = 100 * MICRO
    up = BookSnapshot(market.up_token, ((micros(bid), size),), ((micros(ask), size),), at_ms)
    down = BookSnapshot(market.down_token, ((MICRO - micros(ask), size),), ((MICRO - micros(bid), size),), at_ms)
    return frame(at_ms, up, down)


def bid_of_up(market: Market, at_ms: int, price: str, shares: float) -> tuple[int, StreamReceived]:
    """Build a frame that sets one bid of the UP token."""
    return frame(at_ms, PriceChange((LevelChange(market.up_token, "BUY", micros(price), micros(shares)),), at_ms))


def trade(at_ms: int, price: float = 65_000.0, quantity: float = 1.0) -> tuple[int, StreamReceived]:
    """Build a frame with one trade of the fast venue."""
    return frame(at_ms, Trade("BTCUSDT", price, quantity, buyer_is_maker=False, venue_ms=at_ms))


BOOK_FEED = addresses.book_feed("BTC")
FLOW_FEED = addresses.flow_feed("BTC")
MARKET = addresses.market("BTC")


class Record(msgspec.Struct, frozen=True):
    """What the fake venue's record says of a market."""

    winner: Side | None = None
    strike: float | None = None


class Calendar:
    """A venue's listing in memory: every window is listed from `listed_s` before it opens, unless told otherwise."""

    def __init__(self, clock: Clock, listed_s: float = 86_400.0) -> None:
        self.records: dict[str, Record] = {}
        self.failures: dict[str, FuseboxError] = {}
        self.instead: dict[str, Market] = {}
        self.looked_up: list[tuple[int, str]] = []
        self.polled: list[tuple[int, str]] = []
        self.listed_s = listed_s
        self._clock = clock

    def market(self, window: Window) -> Market | None:
        now_ms = self._clock.now_ms()
        self.looked_up.append((now_ms, window.slug))
        self._fail(window.slug)
        if window.slug in self.instead:
            return self.instead[window.slug]
        if now_ms < (window.opens_at_s - self.listed_s) * 1000:
            return None
        return market_of(window.asset, window.opens_at_s, window.length_s)

    def outcome(self, slug: str) -> Record:
        self.polled.append((self._clock.now_ms(), slug))
        self._fail(slug)
        return self.records.get(slug, Record())

    def _fail(self, slug: str) -> None:
        for part, error in self.failures.items():
            if part in slug:
                raise type(error)(f"GET /events/slug/{slug}: {error}")


def book_view(market: Market, at_ms: int, bid: str = "0.49", ask: str = "0.51") -> BookView:
    """Build a market's view with 100 shares at the touch of both tokens; an empty text leaves a side empty."""
    size = 100 * MICRO
    bids, asks = (((micros(price), size),) if price else () for price in (bid, ask))
    up = TokenBook(market.up_token, bids, asks)
    down = TokenBook(
        market.down_token,
        tuple((MICRO - price, shares) for price, shares in asks),
        tuple((MICRO - price, shares) for price, shares in bids),
    )
    return BookView(market.asset, market.condition_id, up, down, market.tick_size, at_ms, at_ms, 1)


def flow_view(at_ms: int, returns_1m: float = 0.001, asset: str = "BTC") -> FlowView:
    """Build a calm flow."""
    return FlowView(
        asset=asset,
        spot=65_000.0,
        returns_1m=returns_1m,
        returns_5m=0.002,
        returns_10m=0.003,
        trade_flow_imbalance=0.1,
        cvd=2.0,
        cvd_acceleration=0.01,
        trade_intensity=3.0,
        large_trade_flag=0.0,
        volatility_expansion=0.1,
        volatility_regime=0.0,
        trend_regime=1.0,
        warm=True,
        venue_ms=at_ms,
        received_ms=at_ms,
        continuity_epoch=1,
    )


class Chooser:
    """A policy with fixed answers; notes the states it was asked about."""

    schema = REFERENCE_FEATURES

    def __init__(self, probabilities: tuple[float, ...] = (0.6, 0.3, 0.1), value: float = 0.25) -> None:
        self.probabilities = probabilities
        self.value = value
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []

    def decide(self, state: MarketState) -> tuple[tuple[float, ...], float]:
        self.seen.append((state.features, state.history))
        return self.probabilities, self.value


HOLDS, BUYS, SELLS = (0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8)


def as_policy(weights: object) -> Policy:
    """Take a policy for its own weights."""
    assert isinstance(weights, Chooser)
    return weights


class Asset:
    """A MarketActor on its stage, with feeds that can be turned off."""

    def __init__(
        self,
        stage: Stage,
        asset: str = "BTC",
        *,
        sample_actions: bool = False,
        policy: RestartPolicy = SOON,
        make_policy: Callable[[object], Policy] | None = None,
        phase_ms: int = 0,
    ) -> None:
        self.stage, self.name = stage, asset
        self.address = addresses.market(asset)
        self.view: Callable[[Market, int], BookView | None] = book_view
        self.flow: Callable[[int], FlowView | None] = flow_view
        rules = MarketRules(
            grid_ms=500,
            book_stale_s=5.0,
            flow_stale_s=5.0,
            sample_actions=sample_actions,
            phases_ms={asset: phase_ms},
        )
        self.cell = stage.play(
            self.address,
            lambda context: MarketActor(
                context,
                asset,
                1,
                rules,
                make_policy or as_policy,
                stage.said.append,
            ),
            asset,
            policy,
        )

    def ready(self, policy: Chooser, *markets: Market) -> None:
        self.stage.tell(self.address, WeightsPublished(1, policy), *(MarketListed(market) for market in markets))

    def run(self, seconds: float, market: Market) -> None:
        """Publish both views each 100 ms for a while."""
        for _ in range(round(seconds * 10)):
            now_ms = self.stage.clock.now_ms()
            view, flow = self.view(market, now_ms), self.flow(now_ms)
            if view is not None:
                self.stage.tell(self.address, BookPublished(view))
            if flow is not None:
                self.stage.tell(self.address, FlowPublished(flow))
            self.stage.run(0.1)

    @property
    def steps(self) -> list[TransitionRecorded]:
        return [said for said in self.stage.told(addresses.LEARNER, TransitionRecorded) if said.asset == self.name]

    @property
    def intents(self) -> list[IntentProposed]:
        return self.stage.told(addresses.PORTFOLIO, IntentProposed)

    @property
    def waiting_for(self) -> str | None:
        return self.stage.shown(f"asset {self.name}", AssetStatus).waiting_for
