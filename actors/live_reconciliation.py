"""Reconciliation: what the venue has and we do not know of is cancelled or taken in, also before the gate opens."""

from collections.abc import Callable, Container

from actors import addresses
from actors.execution import Host
from actors.live_looks import late_until_s
from actors.live_signs import VenueSigns
from actors.venue_holds import NOT_RECONCILED
from core.errors import FuseboxError
from core.market.market import Market, Side
from core.messages import Persist, Tick
from core.records import HealthEventRecord
from core.trading.gate import GateLevel
from core.trading.orders import Fill, Intent, Order, OrderState
from venues.polymarket.account_values import VenueTrade
from venues.polymarket.fills import Execution, executions, fill_of
from venues.polymarket.live_account import TradingAccount, VenueReport

EVERY_S = 30.0
AGAIN_S = 2.0
LOOKBACK_S = 3_600
"""Trades are asked for again and again from this long ago: their states change after they were listed."""
REPORT = "report"

Adopted = tuple[Order, Fill, Intent, Market]
"""An order of ours that only the venue knew, as it is told to the portfolio."""


class Reconciliation:
    """Asks for the whole account at the start, after every reconnect and every half minute.

    Args:
        since_s: when the session began (unix seconds): what was traded before is not ours to book.
        booked: trade and order hash of what an earlier process has booked for good.
    """

    def __init__(
        self,
        account: TradingAccount,
        host: Host,
        session_id: int,
        since_s: int,
        signs: VenueSigns,
        log: Callable[[str], None],
        booked: Container[tuple[str, str]] = (),
    ) -> None:
        self._account = account
        self._host = host
        self._session_id = session_id
        self._signs = signs
        self._log = log
        self._since_s = since_s
        self._booked = booked
        self._asking = False
        self._again = False
        self._told: set[str] = set()

    def start(self) -> None:
        """Keep the gate from opening until the venue has been heard."""
        self._host.context.gate.hold(None, NOT_RECONCILED, GateLevel.REDUCE_ONLY)
        self.now()

    def now(self) -> None:
        """Ask for the account; while an answer is on its way, once more after it."""
        if self._asking:
            self._again = True
            return
        self._asking, self._again = True, False
        after_s = max(self._since_s, self._host.context.clock.now_ms() // 1000 - LOOKBACK_S)
        self._host.context.work(REPORT, lambda: self._account.report(after_s), lane=REPORT)

    def failed(self, error: FuseboxError) -> None:
        """Ask again soon; the gate stays as it is."""
        self._asking = False
        self._log(f"the account could not be read: {error}")
        self._host.context.timer(REPORT, AGAIN_S, Tick(REPORT))

    def done(self, report: VenueReport, take: Callable[[VenueTrade], None]) -> None:
        """Cancel strays, hand every trade to `take`, and adopt what nobody here knows."""
        self._asking = False
        context = self._host.context
        for reason in report.unreadable:
            self._once(reason, "trade unreadable", reason)
        for order in report.open_orders:
            if not self._host.known({order.order_hash}):
                self._stray(order.order_hash, f"{order.side} {order.shares} of {order.token_id} rests")
        for trade in report.trades:
            take(trade)
            self._adopt_unknown(trade)
        if context.gate.release(None, NOT_RECONCILED):
            self._log("reconciled with the venue")
        self._signs.note(reconciled_ms=context.clock.now_ms())
        context.timer(REPORT, EVERY_S, Tick(REPORT))
        if self._again:
            self.now()

    def _stray(self, order_hash: str, text: str) -> None:
        """Cancel an order that rests at the venue and that nobody here knows."""
        self._once(order_hash, "stray order", f"{order_hash}: ours none, the venue's: {text}; cancelled")
        self._host.context.work(f"stray {order_hash}", lambda: self._account.cancel(order_hash), lane=REPORT)

    def _adopt_unknown(self, trade: VenueTrade) -> None:
        for execution in executions(trade, self._account.identity):
            order_hash = execution.leg.order_hash
            if self._host.known({order_hash}) or (execution.trade_id, order_hash) in self._booked:
                continue
            market = self._host.market(trade.condition_id)
            side = None if market is None else market.side_of(execution.leg.token_id)
            if market is None or side is None:
                self._once(execution.trade_id, "trade elsewhere", f"{execution.trade_id} in {trade.condition_id}")
            elif self._host.context.clock.now_ms() < late_until_s(market) * 1000:
                self._host.adopted(*self._adopt(execution, trade, market, side))

    def _adopt(self, execution: Execution, trade: VenueTrade, market: Market, side: Side) -> Adopted:
        """Make the order and intent that an execution of ours must have come from."""
        leg, context = execution.leg, self._host.context
        order_id = f"adopted.{leg.order_hash}"
        fill = fill_of(execution, trade, order_id, market.fees)
        intent = Intent(
            id=order_id,
            session_id=self._session_id,
            asset=market.asset,
            condition_id=market.condition_id,
            side=side,
            action="OPEN" if leg.side == "BUY" else "CLOSE",
            decided_ms=trade.matched_ms,
            reason="adopted",
            probabilities=(),
            features=(),
            lease_epoch=context.lease_epoch,
            incarnation=context.incarnation,
            forced=leg.side == "SELL",
        )
        order = Order(
            id=order_id,
            intent_id=order_id,
            asset=market.asset,
            condition_id=market.condition_id,
            token_id=leg.token_id,
            outcome=side,
            side=leg.side,
            order_type="FAK",
            limit_price=leg.price,
            shares=leg.shares,
            created_ms=trade.matched_ms,
            book_epoch=0,
            state=OrderState.FILLED,
            filled_shares=leg.shares,
            filled_notional=fill.notional_usd,
            fees_usd=fill.fee_usd,
            closed_ms=trade.matched_ms,
            order_hash=leg.order_hash,
            last_error="adopted from the venue",
            fills=(fill,),
        )
        return order, fill, intent, market

    def _once(self, key: str, subject: str, text: str) -> None:
        if key in self._told:
            return
        self._told.add(key)
        self._log(f"{subject}: {text}")
        row = HealthEventRecord(self._session_id, subject, "repaired", text, self._host.context.clock.now_ms())
        self._host.context.tell(addresses.DB_WRITER, Persist((row,)))
