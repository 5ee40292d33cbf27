"""Portfolio, executor and watchdog trading live in virtual time, on the embedded exchange's engine."""

from collections.abc import Callable, Iterator
from random import Random

import msgspec

from actors import addresses
from actors.execution import ExecutionClient
from actors.execution_live import LiveExecutionClient, LiveSession
from actors.executor import ExecutorActor, ExecutorState
from actors.kill_switch import Trips
from actors.portfolio import PortfolioActor, Sizing
from actors.portfolio_state import PortfolioState
from core.market.market import FeeSchedule, Market, Side
from core.market.views import BookView, TokenBook
from core.market.window import Window
from core.messages import BookPublished, CancelRequested, ForcedExit, IntentProposed, MarketListed, WinnerKnown
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.cell import Spec
from core.runtime.clock import VirtualClock
from core.runtime.context import Context
from core.runtime.message import StreamItem
from core.runtime.stepped import SteppedRuntime
from core.runtime.stream import Stream
from core.runtime.supervision import RestartPolicy
from core.trading.limits import OpenLimits
from core.trading.money import MICRO
from core.trading.orders import Intent, IntentAction, OrderType
from tests.actors.neighbours import Database, Recording, Tables
from tests.live_execution.engine_account import FUNDER, EngineAccount, Trouble, user_event
from venues.polymarket.fills import VENUE
from venues.polymarket.user_stream import UserReceived
from venues.sim.directory import Directory
from venues.sim.faults import FaultPlan
from venues.sim.trading.engine import Engine
from venues.sim.trading.values import TradingRules
from venues.sim.world import World as Prices
from venues.sim.world.listing import Listing
from venues.transport import StreamOpened

OPENS_S = 1_795_392_000 + 3_600
START_MS = OPENS_S * 1000 + 5_000
SESSION = 7
PRICES = Prices(5, "today", 900)
LENIENT = RestartPolicy(max_restarts=10_000, backoff_s=0.01, backoff_max_s=0.05)
STEP_MS = 500


class Silent:
    """A user channel whose events the test hands on itself."""

    def items(self, from_ms: int) -> Iterator[tuple[int, object]]:
        return iter(())


class LiveWorld:
    """One asset's market on the engine; `listen` False keeps the user channel silent."""

    def __init__(
        self,
        *,
        faults: FaultPlan | None = None,
        rules: TradingRules | None = None,
        trouble: Trouble | None = None,
        order_type: OrderType = "FAK",
        trade_size_usd: int = 100 * MICRO,
        seed: int = 0,
        listen: bool = True,
        start_ms: int = START_MS,
        since_s: int | None = None,
        trips: Trips | None = None,
        max_failures: int | None = None,
    ) -> None:
        self.clock = VirtualClock(start_ms)
        self.random = Random(seed)
        self.runtime = SteppedRuntime(self.clock, seed=seed, lease_epoch=1, work_ms=20)
        self.engine = Engine(Directory(PRICES, ("BTC",)), rules or TradingRules(), faults or FaultPlan())
        self.account = EngineAccount(self.engine, self.clock.now_ms, self.random, trouble)
        self.tables = Tables()
        self.said: list[str] = []
        self.heard: dict[str, list[object]] = {}
        self.listen = listen
        self._cursor = self.engine.latest()
        self._intents = 0
        self.cash_usd = self.engine.balance(FUNDER, None, start_ms).balance
        sizing = Sizing(trade_size_usd, 2, order_type, OpenLimits())

        def portfolio(context: Context) -> Actor:
            return PortfolioActor(
                context, SESSION, self.cash_usd, sizing, VENUE, self.said.append, live=True, trips=trips
            )

        def client(saved: bytes, of_this_process: bool) -> ExecutionClient:  # noqa: FBT001 -- the executor's hook
            session = LiveSession(SESSION, start_ms // 1000 if since_s is None else since_s)
            return LiveExecutionClient(
                self.account, lambda _: _silent(), session, self.said.append, saved, max_failures=max_failures
            )

        self._add(addresses.DB_WRITER, lambda context: Database(context, self.tables))
        for name in (addresses.NOTIFIER, addresses.DISCOVERY, addresses.WATCHDOG):
            self._record(name)
        self._record(addresses.market("BTC"))
        self._record(addresses.book_feed("BTC"))
        self._add(addresses.PORTFOLIO, portfolio)
        self._add(addresses.EXECUTOR, lambda context: ExecutorActor(context, client, self.said.append))
        for address in list(self.runtime.cells):
            self.runtime.start(address)
        self.listing = PRICES.market("BTC", OPENS_S)
        self.market = self.list_market(self.listing)
        self.run_s(1)

    def _add(self, address: Address, make: Callable[[Context], Actor]) -> None:
        self.runtime.add(Spec(address, make, policy=LENIENT))

    def _record(self, address: Address) -> None:
        heard = self.heard[address.name] = []
        self._add(address, lambda context: Recording(context, heard))

    # -- the world's doing --------------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        return self.clock.now_ms()

    def list_market(self, listing: Listing) -> Market:
        """Tell everybody of a market, as the discovery would."""
        market = Market(
            window=Window("BTC", listing.opens_at_s, listing.length_s),
            condition_id=listing.condition_id,
            up_token=listing.up_token,
            down_token=listing.down_token,
            tick_size=MICRO // 100,
            min_order_shares=5 * MICRO,
            fees=FeeSchedule(PRICES.variant.fee_rate),
            taker_delay_ms=150,
        )
        for reader in (addresses.PORTFOLIO, addresses.EXECUTOR):
            self.runtime.tell(reader, MarketListed(market))
        return market

    def run_s(self, duration_s: float) -> None:
        """Let time pass: books are published each half second, and the user channel tells what happened."""
        end_ms = self.now_ms + round(duration_s * 1000)
        while self.now_ms < end_ms:
            self.show()
            self.runtime.run_until(min(end_ms, self.now_ms + STEP_MS))
            self.engine.advance(self.now_ms)
            self.tell_user_events()

    def tell_user_events(self) -> None:
        """Hand on what the venue's user channel has to say."""
        events, self._cursor = self.engine.events(self._cursor)
        for event in events:
            if self.listen:
                message = UserReceived((user_event(event),), self.now_ms)
                self.runtime.tell(addresses.EXECUTOR, StreamItem("user", message))

    def reconnect(self) -> None:
        """Let the user channel open anew."""
        self.runtime.tell(addresses.EXECUTOR, StreamItem("user", StreamOpened(self.now_ms)))

    def view(self) -> BookView:
        """Return both tokens' books as the exchange shows them now."""
        book = self.engine.book(self.listing, self.now_ms)
        bids, asks = tuple(book.bids), tuple(book.asks)
        up = TokenBook(self.market.up_token, bids, asks)
        down = TokenBook(
            self.market.down_token,
            tuple((MICRO - price, size) for price, size in asks),
            tuple((MICRO - price, size) for price, size in bids),
        )
        tick = self.engine.tick(self.listing, self.now_ms)
        return BookView("BTC", self.market.condition_id, up, down, tick, self.now_ms, self.now_ms, 1)

    def show(self) -> None:
        """Publish the books, while the market trades."""
        if self.now_ms < self.listing.closes_at_s * 1000:
            view = self.view()
            for reader in (addresses.PORTFOLIO, addresses.EXECUTOR):
                self.runtime.tell(reader, BookPublished(view))

    def propose(self, side: Side = "UP", action: IntentAction = "OPEN") -> str:
        """Let the policy wish for something; returns the intent's id."""
        self._intents += 1
        intent = Intent(
            f"i{self._intents}",
            SESSION,
            "BTC",
            self.market.condition_id,
            side,
            action,
            self.now_ms,
            "signal",
            (0.1, 0.8, 0.1),
            (0.0,),
            1,
            1,
        )
        self.runtime.tell(addresses.PORTFOLIO, IntentProposed(self.market, intent, self.view()))
        return intent.id

    def force(self, reason: str = "T-2") -> None:
        """Let the watchdog ask for an exit."""
        self.runtime.tell(addresses.PORTFOLIO, ForcedExit("BTC", self.market.condition_id, reason))

    def recall(self) -> None:
        """Take back what rests."""
        self.runtime.tell(addresses.EXECUTOR, CancelRequested(self.market.condition_id))

    def resolve(self) -> Side:
        """Let the window end and the discovery tell its winner; returns it."""
        self.run_s(max(1.0, self.listing.resolves_at_s + 200 - self.now_ms / 1000))
        winner: Side = "UP" if PRICES.winner("BTC", self.listing.opens_at_s) == "Up" else "DOWN"
        for _ in range(4):
            message = WinnerKnown(self.market.condition_id, "BTC", winner, self.now_ms)
            self.runtime.tell(addresses.PORTFOLIO, message)
            self.run_s(20)
        return winner

    def crash(self, address: Address) -> None:
        """Have an actor restarted between two messages, its state taken back."""
        self.runtime.restart(address)

    # -- what came of it ----------------------------------------------------------------------------------------

    @property
    def state(self) -> PortfolioState:
        saved = self.runtime.cells[addresses.PORTFOLIO].saved
        return (
            PortfolioState.new(self.cash_usd) if saved is None else msgspec.msgpack.decode(saved, type=PortfolioState)
        )

    @property
    def executor(self) -> ExecutorState:
        saved = self.runtime.cells[addresses.EXECUTOR].saved
        return ExecutorState() if saved is None else msgspec.msgpack.decode(saved, type=ExecutorState)

    def shares(self, side: Side = "UP") -> int:
        """Return what the portfolio believes it holds."""
        return sum(p.shares for p in self.state.ledger.positions.values() if p.side == side)

    def venue_shares(self, side: Side = "UP") -> int:
        """Return what the exchange's ledger holds for us, what is matched but not settled included."""
        audit, token = self.engine.audit(FUNDER), self.market.token(side)
        return audit.balances.get(token, 0) + audit.pending.get(token, 0)

    def venue_cash(self) -> int:
        """Return our dollars in the exchange's ledger, what is matched but not settled included."""
        audit = self.engine.audit(FUNDER)
        return audit.balances.get("USD", 0) + audit.pending.get("USD", 0)

    def assert_ledgers_agree(self) -> None:
        """Hold our books against the exchange's, to the micro-dollar and the micro-share."""
        assert self.state.ledger.cash_usd == self.venue_cash()
        assert (self.shares("UP"), self.shares("DOWN")) == (self.venue_shares("UP"), self.venue_shares("DOWN"))


def _silent() -> Stream:
    return Silent()
