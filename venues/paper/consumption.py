"""What our fills took stays taken: the public book does not know about them, so a second order must not take it again.

An entry lasts until its level shows another size, or the book's continuity is lost. Both tokens of a market show the
same resting orders (an ask of UP at p is a bid for DOWN at 1 - p), so what was taken through one is gone in both.
"""

from collections import Counter
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from core.market.market import Side
from core.market.views import BookView, TokenBook
from core.trading.money import MICRO
from core.trading.orders import OrderSide
from venues.paper.matching import opposite_levels


class Taken(msgspec.Struct, frozen=True):
    """One level that orders of `side` for `outcome` took from, the size it showed, and how much is ours; 1e-6."""

    outcome: Side
    side: OrderSide
    price: int
    displayed: int
    shares: int


class Consumption(msgspec.Struct, frozen=True):
    """Everything taken from one market's book within one continuity epoch."""

    condition_id: str
    epoch: int
    levels: tuple[Taken, ...] = ()


def current(consumption: Consumption | None, view: BookView) -> Consumption:
    """Return what is still taken from the book in `view`: levels that show the size they showed when we took."""
    empty = Consumption(view.condition_id, view.continuity_epoch)
    if consumption is None or (consumption.condition_id, consumption.epoch) != (empty.condition_id, empty.epoch):
        return empty
    return replace(empty, levels=tuple(t for t in consumption.levels if _displayed(view, t) == t.displayed))


def taken_by_price(consumption: Consumption, outcome: Side, side: OrderSide) -> Counter[int]:
    """Return the shares taken per price (1e-6) of the levels that an order of `side` for `outcome` trades with."""
    taken: Counter[int] = Counter()
    for level in consumption.levels:
        if (level.outcome, level.side) == (outcome, side):
            taken[level.price] += level.shares
        elif level.outcome != outcome and level.side != side:
            taken[MICRO - level.price] += level.shares
    return taken


def with_taken(
    consumption: Consumption, view: BookView, outcome: Side, side: OrderSide, fills: Iterable[tuple[int, int]]
) -> Consumption:
    """Return `consumption` after an order of `side` for `outcome` took `fills`, (price, shares) per level of `view`."""
    levels = {(t.outcome, t.side, t.price): t for t in consumption.levels}
    shown = dict(opposite_levels(token_book(view, outcome), side))
    for price, shares in fills:
        before = levels.get((outcome, side, price))
        total = shares + (before.shares if before else 0)
        levels[outcome, side, price] = Taken(outcome, side, price, shown[price], total)
    return replace(consumption, levels=tuple(levels.values()))


def token_book(view: BookView, outcome: Side) -> TokenBook:
    """Return the book of the token that pays when `outcome` wins."""
    return view.up if outcome == "UP" else view.down


def _displayed(view: BookView, taken: Taken) -> int | None:
    return dict(opposite_levels(token_book(view, taken.outcome), taken.side)).get(taken.price)
