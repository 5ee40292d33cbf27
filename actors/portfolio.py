"""The PortfolioActor is the only owner of what we hold: it sizes, reserves, books fills and settlements, and says no.

Its state is one value. Every change is written together with that value in one transaction, so that a restart, of this
actor or of the process, resumes exactly where the database stands.
"""

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from actors import addresses
from actors.portfolio_state import SCHEMA_VERSION, PortfolioState, order_for, status_of, tallied, told
from actors.portfolio_venue import HOLDINGS_EVERY_S, HoldingsCheck, event_of, repaired, text_of
from core.errors import RejectedError
from core.market.market import Market
from core.market.views import BookView
from core.messages import (
    Alert,
    AwaitWinner,
    BookPublished,
    CancelRequested,
    ForcedExit,
    HoldingsReported,
    HoldingsRequested,
    IntentProposed,
    MarketListed,
    OrderReported,
    OrderRequested,
    OrderStatusRequested,
    Persist,
    PositionPublished,
    PositionRequested,
    Tick,
    ViewsRequested,
    WinnerKnown,
)
from core.records import CheckpointRecord, Record
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.context import Context
from core.trading.booking import apply_fill, settle
from core.trading.claims import claimable_usd, claims_of
from core.trading.gate import OrderKind, permits
from core.trading.ledger import (
    free_cash,
    position_key,
    release,
    reserve,
    sellable_shares,
    settlement_of,
    unconfirmed_fills,
)
from core.trading.limits import OpenLimits, open_refusal
from core.trading.orders import Intent, OrderType, is_terminal
from core.trading.positions import ClosedTrade, Position
from core.trading.records import (
    fill_record,
    intent_record,
    market_record,
    order_record,
    position_record,
    trade_record,
)
from core.trading.sizing import LOT_SHARES, Refusal, Sized, size_close, size_open
from storage.queries import checkpoint_name

ASK_WINNER_EVERY_S = 15.0
DECIDED_WITHIN_S = 2.0
"""A wish to open that waited longer, for a restart say, is not granted: its decision saw another market."""


class Sizing(msgspec.Struct, frozen=True):
    """How large and how far from the touch orders are; dollars in 1e-6."""

    trade_size_usd: int
    slippage_ticks: int
    order_type: OrderType
    limits: OpenLimits


class PortfolioActor(Actor):
    """Intents in, reserved orders out; fills and winners in, positions and trades out."""

    acknowledges = True

    def __init__(
        self,
        context: Context,
        session_id: int,
        start_usd: int,
        sizing: Sizing,
        venue: str,
        log: Callable[[str], None],
        *,
        live: bool = False,
        executor: Address = addresses.EXECUTOR,
    ) -> None:
        super().__init__(context)
        self._live = live
        self._executor = executor
        self._holdings = HoldingsCheck()
        self._revision = 0
        self._session_id = session_id
        self._sizing = sizing
        self._venue = venue
        self._log = log
        self._views: dict[str, BookView] = {}
        self._refusal: str | None = None
        self._warned: dict[str, tuple[str, str]] = {}
        self._state = (
            PortfolioState.new(start_usd)
            if context.saved is None
            else msgspec.msgpack.decode(context.saved, type=PortfolioState)
        )

    def on_start(self) -> None:
        """Ask what became of the orders that were open, and who won the markets in which something is held."""
        for order in self._state.orders.values():
            intent, market = self._state.intents[order.intent_id], self._state.markets[order.condition_id]
            self.context.tell(self._executor, OrderStatusRequested(order, intent, market))
        for condition_id, market in self._state.markets.items():
            self.context.tell(addresses.book_feed(market.asset), ViewsRequested(self.context.address))
            self.context.tell(self._executor, MarketListed(market))
            self._publish_position(market.asset, condition_id)
            self._await_winner(condition_id)
        if self._live:
            self._ask_holdings()
        self._show()

    def receive(self, message: object) -> None:
        """Handle views, wishes and what happened."""
        match message:
            case BookPublished(view=view):
                self._views[view.condition_id] = view
            case IntentProposed(market=market, intent=intent, view=view):
                newest = self._views.get(market.condition_id)
                if newest is None or newest.received_ms < view.received_ms:
                    self._views[market.condition_id] = view
                self._propose(market, intent)
            case ForcedExit():
                self._force(message)
            case OrderReported():
                self._reported(message)
            case WinnerKnown():
                self._settle(message)
            case MarketListed(market=market):
                self._listed(market)
            case PositionRequested(asset=asset):
                for condition_id in self._state.held_markets(asset):
                    self._publish_position(asset, condition_id)
            case HoldingsReported() if message.revision == self._revision:
                self._compare(message)
            case Tick(name="holdings"):
                self._ask_holdings()
            case Tick(name=name) if name.startswith("winner "):
                self._await_winner(name.removeprefix("winner "))
        self.context.acknowledge(self.context.receipt)  # what changed nothing, a refused wish, must not come again

    # -- wishes -------------------------------------------------------------------------------------------------

    def _propose(self, market: Market, intent: Intent) -> None:
        sized = self._sized(market, intent)
        if isinstance(sized, Refusal):
            self._refuse(intent, sized.reason)
            return
        try:
            ledger = reserve(self._state.ledger, intent, sized)
        except RejectedError as error:
            self._refuse(intent, str(error))
            return
        epoch = self._views[market.condition_id].continuity_epoch
        order = order_for(intent, market, sized, self._sizing.order_type, self.context.clock.now_ms(), epoch)
        self._refusal = None
        self._state = replace(self._state.with_order(order, intent, market), ledger=ledger)
        self._commit((market_record(market), intent_record(intent), order_record(order, self._venue)))
        self.context.tell(self._executor, OrderRequested(market, intent, order))
        self._await_winner(market.condition_id)
        self._publish_position(intent.asset, market.condition_id)

    def _sized(self, market: Market, intent: Intent) -> Sized | Refusal:
        """Size an intent against the newest book, after the gate and every limit agreed."""
        kind = OrderKind.OPEN_ORDER if intent.action == "OPEN" else OrderKind.REDUCE
        if not permits(self.context.gate.state, intent.asset, kind):
            return Refusal(f"the gate is {self.context.gate.level(intent.asset).name}")
        view = self._views.get(market.condition_id)
        if view is None:
            return Refusal("no book")
        book = view.up if intent.side == "UP" else view.down
        ledger = self._state.ledger
        if intent.action == "CLOSE":
            shares = sellable_shares(ledger, market.condition_id, intent.side)
            ticks = self._sizing.slippage_ticks
            return size_close(market, book, shares, slippage_ticks=ticks, tick_size=view.tick_size)
        now_ms = self.context.clock.now_ms()
        if now_ms - intent.decided_ms > DECIDED_WITHIN_S * 1000:
            return Refusal(f"decided {(now_ms - intent.decided_ms) / 1000:.1f} s ago")
        if any(held.shares >= LOT_SHARES for held in self._state.positions(market.condition_id)):
            return Refusal("a position is held already")
        refusal = open_refusal(market, view, intent.side, now_ms, self._sizing.limits)
        if refusal is not None:
            return Refusal(refusal)
        up_mid = view.up.mid
        if up_mid is None:
            return Refusal("book one-sided")
        return size_open(
            market,
            book,
            up_mid,
            trade_size_usd=self._sizing.trade_size_usd,
            cash_usd=free_cash(ledger) - claimable_usd(self._state.claims),
            slippage_ticks=self._sizing.slippage_ticks,
            order_type=self._sizing.order_type,
            tick_size=view.tick_size,
        )

    def _refuse(self, intent: Intent, reason: str) -> None:
        self._refusal = f"{intent.asset} {intent.action} {intent.side} refused: {reason}"
        warning = (intent.condition_id, f"{self._refusal} ({intent.reason})")
        if intent.forced and self._warned.get(intent.asset) != warning:  # asked for every other second
            self._warned[intent.asset] = warning
            self._log(f"{warning[1]}; what is held stays, settlement if nothing changes")
        self._show()

    def _force(self, wish: ForcedExit) -> None:
        market = self._state.markets.get(wish.condition_id)
        for position in self._state.positions(wish.condition_id):
            if market is None or position.shares < LOT_SHARES:
                continue
            if self._state.is_busy(wish.condition_id):
                self.context.tell(self._executor, CancelRequested(wish.condition_id))
                continue
            now_ms = self.context.clock.now_ms()
            intent = Intent(
                id=f"{self._session_id}.{wish.asset}.{now_ms}.{self.context.lease_epoch}.{self.context.receipt}.{wish.reason}",
                session_id=self._session_id,
                asset=wish.asset,
                condition_id=wish.condition_id,
                side=position.side,
                action="CLOSE",
                decided_ms=now_ms,
                reason=wish.reason,
                probabilities=(),
                features=(),
                lease_epoch=self.context.lease_epoch,
                incarnation=self.context.incarnation,
                forced=True,
            )
            self._propose(market, intent)

    # -- what happened ------------------------------------------------------------------------------------------

    def _reported(self, report: OrderReported) -> None:
        order = report.order
        intent = self._state.intents.get(order.intent_id)
        forgotten = intent is None
        if intent is None:  # terminal before: what is said again is booked already, what is new of a fill is not
            if not self._state.has_news(report.fills):
                return
            intent = report.intent
            self._state = self._state.with_market(report.market)
        before = self._state.positions(order.condition_id)
        trades: list[ClosedTrade] = []
        ledger = self._state.ledger
        for fill in report.fills:
            applied = apply_fill(ledger, fill, order, intent)
            ledger = applied.ledger
            if applied.closed_trade is not None:
                trades.append(applied.closed_trade)
        self._state = replace(self._state, ledger=ledger)
        if is_terminal(order):
            ledger = release(ledger, intent.id)
            self._state = replace(self._state, ledger=ledger).without_order(order)
            self._await_winner(order.condition_id)  # a late fill may have made a position anew
        else:
            self._state = self._state.with_order(order, intent, None)
        rows: tuple[Record, ...] = (order_record(order, self._venue), *(fill_record(fill) for fill in report.fills))
        if forgotten:  # an adopted one was never written
            rows = (market_record(report.market), intent_record(intent), *rows)
        self._booked(order.asset, order.condition_id, before, trades, rows)
        if is_terminal(order) and order.filled_shares == 0:
            self._refusal = f"{order.asset} {order.side} {order.state}: {order.last_error}"
        self._show()

    def _settle(self, message: WinnerKnown) -> None:
        condition_id, key = message.condition_id, f"winner {message.condition_id}"
        paid = settlement_of(self._state.ledger, condition_id)
        if paid is not None and paid.winner != message.winner:
            text = f"{message.asset} {condition_id} was settled for {paid.winner}, the venue now says {message.winner}"
            self._alarm("winner contradicted", text)
        if paid is not None or not self._state.has_traded(condition_id):
            return
        if unconfirmed_fills(self._state.ledger, condition_id):
            self.context.timer(key, ASK_WINNER_EVERY_S, Tick(key))  # what they come to decides what is paid
            return
        before = self._state.positions(condition_id)
        ledger, trades = settle(self._state.ledger, condition_id, message.winner, message.at_ms)
        market = self._state.markets.get(condition_id)
        if self._live and market is not None:
            owed = claims_of(market, message.winner, before, message.at_ms)
            self._state = replace(self._state, claims={**self._state.claims, **owed})
        self._state = replace(self._state, ledger=ledger).without_idle_market(condition_id)
        self._views.pop(condition_id, None)
        self.context.cancel_timer(key)
        self._booked(message.asset, condition_id, before, trades, ())

    # -- the venue's word ---------------------------------------------------------------------------------------

    def _ask_holdings(self) -> None:
        tokens = self._holdings.wanted(self._state, self.context.clock.now_ms())
        if tokens is not None:
            self.context.tell(self._executor, HoldingsRequested(self._revision, tokens))
        self.context.timer("holdings", HOLDINGS_EVERY_S, Tick("holdings"))

    def _compare(self, report: HoldingsReported) -> None:
        """Take the venue's side where it differed from ours twice, and write down both values."""
        found = self._holdings.confirmed(self._state, report)
        now_ms = self.context.clock.now_ms()
        before = self._state
        self._state, trades = repaired(before, found, report.shares, now_ms)
        if self._state == before:
            return
        rows: list[Record] = [event_of(self._session_id, each, now_ms) for each in found]
        for each in found:
            self._alarm("reconciliation", text_of(each))
        for condition_id in before.held_markets() or [""]:
            held = tuple(p for p in before.ledger.positions.values() if p.condition_id == condition_id)
            mine = [trade for trade in trades if trade.condition_id == condition_id]
            self._booked(held[0].asset if held else "", condition_id, held, mine, tuple(rows))
            rows = []

    def _alarm(self, kind: str, text: str) -> None:
        self._log(f"{kind}: {text}")
        self.context.tell(addresses.NOTIFIER, Alert(kind, text))

    def _booked(
        self,
        asset: str,
        condition_id: str,
        before: tuple[Position, ...],
        trades: list[ClosedTrade],
        own_rows: tuple[Record, ...],
    ) -> None:
        """Write what changed in one market, tell who wants to know, and log the transitions."""
        now_ms = self.context.clock.now_ms()
        after = {position_key(p.condition_id, p.side): p for p in self._state.positions(condition_id)}
        gone = [replace(p, shares=0) for p in before if position_key(p.condition_id, p.side) not in after]
        rows: list[Record] = [*own_rows, *(position_record(p, now_ms) for p in (*gone, *after.values()))]
        for trade in trades:
            rows.append(trade_record(trade))
            self._state = replace(self._state, tallies=tallied(self._state.tallies, trade))
            text = told(trade)
            self._log(text)
            self.context.tell(addresses.NOTIFIER, Alert("trade closed", text))
        self._commit(tuple(rows))
        self._publish_position(asset, condition_id)

    def _commit(self, rows: tuple[Record, ...]) -> None:
        """Save the state and write it in the same transaction as the rows it belongs to."""
        payload = msgspec.msgpack.encode(self._state)
        generation = self.context.save(payload)
        self._revision += 1
        now_ms = self.context.clock.now_ms()
        name = checkpoint_name(self._session_id, self.context.address.name)
        checkpoint = CheckpointRecord("actor", name, generation, SCHEMA_VERSION, payload, now_ms)
        self.context.tell(addresses.DB_WRITER, Persist((*rows, checkpoint)))
        self._show()

    # -- telling ------------------------------------------------------------------------------------------------

    def _listed(self, market: Market) -> None:
        """Forget the books of windows long over."""
        now_s = self.context.clock.now_ms() / 1000
        held = set(self._state.held_markets())
        for condition_id, view in list(self._views.items()):
            if condition_id not in held and now_s - view.received_ms / 1000 > 2 * market.window.length_s:
                del self._views[condition_id]

    def _await_winner(self, condition_id: str) -> None:
        market = self._state.markets.get(condition_id)
        if market is None:
            return
        window, key = market.window, f"winner {condition_id}"
        now_ms = self.context.clock.now_ms()
        if window.closes_at_s * 1000 > now_ms:
            self.context.timer_at(key, window.closes_at_s * 1000, Tick(key))
            return
        wish = AwaitWinner(market.asset, condition_id, window.slug, window.closes_at_s)
        self.context.tell(addresses.DISCOVERY, wish)
        self.context.timer(key, ASK_WINNER_EVERY_S, Tick(key))

    def _publish_position(self, asset: str, condition_id: str) -> None:
        held = self._state.positions(condition_id)
        view = PositionPublished(asset, condition_id, held[0] if held else None, self._state.is_busy(condition_id))
        self.context.tell(addresses.market(asset), view)
        self.context.tell(addresses.WATCHDOG, view)

    def _show(self) -> None:
        now_s = self.context.clock.now_ms() / 1000
        self.context.publish("portfolio", status_of(self._state, self._session_id, now_s, self._refusal))
