"""Who trades with whom: price, then time; at one price the displayed liquidity before the orders resting there.

Queue model of a resting order: all shares displayed at its price when it came stand before it. Trades of the world at
that price use them up first; that others may have cancelled is never assumed, unless the level vanishes altogether.
A trade at a worse price than the order's reaches it at once, as does an offer of the other side at its limit.
"""

from collections.abc import Iterable, Sequence

import msgspec

from venues.sim.trading.amounts import taker_cash
from venues.sim.trading.liquidity import Offer
from venues.sim.trading.state import DUST, Order
from venues.sim.trading.values import UNIT

_SHARE_CENT = 10_000


class Lot(msgspec.Struct, frozen=True):
    """Shares a taker gets from one counterparty: the order `maker`, or a displayed level that showed `shown`."""

    up_price: int
    shares: int
    maker: Order | None = None
    shown: int = 0


def own_price(order: Order, up_price: int) -> int:
    """Return a price of Up as one of the order's own token."""
    return up_price if order.outcome == "Up" else UNIT - up_price


def priority(order: Order) -> tuple[int, int]:
    """Return the sort key of resting orders of one side: best price first, then who came first."""
    return (-order.up_price if order.is_bid else order.up_price, order.number)


def crosses(taker: Order, maker: Order) -> bool:
    """Return whether two orders of opposite sides can trade: the buyer's price is at least the seller's."""
    bid, ask = (taker, maker) if taker.is_bid else (maker, taker)
    return bid.up_price >= ask.up_price


def plan(taker: Order, offers: Sequence[Offer], resting: Iterable[Order]) -> list[Lot]:
    """Return what `taker` gets from displayed offers and resting orders, in order; both already within its limit."""
    sign = 1 if taker.is_bid else -1
    sources: list[tuple[int, int, int, int, Order | None]] = [
        (sign * price, 0, left, shown, None) for price, left, shown in offers
    ]
    sources += [(sign * order.up_price, order.number, order.remaining(order.price), 0, order) for order in resting]
    lots: list[Lot] = []
    trial = msgspec.structs.replace(taker)
    for signed, _, left, shown, maker in sorted(sources, key=lambda source: source[:2]):
        price = own_price(taker, sign * signed)
        shares = min(left, trial.remaining(price))
        if shares <= 0 or trial.is_filled:
            break
        lots.append(Lot(sign * signed, shares, maker, shown))
        cash = taker_cash(taker.new.side, shares, price)
        buys = taker.new.side == "BUY"
        trial.given, trial.taken = trial.given + (cash if buys else shares), trial.taken + (shares if buys else cash)
    return lots


def fills_whole(taker: Order, lots: Sequence[Lot]) -> bool:
    """Return whether the lots fill the taker but for dust."""
    trial = msgspec.structs.replace(taker)
    for lot in lots:
        price = own_price(taker, lot.up_price)
        cash = taker_cash(taker.new.side, lot.shares, price)
        buys = taker.new.side == "BUY"
        trial.given, trial.taken = trial.given + (cash if buys else lot.shares), trial.taken + lot.shares
    return trial.is_filled


def shortened(lots: Sequence[Lot], part: float) -> list[Lot]:
    """Return the first lots that make up about `part` of all shares, at least a hundredth of a share."""
    wanted = max(_SHARE_CENT, int(sum(lot.shares for lot in lots) * part) // _SHARE_CENT * _SHARE_CENT)
    kept = []
    for lot in lots:
        shares = min(lot.shares, wanted)
        if shares <= 0:
            break
        kept.append(msgspec.structs.replace(lot, shares=shares))
        wanted -= shares
    return kept


def by_price(lots: Sequence[Lot]) -> list[list[Lot]]:
    """Return the lots grouped by price: each group is one trade."""
    groups: list[list[Lot]] = []
    for lot in lots:
        if groups and groups[-1][0].up_price == lot.up_price:
            groups[-1].append(lot)
        else:
            groups.append([lot])
    return groups


def split(lots: Sequence[Lot], pieces: int) -> list[list[Lot]]:
    """Return one trade's lots as up to `pieces` trades, each with some of every lot."""
    out: list[list[Lot]] = []
    left = [lot.shares for lot in lots]
    for piece in range(pieces):
        share = [
            min(n, -(-lot.shares // pieces // _SHARE_CENT) * _SHARE_CENT) for lot, n in zip(lots, left, strict=True)
        ]
        if piece == pieces - 1:
            share = list(left)
        left = [n - s for n, s in zip(left, share, strict=True)]
        cut = [msgspec.structs.replace(lot, shares=s) for lot, s in zip(lots, share, strict=True) if s > 0]
        if cut:
            out.append(cut)
    return out


def reached(orders: Sequence[Order], up_price: int, shares: int) -> tuple[list[tuple[Order, int]], dict[str, int]]:
    """Return which resting orders a world trade of `shares` at `up_price` fills, and what is left ahead of the others.

    `orders` are all of the side it takes from, in priority, each at `up_price` or better.
    """
    fills: list[tuple[Order, int]] = []
    ahead: dict[str, int] = {}
    passed = 0
    for order in orders:
        if order.up_price == up_price:
            before = min(shares, max(0, order.ahead - passed))
            passed, shares = passed + before, shares - before
            if order.ahead and passed:
                ahead[order.new.order_id] = max(0, order.ahead - passed)
            if order.ahead > passed:
                continue
        filled = min(shares, order.remaining(order.price))
        if filled >= DUST:
            fills.append((order, filled))
            shares -= filled
    return fills, ahead
