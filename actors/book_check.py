"""What a feed does with a book that has been quiet for too long: asks the venue whether it still looks like that.

A quiet market and a socket that is dead but open look the same from here; the venue's own book tells them apart.
"""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from core.market.events import BookSnapshot
from core.market.market import Market
from core.market.views import BookView, TokenBook
from core.runtime.context import Context

ASK_AGAIN_MS = 2_000
WORK = "standby book"

FetchBook = Callable[[Market], tuple[BookSnapshot, BookSnapshot]]
"""Asks the venue for both tokens' books, the Up token's first; runs in a worker, may raise what `Rest` raises."""


class Verdict(StrEnum):
    """What the venue's book says of ours."""

    EQUAL = "equal"
    DIFFERENT = "different"
    OVERTAKEN = "overtaken"
    """Data came while the venue was asked: there is nothing to judge any more."""


class Answer(msgspec.Struct, frozen=True):
    """The venue's books of a market, and when (unix milliseconds) they were asked for."""

    condition_id: str
    asked_ms: int
    up: BookSnapshot
    down: BookSnapshot


class BookCheck:
    """Asks for the book of one asset's open market while it is older than `stale_s` (real seconds)."""

    def __init__(self, context: Context, fetch: FetchBook, stale_s: float) -> None:
        self._context = context
        self._fetch = fetch
        self._stale_s = stale_s
        self._asked_ms: int | None = None

    def look(self, market: Market, age_s: float) -> None:
        """Ask the venue if the book is old and the last question is a while ago."""
        now_ms = self._context.clock.now_ms()
        if age_s <= self._stale_s or (self._asked_ms is not None and 0 <= now_ms - self._asked_ms < ASK_AGAIN_MS):
            return
        self._asked_ms = now_ms
        fetch = self._fetch

        def job() -> Answer:
            return Answer(market.condition_id, now_ms, *fetch(market))

        self._context.work(WORK, job, lane="rest")


def verdict(answer: Answer, view: BookView | None) -> Verdict:
    """Return what the venue's answer says of the book as it is now."""
    if view is None:
        return Verdict.DIFFERENT
    if view.received_ms > answer.asked_ms:
        return Verdict.OVERTAKEN
    same = _levels(view.up) == _snapshot(answer.up) and _levels(view.down) == _snapshot(answer.down)
    return Verdict.EQUAL if same else Verdict.DIFFERENT


def _levels(book: TokenBook) -> tuple[dict[int, int], dict[int, int]]:
    return dict(book.bids), dict(book.asks)


def _snapshot(snapshot: BookSnapshot) -> tuple[dict[int, int], dict[int, int]]:
    return (
        {price: size for price, size in snapshot.bids if size > 0},
        {price: size for price, size in snapshot.asks if size > 0},
    )
