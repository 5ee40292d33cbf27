"""The DiscoveryActor keeps the calendar: the next window is known before this one ends, then its strike and winner.

The strike is the settlement stream's tick stamped at the window's first second, or what the venue publishes; the
winner is what the venue's record says. Neither is ever computed from another exchange's price.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

from actors import addresses
from core.errors import FuseboxError, RejectedError
from core.market.events import SettlementPrice
from core.market.market import Market, Side
from core.market.window import Window, window_at
from core.messages import (
    AwaitWinner,
    CalendarRequested,
    MarketListed,
    Persist,
    ResolutionSeen,
    SettlementPricePublished,
    StrikeKnown,
    Tick,
    WinnerKnown,
)
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.context import Context
from core.runtime.message import StreamEnded, StreamItem, WorkDone, WorkFailed
from core.runtime.stream import Stream
from core.trading.records import market_record
from venues.transport import BadFrame, StreamClosed, StreamOpened, StreamReceived, UnknownEvent

LEAD_S = 120.0
"""How long before its opening a window is looked up, at most half a window."""
LOOKUP_RETRY_S = 2.0
LOOKUP_RETRY_MAX_S = 15.0
WINNER_EVERY_S = 2.0
WINNER_GIVE_UP_S = 900.0
"""After this long nobody asks any more for the winner of a market in which nothing is held."""
FORGET_S = 3600.0


class Outcome(Protocol):
    """What the venue's record says of a market; None where it says nothing yet."""

    @property
    def winner(self) -> Side | None:
        """The winning side, only from a closed market whose prices are exactly 1 and 0."""
        ...

    @property
    def strike(self) -> float | None:
        """The price to beat, once published."""
        ...


class Calendar(Protocol):
    """The venue's listing, asked from workers."""

    def market(self, window: Window) -> Market | None:
        """Return the market of a window, None when it is not listed."""
        ...

    def outcome(self, slug: str) -> Outcome:
        """Return what the record says of a market."""
        ...


class _Known(msgspec.Struct):
    """What is known of one market so far."""

    market: Market | None
    asset: str
    slug: str
    closes_at_s: int
    strike: float | None = None
    winner: Side | None = None
    held: bool = False
    polling: bool = False


class DiscoveryActor(Actor):
    """Looks windows up by their exact name, one ahead, and polls the venue's record after each close."""

    def __init__(
        self,
        context: Context,
        assets: tuple[str, ...],
        window_s: int,
        calendar: Calendar,
        prices: Callable[[], Stream] | None,
        log: Callable[[str], None],
    ) -> None:
        super().__init__(context)
        self._assets = assets
        self._window_s = window_s
        self._calendar = calendar
        self._prices = prices
        self._log = log
        self._known: dict[str, _Known] = {}
        self._by_window: dict[tuple[str, int], str] = {}
        self._retries: dict[tuple[str, int], int] = {}
        self._ticks: dict[tuple[str, int], float] = {}
        self._lead_s = min(LEAD_S, window_s / 2)
        self._complaint: str | None = None

    def on_start(self) -> None:
        """Open the settlement stream and look up the windows of now."""
        if self._prices is not None:
            self.context.open_stream("prices", self._prices())
        now_ms = self.context.clock.now_ms()
        for asset in self._assets:
            self._look_up(window_at(asset, now_ms, self._window_s))
        self._plan(now_ms)

    def receive(self, message: object) -> None:
        """Handle look-ups, prices, resolutions and questions."""
        match message:
            case StreamItem(item=item):
                self._price_item(item)
            case StreamEnded(error=error):
                if error is not None:
                    raise error
            case Tick(name="plan"):
                self._plan(self.context.clock.now_ms())
            case Tick(name=name) if name.startswith("lookup "):
                asset, opens_at = name.split(" ")[1:]
                self._look_up(Window(asset, int(opens_at), self._window_s))
            case Tick(name=name) if name.startswith("winner "):
                self._ask_winner(name.removeprefix("winner "))
            case WorkDone(key=key, value=value) if key.startswith("lookup "):
                asset, opens_at = key.split(" ")[1:]
                self._looked_up(Window(asset, int(opens_at), self._window_s), value)
            case WorkDone(key=key, value=value):
                self._told_outcome(key.removeprefix("winner "), value)  # type: ignore[arg-type]
            case WorkFailed(key=key, error=FuseboxError() as error):
                self._failed(key, error)
            case WorkFailed(error=error):
                raise error
            case CalendarRequested():
                self._answer(message)
            case AwaitWinner():
                self._await(message)
            case ResolutionSeen(condition_id=condition_id):
                known = self._known.get(condition_id)
                if known is not None and known.winner is None:
                    self._ask_winner(condition_id)

    # -- windows ------------------------------------------------------------------------------------------------

    def _plan(self, now_ms: int) -> None:
        """Look up each asset's next window `lead` before it opens, and come back for the one after."""
        current = window_at(self._assets[0], now_ms, self._window_s)
        due_ms = round((current.closes_at_s - self._lead_s) * 1000)
        if now_ms >= due_ms:
            for asset in self._assets:
                self._look_up(window_at(asset, now_ms, self._window_s).next())
            due_ms += self._window_s * 1000
        self.context.timer_at("plan", due_ms, Tick("plan"))
        self._forget(now_ms)

    def _look_up(self, window: Window) -> None:
        if (window.asset, window.opens_at_s) in self._by_window:
            return
        key = f"lookup {window.asset} {window.opens_at_s}"
        self.context.work(key, lambda: self._calendar.market(window), lane="rest")

    def _looked_up(self, window: Window, market: object) -> None:
        if not isinstance(market, Market):
            self._retry(window)
            return
        self._complaint = None
        self._retries.pop((window.asset, window.opens_at_s), None)
        if market.condition_id in self._known:
            return
        self._by_window[window.asset, window.opens_at_s] = market.condition_id
        known = _Known(market, window.asset, window.slug, window.closes_at_s)
        self._known[market.condition_id] = known
        self._record(known)
        for reader in self._readers(window.asset):
            self.context.tell(reader, MarketListed(market))
        strike = self._ticks.get((window.asset, window.opens_at_s))
        if strike is not None:
            self._strike(known, strike)
        key = f"winner {market.condition_id}"
        self.context.timer_at(key, round(window.closes_at_s * 1000 + WINNER_EVERY_S * 1000), Tick(key))

    def _retry(self, window: Window) -> None:
        if window.seconds_left(self.context.clock.now_ms()) <= 0:
            self._retries.pop((window.asset, window.opens_at_s), None)
            self._look_up(window_at(window.asset, self.context.clock.now_ms(), self._window_s))
            return
        attempt = self._retries[window.asset, window.opens_at_s] = (
            self._retries.get((window.asset, window.opens_at_s), 0) + 1
        )
        delay_s = min(LOOKUP_RETRY_MAX_S, LOOKUP_RETRY_S * 1.5 ** (attempt - 1))
        delay_s *= 1 + 0.2 * float(self.context.rng.uniform(-1, 1))
        key = f"lookup {window.asset} {window.opens_at_s}"
        self.context.timer(key, delay_s, Tick(key))

    def _failed(self, key: str, error: FuseboxError) -> None:
        what = key.split(" ")
        if str(error) != self._complaint:
            self._complaint = str(error)
            self._log(f"discovery cannot ask the venue: {error}; trying again")
        if what[0] == "lookup":
            window = Window(what[1], int(what[2]), self._window_s)
            if isinstance(error, RejectedError):
                return
            self._retry(window)
        else:
            self._poll_again(what[1])

    def _readers(self, asset: str) -> tuple[Address, ...]:
        return (addresses.PORTFOLIO, addresses.WATCHDOG, addresses.book_feed(asset), addresses.market(asset))

    def _answer(self, question: CalendarRequested) -> None:
        now_s = self.context.clock.now_ms() / 1000
        for known in list(self._known.values()):
            if known.asset == question.asset and known.market is not None and known.closes_at_s > now_s:
                self.context.tell(question.reply_to, MarketListed(known.market))
                if known.strike is not None:
                    condition_id = known.market.condition_id
                    self.context.tell(question.reply_to, StrikeKnown(condition_id, known.asset, known.strike))

    def _forget(self, now_ms: int) -> None:
        for condition_id, known in list(self._known.items()):
            if now_ms / 1000 - known.closes_at_s > FORGET_S and not (known.held and known.winner is None):
                del self._known[condition_id]
        self._by_window = {key: value for key, value in self._by_window.items() if value in self._known}
        oldest_s = now_ms // 1000 - 2 * self._window_s
        self._ticks = {key: value for key, value in self._ticks.items() if key[1] >= oldest_s}

    # -- strikes ------------------------------------------------------------------------------------------------

    def _price_item(self, item: object) -> None:
        match item:
            case StreamReceived(events=events):
                for event in events:
                    if isinstance(event, SettlementPrice):
                        self._priced(event)
            case StreamClosed(reason=reason):
                self._log(f"settlement prices disconnected: {reason}; reconnecting, strikes may stay unknown")
            case BadFrame(reason=reason, count=1):
                self._log(f"settlement prices: skipped a frame that cannot be read: {reason}")
            case StreamOpened() | UnknownEvent() | BadFrame():
                pass

    def _priced(self, tick: SettlementPrice) -> None:
        if tick.asset not in self._assets:
            return
        price = SettlementPricePublished(tick.asset, tick.price, tick.venue_ms)
        self.context.tell(addresses.market(tick.asset), price)
        if tick.lookback_s is None or tick.venue_ms % 1000 or (tick.venue_ms // 1000) % self._window_s:
            return
        opens_at_s = tick.venue_ms // 1000
        self._ticks[tick.asset, opens_at_s] = tick.price
        known = self._known.get(self._by_window.get((tick.asset, opens_at_s), ""))
        if known is not None:
            self._strike(known, tick.price)

    def _strike(self, known: _Known, strike: float) -> None:
        if known.strike is not None or known.market is None:
            return
        known.strike = strike
        self.context.tell(addresses.market(known.asset), StrikeKnown(known.market.condition_id, known.asset, strike))
        self._record(known)

    # -- winners ------------------------------------------------------------------------------------------------

    def _await(self, wish: AwaitWinner) -> None:
        known = self._known.get(wish.condition_id)
        if known is None:
            known = self._known[wish.condition_id] = _Known(None, wish.asset, wish.slug, wish.closes_at_s)
        known.held = True
        if known.winner is not None:
            self._tell_winner(wish.condition_id, known)
        else:
            self._ask_winner(wish.condition_id)

    def _ask_winner(self, condition_id: str) -> None:
        known = self._known.get(condition_id)
        if known is None or known.winner is not None or known.polling:
            return
        known.polling = True
        slug = known.slug
        self.context.work(f"winner {condition_id}", lambda: self._calendar.outcome(slug), lane="rest")

    def _told_outcome(self, condition_id: str, outcome: Outcome) -> None:
        known = self._known.get(condition_id)
        if known is None:
            return
        known.polling = False
        self._complaint = None
        if outcome.strike is not None and known.strike is None:
            self._strike(known, outcome.strike)
        if outcome.winner is None:
            self._poll_again(condition_id)
            return
        if known.winner is None:
            known.winner = outcome.winner
            self._record(known)
            self._log(f"{known.slug} resolved {outcome.winner}")
            self._tell_winner(condition_id, known)

    def _tell_winner(self, condition_id: str, known: _Known) -> None:
        if known.winner is not None:
            message = WinnerKnown(condition_id, known.asset, known.winner, self.context.clock.now_ms())
            self.context.tell(addresses.PORTFOLIO, message)

    def _poll_again(self, condition_id: str) -> None:
        known = self._known.get(condition_id)
        if known is None:
            return
        known.polling = False
        waited_s = self.context.clock.now_ms() / 1000 - known.closes_at_s
        if waited_s <= WINNER_GIVE_UP_S or known.held:
            every_s = WINNER_EVERY_S if waited_s <= WINNER_GIVE_UP_S else 30.0
            self.context.timer(f"winner {condition_id}", every_s, Tick(f"winner {condition_id}"))

    def _record(self, known: _Known) -> None:
        market = known.market
        if market is None:
            return
        row = market_record(market, known.strike, known.winner)
        self.context.tell(addresses.DB_WRITER, Persist((row,)))
