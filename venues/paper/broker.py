"""Paper trading: a broker that fills orders against the public book as it is when they would have arrived.

It is driven by its owner, who hands it every book and calls `arrive` when an order is due: no clock, no timer, no
thread. Everything it knows is one value (`state`), so a restarted owner goes on where the last one stopped.
"""

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from core.market.market import Market
from core.market.views import BookView, TokenBook
from core.trading.fees import taker_fee
from core.trading.lifecycle import Acknowledged, Cancelled, FillReported, OrderEvent, Rejected
from core.trading.orders import Fill, Liquidity, Order
from venues.paper.consumption import Consumption, current, taken_by_price, token_book, with_taken
from venues.paper.matching import crosses, opposite_levels, walk
from venues.paper.rules import refusal

VENUE = "paper"
UNSIZED = "unsized"
"""Flag of a fill against a book without sizes: whole, at the touch."""


class PaperOrder(msgspec.Struct, frozen=True):
    """An order on its way (`resting` False) or in the book; `epoch` is the book's continuity when it was sent."""

    order: Order
    market: Market
    due_ms: int
    epoch: int | None
    left_shares: int
    next_trade: int = 0
    resting: bool = False
    cancel_requested: bool = False


class PaperState(msgspec.Struct, frozen=True):
    """All that the broker knows: its orders by id, and what they took by market."""

    orders: dict[str, PaperOrder] = {}
    consumption: dict[str, Consumption] = {}


class Arrival(msgspec.Struct, frozen=True):
    """When the venue would match an order: `arrive` is to be called then (unix milliseconds)."""

    order_id: str
    due_ms: int


class BrokerReport(msgspec.Struct, frozen=True):
    """One thing that happened to an order, ready for `core.trading.lifecycle.advance`."""

    order_id: str
    event: OrderEvent
    flag: str | None = None


class PaperBroker:
    """Fills orders against public books; give it `latency_ms` one way and the oldest book it may fill against.

    `max_book_age_ms` is as at W = 900 and scales with the market's window.
    """

    def __init__(self, latency_ms: int, max_book_age_ms: int, state: PaperState | None = None) -> None:
        self._latency_ms = latency_ms
        self._max_book_age_ms = max_book_age_ms
        self.state = state or PaperState()

    def submit(self, order: Order, market: Market, book_view: BookView | None, now_ms: int) -> Arrival:
        """Send an order: it arrives after our latency and the market's taker delay. A second send changes nothing.

        Without a book it goes by the one that the order was sized on.
        """
        known = self.state.orders.get(order.id)
        if known is not None:
            return Arrival(order.id, known.due_ms)
        due_ms = now_ms + self._latency_ms + market.taker_delay_ms
        epoch = book_view.continuity_epoch if book_view is not None else order.book_epoch
        self._keep(PaperOrder(order, market, due_ms, epoch, order.shares))
        return Arrival(order.id, due_ms)

    def arrive(self, order_id: str, book_view: BookView | None, now_ms: int) -> list[BrokerReport]:
        """Match a due order against the book of the moment and return what happened, in order.

        The last report of a FOK or FAK closes it. What a GTC order does not take rests until `refresh` fills it.
        An unknown id, or one that rests already, returns nothing.
        """
        paper = self.state.orders.get(order_id)
        if paper is None or paper.resting:
            return []
        if book_view is None or book_view.condition_id != paper.market.condition_id:
            return self._close(paper, Rejected(now_ms, "no book"))
        obstacle = self._obstacle(paper, book_view, now_ms)
        if obstacle is not None:
            return self._close(paper, obstacle)
        levels = self._taken_levels(paper, book_view)
        reports, after = _filled(paper, levels, "TAKER", now_ms, sized=book_view.sized)
        if after.left_shares == 0:
            return reports + self._close(after)
        if after.order.order_type == "GTC" and not after.cancel_requested:
            self._keep(replace(after, resting=True))
            return [*reports, BrokerReport(order_id, Acknowledged(now_ms))]
        return reports + self._close(after, Cancelled(now_ms, _unfilled(after)))

    def refresh(self, book_view: BookView, now_ms: int) -> list[BrokerReport]:
        """Show a new book to the resting orders of its market and return what happened to them.

        A resting order fills at its limit, without a fee, for as much as the other side now offers at that price or
        better: every order ahead of it in the queue must be gone for such an offer to stand.
        """
        condition_id = book_view.condition_id
        if condition_id in self.state.consumption:
            self._take(current(self.state.consumption[condition_id], book_view))
        reports: list[BrokerReport] = []
        for paper in [p for p in self.state.orders.values() if p.resting and p.market.condition_id == condition_id]:
            reports += self._refresh(paper, book_view, now_ms)
        return reports

    def cancel(self, order_id: str, now_ms: int) -> list[BrokerReport]:
        """Cancel a resting order. One on its way is past recall, as at the venue, but its remainder will not rest."""
        paper = self.state.orders.get(order_id)
        if paper is None:
            return []
        if paper.resting:
            return self._close(paper, Cancelled(now_ms, "cancelled"))
        self._keep(replace(paper, cancel_requested=True))
        return []

    def forget(self, condition_id: str) -> None:
        """Drop what was taken from a market whose window is over."""
        kept = {k: v for k, v in self.state.consumption.items() if k != condition_id}
        self.state = replace(self.state, consumption=kept)

    def _obstacle(self, paper: PaperOrder, view: BookView, now_ms: int) -> OrderEvent | None:
        if paper.epoch != view.continuity_epoch:
            return Cancelled(now_ms, "continuity lost")
        age_ms = now_ms - view.received_ms
        if age_ms > self._max_book_age_ms * paper.market.window.scale:
            return Rejected(now_ms, f"stale book: {age_ms} ms old")
        reason = refusal(paper.order, paper.market, view, now_ms)
        return Rejected(now_ms, reason) if reason is not None else None

    def _refresh(self, paper: PaperOrder, view: BookView, now_ms: int) -> list[BrokerReport]:
        if paper.epoch != view.continuity_epoch:
            return self._close(paper, Cancelled(now_ms, "continuity lost"))
        if now_ms >= paper.market.window.closes_at_s * 1000:
            return self._close(paper, Cancelled(now_ms, "market closed"))
        taken = sum(shares for _, shares in self._taken_levels(paper, view))
        at_limit = [(paper.order.limit_price, taken)] if taken else []
        reports, after = _filled(paper, at_limit, "MAKER", now_ms, sized=view.sized)
        if after.left_shares == 0:
            return reports + self._close(after)
        self._keep(after)
        return reports

    def _taken_levels(self, paper: PaperOrder, view: BookView) -> list[tuple[int, int]]:
        """Take from the book what the order can have now, and return it as (price, shares) per level."""
        order = paper.order
        book = token_book(view, order.outcome)
        if not view.sized:
            return _whole_at_touch(paper, book)
        before = current(self.state.consumption.get(view.condition_id), view)
        consumed = taken_by_price(before, order.outcome, order.side)
        levels = walk(book, order.side, paper.left_shares, order.limit_price, order.order_type, consumed)
        self._take(with_taken(before, view, order.outcome, order.side, levels))
        return levels

    def _close(self, paper: PaperOrder, event: OrderEvent | None = None) -> list[BrokerReport]:
        orders = {k: v for k, v in self.state.orders.items() if k != paper.order.id}
        self.state = replace(self.state, orders=orders)
        return [BrokerReport(paper.order.id, event)] if event is not None else []

    def _keep(self, paper: PaperOrder) -> None:
        self.state = replace(self.state, orders={**self.state.orders, paper.order.id: paper})

    def _take(self, consumption: Consumption) -> None:
        kept = {**self.state.consumption, consumption.condition_id: consumption}
        self.state = replace(self.state, consumption=kept)


def _filled(
    paper: PaperOrder, levels: Iterable[tuple[int, int]], liquidity: Liquidity, now_ms: int, *, sized: bool
) -> tuple[list[BrokerReport], PaperOrder]:
    """Return a report per level taken, and the order less what it took."""
    reports = []
    for price, shares in levels:
        fill = _fill(paper, price, shares, liquidity, now_ms)
        reports.append(BrokerReport(paper.order.id, FillReported(fill), None if sized else UNSIZED))
        paper = replace(paper, left_shares=paper.left_shares - shares, next_trade=paper.next_trade + 1)
    return reports, paper


def _fill(paper: PaperOrder, price: int, shares: int, liquidity: Liquidity, now_ms: int) -> Fill:
    order = paper.order
    trade_id = f"{order.id}-{paper.next_trade}"
    fees = paper.market.fees if liquidity == "TAKER" else None
    return Fill(
        id=trade_id,
        order_id=order.id,
        venue=VENUE,
        trade_id=trade_id,
        order_hash=order.order_hash or order.id,
        token_id=order.token_id,
        side=order.side,
        price=price,
        shares=shares,
        fee_usd=taker_fee(shares, price, fees) if fees is not None else 0,
        liquidity=liquidity,
        state="CONFIRMED",
        filled_ms=now_ms,
    )


def _whole_at_touch(paper: PaperOrder, book: TokenBook) -> list[tuple[int, int]]:
    order = paper.order
    touch = next(iter(opposite_levels(book, order.side)), None)
    if touch is None or not crosses(touch[0], order.limit_price, order.side):
        return []
    return [(touch[0], paper.left_shares)]


def _unfilled(paper: PaperOrder) -> str:
    if paper.order.order_type == "FOK":
        return "the book could not fill the FOK order whole"
    return "remainder cancelled" if paper.next_trade else "nothing was offered within the limit"
