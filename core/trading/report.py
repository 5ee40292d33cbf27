"""What closed trades come to: by asset, side, hour and exit reason, equity, drawdown, forced exits. Dollars in 1e-6."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import numpy as np

from core.records import TradeRecord
from core.trading.performance import Interval, RoundTrip, Slice, added_up, interval
from core.trading.positions import SETTLEMENT
from core.trading.slippage import KINDS, Execution, Slippage, slippage
from core.trading.trade_orders import orders_of_trades

WORST, LAST = 5, 10


class Closed(msgspec.Struct, frozen=True):
    """A closed trade and the window that its market belongs to."""

    trade: TradeRecord
    window: str


class GivenUp(msgspec.Struct, frozen=True):
    """A forced exit that ended in holding to settlement, as its health event tells."""

    session_id: int
    condition_id: str
    side: str
    reason: str
    why: str
    at_ms: int


class Point(msgspec.Struct, frozen=True):
    """The net result of all trades closed so far."""

    at_ms: int
    net_usd: int


class Drawdown(msgspec.Struct, frozen=True):
    """The largest fall of the equity curve, from a peak (None: the start) to a trough (None: there was no fall)."""

    drawdown_usd: int = 0
    peak_ms: int | None = None
    trough_ms: int | None = None


class Forced(msgspec.Struct, frozen=True):
    """Forced exits of one reason: trades they closed, trades given up and held to settlement, and their orders."""

    trades: int
    held: int
    orders: int
    most_orders: int
    unfilled_orders: int
    fees_usd: int
    pnl_net_usd: int


class Held(msgspec.Struct, frozen=True):
    """A trade that settled although a forced exit had begun; `why` it was given up is empty where nothing tells."""

    trade_id: str
    asset: str
    side: str
    reason: str
    why: str
    orders: int
    pnl_net_usd: int


class Results(msgspec.Struct, frozen=True):
    """Everything that is said of a set of trades and orders. Hours are UTC, of the closing."""

    all: Slice
    net: Interval
    drawdown: Drawdown
    by_asset: dict[str, Slice]
    by_side: dict[str, Slice]
    by_hour: dict[str, Slice]
    by_reason: dict[str, Slice]
    forced: dict[str, Forced]
    held: tuple[Held, ...]
    slippage: dict[str, Slippage]
    slippage_by_asset: dict[str, Slippage]
    equity: tuple[Point, ...]
    worst: tuple[TradeRecord, ...]
    last: tuple[TradeRecord, ...]


def results(
    closed: Sequence[Closed],
    executions: Sequence[Execution] = (),
    given_up: Sequence[GivenUp] = (),
    *,
    since_ms: int = 0,
) -> Results:
    """Return what the trades come to; orders decided before `since_ms` only count as attempts of these trades."""
    trades = [each.trade for each in closed]
    recent = [each for each in executions if each.decided_ms >= since_ms]
    points = equity(trades)
    forced, held = forced_exits(trades, executions, given_up)
    return Results(
        all=added_up(map(_trip, closed)),
        net=_interval(closed),
        drawdown=drawdown(points),
        by_asset=_sliced(closed, lambda trade: trade.asset),
        by_side=_sliced(closed, lambda trade: trade.side),
        by_hour=_sliced(closed, lambda trade: hour(trade.closed_at_ms)),
        by_reason=_sliced(closed, lambda trade: trade.exit_reason),
        forced=forced,
        held=held,
        slippage=_slipped(recent, lambda each: each.kind, KINDS),
        slippage_by_asset=_slipped([each for each in recent if not each.forced], lambda each: each.asset),
        equity=points,
        worst=tuple(sorted((t for t in trades if t.pnl_net_usd < 0), key=lambda t: (t.pnl_net_usd, t.id))[:WORST]),
        last=tuple(sorted(trades, key=lambda t: (-t.closed_at_ms, t.id))[:LAST]),
    )


def hour(at_ms: int) -> str:
    """Return the hour of the day in UTC, such as `14:00`."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%H}:00"


def equity(trades: Iterable[TradeRecord]) -> tuple[Point, ...]:
    """Return the running net result, one point for each closing, in their order."""
    points, net_usd = [], 0
    for trade in sorted(trades, key=lambda trade: (trade.closed_at_ms, trade.id)):
        net_usd += trade.pnl_net_usd
        points.append(Point(trade.closed_at_ms, net_usd))
    return tuple(points)


def drawdown(points: Iterable[Point]) -> Drawdown:
    """Return the largest fall of a curve that starts at 0."""
    worst, peak_usd, peak_ms = Drawdown(), 0, None
    for point in points:
        if point.net_usd > peak_usd:
            peak_usd, peak_ms = point.net_usd, point.at_ms
        if peak_usd - point.net_usd > worst.drawdown_usd:
            worst = Drawdown(peak_usd - point.net_usd, peak_ms, point.at_ms)
    return worst


def forced_exits(
    trades: Sequence[TradeRecord], executions: Iterable[Execution], given_up: Iterable[GivenUp]
) -> tuple[dict[str, Forced], tuple[Held, ...]]:
    """Return the forced exits by reason, of trades that one closed and that settled after one; and the latter alone."""
    orders = {
        trade_id: [each for each in own if each.kind == "forced exit"]
        for trade_id, own in orders_of_trades(trades, executions).items()
    }
    ends = {(each.session_id, each.condition_id, each.side): each for each in given_up}
    groups: dict[str, list[TradeRecord]] = defaultdict(list)
    held: list[Held] = []
    for trade in trades:
        own = orders[trade.id]
        if trade.force_closed:
            groups[trade.force_close_reason or trade.exit_reason].append(trade)
        elif trade.exit_reason == SETTLEMENT:
            told = ends.get((trade.session_id, trade.condition_id, trade.side))
            if told is None and not own:
                continue
            reason, why = (own[-1].exit_reason, "") if told is None else (told.reason, told.why)
            groups[reason].append(trade)
            held.append(Held(trade.id, trade.asset, trade.side, reason, why, len(own), trade.pnl_net_usd))
    return {reason: _forced(groups[reason], orders) for reason in sorted(groups)}, tuple(held)


def _forced(trades: Sequence[TradeRecord], orders: Mapping[str, Sequence[Execution]]) -> Forced:
    counts = [len(orders[trade.id]) for trade in trades]
    return Forced(
        trades=sum(trade.force_closed for trade in trades),
        held=sum(not trade.force_closed for trade in trades),
        orders=sum(counts),
        most_orders=max(counts, default=0),
        unfilled_orders=sum(each.ended and not each.filled_shares for trade in trades for each in orders[trade.id]),
        fees_usd=sum(trade.fees_usd for trade in trades),
        pnl_net_usd=sum(trade.pnl_net_usd for trade in trades),
    )


def _interval(closed: Iterable[Closed]) -> Interval:
    """Return the total with its interval over the windows that were traded, all assets of one together."""
    windows: dict[str, int] = defaultdict(int)
    for each in closed:
        windows[each.window] += each.trade.pnl_net_usd
    return interval(np.array([windows[name] for name in sorted(windows)], np.int64))


def _sliced(closed: Iterable[Closed], key: Callable[[TradeRecord], str]) -> dict[str, Slice]:
    groups: dict[str, list[RoundTrip]] = defaultdict(list)
    for each in closed:
        groups[key(each.trade)].append(_trip(each))
    return {name: added_up(groups[name]) for name in sorted(groups)}


def _slipped(
    executions: Iterable[Execution], key: Callable[[Execution], str], order: Sequence[str] = ()
) -> dict[str, Slippage]:
    groups: dict[str, list[Execution]] = defaultdict(list)
    for each in executions:
        groups[key(each)].append(each)
    return {name: slippage(groups[name]) for name in (order or sorted(groups)) if name in groups}


def _trip(closed: Closed) -> RoundTrip:
    trade = closed.trade
    return RoundTrip(closed.window, trade.asset, trade.side, trade.closed_at_ms, trade.fees_usd, trade.pnl_net_usd)
