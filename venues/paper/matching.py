"""Which levels of a book an order would have taken, best price first and never beyond its limit."""

from collections.abc import Mapping

from core.market.events import Level
from core.market.views import TokenBook
from core.trading.orders import OrderSide, OrderType


def opposite_levels(book: TokenBook, side: OrderSide) -> tuple[Level, ...]:
    """Return the levels an order of `side` trades with, best first: asks for a BUY, bids for a SELL."""
    return book.asks if side == "BUY" else book.bids


def crosses(price: int, limit_price: int, side: OrderSide) -> bool:
    """Return whether a level at `price` is within the limit of an order of `side` (1e-6)."""
    return price <= limit_price if side == "BUY" else price >= limit_price


def walk(
    book: TokenBook,
    side: OrderSide,
    shares: int,
    limit_price: int,
    order_type: OrderType,
    consumed: Mapping[int, int],
) -> list[tuple[int, int]]:
    """Return what an order takes as (price, shares) per level, in 1e-6.

    `consumed` is what our earlier fills took at each price and is not there any more. A FOK that cannot be filled
    whole takes nothing; FAK and GTC take what there is.
    """
    fills: list[tuple[int, int]] = []
    left = shares
    for price, size in opposite_levels(book, side):
        if left <= 0 or not crosses(price, limit_price, side):
            break
        taken = min(left, size - consumed.get(price, 0))
        if taken > 0:
            fills.append((price, taken))
            left -= taken
    return [] if order_type == "FOK" and left > 0 else fills
