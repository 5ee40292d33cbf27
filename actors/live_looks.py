"""When an order is looked up at the venue, and what is made of what is seen there."""

from collections.abc import Callable, Iterable

from actors.execution import Host, Working
from core.errors import FuseboxError
from core.market.market import Market
from core.messages import Tick
from core.trading import lifecycle
from core.trading.orders import OrderState, is_terminal
from core.trading.venue_orders import Inspection, news
from venues.polymarket.account_values import VenueTrade
from venues.polymarket.fills import executions, fill_of
from venues.polymarket.live_account import Look, TradingAccount, seen_order

EAGER_S = (0.3, 0.5, 1.0, 2.0, 4.0)
"""Waits between looks at an order whose end is near; the last one goes on."""
RESTING_S = 15.0
"""An order that rests is looked up this often even though the user channel would tell."""
GRACE_S = 60.0
"""An order that the venue has not shown by then, after its window closed, has failed; late fills are still taken in."""
LATE_WINDOWS = 4
"""News of a trade is taken in until this many windows after its market's close; the account remembers for longer."""
TRADES_BEFORE_S = 60
"""Trades are asked for from this long before the order was made: clocks differ."""
GONE_LOOKS = 2
"""An acknowledged order that neither has a record nor is listed as open, this often in a row, has ended."""


def late_until_s(market: Market) -> int:
    """Return the unix second until which news of a trade in `market` is taken in."""
    return market.window.closes_at_s + LATE_WINDOWS * market.window.length_s


class Looks:
    """The looks of one execution client; every order that may be at the venue has its next one as a timer."""

    def __init__(self, account: TradingAccount, host: Host, log: Callable[[str], None]) -> None:
        self._account = account
        self._host = host
        self._log = log
        self._count: dict[str, int] = {}
        self._gone: dict[str, int] = {}
        self._looking: set[str] = set()
        self._cancel: set[str] = set()

    # -- when ---------------------------------------------------------------------------------------------------

    def now(self, order_id: str, *, cancel: bool = False) -> None:
        """Look at once, cancelling first if asked."""
        if cancel:
            self._cancel.add(order_id)
        self._count[order_id] = 0
        self.due(order_id)

    def soon(self, order_id: str) -> None:
        """Look again and again, because the end is near."""
        count = self._count.get(order_id, 0)
        self._count[order_id] = count + 1
        self._at(order_id, EAGER_S[min(count, len(EAGER_S) - 1)])

    def later(self, order_id: str) -> None:
        """Look in a while: the user channel tells what happens before."""
        self._at(order_id, RESTING_S)

    def due(self, order_id: str) -> None:
        """Look up an order that is still of interest."""
        working = self._host.find(order_id)
        if working is None or working.order.order_hash is None or order_id in self._looking:
            return
        order = working.order
        self._looking.add(order_id)
        job = _look(
            self._account,
            order.order_hash or "",
            order.condition_id,
            order.created_ms // 1000 - TRADES_BEFORE_S,
            cancel=order_id in self._cancel and not is_terminal(order),
        )
        self._cancel.discard(order_id)
        self._host.context.work(f"look {order_id}", job, lane=f"looks.{order.asset}")

    def _at(self, order_id: str, delay_s: float) -> None:
        self._host.context.timer(f"look {order_id}", delay_s, Tick(f"look {order_id}"))

    # -- what was seen ------------------------------------------------------------------------------------------

    def done(self, order_id: str, look: Look) -> None:
        """Tell the host what is new about an order, and decide when to look again."""
        self._looking.discard(order_id)
        working = self._host.find(order_id)
        if working is None:
            return
        self.take(working, look.trades, look)
        self._again(order_id)

    def failed(self, order_id: str, error: FuseboxError) -> None:
        """Go on: not being able to ask is no answer."""
        self._looking.discard(order_id)
        working = self._host.find(order_id)
        if working is None:
            return
        if working.order.state is OrderState.UNKNOWN:
            self._cancel.add(order_id)
        self._log(f"{working.order.asset} order {order_id} could not be looked up: {error}")
        self._again(order_id)

    def take(self, working: Working, trades: Iterable[VenueTrade], look: Look | None = None) -> None:
        """Tell the host of the fills of one order in `trades`, and of what its record says."""
        order = working.order
        order_hash = order.order_hash or ""
        fills = [
            fill_of(execution, trade, order.id, working.market.fees)
            for trade in trades
            for execution in executions(trade, self._account.identity, {order_hash})
            if execution.leg.order_hash == order_hash
        ]
        now_ms = self._host.context.clock.now_ms()
        record = None if look is None else seen_order(look.record, order_hash, listed=look.listed)
        for event in news(order, Inspection(order_hash, record, tuple(fills)), now_ms):
            current = self._host.find(order.id)
            if current is not None and lifecycle.may_advance(current.order, event):
                self._host.happened(order.id, event)
        if look is not None:
            self._end_if_gone(order.id, shown=look.record is not None or look.listed)

    def _end_if_gone(self, order_id: str, *, shown: bool) -> None:
        """Close what cannot be there any more: gone from the book, or not shown until after its window."""
        working = self._host.working.get(order_id)
        if working is None:
            return
        now_ms = self._host.context.clock.now_ms()
        state = working.order.state
        gone = not shown and state in (OrderState.SUBMITTED, OrderState.LIVE)
        self._gone[order_id] = self._gone.get(order_id, 0) + 1 if gone else 0
        over = now_ms > (working.market.window.closes_at_s + GRACE_S) * 1000
        if self._gone[order_id] >= GONE_LOOKS:
            self._host.happened(order_id, lifecycle.Cancelled(now_ms, "no longer open at the venue"))
        elif over:
            self._host.happened(order_id, lifecycle.Failed(now_ms, "its window closed before its outcome was known"))

    def _again(self, order_id: str) -> None:
        working = self._host.find(order_id)
        if working is None:
            return
        order = working.order
        if is_terminal(order):
            if any(fill.state == "MATCHED" for fill in order.fills):
                self.soon(order_id)
        elif order.state is OrderState.LIVE and order_id not in self._cancel:
            self.later(order_id)
        else:
            if order.state is OrderState.UNKNOWN:
                self._cancel.add(order_id)
            self.soon(order_id)

    def closed(self, working: Working) -> None:
        """Stop looking at an order whose every fill is final; a provisional one is followed to its end."""
        order = working.order
        self._gone.pop(order.id, None)
        self._cancel.discard(order.id)
        if any(fill.state == "MATCHED" for fill in order.fills):
            self.soon(order.id)
        else:
            self._count.pop(order.id, None)
            self._host.context.cancel_timer(f"look {order.id}")


def _look(
    account: TradingAccount, order_hash: str, condition_id: str, after_s: int, *, cancel: bool
) -> Callable[[], Look]:
    """Return the job that looks an order up, after cancelling it if asked: what it shows then is the end of it."""

    def job() -> Look:
        if cancel:
            account.cancel(order_hash)
        return account.look(order_hash, condition_id, after_s)

    return job
