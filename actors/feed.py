"""A FeedActor owns the wire state of one asset at one venue: every delta in order, an immutable view out.

This is what the book's and the flow's have in common: the connection, its counters, and the pulse of freshness that
goes to the watchdog, so that a dead market actor cannot blind it.
"""

from collections import deque
from collections.abc import Callable

from actors import addresses
from core.market.events import MarketEvent
from core.messages import FeedPulse, Tick, Touch
from core.runtime.actor import Actor
from core.runtime.context import Context
from core.runtime.message import StreamEnded, StreamItem
from venues.transport import BadFrame, StreamClosed, StreamOpened, StreamReceived, UnknownEvent

PULSE_S = 0.5
LAG_PULSES = 20
"""Pulses over which the smallest time from venue to receipt is told: ten seconds."""
EPOCHS_PER_INCARNATION = 1_000_000
"""First continuity epoch of each incarnation: one that restarts is above whatever the one before published."""


class FeedActor(Actor):
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
                self.pulse()
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

    def pulse(self) -> None:
        """Tell the watchdog how fresh the feed is, now and every half second."""
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
