"""The user channel's frames: an order's placement, change and end, and every stage of a trade."""

from typing import Any

from venues.sim.rest.objects import order_object, trade_object
from venues.sim.trading.values import OrderEvent, TradeEvent, UserEvent


def user_frame(event: UserEvent, skew_ms: int) -> dict[str, Any]:
    """Return one event as its owner gets it; `skew_ms` is how far the venue's stated time is off."""
    return _order_frame(event, skew_ms) if isinstance(event, OrderEvent) else _trade_frame(event, skew_ms)


def condition_of(event: UserEvent) -> str:
    """Return the condition id of the market an event is about."""
    return event.order.condition_id if isinstance(event, OrderEvent) else event.trade.condition_id


def _order_frame(event: OrderEvent, skew_ms: int) -> dict[str, Any]:
    order = order_object(event.order)
    return order | {
        "event_type": "order",
        "type": event.kind,
        "order_owner": event.order.owner,
        "created_at": str(event.order.created_at_ms),
        "associate_trades": order["associate_trades"] or None,
        "timestamp": str(event.at_ms + skew_ms),
    }


def _trade_frame(event: TradeEvent, skew_ms: int) -> dict[str, Any]:
    return trade_object(event.trade) | {
        "event_type": "trade",
        "type": "TRADE",
        "trade_owner": event.trade.owner,
        "timestamp": str(event.at_ms + skew_ms),
    }
