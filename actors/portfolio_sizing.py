"""What a wish comes to: an order's size and worst price, or why nothing is sent; gate and limits agree first."""

import msgspec

from actors.portfolio_state import PortfolioState
from actors.venue_holds import PAUSED
from core.market.market import Market
from core.market.views import BookView, TokenBook
from core.trading.claims import claimable_usd
from core.trading.exits import MAX_DISCOUNT, ExitRules, Hold, Quote, Situation, Wait, next_step
from core.trading.gate import GateState, OrderKind, level, permits
from core.trading.ledger import confirmed_shares, free_cash, sellable_shares
from core.trading.limits import OpenLimits, open_refusal
from core.trading.order_limits import OrderLimits, exposure_of, fits, worst_price
from core.trading.orders import Intent, OrderType
from core.trading.positions import Position
from core.trading.sizing import LOT_SHARES, Refusal, Sized, size_close, size_open
from core.trading.weighting import Weighting, weights

DECIDED_WITHIN_S = 2.0
"""A wish to open that waited longer, for a restart say, is not granted: its decision saw another market."""


class Sizing(msgspec.Struct, frozen=True):
    """How large and how far from the touch orders are; dollars, and the discount of an exit's price, in 1e-6."""

    trade_size_usd: int
    slippage_ticks: int
    order_type: OrderType
    limits: OpenLimits
    exit_max_discount: int = MAX_DISCOUNT
    order_limits: OrderLimits = OrderLimits()
    weighting: Weighting | None = None


def size_of(
    state: PortfolioState,
    sizing: Sizing,
    gate: GateState,
    view: BookView | None,
    market: Market,
    intent: Intent,
    quote: Quote | None,
    now_ms: int,
) -> Sized | Refusal:
    """Size an intent against the newest book; `quote` is the step of a forced exit."""
    kind = OrderKind.OPEN_ORDER if intent.action == "OPEN" else OrderKind.REDUCE
    if not permits(gate, intent.asset, kind):
        return Refusal(f"the gate is {level(gate, intent.asset).name}")
    if state.is_unknown(market.condition_id):
        return Refusal("the outcome of an order in this market is not known")
    if view is None:
        return Refusal("no book")
    book = view.up if intent.side == "UP" else view.down
    if intent.action == "OPEN":
        return _opening(state, sizing, view, book, market, intent, now_ms)
    shares = sellable_shares(state.ledger, market.condition_id, intent.side)
    if quote is not None:
        return Sized(shares // LOT_SHARES * LOT_SHARES, quote.limit_price, 0)
    return size_close(
        market,
        book,
        shares,
        slippage_ticks=sizing.slippage_ticks,
        tick_size=view.tick_size,
        worst_price=worst_price(intent, sizing.order_limits),
    )


def exit_step(
    state: PortfolioState,
    sizing: Sizing,
    view: BookView | None,
    market: Market,
    position: Position,
    now_ms: int,
    gate: GateState,
) -> Quote | Wait | Hold:
    """Return the next step of a position's forced exit; `gate` also says when the venue takes only what rests."""
    tick_size = tick_of(market, view)
    book = TokenBook("", (), ()) if view is None else view.up if position.side == "UP" else view.down
    situation = Situation(
        attempts=state.exit_of(position).count,
        left_s=market.window.closes_at_s - now_ms / 1000,
        held_shares=position.shares,
        sellable_shares=confirmed_shares(state.ledger, market.condition_id, position.side),
        min_shares=market.min_order_shares,
        book=book,
        tick_size=tick_size,
        takers_refused=any(hold.reason == PAUSED for hold in gate.holds),
    )
    step = next_step(ExitRules(sizing.slippage_ticks, sizing.exit_max_discount), situation)
    closed = not permits(gate, market.asset, OrderKind.REDUCE)
    if isinstance(step, Hold):
        return Hold(f"{step.reason}, the gate is closed") if closed else step
    if closed:
        return Wait(f"the gate is {level(gate, market.asset).name}")
    return Wait("no book") if view is None else step


def tick_of(market: Market, view: BookView | None) -> int:
    """Return the tick size in force (1e-6): the book's, and the listed one while there is none."""
    return market.tick_size if view is None else view.tick_size


def _opening(
    state: PortfolioState,
    sizing: Sizing,
    view: BookView,
    book: TokenBook,
    market: Market,
    intent: Intent,
    now_ms: int,
) -> Sized | Refusal:
    if now_ms - intent.decided_ms > DECIDED_WITHIN_S * 1000:
        return Refusal(f"decided {(now_ms - intent.decided_ms) / 1000:.1f} s ago")
    if any(held.shares >= LOT_SHARES for held in state.positions(market.condition_id)):
        return Refusal("a position is held already")
    refusal = open_refusal(market, view, intent.side, now_ms, sizing.limits)
    if refusal is not None:
        return Refusal(refusal)
    up_mid = view.up.mid
    if up_mid is None:
        return Refusal("book one-sided")
    room_usd = fits(sizing.order_limits, exposure_of(state.ledger, market.asset, market.condition_id))
    if room_usd == 0:
        return Refusal("the exposure allowed is used up")
    cash_usd = free_cash(state.ledger) - claimable_usd(state.claims)
    worst = worst_price(intent, sizing.order_limits)
    return size_open(
        market,
        book,
        up_mid,
        trade_size_usd=weighted_size(state, sizing, market.asset),
        cash_usd=cash_usd if room_usd is None else min(cash_usd, room_usd),
        slippage_ticks=sizing.slippage_ticks,
        order_type=sizing.order_type,
        tick_size=view.tick_size,
        worst_price=sizing.limits.max_price if worst is None else min(worst, sizing.limits.max_price),
    )


def weighted_size(state: PortfolioState, sizing: Sizing, asset: str) -> int:
    """Return the dollars (1e-6) of a full-size position in an asset: the trade size, less where it has been losing."""
    if sizing.weighting is None:
        return sizing.trade_size_usd
    records = {name: (tally.trades, tally.pnl_net_usd) for name, tally in state.tallies.items()}
    records.setdefault(asset, (0, 0))  # one that has not traded yet gets the common weight
    return round(sizing.trade_size_usd * weights(records, sizing.trade_size_usd, sizing.weighting)[asset])
