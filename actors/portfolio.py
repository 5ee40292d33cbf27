"""The PortfolioActor is the only owner of what we hold: it sizes, reserves, books fills and settlements, and says no.

Its state is one value. Every change is written together with that value in one transaction, so that a restart, of this
actor or of the process, resumes exactly where the database stands.
"""

from collections.abc import Callable
from functools import partial

import msgspec
from msgspec.structs import replace

from actors import addresses
from actors.exits import BY_CHOICE, HELD, OVER, UNASKED, attempted, exit_events, exit_intent, hold_event, last_exit_ms
from actors.kill_switch import KillSwitch, Trips
from actors.portfolio_booking import Booked, position_rows, reported, settled
from actors.portfolio_limits import limits_of
from actors.portfolio_sizing import Sizing, exit_step, size_of, tick_of
from actors.portfolio_state import SCHEMA_VERSION, PortfolioState, order_for, status_of, told
from actors.portfolio_venue import HOLDINGS_EVERY_S, HoldingsCheck, event_of, repaired, text_of
from core.alerts.kinds import FORCED_EXIT, TRADE_CLOSED, TRADE_OPENED
from core.alerts.lines import opened, standing_of
from core.alerts.milestones import Standing
from core.errors import RejectedError
from core.market.market import Market
from core.market.views import BookView
from core.messages import (
    Alert,
    AwaitWinner,
    BookPublished,
    CancelRequested,
    ForcedExit,
    HeldByChoice,
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
    TrajectoryEnded,
    ViewsRequested,
    WinnerKnown,
)
from core.records import CheckpointRecord, Record
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.context import Context
from core.trading.exits import Hold, Quote, Wait, rests_well
from core.trading.ledger import (
    reserve,
    settlement_of,
    unconfirmed_fills,
)
from core.trading.order_limits import exposure_of, order_refusal, recent
from core.trading.orders import Intent, is_terminal
from core.trading.positions import Position
from core.trading.records import (
    intent_record,
    market_record,
    order_record,
    trade_record,
)
from core.trading.sizing import LOT_SHARES, Refusal
from storage.queries import checkpoint_name

__all__ = ["PortfolioActor", "Sizing"]

ASK_WINNER_EVERY_S = 15.0


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
        trips: Trips | None = None,
        alerts: bool = True,
        learns: bool = True,
    ) -> None:
        super().__init__(context)
        self._live = live
        self._learns = learns
        self._alerts = alerts
        self._executor = executor
        self._holdings = HoldingsCheck()
        self._trips = trips or Trips()
        self._kill_switch = KillSwitch(context, self._trips)
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
        for condition_id, result in self._state.results.items():
            if condition_id not in self._state.markets:
                key = f"winner {condition_id}"
                self.context.timer_at(key, result.closes_at_s * 1000, Tick(key))
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
                self._propose(market, intent, view_epoch=view.continuity_epoch)
            case ForcedExit(condition_id=condition_id, reason=reason):
                self._force(condition_id, reason)
            case HeldByChoice(condition_id=condition_id):
                self._hold_by_choice(condition_id)
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
            case Tick(name="tripped"):
                self._state = self._kill_switch.stored(self._state)
                self._commit(())
            case Tick(name="holdings"):
                self._ask_holdings()
            case Tick(name=name) if name.startswith("winner "):
                self._await_winner(name.removeprefix("winner "))
            case Tick(name=name) if name.startswith("exit "):
                _, condition_id, reason = name.split(" ", 2)
                self._force(condition_id, reason)
        self.context.acknowledge(self.context.receipt)  # what changed nothing, a refused wish, must not come again

    # -- wishes -------------------------------------------------------------------------------------------------

    def _judge(self) -> None:
        """Shut the gate before the next order where a loss limit is reached."""
        before, self._state = self._state, self._kill_switch.judged(self._state, self._views)
        if (before.losses.day, before.losses.tripped) != (self._state.losses.day, self._state.losses.tripped):
            self._commit(())

    def _propose(
        self, market: Market, intent: Intent, quote: Quote | None = None, view_epoch: int | None = None
    ) -> None:
        """Reserve and hand over the order of an intent, or refuse it; `quote` is the step of a forced exit.

        `view_epoch` is the continuity epoch of the book that the intent was decided on.
        """
        self._judge()
        now_ms, view = self.context.clock.now_ms(), self._views.get(market.condition_id)
        sized = size_of(self._state, self._sizing, self.context.gate.state, view, market, intent, quote, now_ms)
        if isinstance(sized, Refusal):
            self._refuse(intent, sized.reason)
            return
        epoch = self._views[market.condition_id].continuity_epoch
        if intent.action == "OPEN" and view_epoch not in (None, epoch):
            self._refuse(intent, "the book it was decided on is gone")
            return
        try:
            ledger = reserve(self._state.ledger, intent, sized)
        except RejectedError as error:
            self._refuse(intent, str(error))
            return
        order = order_for(intent, market, sized, self._sizing.order_type, now_ms, epoch, quote)
        exposure = exposure_of(ledger, market.asset, market.condition_id)
        opened_ms = recent(self._state.opened_ms, now_ms)
        exceeded = order_refusal(order, intent, exposure, opened_ms, now_ms, self._sizing.order_limits)
        if exceeded is not None:
            self._refuse(intent, exceeded)
            return
        self._refusal = None
        state = self._state if quote is None else attempted(self._state, intent, quote, now_ms)
        state = replace(state, opened_ms=(*opened_ms, now_ms) if intent.action == "OPEN" else opened_ms)
        self._state = replace(state.with_result_of(market).with_order(order, intent, market), ledger=ledger)
        self._commit((market_record(market), intent_record(intent), order_record(order, self._venue)))
        self.context.tell(self._executor, OrderRequested(market, intent, order, exposure))
        self._await_winner(market.condition_id)
        self._publish_position(intent.asset, market.condition_id)

    def _refuse(self, intent: Intent, reason: str) -> None:
        self._refusal = f"{intent.asset} {intent.action} {intent.side} refused: {reason}"
        warning = (intent.condition_id, f"{self._refusal} ({intent.reason})")
        if intent.forced and self._warned.get(intent.asset) != warning:  # asked for every other second
            self._warned[intent.asset] = warning
            self._log(f"{warning[1]}; what is held stays, settlement if nothing changes")
        self._show()

    def _force(self, condition_id: str, reason: str) -> None:
        """Take the next step of the exit of what is held in a market; it is judged once more just before the close."""
        market, now_ms = self._state.markets.get(condition_id), self.context.clock.now_ms()
        for position in self._state.positions(condition_id):
            if market is not None and position.shares >= LOT_SHARES:
                self._exit(market, position, reason)
                last_ms, key = last_exit_ms(market), f"exit {condition_id}"
                if last_ms > now_ms:  # nobody may ask after that
                    self.context.timer_at(key, last_ms, Tick(f"{key} {reason}"))

    def _exit(self, market: Market, position: Position, reason: str) -> None:
        now_ms, view = self.context.clock.now_ms(), self._views.get(market.condition_id)
        step = exit_step(self._state, self._sizing, view, market, position, now_ms, self.context.gate.state)
        working = self._state.orders_of(market.condition_id)
        if working and not rests_well(working, step, tick_of(market, view)):
            self.context.tell(self._executor, CancelRequested(market.condition_id))
        if isinstance(step, Hold):
            if not working or now_ms >= last_exit_ms(market):
                self._hold(position, reason, step)
        elif not working:
            intent = exit_intent(self.context, self._session_id, position, reason, step)
            if isinstance(step, Wait):
                self._refuse(intent, step.reason)
            else:
                self._propose(market, intent, step)

    def _hold(self, position: Position, reason: str, hold: Hold) -> None:
        """Write down, once for each cause, that what is left is held to settlement, and what was tried."""
        progress = self._state.exit_of(position, reason)
        if progress.held == hold.reason:
            return
        self._state = self._state.with_exit(position, replace(progress, held=hold.reason))
        event = hold_event(self._state, self._session_id, position, self.context.clock.now_ms())
        self._alarm(HELD, event.detail)
        self._commit((event,))

    def _note_unsold(self, condition_id: str) -> None:
        """Write down what is held after the close if nobody has: who asks for exits, or we, may have been away."""
        for position in self._state.positions(condition_id):
            progress = self._state.exit_of(position)
            if position.shares >= LOT_SHARES and not progress.held:
                self._hold(position, progress.reason or UNASKED, Hold(OVER))

    def _hold_by_choice(self, condition_id: str) -> None:
        """Write down, once, that a market's position is not sold before the close because nobody wants it to be."""
        for position in self._state.positions(condition_id):
            if position.shares >= LOT_SHARES and not self._state.exit_of(position).held:
                self._state = self._state.with_exit(
                    position, replace(self._state.exit_of(position, BY_CHOICE), held=BY_CHOICE)
                )
                self._commit((hold_event(self._state, self._session_id, position, self.context.clock.now_ms()),))

    # -- what happened ------------------------------------------------------------------------------------------

    def _reported(self, report: OrderReported) -> None:
        booked, order = reported(self._state, report, self._venue), report.order
        if booked is None:
            return
        before, self._state = self._state, booked.state
        self._booked(order.asset, order.condition_id, before, booked)
        if is_terminal(order):  # a late fill may have made a position anew; what was booked is written before
            self._await_winner(order.condition_id)
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
        before = self._state
        booked = settled(self._state, message, redeemed_later=self._live)
        self._state = booked.state
        self._views.pop(condition_id, None)
        self.context.cancel_timer(key)
        self._booked(message.asset, condition_id, before, booked)
        self._tell_result(condition_id)

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
        self._kill_switch.disagreed(found)
        for condition_id in before.held_markets():
            held = before.positions(condition_id)
            mine = [trade for trade in trades if trade.condition_id == condition_id]
            self._booked(held[0].asset, condition_id, before, Booked(self._state, mine, tuple(rows)))
            rows = []
        if not before.held_markets():  # it was cash, or a claim
            self._commit(tuple(rows))

    def _alarm(self, kind: str, text: str) -> None:
        self._log(f"{kind}: {text}")
        self._alert(kind, text)

    def _alert(self, kind: str, text: str, standing: Standing | None = None) -> None:
        if self._alerts:
            self.context.tell(addresses.NOTIFIER, Alert(kind, text, standing))

    def _booked(self, asset: str, condition_id: str, before: PortfolioState, booked: Booked) -> None:
        """Write what changed in one market, tell who wants to know, and log the transitions."""
        held, after = before.positions(condition_id), self._state.positions(condition_id)
        rows: list[Record] = [*booked.rows, *position_rows(held, after, self.context.clock.now_ms())]
        for text in opened(held, after):
            self._alert(TRADE_OPENED, text)
        for trade in booked.trades:
            rows.extend((trade_record(trade), *exit_events(before, trade)))
            self._state = self._state.with_trade(trade)
            text = told(trade)
            self._log(text)
            kind = FORCED_EXIT if trade.force_closed else TRADE_CLOSED
            self._alert(kind, text, standing_of(self._state.ledger))
        self._state = self._kill_switch.judged(self._state, self._views)
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
            self._tell_result(condition_id)
            return
        window, key = market.window, f"winner {condition_id}"
        now_ms = self.context.clock.now_ms()
        if window.closes_at_s * 1000 > now_ms:
            self.context.timer_at(key, window.closes_at_s * 1000, Tick(key))
            return
        self._note_unsold(condition_id)
        wish = AwaitWinner(market.asset, condition_id, window.slug, window.closes_at_s)
        self.context.tell(addresses.DISCOVERY, wish)
        self.context.timer(key, ASK_WINNER_EVERY_S, Tick(key))

    def _tell_result(self, condition_id: str) -> None:
        """Tell the learner what came of a market that is over and in which nothing is held any more."""
        result, now_ms = self._state.results.get(condition_id), self.context.clock.now_ms()
        if result is None or now_ms < result.closes_at_s * 1000:
            return
        self._state = self._state.without_result(condition_id)
        self._commit(())
        if self._learns:
            ended = TrajectoryEnded(result.asset, condition_id, result.pnl_net_usd)
            self.context.tell(addresses.LEARNER, ended)

    def _publish_position(self, asset: str, condition_id: str) -> None:
        state = self._state
        held = sorted(state.positions(condition_id), key=lambda position: -position.shares)
        view = PositionPublished(
            asset,
            condition_id,
            held[0] if held else None,
            state.is_busy(condition_id),
            self.context.address,
            others=tuple(held[1:]),
            realised_usd=state.realised(condition_id),
            forced=state.is_forced(condition_id),
            market=state.markets.get(condition_id),
        )
        self.context.tell(addresses.market(asset), view)
        self.context.tell(addresses.WATCHDOG, view)

    def _show(self) -> None:
        now_ms = self.context.clock.now_ms()
        status = status_of(self._state, self._session_id, now_ms / 1000, self._refusal)
        limits = partial(limits_of, self._state, self._sizing, self._trips, dict(self._views), now_ms)
        self.context.publish(self.context.address.name, replace(status, limits=limits))
