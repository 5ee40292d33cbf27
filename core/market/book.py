"""The local book: the wire state of one market's two tokens, kept by applying every snapshot and delta in order."""

from bisect import bisect_left

import msgspec

from core.market.events import (
    BestBidAsk,
    BookSide,
    BookSnapshot,
    LastTrade,
    Level,
    LevelChange,
    MarketResolved,
    PolymarketEvent,
    PriceChange,
    TickSizeChange,
)
from core.market.market import Market
from core.market.views import BookView, TokenBook

_ONE = 1_000_000


class BookCounters(msgspec.Struct):
    """What was odd on the wire since the book began; each number only grows."""

    absurd_levels: int = 0
    """Levels left out: a price outside (0, 1) or a negative size."""
    crossed_snapshots: int = 0
    """Snapshots refused because their best bid reached their best ask."""
    crossed_updates: int = 0
    """Deltas after which bid and ask met; the view waits until they part."""
    before_snapshot: int = 0
    """Deltas dropped because their token had no snapshot to stand on."""
    foreign: int = 0
    """Events for tokens of other markets."""
    resnapshots: int = 0
    resnapshots_off_depth: int = 0
    """Repeated snapshots that differed from the local book behind the touch."""
    resnapshots_off_touch: int = 0
    """Repeated snapshots with another touch: each began a continuity epoch."""
    touch_statements: int = 0
    touch_disagreements: int = 0
    """Statements of best bid and ask, and those the local book contradicted."""


class LocalBook:
    """The two order books of one market as the wire describes them.

    Deltas are applied as they come: real venue stamps run backwards, so order of arrival is the only order there is.
    The continuity epoch grows with `restart_epoch`, a tick change, and a repeated snapshot whose touch is not ours.
    Differences behind the touch do not end an epoch: the venue repeats the book at each trade while deltas are in
    flight (98 of 140 such snapshots in the raw recording differ in a few levels, none in the touch).

    Args:
        market: whose tokens these are.
        sized: False where the source has prices only; passed on to every view.
        continuous_snapshots: True for recordings that consist of snapshots: each is then an update, not a resync.
        epoch: the first continuity epoch, so that a restarted feed can go on above its last one.
    """

    def __init__(
        self, market: Market, *, sized: bool = True, continuous_snapshots: bool = False, epoch: int = 1
    ) -> None:
        self.counters = BookCounters()
        self._market = market
        self._sized = sized
        self._continuous_snapshots = continuous_snapshots
        self._epoch = epoch
        self._tick_size = market.tick_size
        self._up = _TokenState(market.up_token)
        self._down = _TokenState(market.down_token)
        self._tokens = {market.up_token: self._up, market.down_token: self._down}
        self._venue_ms = 0
        self._received_ms = 0
        self._last_trade_price: int | None = None
        self._view: BookView | None = None
        self._stale_view = True

    @property
    def epoch(self) -> int:
        """The present continuity epoch."""
        return self._epoch

    def restart_epoch(self) -> None:
        """Forget both books after a reconnect: nothing is known until each token's next snapshot."""
        self._up.void()
        self._down.void()
        self._next_epoch()

    def apply(self, event: PolymarketEvent, received_ms: int) -> bool:
        """Apply one event received at `received_ms` (unix ms); return whether the next view will differ in content."""
        if isinstance(event, PriceChange):
            changed = False
            for change in event.changes:
                changed = self._apply_change(change, event.venue_ms, received_ms) or changed
            return changed
        if isinstance(event, MarketResolved):
            return False
        token = self._tokens.get(event.token_id)
        if token is None:
            self.counters.foreign += 1
            return False
        self._touch_clock(event.venue_ms, received_ms)
        return self._apply_to_token(token, event)

    def view(self) -> BookView | None:
        """Return both books, best level first; None until both tokens have a snapshot.

        While bid and ask of a token meet (a delta came before the one it replaces) the last view before that is
        returned, its age unchanged.
        """
        if not self._stale_view:
            return self._view
        up, down = self._up.book(), self._down.book()
        if up is None or down is None:
            self._view = None
        elif not (self._up.crossed or self._down.crossed):
            self._view = BookView(
                self._market.asset,
                self._market.condition_id,
                up,
                down,
                self._tick_size,
                self._venue_ms,
                self._received_ms,
                self._epoch,
                self._sized,
                self._last_trade_price,
            )
        elif self._view is not None and self._view.continuity_epoch != self._epoch:
            self._view = None
        self._stale_view = False
        return self._view

    def _apply_to_token(
        self, token: "_TokenState", event: BookSnapshot | LastTrade | BestBidAsk | TickSizeChange
    ) -> bool:
        if isinstance(event, BookSnapshot):
            return self._apply_snapshot(token, event)
        if isinstance(event, LastTrade):
            changed = event.price != self._last_trade_price
            self._last_trade_price = event.price
            return changed
        if isinstance(event, BestBidAsk):
            self._check_touch(token, event.best_bid, event.best_ask)
            return False
        self._tick_size = event.tick_size
        token.void()
        self._next_epoch()
        return True

    def _apply_change(self, change: LevelChange, venue_ms: int, received_ms: int) -> bool:
        token = self._tokens.get(change.token_id)
        if token is None:
            self.counters.foreign += 1
            return False
        if not token.known:
            self.counters.before_snapshot += 1
            return False
        self._touch_clock(venue_ms, received_ms)
        if not 0 < change.price < _ONE or change.size < 0:
            self.counters.absurd_levels += 1
            return False
        changed = token.set_level(change.side, change.price, change.size)
        if token.crossed:
            self.counters.crossed_updates += 1
        if change.best_bid is not None or change.best_ask is not None:
            self._check_touch(token, change.best_bid, change.best_ask)
        return changed

    def _apply_snapshot(self, token: "_TokenState", event: BookSnapshot) -> bool:
        bids, asks = self._clean(event.bids), self._clean(event.asks)
        if bids and asks and max(bids) >= min(asks):
            self.counters.crossed_snapshots += 1
            return False
        if event.tick_size is not None:
            self._tick_size = event.tick_size
        was_known, touch = token.known, token.touch
        changed = token.replace(bids, asks)
        if was_known and not self._continuous_snapshots:
            self.counters.resnapshots += 1
            if token.touch != touch:
                self.counters.resnapshots_off_touch += 1
                self._next_epoch()
            elif changed:
                self.counters.resnapshots_off_depth += 1
        return changed

    def _clean(self, levels: tuple[Level, ...]) -> dict[int, int]:
        side = {price: size for price, size in levels if 0 < price < _ONE and size > 0}
        if len(side) != len(levels):
            self.counters.absurd_levels += sum(1 for price, size in levels if not 0 < price < _ONE or size < 0)
        return side

    def _check_touch(self, token: "_TokenState", best_bid: int | None, best_ask: int | None) -> None:
        if token.known:
            self.counters.touch_statements += 1
            self.counters.touch_disagreements += token.touch != (best_bid, best_ask)

    def _touch_clock(self, venue_ms: int, received_ms: int) -> None:
        self._venue_ms = max(self._venue_ms, venue_ms)
        self._received_ms = received_ms
        self._stale_view = True

    def _next_epoch(self) -> None:
        self._epoch += 1
        self._stale_view = True


class _Side:
    """One side of one token: levels best first, found by bisection on a rising key."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._keys: list[int] = []
        self._levels: list[Level] = []
        self._frozen: tuple[Level, ...] | None = ()

    @property
    def best(self) -> int | None:
        return self._levels[0][0] if self._levels else None

    def levels(self) -> tuple[Level, ...]:
        if self._frozen is None:
            self._frozen = tuple(self._levels)
        return self._frozen

    def replace(self, levels: dict[int, int]) -> bool:
        ordered = tuple(sorted(levels.items(), reverse=self._sign < 0))
        if ordered == self.levels():
            return False
        self._keys = [price * self._sign for price, _ in ordered]
        self._levels = list(ordered)
        self._frozen = ordered
        return True

    def set_level(self, price: int, size: int) -> bool:
        key = price * self._sign
        index = bisect_left(self._keys, key)
        present = index < len(self._keys) and self._keys[index] == key
        if not size:
            if not present:
                return False
            del self._keys[index]
            del self._levels[index]
        elif not present:
            self._keys.insert(index, key)
            self._levels.insert(index, (price, size))
        elif self._levels[index][1] != size:
            self._levels[index] = (price, size)
        else:
            return False
        self._frozen = None
        return True


class _TokenState:
    """Both sides of one token, and whether a snapshot has said what they are."""

    def __init__(self, token_id: str) -> None:
        self.known = False
        self._token_id = token_id
        self._bids = _Side(-1)
        self._asks = _Side(1)
        self._book: TokenBook | None = None

    @property
    def touch(self) -> tuple[int | None, int | None]:
        return self._bids.best, self._asks.best

    @property
    def crossed(self) -> bool:
        bid, ask = self._bids.best, self._asks.best
        return bid is not None and ask is not None and bid >= ask

    def book(self) -> TokenBook | None:
        if self._book is None and self.known:
            self._book = TokenBook(self._token_id, self._bids.levels(), self._asks.levels())
        return self._book

    def void(self) -> None:
        self.known = False
        self._book = None
        self._bids.replace({})
        self._asks.replace({})

    def replace(self, bids: dict[int, int], asks: dict[int, int]) -> bool:
        changed = not self.known
        changed = self._bids.replace(bids) or changed
        changed = self._asks.replace(asks) or changed
        self.known = True
        if changed:
            self._book = None
        return changed

    def set_level(self, side: BookSide, price: int, size: int) -> bool:
        changed = (self._bids if side == "BUY" else self._asks).set_level(price, size)
        if changed:
            self._book = None
        return changed
