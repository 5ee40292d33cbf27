"""How many shares an order is for, at what worst price, and how much cash it may cost: or why it must not be sent."""

from bisect import bisect_right
from math import gcd

import msgspec

from core.market.market import FeeSchedule, Market
from core.market.views import TokenBook
from core.trading.fees import worst_fee, worst_fee_of_dollars
from core.trading.money import MICRO, decimal, notional_usd
from core.trading.orders import OrderType

LOT_SHARES = MICRO // 100
"""Orders are for whole hundredths of a share."""
CENT_USD = MICRO // 100
MIN_MARKETABLE_BUY_USD = MICRO
"""The venue refuses a BUY that takes liquidity for less than one dollar."""


class Sized(msgspec.Struct, frozen=True, tag=True):
    """An order that may be sent: shares, worst price, and the cash to reserve for it (0 for a SELL); all in 1e-6."""

    shares: int
    limit_price: int
    reserve_usd: int


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """Why no order is sent."""

    reason: str


def confidence(up_mid: int) -> int:
    """Return the share of the trade size to use, in 1e-6, from the Up token's mid price in 1e-6.

    `0.25 + 0.75 * |p - 0.5| * 2`, the reference's confidence sizing: a quarter at even odds, all at certainty.
    """
    return MICRO // 4 + 3 * abs(2 * up_mid - MICRO) // 4


def buy_limit(book: TokenBook, tick_size: int, slippage_ticks: int) -> int | None:
    """Return the best ask plus `slippage_ticks`, on the tick and below 1; None when nobody offers."""
    if book.best_ask is None:
        return None
    on_tick = -(-book.best_ask // tick_size) * tick_size
    return min(on_tick + slippage_ticks * tick_size, MICRO - tick_size)


def sell_limit(book: TokenBook, tick_size: int, slippage_ticks: int) -> int | None:
    """Return the best bid less `slippage_ticks`, on the tick and above 0; None when nobody bids."""
    if book.best_bid is None:
        return None
    on_tick = book.best_bid // tick_size * tick_size
    return max(on_tick - slippage_ticks * tick_size, tick_size)


def buy_lot(limit_price: int, order_type: OrderType) -> int:
    """Return the shares (1e-6) a BUY at `limit_price` must be a multiple of.

    The venue takes FOK and FAK buys only when their dollars have at most two decimals: the lot is the smallest
    number of hundredths of a share that costs whole cents at the limit (one share at 0.53, 0.02 at 0.50).
    """
    if order_type == "GTC":
        return LOT_SHARES
    cents_scale = CENT_USD * MICRO
    return LOT_SHARES * (cents_scale // gcd(LOT_SHARES * limit_price, cents_scale))


def reserve_usd(shares: int, limit_price: int, tick_size: int, fees: FeeSchedule, order_type: OrderType = "GTC") -> int:
    """Return the most cash (1e-6) a BUY can cost: every share at the limit, the worst fee, one fill at each tick.

    A FOK or FAK spends its dollars: where the price is better it gets more shares, and pays the fee of all of them.
    """
    levels = limit_price // tick_size
    dollars = -(-shares * limit_price // MICRO)
    fee = worst_fee(shares, limit_price, fees, levels)
    if order_type != "GTC":
        fee = max(fee, worst_fee_of_dollars(dollars, limit_price, tick_size, fees, levels))
    return dollars + fee


def size_open(
    market: Market,
    book: TokenBook,
    up_mid: int,
    *,
    trade_size_usd: int,
    cash_usd: int,
    slippage_ticks: int,
    order_type: OrderType = "FOK",
    tick_size: int | None = None,
    worst_price: int | None = None,
) -> Sized | Refusal:
    """Size a BUY of the token in `book`, at `worst_price` at most.

    `trade_size_usd` times the confidence bounds the notional at the limit, `cash_usd` (free of reservations) bounds
    that plus the worst fee. `tick_size` is the one now in force where it differs from the market's. All in 1e-6.
    """
    if market.fees is None:
        return Refusal("fee unknown")
    tick = tick_size or market.tick_size
    limit = buy_limit(book, tick, slippage_ticks)
    if limit is None or book.best_ask is None or limit < book.best_ask:
        return Refusal("no ask to buy from")
    if worst_price is not None:
        limit = min(limit, worst_price // tick * tick)
        if limit < book.best_ask:
            return Refusal(f"offered at {decimal(book.best_ask)}, {decimal(worst_price)} allowed")
    lot = buy_lot(limit, order_type)
    fees = market.fees
    target_usd = trade_size_usd * confidence(up_mid) // MICRO
    most_lots = max(0, target_usd) * MICRO // (limit * lot)
    affordable = bisect_right(
        range(1, most_lots + 1), cash_usd, key=lambda lots: reserve_usd(lots * lot, limit, tick, fees, order_type)
    )
    shares = affordable * lot
    refusal = too_small(market, shares, limit)
    if refusal is not None:
        return Refusal(refusal)
    return Sized(shares, limit, reserve_usd(shares, limit, tick, fees, order_type))


def too_small(market: Market, shares: int, limit_price: int) -> str | None:
    """Return why the venue would find a BUY of `shares` too small, or None."""
    if shares < market.min_order_shares:
        return f"{decimal(shares)} shares, minimum {decimal(market.min_order_shares)}"
    dollars = notional_usd(shares, limit_price)
    return None if dollars >= MIN_MARKETABLE_BUY_USD else f"${decimal(dollars)} is below the minimum of $1"


def size_close(
    market: Market,
    book: TokenBook,
    sellable_shares: int,
    *,
    slippage_ticks: int,
    tick_size: int | None = None,
    worst_price: int | None = None,
) -> Sized | Refusal:
    """Size a SELL of everything sellable, at `worst_price` at least: confirmed shares that no open sell holds, in 1e-6.

    What is below the venue's minimum is dust: it cannot be sold and is held to settlement.
    """
    shares = sellable_shares // LOT_SHARES * LOT_SHARES
    if shares < max(market.min_order_shares, LOT_SHARES):
        return Refusal("dust")
    tick = tick_size or market.tick_size
    limit = sell_limit(book, tick, slippage_ticks)
    if limit is None or book.best_bid is None:
        return Refusal("no bid to sell to")
    if worst_price is not None:
        limit = max(limit, -(-worst_price // tick) * tick)
        if limit > book.best_bid:
            return Refusal(f"bid for at {decimal(book.best_bid)}, {decimal(worst_price)} allowed")
    return Sized(shares, limit, 0)
