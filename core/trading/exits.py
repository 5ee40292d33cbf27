"""Forced exits by steps: from the touch through deeper prices and resting orders to holding to settlement."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from core.market.views import TokenBook
from core.trading.money import MICRO, decimal
from core.trading.orders import Order, OrderState, OrderType
from core.trading.sizing import LOT_SHARES

HOLD_LEFT_S = 1.0
"""Seconds before the close from which on nothing is sent any more: it would arrive too late. Not scaled."""
MAX_DISCOUNT = MICRO // 10
REMEMBERED_ATTEMPTS = 64


class ExitStep(StrEnum):
    """How far an exit has escalated."""

    TOUCH = "touch"
    DEEPER = "deeper"
    DEEPEST = "deepest"
    RESTING = "resting"


TAKING = (ExitStep.TOUCH, ExitStep.DEEPER, ExitStep.DEEPEST)
"""The steps that take what is bid, by the number of attempts before; after them the exit rests."""


class ExitRules(msgspec.Struct, frozen=True):
    """`slippage_ticks` below the touch at first; never more than `max_discount` (price, 1e-6) below the fair price."""

    slippage_ticks: int
    max_discount: int = MAX_DISCOUNT


class Situation(msgspec.Struct, frozen=True):
    """What decides the next step; shares, prices in 1e-6, time in seconds.

    `sellable_shares` are those of `held_shares` whose purchase is confirmed. `takers_refused` while the venue takes
    only orders that rest.
    """

    attempts: int
    left_s: float
    held_shares: int
    sellable_shares: int
    min_shares: int
    book: TokenBook
    tick_size: int
    takers_refused: bool = False


class Quote(msgspec.Struct, frozen=True, tag=True):
    """The order to send now; a `post_only` one must not take what is bid."""

    step: ExitStep
    order_type: OrderType
    limit_price: int
    post_only: bool = False


class Wait(msgspec.Struct, frozen=True, tag=True):
    """Nothing can be sent now; ask again."""

    reason: str


class Hold(msgspec.Struct, frozen=True, tag=True):
    """Nothing is sent any more: what is left is held to settlement, knowingly."""

    reason: str


class Attempt(msgspec.Struct, frozen=True):
    """One order of an exit."""

    step: ExitStep
    limit_price: int
    at_ms: int


class Progress(msgspec.Struct, frozen=True):
    """What was tried for one position, so that a restart goes on at the step it was; `held` is why it was given up."""

    entry_intent_id: str
    reason: str
    count: int = 0
    attempts: tuple[Attempt, ...] = ()
    held: str = ""

    def tried(self, attempt: Attempt) -> "Progress":
        """Return the progress with one more attempt; the oldest are forgotten, not their count."""
        kept = (*self.attempts, attempt)[-REMEMBERED_ATTEMPTS:]
        return msgspec.structs.replace(self, count=self.count + 1, attempts=kept, held="")


def next_step(rules: ExitRules, now: Situation) -> Quote | Wait | Hold:
    """Return what an exit does next: an order, a wait, or nothing any more."""
    smallest = max(now.min_shares, LOT_SHARES)
    if now.held_shares < smallest:
        return Hold("dust")
    if now.left_s <= HOLD_LEFT_S:
        return Hold("the window ends")
    if now.sellable_shares < smallest:
        return Wait("what was bought is not confirmed yet")
    bid = _on_tick(now.book.best_bid or 0, now.tick_size)
    floor = floor_price(now.book, now.tick_size, rules.max_discount)
    if floor is None or bid < floor or now.takers_refused:
        return _resting(now, bid)
    if now.attempts >= len(TAKING):
        return Quote(ExitStep.RESTING, "GTC", bid)
    touch = max(floor, bid - rules.slippage_ticks * now.tick_size)
    limits = (touch, max(floor, _on_tick((touch + floor) // 2, now.tick_size)), floor)
    return Quote(TAKING[now.attempts], "FAK", limits[now.attempts])


def fair_price(book: TokenBook) -> int | None:
    """Return the middle of the book (1e-6); the bid where nobody offers, None where nobody bids."""
    return book.mid if book.bids and book.asks else book.best_bid


def floor_price(book: TokenBook, tick_size: int, max_discount: int) -> int | None:
    """Return the lowest price (1e-6, on the tick) at which selling beats holding; None where nobody bids."""
    fair = fair_price(book)
    if fair is None:
        return None
    return max(tick_size, -(-(fair - max_discount) // tick_size) * tick_size)


def rests_well(orders: Iterable[Order], step: Quote | Wait | Hold, tick_size: int) -> bool:
    """Return whether the one order at work is where `step` would put it: to send it again would lose its place."""
    working = list(orders)
    if len(working) != 1 or not isinstance(step, Quote) or step.step is not ExitStep.RESTING:
        return False
    order = working[0]
    if order.side != "SELL" or order.order_type != "GTC" or order.state is not OrderState.LIVE:
        return False
    return abs(order.limit_price - step.limit_price) <= (tick_size if step.post_only else 0)


def told(progress: Progress) -> str:
    """Return the attempts as one line: the steps in order, with their prices and how often each was repeated."""
    parts: list[list[object]] = []
    for attempt in progress.attempts:
        shown = f"{attempt.step} {decimal(attempt.limit_price).normalize():f}"
        if parts and parts[-1][0] == shown:
            parts[-1][1] = int(str(parts[-1][1])) + 1
        else:
            parts.append([shown, 1])
    listed = ", ".join(f"{shown} x{times}" if times != 1 else str(shown) for shown, times in parts)
    return f"{progress.count} attempts: {listed}" if progress.count else "no attempt"


def _resting(now: Situation, bid: int) -> Quote | Wait:
    """Rest in the middle, or just below the best offer; never where it would take a bid."""
    tick, ask = now.tick_size, now.book.best_ask
    if ask is None:
        price = bid + tick
    elif bid:
        price = max(bid + tick, -(-(bid + ask) // (2 * tick)) * tick)
    else:
        price = max(tick, _on_tick(ask - 1, tick))
    if not bid and ask is None:
        return Wait("nobody bids or offers")
    if price > MICRO - tick:
        return Wait("no price to rest at below one dollar")
    return Quote(ExitStep.RESTING, "GTC", price, post_only=True)


def _on_tick(price: int, tick_size: int) -> int:
    return price // tick_size * tick_size
