"""Orders and trades as the venue shows them to their owners."""

from venues.sim.trading.state import Order, Settling, State
from venues.sim.trading.values import OrderState, TradeState


def order_state(order: Order, condition_id: str) -> OrderState:
    """Return the order's present state."""
    new = order.new
    filled = order.is_open and not order.waiting and order.is_filled
    return OrderState(
        order_id=new.order_id,
        status="MATCHED" if filled else order.status,
        condition_id=condition_id,
        token_id=new.token_id,
        owner=new.owner,
        account=new.account,
        side=new.side,
        price=order.price,
        original_size=order.size,
        size_matched=order.matched,
        outcome=order.outcome,
        order_type=new.order_type,
        expiration_s=new.expiration_s,
        created_at_ms=order.created_at_ms,
        trade_ids=tuple(order.trade_ids),
        reason=order.reason,
    )


def trade_state(settling: Settling, owner: str) -> TradeState:
    """Return the trade as one of its owners sees it."""
    made = settling.made
    return TradeState(
        trade_id=made.trade_id,
        taker_order_id=made.taker_order_id,
        condition_id=made.condition_id,
        token_id=made.token_id,
        side=made.side,
        size=made.shares,
        price=made.price,
        fee=made.fee,
        status=settling.status,
        match_time_ms=made.at_ms,
        last_update_ms=settling.updated_ms,
        outcome=made.outcome,
        owner=made.taker_owner,
        account=made.taker_account,
        transaction_hash=settling.transaction_hash,
        maker_orders=made.makers,
        trader_side="TAKER" if owner == made.taker_owner else "MAKER",
    )


def owners(state: State, settling: Settling) -> list[str]:
    """Return the owners of accounts' orders in a trade, the taker first; the world's own traders are told nothing."""
    made = settling.made
    parties = [(made.taker_order_id, made.taker_owner), *((maker.order_id, maker.owner) for maker in made.makers)]
    return list(dict.fromkeys(owner for order_id, owner in parties if order_id in state.orders))
