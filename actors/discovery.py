"""The DiscoveryActor keeps the calendar: the next window is known before this one ends, then its strike and winner.

The strike is the settlement stream's tick stamped at the window's first second, or what the venue publishes; the
winner is what the venue's record says. Neither is ever computed from another exchange's price.
"""

from collections.abc import Callable

import msgspec

from actors import addresses
from actors.addresses import Account
from actors.calendar import Calendar, Outcome
from actors.discovery_state import packed, unpacked
from core.errors import FuseboxError, RejectedError
from core.market.events import SettlementPrice
from core.market.market import Market, Side
from core.market.window import Window, window_at
from core.messages import (
    AssetAdded,
    AssetRemoved,
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
from venues.transport import BadFrame, BadFrameError, StreamClosed, StreamReceived

LEAD_S = 120.0
"""How long before its opening a window is looked up, at most half a window."""
LOOKUP_RETRY_S = 2.0
LOOKUP_RETRY_MAX_S = 15.0
WINNER_EVERY_S = 2.0
WINNER_LATE_EVERY_S = 30.0
WINNER_GIVE_UP_S = 900.0
"""After this long nobody asks any more for the winner of a market in which nothing is held."""
FORGET_S = 3600.0
QUIET_MS = 3_600_000
"""A complaint is told again only after its cause was gone for this long."""


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
        beside: Account | None = None,
    ) -> None:
        super().__init__(context)
        self._assets = assets
        paper = () if beside is None else (beside.portfolio, beside.executor)
        self._readers = (addresses.PORTFOLIO, addresses.EXECUTOR, addresses.WATCHDOG, *paper)
        self._portfolios = (addresses.PORTFOLIO, *paper[:1])
        self._window_s = window_s
        self._calendar = calendar
        self._prices = prices
        self._log = log
        self._known: dict[str, _Known] = {}
        self._by_window: dict[tuple[str, int], str] = {}
        self._sought: dict[tuple[str, int], int] = {}  # failed look-ups of each window that is sought or given up
        self._ticks = unpacked(context.saved)
        self._lead_s = min(LEAD_S, window_s / 2)
        self._complaints: dict[str, float] = {}

    def on_start(self) -> None:
        """Open the settlement stream and look up the windows of now."""
        if self._prices is not None:
            self.context.open_stream("prices", self._prices())
        self._plan(self.context.clock.now_ms())

    def receive(self, message: object) -> None:
        """Handle look-ups, prices, resolutions and questions."""
        match message:
            case StreamItem(item=item):
                self._price_item(item)
            case StreamEnded(error=BaseException() as error):
                raise error
            case Tick(name="plan"):
                self._plan(self.context.clock.now_ms())
            case Tick(name=name) if name.startswith("lookup "):
                self._ask_listing(self._window(name))
            case Tick(name=name) if name.startswith("winner "):
                self._ask_winner(name.removeprefix("winner "))
            case WorkDone(key=key, value=value) if key.startswith("lookup "):
                self._looked_up(self._window(key), value)
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
                self._ask_winner(condition_id)
            case AssetAdded(asset=asset):
                self._assets = tuple(dict.fromkeys((*self._assets, asset)))
                self._plan(self.context.clock.now_ms())
            case AssetRemoved(asset=asset):
                self._assets = tuple(kept for kept in self._assets if kept != asset)

    # -- windows ------------------------------------------------------------------------------------------------

    def _plan(self, now_ms: int) -> None:
        """Look up the windows of now, and the next ones from `lead` before they open; come back before the next lead.

        It comes more often than that and begins with the present window, because a clock may jump and a machine sleep.
        """
        lead_ms = round(self._lead_s * 1000)
        closes_ms = window_at(self._assets[0], now_ms, self._window_s).closes_at_s * 1000
        for asset in self._assets:
            current = window_at(asset, now_ms, self._window_s)
            self._look_up(current)
            if closes_ms - now_ms <= lead_ms:
                self._look_up(current.next())
        soon_ms, due_ms = now_ms + max(1, lead_ms // 4), closes_ms - lead_ms
        self.context.timer_at("plan", min(soon_ms, due_ms) if due_ms > now_ms else soon_ms, Tick("plan"))
        self._forget(now_ms)

    def _window(self, key: str) -> Window:
        _, asset, opens_at = key.split(" ")
        return Window(asset, int(opens_at), self._window_s)

    def _look_up(self, window: Window) -> None:
        place = window.asset, window.opens_at_s
        if place not in self._by_window and place not in self._sought:
            self._sought[place] = 0
            self._ask_listing(window)

    def _ask_listing(self, window: Window) -> None:
        key = f"lookup {window.asset} {window.opens_at_s}"
        self.context.work(key, lambda: self._calendar.market(window), lane="rest")

    def _looked_up(self, window: Window, market: object) -> None:
        if not isinstance(market, Market) or market.window != window:
            self._look_again(window)
            return
        place = window.asset, window.opens_at_s
        self._sought.pop(place, None)
        self._by_window[place] = market.condition_id
        known = self._known.get(market.condition_id)
        if known is None:
            known = _Known(market, window.asset, window.slug, window.closes_at_s)
            self._known[market.condition_id] = known
            self._poll_again(market.condition_id)
        elif known.market is None:  # until now only somebody's question about its winner was known
            known.market = market
        else:
            return
        self._record(known)
        if window.seconds_left(self.context.clock.now_ms()) > 0:
            for reader in (*self._readers, *self._actors_of(window.asset)):
                self.context.tell(reader, MarketListed(market))
        strike = self._ticks.get(place)
        if strike is not None:
            self._strike(market.condition_id, known, strike)

    def _actors_of(self, asset: str) -> tuple[Address, ...]:
        return (addresses.book_feed(asset), addresses.market(asset)) if asset in self._assets else ()

    def _look_again(self, window: Window) -> None:
        """Try again with backoff until the window is over."""
        place = window.asset, window.opens_at_s
        if window.seconds_left(self.context.clock.now_ms()) <= 0:
            self._sought.pop(place, None)
            return
        failures = self._sought[place] = self._sought.get(place, 0) + 1
        delay_s = min(LOOKUP_RETRY_MAX_S, LOOKUP_RETRY_S * 1.5 ** min(failures - 1, 10))
        delay_s *= 1 + 0.2 * float(self.context.rng.uniform(-1, 1))
        key = f"lookup {window.asset} {window.opens_at_s}"
        self.context.timer(key, delay_s, Tick(key))

    def _failed(self, key: str, error: FuseboxError) -> None:
        """Ask again later, except for a market that the venue's answer rules out; an unreadable answer says nothing."""
        if not key.startswith("lookup "):
            condition_id = key.removeprefix("winner ")
            known = self._known.get(condition_id)
            if known is not None:
                self._complain(known.slug, error)
                self._poll_again(condition_id)
            return
        window = self._window(key)
        if isinstance(error, RejectedError) and not isinstance(error, BadFrameError):
            self._say_once(f"{window.asset} {type(error).__name__}", f"{window.slug} is not traded: {error}")
            return
        self._complain(window.slug, error)
        self._look_again(window)

    def _complain(self, slug: str, error: FuseboxError) -> None:
        """Say once for all windows that the venue cannot be asked."""
        self._say_once(str(error).replace(slug, ""), f"discovery cannot ask the venue: {error}; trying again")

    def _say_once(self, kind: str, text: str) -> None:
        if kind not in self._complaints:
            self._log(text)
        self._complaints[kind] = self.context.clock.monotonic_ms()

    def _answer(self, question: CalendarRequested) -> None:
        now_s = self.context.clock.now_ms() / 1000
        for condition_id, known in list(self._known.items()):
            if known.asset == question.asset and known.market is not None and known.closes_at_s > now_s:
                self.context.tell(question.reply_to, MarketListed(known.market))
                if known.strike is not None:
                    self.context.tell(question.reply_to, StrikeKnown(condition_id, known.asset, known.strike))

    def _forget(self, now_ms: int) -> None:
        for condition_id, known in list(self._known.items()):
            if now_ms / 1000 - known.closes_at_s > FORGET_S and not (known.held and known.winner is None):
                del self._known[condition_id]
        self._sought = {key: value for key, value in self._sought.items() if key[1] + self._window_s > now_ms / 1000}
        self._by_window = {key: value for key, value in self._by_window.items() if value in self._known}
        oldest_s = now_ms // 1000 - 2 * self._window_s
        self._ticks = {key: value for key, value in self._ticks.items() if key[1] >= oldest_s}
        since_ms = self.context.clock.monotonic_ms() - QUIET_MS
        self._complaints = {kind: at_ms for kind, at_ms in self._complaints.items() if at_ms > since_ms}

    # -- strikes ------------------------------------------------------------------------------------------------

    def _price_item(self, item: object) -> None:
        match item:
            case StreamReceived(events=events):
                for event in events:
                    if isinstance(event, SettlementPrice):
                        self._priced(event)
            case StreamClosed(reason=reason):
                self._say_once(reason, f"settlement prices disconnected: {reason}; strikes may stay unknown")
            case BadFrame(reason=reason):
                self._say_once("bad price", f"settlement prices: skipped a frame that cannot be read: {reason}")

    def _priced(self, tick: SettlementPrice) -> None:
        if tick.asset not in self._assets:
            return
        seen = SettlementPricePublished(tick.asset, tick.price, tick.venue_ms)
        self.context.tell(addresses.market(tick.asset), seen)
        if tick.lookback_s is None or tick.venue_ms % 1000 or (tick.venue_ms // 1000) % self._window_s:
            return
        opens_at_s = tick.venue_ms // 1000
        self._ticks[tick.asset, opens_at_s] = tick.price
        self.context.save(packed(self._ticks))
        condition_id = self._by_window.get((tick.asset, opens_at_s), "")
        known = self._known.get(condition_id)
        if known is not None:
            self._strike(condition_id, known, tick.price)

    def _strike(self, condition_id: str, known: _Known, strike: float) -> None:
        if known.strike is None:
            known.strike = strike
            if known.asset in self._assets:
                self.context.tell(addresses.market(known.asset), StrikeKnown(condition_id, known.asset, strike))
            self._record(known)

    # -- winners ------------------------------------------------------------------------------------------------

    def _await(self, wish: AwaitWinner) -> None:
        known = self._known.get(wish.condition_id)
        if known is None:
            known = self._known[wish.condition_id] = _Known(None, wish.asset, wish.slug, wish.closes_at_s)
        known.held = True
        window = Window(wish.asset, wish.closes_at_s - self._window_s, self._window_s)
        if known.market is None and window.slug == wish.slug:
            self._look_up(window)  # its row in the database needs the whole market
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
        if outcome.strike is not None:
            self._strike(condition_id, known, outcome.strike)
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
            for portfolio in self._portfolios:
                self.context.tell(portfolio, message)

    def _poll_again(self, condition_id: str) -> None:
        known = self._known.get(condition_id)
        if known is None:
            return
        known.polling = False
        waited_s = self.context.clock.now_ms() / 1000 - known.closes_at_s
        if waited_s <= WINNER_GIVE_UP_S or known.held:
            every_s = WINNER_EVERY_S if waited_s <= WINNER_GIVE_UP_S else WINNER_LATE_EVERY_S
            delay_s = max(every_s, WINNER_EVERY_S - waited_s)  # never before the close, whatever was announced
            self.context.timer(f"winner {condition_id}", delay_s, Tick(f"winner {condition_id}"))

    def _record(self, known: _Known) -> None:
        if known.market is not None:
            row = market_record(known.market, known.strike, known.winner)
            self.context.tell(addresses.DB_WRITER, Persist((row,)))
