"""The feed of one asset's books at the slow venue: a connection per listed market, the newest view of each out."""

from collections.abc import Callable

from actors import addresses
from actors.addresses import Account
from actors.book_check import WORK, Answer, BookCheck, FetchBook, Verdict, verdict
from actors.feed import EPOCHS_PER_INCARNATION, FeedActor
from core.errors import FuseboxError
from core.market.book import LocalBook
from core.market.events import MarketEvent, MarketResolved, PolymarketEvent
from core.market.market import Market
from core.market.views import BookView
from core.messages import (
    BookPublished,
    CalendarRequested,
    MarketListed,
    ResolutionSeen,
    Tick,
    Touch,
    ViewsRequested,
)
from core.runtime.address import Address
from core.runtime.context import Context
from core.runtime.message import WorkDone, WorkFailed
from core.runtime.stream import Stream

LINGER_S = 90
"""Seconds (at W = 900) for which a closed market's stream stays open to hear its resolution."""


class BookFeedActor(FeedActor):
    """Keeps one connection per listed market: the next one is open, with its first book, before its window opens."""

    venue = "polymarket"

    def __init__(
        self,
        context: Context,
        asset: str,
        open_stream: Callable[[Market], Stream],
        make_book: Callable[[Market, int], LocalBook],
        log: Callable[[str], None],
        beside: Account | None = None,
        check: tuple[FetchBook, float] | None = None,
    ) -> None:
        super().__init__(context, asset, log)
        self._check = None if check is None else BookCheck(context, *check)
        paper = () if beside is None else (beside.executor, beside.portfolio)
        self._open_stream = open_stream
        self._make_book = make_book
        self._books: dict[str, LocalBook] = {}
        self._markets: dict[str, Market] = {}
        self._published: dict[str, BookView] = {}
        self._current: str | None = None
        self._unasked = False
        self._readers: tuple[Address, ...] = (
            addresses.EXECUTOR, addresses.PORTFOLIO, addresses.market(asset), *paper
        )  # fmt: skip

    def on_start(self) -> None:
        """Ask which markets are listed."""
        self.context.tell(addresses.DISCOVERY, CalendarRequested(self.asset, self.context.address))
        self.pulse()

    def other(self, message: object) -> None:
        """Open a listed market's stream; turn to the window that just opened; close one that is over."""
        match message:
            case MarketListed(market=market):
                self._listed(market)
            case ViewsRequested(reply_to=reader):
                for view in self._published.values():
                    self.context.tell(reader, BookPublished(view))
            case WorkDone(value=Answer() as answer):
                self._compare(answer)
            case WorkFailed(key=key, error=FuseboxError() as error) if key == WORK:
                if not self._unasked:
                    self._log(f"{self.context.address} is quiet and the venue's book cannot be had: {error}")
                self._unasked = True
            case WorkFailed(error=error):
                raise error
            case Tick(name=name) if name.startswith("open "):
                self._turn_to(name.removeprefix("open "))
            case Tick(name=name) if name.startswith("close "):
                self._close(name.removeprefix("close "))

    def follows(self, key: str) -> bool:
        """Return whether the market's stream is open."""
        return key in self._books

    def current(self) -> tuple[str, ...]:
        """Return the market of the window that is open now."""
        return () if self._current is None else (self._current,)

    def opened(self, key: str) -> None:
        """Start a new continuity epoch: the venue sends a fresh snapshot."""
        if key in self._books:
            self._books[key].restart_epoch()

    def events(self, key: str, events: tuple[MarketEvent, ...], received_ms: int) -> None:
        """Apply a frame to the market's book and publish the new view."""
        book = self._books.get(key)
        if book is None:
            return
        for event in events:
            if isinstance(event, MarketResolved):
                self.context.tell(addresses.DISCOVERY, ResolutionSeen(event.condition_id, event.winning_token))
            elif isinstance(event, PolymarketEvent):
                book.apply(event, received_ms)
        self._publish(key, book.view())

    def touch(self) -> Touch | None:
        """Return what is bid in the market that is open now; None while its book is not known."""
        view = self._published.get(self._current or "")
        return None if view is None else Touch(view.condition_id, view.up.best_bid, view.down.best_bid)

    def pulse(self) -> None:
        """Have a quiet book compared with the venue's, beside the pulse."""
        market = self._markets.get(self._current or "")
        if self._check is not None and market is not None and self.connected and self._data_ms is not None:
            self._check.look(market, (self.context.clock.now_ms() - self._data_ms) / 1000)
        super().pulse()

    def _compare(self, answer: Answer) -> None:
        """Take the venue's book: an equal one is known to be right again, after another one the socket is replaced."""
        key, now_ms = answer.condition_id, self.context.clock.now_ms()
        book, market = self._books.get(key), self._markets.get(key)
        if book is None or market is None or key != self._current:
            return
        self._unasked = False
        found = verdict(answer, book.view())
        if found is Verdict.OVERTAKEN:
            return
        for snapshot in (answer.up, answer.down):
            book.apply(snapshot, now_ms)
        self._data_ms = now_ms
        self._publish(key, book.view())
        if found is Verdict.DIFFERENT:
            self._log(f"{self.context.address} was quiet and its book is not the venue's: the socket is replaced")
            self._open.discard(key)
            self._reasons[key] = "its book was not the venue's"
            self.context.open_stream(key, self._open_stream(market))

    def _listed(self, market: Market) -> None:
        key, window, now_ms = market.condition_id, market.window, self.context.clock.now_ms()
        closes_ms = round((window.closes_at_s + LINGER_S * window.scale) * 1000)
        if key in self._markets or closes_ms <= now_ms:
            return
        self._markets[key] = market
        self._books[key] = self._make_book(market, self.context.incarnation * EPOCHS_PER_INCARNATION)
        self.context.open_stream(key, self._open_stream(market))
        self.context.timer_at(f"close {key}", closes_ms, Tick(f"close {key}"))
        if window.opens_at_s * 1000 <= now_ms:
            self._turn_to(key)
        else:
            self.context.timer_at(f"open {key}", window.opens_at_s * 1000, Tick(f"open {key}"))

    def _turn_to(self, key: str) -> None:
        """Measure freshness on this market, unless a later one is open: listings and timers may come late."""
        market, current = self._markets.get(key), self._markets.get(self._current or "")
        if market is None or (current is not None and current.window.opens_at_s >= market.window.opens_at_s):
            return
        self._current = key
        view = self._books[key].view()
        self._data_ms = None if view is None else view.received_ms

    def _publish(self, key: str, view: BookView | None) -> None:
        if view is None or view is self._published.get(key):
            return
        self._published[key] = view
        for reader in self._readers:
            self.context.tell(reader, BookPublished(view))

    def _close(self, key: str) -> None:
        self.context.close_stream(key)
        self._open.discard(key)
        for known in (self._books, self._markets, self._published, self._reasons):
            known.pop(key, None)
        if self._current == key:
            self._current = self._data_ms = None
