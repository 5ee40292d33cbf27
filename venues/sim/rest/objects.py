"""Orders and trades as JSON objects, the way `/data/...` and the user channel both show them."""

from typing import Any

from venues.sim.trading.values import MakerOrder, OrderState, TradeState
from venues.sim.wire import decimal_text

_LEGACY_FEE_BPS = "1000"


def order_object(order: OrderState) -> dict[str, Any]:
    """Return an order as GET /data/order shows it."""
    status = f"CANCELED_{order.reason}" if order.status == "CANCELED" and order.reason else order.status
    return {
        "id": order.order_id,
        "status": status,
        "market": order.condition_id,
        "asset_id": order.token_id,
        "owner": order.owner,
        "maker_address": order.account,
        "side": order.side,
        "price": decimal_text(order.price),
        "original_size": decimal_text(order.original_size),
        "size_matched": decimal_text(order.size_matched),
        "outcome": order.outcome,
        "order_type": order.order_type,
        "expiration": str(order.expiration_s),
        "created_at": order.created_at_ms // 1000,
        "associate_trades": list(order.trade_ids),
    }


def trade_object(trade: TradeState) -> dict[str, Any]:
    """Return a trade as GET /data/trades shows it."""
    return {
        "id": trade.trade_id,
        "taker_order_id": trade.taker_order_id,
        "market": trade.condition_id,
        "asset_id": trade.token_id,
        "side": trade.side,
        "size": decimal_text(trade.size),
        "fee_rate_bps": _LEGACY_FEE_BPS,
        "price": decimal_text(trade.price),
        "status": trade.status,
        "match_time": str(trade.match_time_ms // 1000),
        "last_update": str(trade.last_update_ms // 1000),
        "outcome": trade.outcome,
        "bucket_index": trade.bucket_index,
        "owner": trade.owner,
        "maker_address": trade.account,
        "transaction_hash": trade.transaction_hash,
        "maker_orders": [_maker_object(order) for order in trade.maker_orders],
        "trader_side": trade.trader_side,
    }


def _maker_object(order: MakerOrder) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "owner": order.owner,
        "maker_address": order.account,
        "matched_amount": decimal_text(order.matched_amount),
        "price": decimal_text(order.price),
        "fee_rate_bps": "0",
        "asset_id": order.token_id,
        "outcome": order.outcome,
        "side": order.side,
    }
