"""Portfolio and executor trading live in virtual time, on the whole exchange, by a policy without judgement.

`kill` is what `kill -9` is: whatever was on its way is lost, and what is committed starts a new process.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import msgspec

from actors import addresses
from actors.account import unconfirmed
from actors.execution import ExecutionClient
from actors.execution_live import LiveExecutionClient, LiveSession
from actors.executor import ExecutorActor
from actors.kill_switch import Trips
from actors.portfolio import PortfolioActor, Sizing
from actors.portfolio_state import PortfolioState
from actors.send_limits import SendLimits
from bench.measure.live_wallet import private_key
from bench.measure.virtual_venue import VirtualConnections, VirtualVenue
from bench.measure.written_rows import Tables
from core.market.market import FeeSchedule, Market, Side
from core.market.views import BookView, TokenBook
from core.market.window import Window
from core.messages import (
    AwaitWinner,
    BookPublished,
    CancelRequested,
    ForcedExit,
    IntentProposed,
    MarketListed,
    Persist,
    Persisted,
    WinnerKnown,
)
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.cell import Spec
from core.runtime.clock import VirtualClock
from core.runtime.context import Context
from core.runtime.gate import GateCell
from core.runtime.message import StreamItem
from core.runtime.stepped import SteppedRuntime
from core.runtime.stream import Stream
from core.runtime.supervision import RestartPolicy
from core.trading.limits import OpenLimits
from core.trading.money import MICRO
from core.trading.order_limits import OrderLimits
from core.trading.orders import Intent, IntentAction, OrderType
from core.trading.sizing import LOT_SHARES
from venues.polymarket.account import Account
from venues.polymarket.auth import Level2
from venues.polymarket.credentials import Secret, Wallet
from venues.polymarket.fills import VENUE, Identity
from venues.polymarket.heartbeat import Heartbeat
from venues.polymarket.keys import Keys
from venues.polymarket.live_account import LiveAccount
from venues.polymarket.order_client import OrderClient
from venues.polymarket.session import Session
from venues.polymarket.signing import OrderSigner, funder_address, signer_address
from venues.polymarket.user_decode import decode_user_frame
from venues.polymarket.user_stream import UserReceived
from venues.polymarket.versions import order_format
from venues.sim.exchange import Operation
from venues.sim.faults import default_plan
from venues.sim.streams.user import PATH, UserChannel
from venues.sim.trading.values import TradingRules
from venues.transport import StreamOpened

SESSION = 1
WINDOW_S = 60
START_MS = 1_795_392_000_000
STEP_MS = 500
COMMIT_MS = 5
ANSWER_MS = 20
ASSETS = ("BTC", "ETH", "SOL", "XRP")
FREE_TO_RESTART = RestartPolicy(max_restarts=10**9, backoff_s=0.01, backoff_max_s=0.05)
DEPOSIT_USD = 1_000_000 * MICRO
"""A policy without judgement loses the spread each time; the money must last."""
KEPT_EVERY_MS = 5_000
"""The executor's checkpoint is as old as that when a process is killed (`cli.checkpoint_keeper`)."""
AWAY_S = (0.5, 3.0, 12.0, 45.0, 200.0)
"""How long nobody of ours may be there after a kill."""


class Limited(msgspec.Struct, frozen=True):
    """What portfolio and executor must keep to; without anything, what a market allows."""

    opening: OpenLimits = OpenLimits()
    order: OrderLimits = OrderLimits()
    trips: Trips = Trips()


class LiveWorld:
    """Four assets' windows, one after the other, under the exchange's default faults and restarts of our actors.

    `heard` is called with every message before it is handled.
    """

    def __init__(
        self,
        seed: int,
        order_type: OrderType,
        ledger: Path,
        limited: Limited | None = None,
        heard: Callable[[object], None] | None = None,
    ) -> None:
        self._limited = limited or Limited()
        self._heard = heard
        self._seed = seed
        self._random = Random(seed)
        self._clock = VirtualClock(START_MS + 1_000)
        self._operation = Operation(
            rules=TradingRules(deposit=DEPOSIT_USD), faults=default_plan(seed, WINDOW_S / 900), ledger=ledger
        )
        self._venue = self._opened_venue()
        self.tables = Tables()
        self.lines: list[str] = []
        self.kills = 0
        self.requests = 0
        self._order_type = order_type
        self._markets: dict[tuple[str, int], Market] = {}
        self._forced_ms: dict[str, int] = {}
        self._intents = 0
        self._kept: tuple[int, tuple[int, bytes] | None] = (0, None)
        account = self._account()
        self._cash_usd = account.holdings(()).cash_usd
        self._start(account)

    def _start(self, account: LiveAccount) -> None:
        """Begin a process of ours on what the tables and the executor's last kept checkpoint say."""
        saved = {} if self._kept[1] is None else {addresses.EXECUTOR.name: self._kept[1]}
        if self.tables.checkpoint is not None:
            kept = self.tables.checkpoint
            saved[addresses.PORTFOLIO.name] = (kept.generation, kept.payload)
        self._runtime = SteppedRuntime(
            self._clock,
            seed=self._seed + self.kills,
            lease_epoch=1 + self.kills,
            saved=saved,
            work_ms=ANSWER_MS,
            trace=lambda _at_ms, _address, envelope: self._hear_of(envelope.message),
        )
        limits = self._limited
        sizing = Sizing(100 * MICRO, 2, self._order_type, limits.opening, order_limits=limits.order)
        send = SendLimits(limits.opening, limits.order)
        hashes = {row.id: row.order_hash for row in self.tables.orders.values() if row.closed_at_ms is None}
        not_final = unconfirmed(self.tables.unconfirmed())
        fills = self.tables.fills.values()
        booked = frozenset((fill.trade_id, fill.order_hash) for fill in fills if fill.state != "MATCHED")
        recorded = {order_id: order_hash for order_id, order_hash in hashes.items() if order_hash is not None}

        def portfolio(context: Context) -> Actor:
            return PortfolioActor(
                context, SESSION, self._cash_usd, sizing, VENUE, self._say, live=True, trips=limits.trips
            )

        def client(saved: bytes, of_this_process: bool) -> ExecutionClient:  # noqa: FBT001 -- the executor's hook
            session = LiveSession(SESSION, START_MS // 1000, recorded, () if of_this_process else not_final, booked)
            return LiveExecutionClient(
                account, lambda _: _silent(), session, self._say, saved if of_this_process else b""
            )

        self._add(addresses.DB_WRITER, lambda context: _Database(context, self.tables))
        self._add(addresses.DISCOVERY, lambda context: _Winners(context, self._venue))
        for name in (addresses.NOTIFIER, addresses.WATCHDOG):
            self._add(name, _Deaf)
        for asset in ASSETS:
            self._add(addresses.market(asset), _Deaf)
            self._add(addresses.book_feed(asset), _Deaf)
        self._add(addresses.PORTFOLIO, portfolio)
        self._add(addresses.EXECUTOR, lambda context: ExecutorActor(context, client, self._say, limits=send))
        for address in list(self._runtime.cells):
            self._runtime.start(address)

    def kill(self, away_s: float, *, venue_too: bool) -> None:
        """Kill our process within the next half second, with the exchange if asked, and start again `away_s` later."""
        self._runtime.run_until(self._clock.now_ms() + self._random.randrange(STEP_MS))
        for _ in range(self._random.randrange(8)):
            self._runtime.step(self._clock.now_ms())
        self.kills += 1
        self._say(f"killed for {away_s:g} s{', and the exchange' if venue_too else ''}")
        until_ms = self._clock.now_ms() + round(away_s * 1000)
        self._runtime = SteppedRuntime(self._clock)
        if venue_too:
            self._clock.advance_to(until_ms)
            self._venue.close()
            self._venue = self._opened_venue()
        self._clock.advance_to(until_ms)
        self._venue.exchange.engine.advance(until_ms)
        self._markets.clear()
        self._start(self._account())

    def _opened_venue(self) -> VirtualVenue:
        return VirtualVenue(self._seed, WINDOW_S, ASSETS, self._clock.now_ms, self._operation)

    def close(self) -> None:
        """Let go of what the venue holds."""
        self._venue.close()

    def _hear_of(self, message: object) -> None:
        if self._heard is not None:
            self._heard(message)

    @property
    def gate(self) -> GateCell:
        """The gate of the process that lives."""
        return self._runtime.gate

    @property
    def state(self) -> PortfolioState:
        """The portfolio's books."""
        saved = self._runtime.cells[addresses.PORTFOLIO].saved
        return PortfolioState.new(0) if saved is None else msgspec.msgpack.decode(saved, type=PortfolioState)

    @property
    def now_s(self) -> float:
        """Virtual seconds since the beginning."""
        return (self._clock.now_ms() - START_MS) / 1000

    def step(self, *, trades: bool = True) -> None:
        """Let half a second pass: books, wishes, what the user channel tells, and now and then a restart of ours."""
        for asset in ASSETS:
            self._live(asset, trades=trades)
        if trades and self._random.random() < 0.005:
            self._runtime.restart(self._random.choice((addresses.EXECUTOR, addresses.PORTFOLIO)))
        self._runtime.run_until(self._clock.now_ms() + STEP_MS)
        self._hear()
        now_ms, cell = self._clock.now_ms(), self._runtime.cells[addresses.EXECUTOR]
        if cell.saved is not None and now_ms - self._kept[0] >= KEPT_EVERY_MS:
            self._kept = (now_ms, (cell.saved_as, cell.saved))

    # -- the market and the policy ------------------------------------------------------------------------------

    def _live(self, asset: str, *, trades: bool) -> None:
        now_ms = self._clock.now_ms()
        opens_at_s = now_ms // 1000 // WINDOW_S * WINDOW_S
        market = self._market(asset, opens_at_s)
        view = self._view(asset, opens_at_s, market)
        for reader in (addresses.PORTFOLIO, addresses.EXECUTOR):
            self._runtime.tell(reader, BookPublished(view))
        left_s = market.window.closes_at_s - now_ms / 1000
        state, drawn = self.state, self._random.random()
        held = [p for p in state.positions(market.condition_id) if p.shares >= LOT_SHARES]
        exits = asset != "XRP" and left_s < 8
        if exits and held and now_ms - self._forced_ms.get(asset, 0) >= 2_000:
            self._forced_ms[asset] = now_ms
            self._runtime.tell(addresses.PORTFOLIO, ForcedExit(asset, market.condition_id, "T-2"))
        elif state.is_busy(market.condition_id):
            if drawn < 0.1:
                self._runtime.tell(addresses.EXECUTOR, CancelRequested(market.condition_id))
        elif held and drawn < 0.3:
            self._propose(market, view, held[0].side, "CLOSE")
        elif trades and not held and drawn < 0.5:
            self._propose(market, view, "UP" if self._random.random() < 0.5 else "DOWN", "OPEN")

    def _propose(self, market: Market, view: BookView, side: Side, action: IntentAction) -> None:
        self._intents += 1
        book = view.up if side == "UP" else view.down
        intent = Intent(
            f"i{self._intents}", SESSION, market.asset, market.condition_id, side, action, self._clock.now_ms(),
            "signal", (), (), 1, 1, decision_price=book.best_ask if action == "OPEN" else book.best_bid,
        )  # fmt: skip
        self._runtime.tell(addresses.PORTFOLIO, IntentProposed(market, intent, view))

    def _market(self, asset: str, opens_at_s: int) -> Market:
        known = self._markets.get((asset, opens_at_s))
        if known is not None:
            return known
        world = self._venue.exchange.world
        listing = world.market(asset, opens_at_s)
        market = self._markets[asset, opens_at_s] = Market(
            window=Window(asset, opens_at_s, WINDOW_S),
            condition_id=listing.condition_id,
            up_token=listing.up_token,
            down_token=listing.down_token,
            tick_size=MICRO // 100,
            min_order_shares=5 * MICRO,
            fees=FeeSchedule(world.variant.fee_rate),
            taker_delay_ms=150,
        )
        for reader in (addresses.PORTFOLIO, addresses.EXECUTOR):
            self._runtime.tell(reader, MarketListed(market))
        return market

    def _view(self, asset: str, opens_at_s: int, market: Market) -> BookView:
        now_ms, engine = self._clock.now_ms(), self._venue.exchange.engine
        listing = self._venue.exchange.world.market(asset, opens_at_s)
        book = engine.book(listing, now_ms)
        bids, asks = tuple(book.bids), tuple(book.asks)
        down_bids, down_asks = (tuple((MICRO - price, size) for price, size in side) for side in (asks, bids))
        up, down = TokenBook(market.up_token, bids, asks), TokenBook(market.down_token, down_bids, down_asks)
        return BookView(asset, market.condition_id, up, down, engine.tick(listing, now_ms), now_ms, now_ms, 1)

    # -- the venue ----------------------------------------------------------------------------------------------

    def _account(self) -> LiveAccount:
        connections = VirtualConnections(self._venue, self._asked)
        now_ms = self._clock.now_ms
        wallet = Wallet(Secret(private_key(self._seed)))
        key = Keys(connections, wallet, now_ms).api_key()
        session = Session(connections, Level2(signer_address(wallet), key, now_ms))
        self._hello = msgspec.json.encode(
            {
                "auth": {
                    "apiKey": key.key.reveal(),
                    "secret": key.secret.reveal(),
                    "passphrase": key.passphrase.reveal(),
                },
                "type": "user",
            }
        ).decode()
        self._channel = self._opened()
        return LiveAccount(
            Identity(funder_address(wallet).lower(), key.key.reveal()),
            OrderSigner(order_format(2, wallet), now_ms, self._random),
            OrderClient(session),
            Account(session, wallet.signature_type),
            Heartbeat(session),
        )

    def _asked(self) -> None:
        self.requests += 1

    def _opened(self) -> UserChannel:
        channel = UserChannel(self._venue.exchange)
        channel.receive(self._hello, self._clock.now_ms())
        return channel

    def _hear(self) -> None:
        """Hand on the user channel's frames; a socket that a fault breaks is opened anew, what it had to say lost."""
        now_ms = self._clock.now_ms()
        frames = self._channel.due(now_ms)
        if frames and self._venue.exchange.transport.socket_fault(PATH) is not None:
            self._channel = self._opened()
            self._runtime.tell(addresses.EXECUTOR, StreamItem("user", StreamOpened(now_ms)))
            return
        for frame in frames:
            message = UserReceived(decode_user_frame(frame).events, now_ms)
            self._runtime.tell(addresses.EXECUTOR, StreamItem("user", message))

    def _add(self, address: Address, make: Callable[[Context], Actor]) -> None:
        self._runtime.add(Spec(address, make, policy=FREE_TO_RESTART))

    def _say(self, line: str) -> None:
        self.lines.append(f"{self.now_s:.1f} {line}")


class _Database(Actor):
    """Commits what it is told a moment later, in order."""

    def __init__(self, context: Context, tables: Tables) -> None:
        super().__init__(context)
        self._tables = tables

    def receive(self, message: object) -> None:
        if isinstance(message, Persist):
            self._tables.write(message.rows)
            if message.ack_to is not None:
                self.context.tell(message.ack_to, Persisted(message.ack_key))


class _Winners(Actor):
    """Tells the venue's winner to whoever waits for it, once the venue has stated it."""

    def __init__(self, context: Context, venue: VirtualVenue) -> None:
        super().__init__(context)
        self._venue = venue

    def receive(self, message: object) -> None:
        if isinstance(message, AwaitWinner):
            now_ms = self.context.clock.now_ms()
            exchange = self._venue.exchange
            listing = exchange.world.market(message.asset, message.closes_at_s - WINDOW_S)
            if now_ms >= exchange.engine.resolves_at_ms(listing):
                winner: Side = "UP" if exchange.world.winner(message.asset, listing.opens_at_s) == "Up" else "DOWN"
                known = WinnerKnown(message.condition_id, message.asset, winner, now_ms)
                self.context.tell(addresses.PORTFOLIO, known)


class _Deaf(Actor):
    """Hears and does nothing."""

    def receive(self, message: object) -> None:
        pass


class _Silent:
    """A user channel whose frames the world hands on itself."""

    def items(self, from_ms: int) -> Iterator[tuple[int, object]]:  # noqa: ARG002 -- a stream's interface
        return iter(())


def _silent() -> Stream:
    return _Silent()
