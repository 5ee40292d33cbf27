"""What the venue would refuse about an order, in words close to its own."""

from core.market.market import Market
from core.market.views import BookView
from core.trading.money import MICRO, decimal
from core.trading.orders import Order
from venues.paper.matching import crosses, opposite_levels

CENT = MICRO // 100
MIN_MARKETABLE_BUY_USD = MICRO


def refusal(order: Order, market: Market, view: BookView, now_ms: int) -> str | None:
    """Return why the venue would not take `order` at `now_ms`, or None.

    The rules are those of the public documentation: tick, minimum size, one dollar for a BUY that takes liquidity,
    decimals of FOK and FAK amounts, a post-only order that would not rest. On top of them paper refuses what it could
    not price: an unknown fee.
    """
    if now_ms >= market.window.closes_at_s * 1000:
        return "market closed"
    if market.fees is None:
        return "fee unknown"
    if market.token(order.outcome) != order.token_id:
        return "the token does not belong to the market"
    if not 0 < order.limit_price < MICRO or order.limit_price % view.tick_size:
        return f"price {decimal(order.limit_price)} breaks minimum tick size rule: {decimal(view.tick_size)}"
    if order.shares < market.min_order_shares:
        return f"size {decimal(order.shares)} lower than the minimum: {decimal(market.min_order_shares)}"
    if order.post_only and _takes(order, view):
        return "invalid post-only order: order crosses book"
    return _amount_refusal(order, view)


def _takes(order: Order, view: BookView) -> bool:
    book = view.book(order.token_id)
    touch = opposite_levels(book, order.side) if book else ()
    return bool(touch) and crosses(touch[0][0], order.limit_price, order.side)


def _amount_refusal(order: Order, view: BookView) -> str | None:
    dollars, remainder = divmod(order.shares * order.limit_price, MICRO)
    marketable = order.order_type != "GTC" or _takes(order, view)
    if order.side == "BUY" and marketable and dollars < MIN_MARKETABLE_BUY_USD:
        return f"invalid amount for a marketable BUY order (${decimal(dollars)}), min size: $1"
    if order.side == "SELL" or order.order_type == "GTC":
        return f"size {decimal(order.shares)} has more than 2 decimals" if order.shares % CENT else None
    if dollars % CENT or remainder or order.shares % (MICRO // 10_000):
        return "invalid amounts: buys take dollars of at most 2 decimals and shares of at most 4"
    return None
