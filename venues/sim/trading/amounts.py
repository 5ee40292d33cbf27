"""An order's arithmetic: its limit price, the decimals its amounts may have, and the taker's fee."""

from typing import Literal

from venues.sim.trading.values import UNIT, NewOrder, Side, VenueError
from venues.sim.wire import decimal_text

PLACES = {
    100_000: (2, 3),
    10_000: (2, 4),
    5_000: (2, 5),
    2_500: (2, 6),
    1_000: (2, 5),
    100: (2, 6),
}
"""By tick: the decimals of a limit order's shares and dollars, the venue's ROUNDING_CONFIG."""

MARKET_MONEY, MARKET_SHARES = 2, 4
"""A BUY that is filled or killed: decimals of its dollars and of its shares, whatever the tick."""

_UNITS = (1_000_000, 100_000, 10_000, 1_000, 100, 10, 1)
"""One unit of the last of so many decimals, in 1e-6."""

_TICK_SLACK = 20
_FEE_STEP = 10


def is_market(order: NewOrder) -> bool:
    """Return whether the order is filled or killed at once (FOK, FAK)."""
    return order.order_type in {"FOK", "FAK"}


def spends_budget(order: NewOrder) -> bool:
    """Return whether the order is sized in dollars: a market BUY, which gets more shares when they are cheaper."""
    return order.side == "BUY" and is_market(order)


def check_decimals(order: NewOrder, tick: int) -> None:
    """Raise VenueError unless the amounts are positive and have no more decimals than the venue allows."""
    size_places, money_places = PLACES[tick]
    if order.maker_amount <= 0 or order.taker_amount <= 0:
        raise VenueError(400, "Invalid order payload")
    if order.side == "BUY":
        allowed = (MARKET_MONEY, MARKET_SHARES) if is_market(order) else (money_places, size_places)
    else:
        allowed = (size_places, MARKET_SHARES if is_market(order) else money_places)
    if not _fits(order.maker_amount, allowed[0]) or not _fits(order.taker_amount, allowed[1]):
        kind = f"{'market ' if is_market(order) else ''}{order.side.lower()}"
        raise VenueError(
            400,
            f"invalid amounts, the {kind} orders maker amount supports a max accuracy of {allowed[0]} decimals, "
            f"taker amount a max of {allowed[1]} decimals",
        )


def limit_price(order: NewOrder, tick: int) -> int:
    """Return the limit price, a multiple of `tick`, that the two amounts express.

    Amounts are cut to a few decimals, so their ratio may miss the price by that much. Raises VenueError when it misses
    by more, or lies outside of [tick, 1 - tick].
    """
    buys = order.side == "BUY"
    money, shares = (order.maker_amount, order.taker_amount)[:: 1 if buys else -1]
    price = (2 * money * UNIT + shares * tick) // (2 * shares * tick) * tick
    if spends_budget(order):
        slack = price * _UNITS[MARKET_SHARES] // UNIT + 1
    else:
        slack = _UNITS[MARKET_SHARES if is_market(order) else PLACES[tick][1]]
    missed = abs(money - price * shares // UNIT)
    if tick <= price <= UNIT - tick and missed <= slack:
        return price
    if tick <= price <= UNIT - tick and missed * _TICK_SLACK * UNIT < tick * shares:
        role, right = "maker" if buys else "taker", decimal_text(price * shares // UNIT)
        raise VenueError(
            400,
            f"invalid amounts, the {role} amount for a ${decimal_text(price)} order of size {decimal_text(shares)} "
            f"should be '{right}' but the value submited is '{decimal_text(money)}'",
        )
    stated = decimal_text(money * UNIT // shares)
    raise VenueError(
        400, f"order {order.order_id} is invalid. Price ({stated}) breaks minimum tick size rule: {decimal_text(tick)}"
    )


def taker_fee(shares: int, price: int, rate: int) -> int:
    """Return the fee in dollars, all 1e-6: shares x rate x p x (1 - p), to the nearest 0.00001 and 0 below that."""
    exact, unit = shares * rate * price * (UNIT - price), UNIT**3 * _FEE_STEP
    return 0 if exact < unit else (2 * exact + unit) // (2 * unit) * _FEE_STEP


def maker_cash(side: Side, shares: int, price: int) -> int:
    """Return a resting order's dollars for `shares`: an indivisible rest goes its way, never beyond its limit."""
    return shares * price // UNIT if side == "BUY" else -(-shares * price // UNIT)


def taker_cash(side: Side, shares: int, price: int) -> int:
    """Return the dollars a taker pays or gets for displayed `shares`; the rest goes to the other side."""
    opposite: Literal["BUY", "SELL"] = "SELL" if side == "BUY" else "BUY"
    return maker_cash(opposite, shares, price)


def _fits(amount: int, places: int) -> bool:
    return amount % _UNITS[places] == 0
