"""A small world around the money actors: virtual time, the real paper broker, neighbours that only record."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from actors import addresses
from actors.execution import ExecutionClient
from actors.execution_paper import PaperExecutionClient
from actors.executor import ExecutorState
from actors.kill_switch import Trips
from actors.portfolio import Sizing
from actors.portfolio_state import PortfolioState
from actors.send_limits import SendLimits
from actors.watchdog import WatchdogActor, WatchdogLimits
from core.market.events import Level
from core.market.market import FeeSchedule, Market, Side
from core.market.views import BookView, TokenBook
from core.market.window import Window
from core.messages import (
    AssetAdded,
    BookPublished,
    FeedPulse,
    ForcedExit,
    IntentProposed,
    OrderReported,
    OrderRequested,
    RecorderPulse,
    Tick,
    Touch,
    WinnerKnown,
)
from core.records import HealthEventRecord, OrderRecord
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.cell import Spec
from core.runtime.clock import VirtualClock
from core.runtime.context import Context
from core.runtime.gate import GateCell
from core.runtime.stepped import SteppedRuntime
from core.runtime.supervision import RestartPolicy
from core.trading.limits import OpenLimits
from core.trading.money import MICRO
from core.trading.order_limits import OrderLimits
from core.trading.orders import Fill, Intent, IntentAction, Order, OrderType
from core.trading.weighting import Weighting
from tests.actors.neighbours import Database, Fuse, FusedExecutor, FusedPortfolio, Recording, Tables
from tests.trading.builders import CRYPTO_FEES, OPENS_S, an_intent, levels, mirrored
from venues.paper.broker import VENUE, PaperState

START_USD = 1_000 * MICRO
START_MS = OPENS_S * 1000 + 10_000
SESSION = 7
LATENCY_MS = 50
TAKER_DELAY_MS = 150
LENIENT = RestartPolicy(max_restarts=10_000, backoff_s=0.01, backoff_max_s=0.05)
BIDS = levels(("0.49", 100), ("0.48", 200))
ASKS = levels(("0.51", 100), ("0.52", 200))

M = TypeVar("M")


def a_market(
    asset: str = "BTC", *, opens_s: int = OPENS_S, length_s: int = 900, fees: FeeSchedule | None = CRYPTO_FEES
) -> Market:
    """Build the market of one window: tick 0.01, at least 5 shares, ids that name asset and window."""
    condition_id = f"{asset}.{opens_s}"
    return Market(
        window=Window(asset, opens_s, length_s),
        condition_id=condition_id,
        up_token=f"{condition_id}.up",
        down_token=f"{condition_id}.down",
        tick_size=MICRO // 100,
        min_order_shares=5 * MICRO,
        fees=fees,
        taker_delay_ms=TAKER_DELAY_MS,
    )


def a_book(
    market: Market,
    received_ms: int,
    *,
    bids: tuple[Level, ...] = BIDS,
    asks: tuple[Level, ...] = ASKS,
    epoch: int = 1,
) -> BookView:
    """Build both tokens' books from the UP token's levels, best first."""
    return BookView(
        asset=market.asset,
        condition_id=market.condition_id,
        up=TokenBook(market.up_token, bids, asks),
        down=TokenBook(market.down_token, mirrored(asks), mirrored(bids)),
        tick_size=market.tick_size,
        venue_ms=received_ms,
        received_ms=received_ms,
        continuity_epoch=epoch,
    )


def paper_client(saved: bytes, of_this_process: bool) -> ExecutionClient:  # noqa: FBT001 -- the executor's hook
    """Make the paper execution client as the program does."""
    return PaperExecutionClient(LATENCY_MS, 5_000, saved, of_this_process=of_this_process)


class World:
    """Portfolio, executor and, with `limits`, the watchdog; the others only record what they hear.

    `opening`, `order_limits` and `weighting` are what the portfolio sizes by, `trips` what shuts the gate, `send` what
    the executor judges by. With `executes` False the executor only records, too.
    """

    def __init__(
        self,
        *,
        assets: tuple[str, ...] = ("BTC",),
        order_type: OrderType = "FAK",
        trade_size_usd: int = 200 * MICRO,
        limits: WatchdogLimits | None = None,
        start_ms: int = START_MS,
        seed: int = 0,
        saved: Mapping[str, tuple[int, bytes]] | None = None,
        portfolio_fuse: Fuse | None = None,
        executor_fuse: Fuse | None = None,
        tables: Tables | None = None,
        policy: RestartPolicy = LENIENT,
        opening: OpenLimits | None = None,
        order_limits: OrderLimits | None = None,
        weighting: Weighting | None = None,
        trips: Trips | None = None,
        send: SendLimits | None = None,
        executes: bool = True,
        gate: GateCell | None = None,
    ) -> None:
        self.clock = VirtualClock(start_ms)
        self.traffic: list[tuple[int, str, object]] = []
        self.runtime = SteppedRuntime(
            self.clock,
            seed=seed,
            lease_epoch=1,
            gate=gate,
            saved=saved,
            trace=lambda at_ms, address, envelope: self.traffic.append((at_ms, address, envelope.message)),
        )
        self.tables = tables or Tables()
        self.heard: dict[str, list[object]] = {}
        self.said: list[str] = []
        self.books: dict[str, tuple[Market, BookView]] = {}
        self._policy = policy
        sizing = Sizing(
            trade_size_usd,
            1,
            order_type,
            opening or OpenLimits(),
            order_limits=order_limits or OrderLimits(),
            weighting=weighting,
        )
        self.portfolio_fuse, self.executor_fuse = portfolio_fuse or Fuse(), executor_fuse or Fuse()

        self._made: dict[str, Actor] = {}

        def portfolio(context: Context) -> Actor:
            actor = FusedPortfolio(context, SESSION, START_USD, sizing, VENUE, self.said.append, trips=trips)
            actor.fuse = self.portfolio_fuse
            self._made["portfolio"] = actor
            return actor

        def executor(context: Context) -> Actor:
            actor = FusedExecutor(context, paper_client, self.said.append, limits=send)
            actor.fuse = self.executor_fuse
            self._made["executor"] = actor
            return actor

        self._add(addresses.DB_WRITER, lambda context: Database(context, self.tables))
        self._record(addresses.NOTIFIER)
        self._add(addresses.PORTFOLIO, portfolio)
        if executes:
            self._add(addresses.EXECUTOR, executor)
        else:
            self._record(addresses.EXECUTOR)
        if limits is None:
            self._record(addresses.WATCHDOG)
        else:
            watch = limits
            self._add(
                addresses.WATCHDOG, lambda context: WatchdogActor(context, assets, SESSION, watch, self.said.append)
            )
        self._record(addresses.DISCOVERY)
        for asset in assets:
            self._record(addresses.market(asset))
        for address in list(self.runtime.cells):
            self.runtime.start(address)
        self.run_ms(1)

    def _add(self, address: Address, make: Callable[[Context], Actor]) -> None:
        self.runtime.add(Spec(address, make, policy=self._policy))

    def _record(self, address: Address) -> None:
        heard = self.heard[address.name] = []
        self._add(address, lambda context: Recording(context, heard))

    # -- the world's doing --------------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        return self.clock.now_ms()

    def run_ms(self, duration_ms: int) -> None:
        """Let virtual time pass; books grow old."""
        self.runtime.run_until(self.now_ms + duration_ms)

    def run_s(self, duration_s: float) -> None:
        """Let virtual time pass; every book is published again each half second, from the feed it came from."""
        end_ms = self.now_ms + round(duration_s * 1000)
        while self.now_ms < end_ms:
            for market, view in list(self.books.values()):
                if self.now_ms < market.window.closes_at_s * 1000:
                    self.show(market, replace(view, received_ms=self.now_ms))
            self.run_ms(min(500, end_ms - self.now_ms))

    def run_to(self, at_s: int) -> None:
        """Let time pass until unix second `at_s`, with books."""
        self.run_s(at_s - self.now_ms / 1000)

    def show(self, market: Market, view: BookView) -> None:
        self.books[market.condition_id] = (market, view)
        for reader in (addresses.PORTFOLIO, addresses.EXECUTOR):
            self.runtime.tell(reader, BookPublished(view))

    def quote(
        self, market: Market, *, bids: tuple[Level, ...] = BIDS, asks: tuple[Level, ...] = ASKS, epoch: int = 1
    ) -> None:
        """Publish a book received now."""
        self.show(market, a_book(market, self.now_ms, bids=bids, asks=asks, epoch=epoch))

    def propose(
        self,
        market: Market,
        side: Side = "UP",
        action: IntentAction = "OPEN",
        *,
        view: BookView | None = None,
        decided_ms: int | None = None,
        decision_price: int | None = None,
    ) -> str:
        """Let the market actor propose an intent, on the newest book and decided now unless given; return its id."""
        intent = Intent(
            id=f"{SESSION}.{market.asset}.{self.now_ms}.{side}.{action}",
            session_id=SESSION,
            asset=market.asset,
            condition_id=market.condition_id,
            side=side,
            action=action,
            decided_ms=self.now_ms if decided_ms is None else decided_ms,
            reason="signal",
            probabilities=(0.2, 0.5, 0.3),
            features=(0.0,),
            lease_epoch=1,
            incarnation=1,
            decision_price=decision_price,
        )
        seen = view or self.books[market.condition_id][1]
        self.runtime.tell(addresses.PORTFOLIO, IntentProposed(market, intent, seen))
        return intent.id

    def opened(self, market: Market, side: Side = "UP") -> None:
        """Quote, open a position and wait until it is booked."""
        self.quote(market)
        self.propose(market, side)
        self.run_s(1)
        assert self.state.positions(market.condition_id), self.said

    def force(self, market: Market, reason: str = "T-2") -> None:
        self.runtime.tell(addresses.PORTFOLIO, ForcedExit(market.asset, market.condition_id, reason))

    def win(self, market: Market, winner: Side) -> None:
        """Let the venue name the winner."""
        self.runtime.tell(addresses.PORTFOLIO, WinnerKnown(market.condition_id, market.asset, winner, self.now_ms))

    def pulse(
        self,
        feed: Address,
        asset: str,
        *,
        age_s: float = 0.0,
        connected: bool = True,
        has_data: bool = True,
        bad_frames: int = 0,
        reconnects: int = 0,
        lag_ms: int | None = None,
        touch: Touch | None = None,
    ) -> None:
        """Let a feed say how it is."""
        pulse = FeedPulse(
            feed=feed.name,
            asset=asset,
            connected=connected,
            has_data=has_data,
            age_s=age_s,
            frames=1,
            bad_frames=bad_frames,
            reconnects=reconnects,
            detail="connected" if connected else "refused",
            lag_ms=lag_ms,
            touch=touch,
        )
        self.runtime.tell(addresses.WATCHDOG, pulse)

    def pulses(self, asset: str = "BTC", lag_s: float = 0.0) -> None:
        """Let both feeds of an asset and the recorder say that all is well, or how far the recorder is behind."""
        self.pulse(addresses.book_feed(asset), asset)
        self.pulse(addresses.flow_feed(asset), asset)
        self.runtime.tell(addresses.WATCHDOG, RecorderPulse(lag_s, 0, None))

    def poison(self, address: Address) -> None:
        """Send what no handler can bear."""
        bad = AssetAdded([]) if address == addresses.WATCHDOG else Tick(None)  # type: ignore[arg-type]
        self.runtime.tell(address, bad)

    def crash(self, address: Address) -> None:
        """Poison a running actor and see it die."""
        before = self.runtime.cells[address].restarts
        self.poison(address)
        self.run_ms(1)
        assert self.runtime.cells[address].restarts == before + 1

    def commit_after(self, delay_ms: int | None) -> None:
        """Change how long the database takes; None while it is away."""
        self.tables.delay_ms = delay_ms
        self.runtime.tell(addresses.DB_WRITER, Tick("commit"))

    def report(self, market: Market, order: Order, fills: tuple[Fill, ...]) -> None:
        """Tell the portfolio about an order as the executor would."""
        intent = an_intent(order.intent_id, order.outcome, condition_id=market.condition_id)
        self.runtime.tell(addresses.PORTFOLIO, OrderReported(order, fills, intent, market))

    # -- what came of it ----------------------------------------------------------------------------------------

    @property
    def state(self) -> PortfolioState:
        """The portfolio's checkpoint."""
        saved = self.runtime.cells[addresses.PORTFOLIO].saved
        return PortfolioState.new(START_USD) if saved is None else msgspec.msgpack.decode(saved, type=PortfolioState)

    @property
    def paper(self) -> PaperState:
        """What the executor's checkpoint says of the paper broker."""
        client = self.executor.client
        return msgspec.msgpack.decode(client, type=PaperState) if client else PaperState()

    @property
    def executor(self) -> ExecutorState:
        """The executor's checkpoint."""
        saved = self.runtime.cells[addresses.EXECUTOR].saved
        return ExecutorState() if saved is None else msgspec.msgpack.decode(saved, type=ExecutorState)

    def actors(self, kind: type[M]) -> list[M]:
        """Return the newest incarnation of the actors of one kind."""
        return [actor for actor in self._made.values() if isinstance(actor, kind)]

    def shares(self, market: Market) -> int:
        return sum(position.shares for position in self.state.positions(market.condition_id))

    def told(self, address: Address, kind: type[M]) -> list[M]:
        """Return what a recording neighbour heard of one kind."""
        return [message for message in self.heard[address.name] if isinstance(message, kind)]

    def told_of_orders(self) -> list[OrderRequested]:
        """Return every order that the executor was asked for."""
        return [message for _, _, message in self.traffic if isinstance(message, OrderRequested)]

    def events(self) -> list[HealthEventRecord]:
        """Return the committed health events."""
        return [row for row in self.tables.log if isinstance(row, HealthEventRecord)]

    def orders(self, side: str | None = None) -> list[OrderRecord]:
        """Return the committed orders in the order of their first commit."""
        return [order for order in self.tables.orders.values() if side in (None, order.side)]

    def assert_books_balance(self) -> None:
        """Check cash against the trades and the cost of what is open."""
        ledger = self.state.ledger
        cost = sum(position.cost_usd for position in ledger.positions.values())
        assert ledger.cash_usd == START_USD + ledger.realised_usd - cost
