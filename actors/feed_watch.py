"""The watchdog's eye on the feeds: holds while data is stale or clocks disagree, and each turn of health once."""

from collections import deque

import msgspec

from actors import addresses
from core.alerts.kinds import FEED_OUTAGE, FEED_RECOVERED
from core.market.health import RECOVERED, FeedRules, FeedSigns, Health, health_of, skew_refusal
from core.messages import Alert, FeedPulse
from core.runtime.context import Context
from core.status import FeedStatus
from core.trading.gate import GateLevel

START_WITHIN_S = 10.0
"""A feed that has never been fresh is merely starting for this long; the `starting` hold covers it."""
OF_LATE_MS = 60_000
CLOCK = "clock skew"


class FeedLimits(msgspec.Struct, frozen=True):
    """Real seconds after which a feed is stale (None: the flow is not asked about), and the tolerated clock skew."""

    book_stale_s: float
    flow_stale_s: float | None
    max_skew_ms: int | None = None


class Turn(msgspec.Struct, frozen=True):
    """A feed's health changed: `status` as it is written down, `outage` None where a person need not hear of it."""

    feed: str
    asset: str
    status: str
    detail: str
    outage: bool | None = None


class _Heard(msgspec.Struct):
    """What one feed last said, when (monotonic ms), and its faults of late by the time they grew."""

    pulse: FeedPulse
    at_ms: float
    empty_since_ms: float | None
    bad: deque[float]
    lost: deque[float]


class FeedWatch:
    """Judges the feeds of every asset."""

    def __init__(self, context: Context, limits: FeedLimits) -> None:
        self._context = context
        self._limits = limits
        self._heard: dict[str, _Heard] = {}
        self._health: dict[str, Health] = {}
        self._turns: list[Turn] = []

    def hear(self, pulse: FeedPulse) -> None:
        """Note what a feed says of itself."""
        now_ms = self._now_ms()
        before = self._heard.get(pulse.feed)
        bad, lost = (deque[float](), deque[float]()) if before is None else (before.bad, before.lost)
        if before is not None:
            bad.extend([now_ms] * (pulse.bad_frames - before.pulse.bad_frames))
            if before.pulse.connected and pulse.reconnects > before.pulse.reconnects:
                lost.append(now_ms)  # what is refused until it is back is one loss
        empty_ms = None if pulse.has_data else now_ms
        if before is not None and empty_ms is not None:
            empty_ms = before.empty_since_ms or empty_ms
        self._heard[pulse.feed] = _Heard(pulse, now_ms, empty_ms, bad, lost)

    def forget(self, asset: str) -> None:
        """Judge an asset's feeds by what they say from now on: what was heard is of actors that are gone."""
        for feed in (addresses.book_feed(asset).name, addresses.flow_feed(asset).name):
            self._heard.pop(feed, None)
            self._health.pop(feed, None)

    def check(self, asset: str, waited_s: float) -> bool:
        """Hold or release an asset's gate by its feeds; return whether all are fresh.

        `waited_s` is for how long the asset has been watched.
        """
        book, flow = addresses.book_feed(asset).name, addresses.flow_feed(asset).name
        fresh = self._check_feed(book, asset, self._limits.book_stale_s, waited_s)
        if self._limits.flow_stale_s is not None:
            fresh = self._check_feed(flow, asset, self._limits.flow_stale_s, waited_s) and fresh
        self._check_clock(asset, book, flow)
        return fresh

    def book_age_s(self, asset: str, waited_s: float) -> float:
        """Return for how long nothing of an asset's book is known, `waited_s` where nothing ever was."""
        heard = self._heard.get(addresses.book_feed(asset).name)
        if heard is None:
            return waited_s
        if heard.empty_since_ms is not None:
            return (self._now_ms() - heard.empty_since_ms) / 1000
        return heard.pulse.age_s + self._silent_s(heard)

    def bid(self, asset: str, condition_id: str, *, up: bool) -> int | None:
        """Return a token's best bid (1e-6) as its feed last said; None where it is not known."""
        heard = self._heard.get(addresses.book_feed(asset).name)
        touch = None if heard is None else heard.pulse.touch
        if touch is None or touch.condition_id != condition_id:
            return None
        return touch.up_bid if up else touch.down_bid

    def lag_ms(self, asset: str) -> int | None:
        """Return the smallest time from the fast venue's stamp to receipt of late; None without data."""
        heard = self._heard.get(addresses.flow_feed(asset).name)
        return None if heard is None else heard.pulse.lag_ms

    def turns(self) -> list[Turn]:
        """Return what turned since the last call."""
        turned, self._turns = self._turns, []
        return turned

    def _check_feed(self, feed: str, asset: str, stale_s: float, waited_s: float) -> bool:
        rules = FeedRules(stale_s)
        signs = self._signs(feed)
        health, detail = health_of(signs, rules)
        before = self._health.get(feed)
        critical = health is Health.CRITICAL
        if not critical:
            self._context.gate.release(asset, f"{feed} stale")
        elif before is not None or waited_s > START_WITHIN_S:
            self._context.gate.hold(asset, f"{feed} stale", GateLevel.REDUCE_ONLY, detail)
        if not critical or before is not None or waited_s > START_WITHIN_S:
            self._health[feed] = health
            if health is not (before or Health.HEALTHY):
                self._turn(feed, asset, before, health, detail)
        self._show(feed, health, detail)
        return not critical

    def _turn(self, feed: str, asset: str, before: Health | None, health: Health, detail: str) -> None:
        status = RECOVERED if health is Health.HEALTHY else health.value
        outage = None
        if Health.CRITICAL in (before, health):
            outage = health is Health.CRITICAL
        self._turns.append(Turn(feed, asset, status, detail, outage))

    def _signs(self, feed: str) -> FeedSigns | None:
        heard = self._heard.get(feed)
        if heard is None:
            return None
        pulse, silent_s = heard.pulse, self._silent_s(heard)
        for faults in (heard.bad, heard.lost):
            while faults and self._now_ms() - faults[0] > OF_LATE_MS:
                faults.popleft()
        return FeedSigns(
            silent_s=silent_s,
            connected=pulse.connected,
            has_data=pulse.has_data,
            age_s=pulse.age_s + silent_s,
            detail=pulse.detail,
            bad_frames=len(heard.bad),
            reconnects=len(heard.lost),
        )

    def _check_clock(self, asset: str, book: str, flow: str) -> None:
        found = (
            skew_refusal(heard.pulse.lag_ms, self._limits.max_skew_ms, prompt=feed == flow)
            for feed in (book, flow)
            if (heard := self._heard.get(feed)) is not None
        )
        text = next((text for text in found if text is not None), None)
        if text is None:
            if self._context.gate.release(asset, CLOCK):
                self._turns.append(Turn(f"clock {asset}", asset, RECOVERED, "the clocks agree again", outage=False))
        elif self._context.gate.hold(asset, CLOCK, GateLevel.REDUCE_ONLY, text):
            self._turns.append(Turn(f"clock {asset}", asset, Health.CRITICAL.value, text, outage=True))

    def _show(self, feed: str, health: Health, detail: str) -> None:
        heard = self._heard.get(feed)
        if heard is None:
            return
        pulse = heard.pulse
        self._context.publish(
            f"feed {feed}",
            FeedStatus(
                feed=feed,
                connected=pulse.connected,
                stale=health is Health.CRITICAL,
                age_s=pulse.age_s,
                frames=pulse.frames,
                bad_frames=pulse.bad_frames,
                reconnects=pulse.reconnects,
                detail=pulse.detail if health is Health.HEALTHY else detail,
                health=health.value,
            ),
        )

    def _silent_s(self, heard: _Heard) -> float:
        return (self._now_ms() - heard.at_ms) / 1000

    def _now_ms(self) -> float:
        return self._context.clock.monotonic_ms()


def alert_of(turn: Turn, text: str) -> Alert | None:
    """Return what a person hears of a turn; None where nothing."""
    if turn.outage is None:
        return None
    return Alert(FEED_OUTAGE if turn.outage else FEED_RECOVERED, text)
