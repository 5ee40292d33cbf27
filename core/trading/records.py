"""Rows from trading values: what of a market, an intent, an order, a fill, a position and a trade is written down."""

from core.market.market import Market, Side
from core.records import FillRecord, IntentRecord, MarketRecord, OrderRecord, PositionRecord, TradeRecord
from core.trading.orders import Fill, Intent, Order
from core.trading.positions import ClosedTrade, Position


def market_record(market: Market, strike: float | None = None, winner: Side | None = None) -> MarketRecord:
    """Return the row of a market; None for a strike or winner not known yet never erases one that is."""
    window = market.window
    return MarketRecord(
        condition_id=market.condition_id,
        asset=market.asset,
        slug=window.slug,
        opens_at_ms=window.opens_at_s * 1000,
        closes_at_ms=window.closes_at_s * 1000,
        strike=strike,
        winner=winner,
        fee_rate=None if market.fees is None else market.fees.rate,
        tick_size=market.tick_size,
    )


def intent_record(intent: Intent) -> IntentRecord:
    """Return the row of an intent."""
    return IntentRecord(
        id=intent.id,
        session_id=intent.session_id,
        asset=intent.asset,
        condition_id=intent.condition_id,
        side=intent.side,
        action=intent.action,
        decided_at_ms=intent.decided_ms,
        reason=f"{intent.reason}, {intent.step}" if intent.step else intent.reason,
        lease_epoch=intent.lease_epoch,
        incarnation=intent.incarnation,
        action_probs=intent.probabilities,
        features=intent.features,
    )


def order_record(order: Order, venue: str) -> OrderRecord:
    """Return the row of an order as it stands."""
    return OrderRecord(
        id=order.id,
        intent_id=order.intent_id,
        venue=venue,
        order_hash=order.order_hash,
        order_type=order.order_type,
        side=order.side,
        token_id=order.token_id,
        price=order.limit_price,
        shares=order.shares,
        state=order.state.value,
        submitted_at_ms=order.submitted_ms,
        closed_at_ms=order.closed_ms,
        last_error=order.last_error,
    )


def fill_record(fill: Fill) -> FillRecord:
    """Return the row of a fill."""
    return FillRecord(
        id=fill.id,
        order_id=fill.order_id,
        venue=fill.venue,
        trade_id=fill.trade_id,
        order_hash=fill.order_hash,
        price=fill.price,
        shares=fill.shares,
        fee_usd=fill.fee_usd,
        liquidity=fill.liquidity,
        state=fill.state,
        filled_at_ms=fill.filled_ms,
    )


def position_record(position: Position, now_ms: int) -> PositionRecord:
    """Return the row of a position; one without shares and cost removes the row."""
    return PositionRecord(
        session_id=position.session_id,
        asset=position.asset,
        condition_id=position.condition_id,
        side=position.side,
        shares=position.shares,
        cost_usd=position.cost_usd,
        opened_at_ms=position.opened_ms,
        updated_at_ms=now_ms,
    )


def trade_record(trade: ClosedTrade) -> TradeRecord:
    """Return the row of a round trip."""
    return TradeRecord(
        id=trade.id,
        session_id=trade.session_id,
        asset=trade.asset,
        condition_id=trade.condition_id,
        side=trade.side,
        opened_at_ms=trade.opened_ms,
        closed_at_ms=trade.closed_ms,
        shares=trade.shares,
        entry_price=trade.entry_price,
        exit_price=trade.exit_price,
        fees_usd=trade.fees_usd,
        pnl_net_usd=trade.pnl_net_usd,
        exit_reason=trade.exit_reason,
        force_closed=trade.force_closed,
        force_close_reason=trade.force_close_reason,
    )
