"""What an order pays and receives by the venue's rounding rules, in exact integers of 1e-6."""

import msgspec

from core.errors import RejectedError
from core.trading.money import MICRO, decimal
from core.trading.orders import Order, OrderSide, OrderType
from core.trading.sizing import CENT_USD, LOT_SHARES


class Rounding(msgspec.Struct, frozen=True):
    """Decimals the venue accepts at one tick size: of prices, of shares, and of price times shares."""

    price: int
    size: int
    amount: int


ROUNDING = {
    100_000: Rounding(1, 2, 3),
    10_000: Rounding(2, 2, 4),
    5_000: Rounding(3, 2, 5),
    2_500: Rounding(4, 2, 6),
    1_000: Rounding(3, 2, 5),
    100: Rounding(4, 2, 6),
}
"""By tick size in 1e-6, as py-clob-client-v2 1.2.1 has them."""

MARKET_SELL_STEP_USD = 100
"""The venue takes at most four decimals of a FOK or FAK sell's dollars, whatever the tick."""


class Amounts(msgspec.Struct, frozen=True):
    """What the order gives at most and gets at least: dollars and shares for a BUY, the reverse for a SELL."""

    maker: int
    taker: int


def amounts_of(order: Order, tick_size: int) -> Amounts:
    """Return the amounts to sign for `order` at the tick now in force.

    The venue reads a FOK or FAK buy as dollars to spend: below its limit it gets more shares than the order is for.
    The least that a FOK or FAK sell takes is cut to the four decimals it may have: on a fine tick less than $0.0001
    below its limit in all. Nothing else is rounded.

    Raises:
        RejectedError: when the venue would round or refuse them: off the tick, not whole hundredths of a share, or
            (FOK and FAK buys) not whole cents: the cash is reserved for this order.
    """
    _check_price(order, tick_size)
    _check_shares(order)
    dollars = _exact_dollars(order)
    if order.side == "SELL":
        return Amounts(order.shares, dollars if order.order_type == "GTC" else _market_sell_dollars(order, dollars))
    if order.order_type != "GTC" and dollars % CENT_USD:
        raise RejectedError(
            f"order {order.id}: a {order.order_type} buy of ${decimal(dollars)} is not whole cents, "
            "which the venue refuses: size it in lots that are (core.trading.sizing.buy_lot)"
        )
    return Amounts(dollars, order.shares)


def limit_price(side: OrderSide, amounts: Amounts) -> int:
    """Return the price per share in 1e-6 that `amounts` stand for, cut off."""
    dollars, shares = (amounts.maker, amounts.taker) if side == "BUY" else (amounts.taker, amounts.maker)
    return dollars * MICRO // shares


def may_rest(order_type: OrderType) -> bool:
    """Return whether an order of this type can be post-only."""
    return order_type == "GTC"


def _check_price(order: Order, tick_size: int) -> None:
    if tick_size not in ROUNDING:
        known = ", ".join(str(decimal(tick)) for tick in sorted(ROUNDING))
        raise RejectedError(f"order {order.id}: tick size {decimal(tick_size)} is none of the venue's ({known})")
    price = order.limit_price
    if price % tick_size or not tick_size <= price <= MICRO - tick_size:
        raise RejectedError(
            f"order {order.id}: price {decimal(price)} is not on the tick {decimal(tick_size)} "
            f"between {decimal(tick_size)} and {decimal(MICRO - tick_size)}: price it again"
        )


def _check_shares(order: Order) -> None:
    if order.shares <= 0 or order.shares % LOT_SHARES:
        raise RejectedError(f"order {order.id}: {decimal(order.shares)} shares are not whole hundredths: size it again")


def _market_sell_dollars(order: Order, dollars: int) -> int:
    cut = dollars - dollars % MARKET_SELL_STEP_USD
    if cut == 0:
        raise RejectedError(f"order {order.id}: ${decimal(dollars)} is less than the venue can express: do not sell it")
    return cut


def _exact_dollars(order: Order) -> int:
    dollars, rest = divmod(order.shares * order.limit_price, MICRO)
    if rest:
        raise RejectedError(f"order {order.id}: its dollars have more than six decimals: size it again")
    return dollars
