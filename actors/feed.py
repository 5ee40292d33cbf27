"""A FeedActor owns the wire state of one asset at one venue: every delta in order, an immutable view out.

`BookFeedActor` keeps the books of an asset's markets, `FlowFeedActor` the fast venue's order flow. Both pulse their
freshness to the watchdog, so that a dead market actor cannot blind it.
"""

from collections import deque
from collections.abc import Callable, Sequence

from actors import addresses
from actors.addresses import Account
from actors.book_check import WORK, Answer, BookCheck, FetchBook, Verdict, verdict
from core.errors import FuseboxError
from core.market.book import LocalBook
from core.market.events import BinanceEvent, Kline, MarketEvent, MarketResolved, PolymarketEvent
from core.market.flow import FlowState
from core.market.market import Market
from core.market.views import BookView
from core.messages import (
    BookPublished,
    CalendarRequested,
    FeedPulse,
    FlowPublished,
    MarketListed,
    ResolutionSeen,
    Tick,
    Touch,
    ViewsRequested,
)
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.context import Context
from core.runtime.message import StreamEnded, StreamItem, WorkDone, WorkFailed
from core.runtime.stream import Stream
from venues.transport import BadFrame, StreamClosed, StreamOpened, StreamReceived, UnknownEvent

PULSE_S = 0.5
LINGER_S = 90
"""Seconds (at W = 900) for which a closed market's stream stays open to hear its resolution."""
PUBLISH_EVERY_MS = 50
LAG_PULSES = 20
"""Pulses over which the smallest time from venue to receipt is told: ten seconds."""
EPOCHS_PER_INCARNATION = 1_000_000
"""First continuity epoch of each incarnation: one that restarts is above whatever the one before published."""
SEED_RETRY_S = 10.0


class _FeedActor(Actor):
    """What both feeds share: connection state, counters and the pulse."""

    venue: str

    def __init__(self, context: Context, asset: str, log: Callable[[str], None]) -> None:
        super().__init__(context)
        self.asset = asset
        self._log = log
        self._frames = 0
        self._bad_frames = 0
        self._reconnects = 0
        self._unknown: set[str] = set()
        self._open: set[str] = set()
        self._reasons: dict[str, str] = {}
        self._data_ms: int | None = None
        self._lag_ms: int | None = None
        self._lags_ms: deque[int | None] = deque(maxlen=LAG_PULSES)

    def receive(self, message: object) -> None:
        """Handle stream items and timers; subclasses take the rest."""
        match message:
            case StreamItem(key=key, item=item):
                self._item(key, item)
            case StreamEnded(key=key, error=error):
                self._ended(key, error)
            case Tick(name="pulse"):
                self._pulse()
            case _:
                self.other(message)

    def other(self, message: object) -> None:
        """Handle what is not the stream's or the pulse's."""

    def events(self, key: str, events: tuple[MarketEvent, ...], received_ms: int) -> None:
        """Apply decoded events in order."""
        raise NotImplementedError

    def opened(self, key: str) -> None:
        """Note a fresh connection: continuity with what came before is lost."""
        raise NotImplementedError

    def follows(self, key: str) -> bool:
        """Return whether the stream is one of ours: what a closed one still had in the mailbox is of no use."""
        raise NotImplementedError

    def current(self) -> tuple[str, ...]:
        """Return the keys of the streams that freshness is measured on."""
        raise NotImplementedError

    @property
    def connected(self) -> bool:
        """Whether every stream that matters now is open."""
        keys = self.current()
        return bool(keys) and self._open.issuperset(keys)

    @property
    def detail(self) -> str:
        """What a person should know of the connection: the first reason why a stream that matters is not open."""
        keys = self.current()
        if not keys:
            return "no market is open"
        return next((self._reasons.get(key, "connecting") for key in keys if key not in self._open), "connected")

    def _item(self, key: str, item: object) -> None:
        if not self.follows(key):
            return
        match item:
            case StreamReceived(events=events, received_ms=received_ms):
                self._frames += 1
                if key in self.current():
                    self._data_ms = received_ms
                    self._note_lag(events, received_ms)
                self.events(key, events, received_ms)
            case StreamOpened():
                self._open.add(key)
                self.opened(key)
            case StreamClosed(reason=reason):
                self._reconnects += 1
                if key in self._open or self._reasons.get(key) != reason:
                    self._log(f"{self.context.address} disconnected: {reason}; reconnecting")
                self._open.discard(key)
                self._reasons[key] = reason
            case BadFrame(reason=reason):
                self._bad_frames += 1
                if self._bad_frames == 1:
                    self._log(f"{self.context.address} skips a frame it cannot read: {reason}")
            case UnknownEvent(kind=kind):
                if kind not in self._unknown:
                    self._unknown.add(kind)
                    self._log(f"{self.context.address} skips events of an unknown type: {kind}")

    def _note_lag(self, events: tuple[MarketEvent, ...], received_ms: int) -> None:
        stamped_ms = events[-1].venue_ms if events else 0
        if stamped_ms:
            lag_ms = received_ms - stamped_ms
            self._lag_ms = lag_ms if self._lag_ms is None else min(self._lag_ms, lag_ms)

    def touch(self) -> Touch | None:
        """Return what is bid in the market that is open now; None where that is no question."""
        return None

    def _ended(self, key: str, error: BaseException | None) -> None:
        if error is not None:
            raise error
        self._open.discard(key)
        self._reasons[key] = "the stream ended"

    def _pulse(self) -> None:
        now_ms = self.context.clock.now_ms()
        self._lags_ms.append(self._lag_ms)
        self._lag_ms = None
        self.context.tell(
            addresses.WATCHDOG,
            FeedPulse(
                feed=self.context.address.name,
                asset=self.asset,
                connected=self.connected,
                has_data=self._data_ms is not None,
                age_s=0.0 if self._data_ms is None else max(0, now_ms - self._data_ms) / 1000,
                frames=self._frames,
                bad_frames=self._bad_frames,
                reconnects=self._reconnects,
                detail=self.detail,
                lag_ms=min((lag_ms for lag_ms in self._lags_ms if lag_ms is not None), default=None),
                touch=self.touch(),
            ),
        )
        self.context.timer("pulse", PULSE_S, Tick("pulse"))


class BookFeedActor(_FeedActor):
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
        self._pulse()

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

    def _pulse(self) -> None:
        """Have a quiet book compared with the venue's, beside the pulse."""
        market = self._markets.get(self._current or "")
        if self._check is not None and market is not None and self.connected and self._data_ms is not None:
            self._check.look(market, (self.context.clock.now_ms() - self._data_ms) / 1000)
        super()._pulse()

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


class FlowFeedActor(_FeedActor):
    """Reduces the fast venue's trades, touch and candles to the flow that the features need."""

    venue = "binance"

    def __init__(
        self,
        context: Context,
        asset: str,
        open_streams: Callable[[], Sequence[Stream]],
        seed: Callable[[], tuple[Kline, ...]] | None,
        *,
        window_scale: float,
        log: Callable[[str], None],
    ) -> None:
        super().__init__(context, asset, log)
        self._open_streams = open_streams
        self._keys: tuple[str, ...] = ()
        self._seed = seed
        self._flow = FlowState(asset, window_scale, epoch=context.incarnation * EPOCHS_PER_INCARNATION)
        self._published_ms = 0
        self._seed_failed = False

    def on_start(self) -> None:
        """Open the streams, and fetch past candles to warm the long lookbacks."""
        streams = self._open_streams()
        self._keys = tuple(f"flow {number}" for number in range(len(streams)))
        for key, stream in zip(self._keys, streams, strict=True):
            self.context.open_stream(key, stream)
        self._ask_for_candles()
        self._pulse()

    def other(self, message: object) -> None:
        """Take the candles; publish for a reader that has just started."""
        match message:
            case ViewsRequested():
                if self._data_ms is not None:
                    self._publish(self.context.clock.now_ms())
            case WorkDone(value=tuple() as klines):
                self._flow.seed(klines)
            case WorkFailed(error=FuseboxError() as error):
                if not self._seed_failed:
                    self._seed_failed = True
                    self._log(f"{self.context.address} starts without past candles: {error}; trying again")
                self.context.timer("seed", SEED_RETRY_S, Tick("seed"))
            case WorkFailed(error=error):
                raise error
            case Tick(name="seed"):
                self._ask_for_candles()

    def follows(self, key: str) -> bool:
        """Return True for every stream that was opened: none is closed while the actor lives."""
        return key in self._keys

    def current(self) -> tuple[str, ...]:
        """Return all streams: trades and touch may come by two."""
        return self._keys

    def opened(self, key: str) -> None:  # noqa: ARG002 -- all streams feed one flow
        """Start a new continuity epoch."""
        self._flow.restart_epoch()

    def events(self, key: str, events: tuple[MarketEvent, ...], received_ms: int) -> None:  # noqa: ARG002 -- all streams feed one flow
        """Apply a frame, and publish the flow at most once per `PUBLISH_EVERY_MS`."""
        for event in events:
            if isinstance(event, BinanceEvent):
                self._flow.apply(event, received_ms)
        if received_ms - self._published_ms >= PUBLISH_EVERY_MS:
            self._publish(received_ms)

    def _pulse(self) -> None:
        """Publish too: the last frames of a burst were throttled, and in a lull the flow decays without any."""
        if self._data_ms is not None:
            self._publish(self.context.clock.now_ms())
        super()._pulse()

    def _publish(self, at_ms: int) -> None:
        view = self._flow.view(at_ms)
        if view is not None:
            self._published_ms = at_ms
            self.context.tell(addresses.market(self.asset), FlowPublished(view))

    def _ask_for_candles(self) -> None:
        if self._seed is not None:
            self.context.work("seed", self._seed, lane="rest")
