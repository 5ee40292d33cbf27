"""The world's displayed book less what orders took from it.

What was taken from a level stays taken until the world changes that level: shows another size there, or none. The
world itself never hears of it: spot, quotes and winners stay as they are. Both tokens of a market show the same
offers, so everything is kept in the Up token's terms.
"""

from venues.sim.trading.records import BookSide, Restored
from venues.sim.trading.state import State
from venues.sim.world import Book, World
from venues.sim.world.listing import Listing
from venues.sim.world.quotes import QUOTE_MS

Offer = tuple[int, int, int]
"""(price of Up, shares left, shares shown)."""


class Displayed:
    """Books by market, each computed once per quote step, and what is left of their levels."""

    def __init__(self, world: World, state: State) -> None:
        self._world, self._state = world, state
        self._books: dict[str, tuple[int, Book, dict[BookSide, dict[int, int]]]] = {}

    def book(self, market: Listing, now_ms: int) -> Book:
        """Return the Up token's book as the world shows it."""
        return self._at(market, now_ms)[1]

    def shown(self, market: Listing, side: BookSide, price: int, now_ms: int) -> int:
        """Return the shares the world shows at a price of Up."""
        return self._at(market, now_ms)[2][side].get(price, 0)

    def offers(self, market: Listing, side: BookSide, now_ms: int, limit: int) -> list[Offer]:
        """Return what is left on one side, best first, of the levels at `limit` (a price of Up) or better."""
        book = self.book(market, now_ms)
        taken = self._state.taken.get(market.condition_id, {})
        found = []
        for price, shares in book.bids if side == "bid" else book.asks:
            if price < limit if side == "bid" else price > limit:
                break
            left = shares - taken.get((side, price), (0, 0))[1]
            if left > 0:
                found.append((price, left, shares))
        return found

    def changed(self, market: Listing, now_ms: int) -> Restored | None:
        """Return the levels taken from that the world has changed since, None when there are none."""
        taken = self._state.taken.get(market.condition_id)
        if not taken:
            return None
        sides = self._at(market, now_ms)[2]
        levels = tuple(key for key, (shown, _) in taken.items() if sides[key[0]].get(key[1], 0) != shown)
        return Restored(market.condition_id, levels) if levels else None

    def _at(self, market: Listing, now_ms: int) -> tuple[int, Book, dict[BookSide, dict[int, int]]]:
        step = now_ms // QUOTE_MS
        kept = self._books.get(market.condition_id)
        if kept is None or kept[0] != step:
            book = self._world.market_book(market, now_ms)
            kept = (step, book, {"bid": dict(book.bids), "ask": dict(book.asks)})
            self._books[market.condition_id] = kept
            if len(self._books) > _MARKETS_KEPT:
                del self._books[next(iter(self._books))]
        return kept


_MARKETS_KEPT = 64
