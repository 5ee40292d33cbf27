"""The WatchdogActor sets the gate and asks for exits by the clock.

It hears freshness from the feeds and the recorder directly. Each reason to hold the gate is set and lifted by itself;
the strictest one counts.
"""

from collections.abc import Callable

import msgspec

from actors import addresses
from actors.addresses import Account
from core.alerts.kinds import FEED_OUTAGE, FEED_RECOVERED, RECORDER_OUTAGE, RECORDER_RECOVERED
from core.market.market import Market
from core.messages import (
    Alert,
    AssetAdded,
    AssetRemoved,
    AssetRetiring,
    CalendarRequested,
    CancelRequested,
    FeedPulse,
    ForcedExit,
    MarketListed,
    Persist,
    PositionPublished,
    PositionRequested,
    RecorderPulse,
    Tick,
)
from core.records import HealthEventRecord
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.context import Context
from core.status import FeedStatus
from core.trading.gate import GateLevel, level
from core.trading.lasting_holds import FLATTEN, is_flattened
from core.trading.limits import exit_due

CHECK_S = 0.25
PULSE_LATE_S = 3.0
"""A feed or recorder that says nothing for this long is dead or hung, whatever it said last."""
EXIT_AGAIN_S = 2.0
START_WITHIN_S = 10.0
"""A feed that has never been fresh is merely starting for this long; the `starting` hold covers it."""
STARTING = "starting"
RETIRED = "retired"

Place = tuple[Address, str]
"""A portfolio and a market: what one portfolio holds there is no other's."""


class WatchdogLimits(msgspec.Struct, frozen=True):
    """Limits in real seconds (already scaled), except `exit_before_s` which is scaled by W / 900 where it is used."""

    book_stale_s: float
    flow_stale_s: float | None
    recorder_lag_s: float = 0.75
    """The recorder says how it is four times a second: within one second of the last sign of life the gate is shut."""
    exit_before_s: float | None = 120.0
    hold_to_settlement: tuple[str, ...] = ()


class WatchdogActor(Actor):
    """Stale feeds and an unreachable database take the gate off `open`; the T-2 rule closes what is held."""

    def __init__(
        self,
        context: Context,
        assets: tuple[str, ...],
        session_id: int,
        limits: WatchdogLimits,
        log: Callable[[str], None],
        beside: Account | None = None,
    ) -> None:
        super().__init__(context)
        accounts = (Account(session_id),) if beside is None else (Account(session_id), beside)
        self._executors = {account.portfolio: account.executor for account in accounts}
        self._session_id = session_id
        self._limits = limits
        self._log = log
        self._pulses: dict[str, tuple[FeedPulse, float]] = {}
        self._recorder: tuple[RecorderPulse, float] | None = None
        self._markets: dict[str, Market] = {}
        self._positions: dict[Place, PositionPublished] = {}
        self._asked: dict[Place, int] = {}
        self._busy: dict[Place, str] = {}
        self._recalled: dict[Place, int] = {}
        self._stale: dict[str, str] = {}
        self._turned: list[tuple[str, str, str, str]] = []
        self._retired: set[str] = set()
        self._fresh_once: set[str] = set()
        self._started_ms = context.clock.monotonic_ms()
        self._watched_since_ms = dict.fromkeys(assets, self._started_ms)

    def on_start(self) -> None:
        """Hold the gate of each asset until its feeds have been heard, and ask what is listed and held."""
        holds = self.context.gate.state.holds
        self._retired.update(hold.scope for hold in holds if hold.reason == RETIRED)
        for asset in self._watched_since_ms:
            self._begin(asset)
        self.context.timer("check", CHECK_S, Tick("check"))

    def _begin(self, asset: str) -> None:
        self.context.gate.hold(asset, STARTING, GateLevel.REDUCE_ONLY)
        self.context.tell(addresses.DISCOVERY, CalendarRequested(asset, self.context.address))
        for portfolio in self._executors:
            self.context.tell(portfolio, PositionRequested(asset, self.context.address))

    def receive(self, message: object) -> None:
        """Note what is heard; judge on the timer."""
        match message:
            case FeedPulse():
                self._pulses[message.feed] = (message, self.context.clock.monotonic_ms())
            case RecorderPulse():
                self._recorder = (message, self.context.clock.monotonic_ms())
                self._check_recorder()
            case PositionPublished():
                self._held(message)
            case MarketListed(market=market):
                self._markets[market.condition_id] = market
            case AssetRetiring():
                self._retired.add(message.asset)
                self.context.gate.hold(message.asset, RETIRED, GateLevel.REDUCE_ONLY)
                self.context.tell(addresses.NOTIFIER, Alert("asset retired", message.reason))
            case AssetAdded(asset=asset):
                self._forget_feeds(asset)
                self._retired.discard(asset)
                self._watched_since_ms[asset] = self.context.clock.monotonic_ms()
                self._begin(asset)
            case AssetRemoved(asset=asset):
                self._watched_since_ms.pop(asset, None)
                self._forget_feeds(asset)
            case Tick(name="check"):
                self._check()
                self.context.timer("check", CHECK_S, Tick("check"))

    def _forget_feeds(self, asset: str) -> None:
        """Judge the asset's feeds by what they say from now on: what was heard is of actors that are gone."""
        for feed in (addresses.book_feed(asset).name, addresses.flow_feed(asset).name):
            self._pulses.pop(feed, None)
            self._stale.pop(feed, None)
            self._fresh_once.discard(feed)

    def _check(self) -> None:
        for asset in self._watched_since_ms:
            book_reason = self._feed(addresses.book_feed(asset).name, asset, self._limits.book_stale_s)
            flow_reason = self._feed(addresses.flow_feed(asset).name, asset, self._limits.flow_stale_s)
            if book_reason is None and flow_reason is None:
                self.context.gate.release(asset, STARTING)
        self._tell_turned()
        self._check_recorder()
        self._check_exits()
        self._check_closed()

    # -- feeds and recorder -------------------------------------------------------------------------------------

    def _feed(self, feed: str, asset: str, limit_s: float | None) -> str | None:
        """Judge one feed: hold or release its asset's gate, and return why it is stale, None when it is fresh."""
        if limit_s is None:
            return None
        reason = self._stale_because(feed, limit_s)
        hold = f"{feed} stale"
        was = self._stale.get(feed)
        if reason is None:
            self._fresh_once.add(feed)
            if was is not None:
                del self._stale[feed]
                self._turned.append((feed, asset, "recovered", "data flows again"))
            self.context.gate.release(asset, hold)
        elif feed in self._fresh_once or self._waited_s(asset) > START_WITHIN_S:
            if was is None:
                self._stale[feed] = reason
                self._turned.append((feed, asset, "stale", reason))
            self.context.gate.hold(asset, hold, GateLevel.REDUCE_ONLY)
        pulse = self._pulses.get(feed)
        if pulse is not None:
            heard = pulse[0]
            self.context.publish(
                f"feed {feed}",
                FeedStatus(
                    feed=feed,
                    connected=heard.connected,
                    stale=reason is not None,
                    age_s=heard.age_s,
                    frames=heard.frames,
                    bad_frames=heard.bad_frames,
                    reconnects=heard.reconnects,
                    detail=reason or heard.detail,
                ),
            )
        return reason

    def _waited_s(self, asset: str) -> float:
        return (self.context.clock.monotonic_ms() - self._watched_since_ms[asset]) / 1000

    def _stale_because(self, feed: str, limit_s: float) -> str | None:
        heard = self._pulses.get(feed)
        if heard is None:
            return "not heard yet"
        pulse, at_ms = heard
        late_s = (self.context.clock.monotonic_ms() - at_ms) / 1000
        if late_s > PULSE_LATE_S:
            return f"silent for {late_s:.1f} s: its actor is dead or hung"
        if not pulse.connected:
            return pulse.detail
        if not pulse.has_data:
            return "connected, no data yet"
        age_s = pulse.age_s + late_s
        return None if age_s <= limit_s else f"last data {age_s:.1f} s ago, limit {limit_s:g} s"

    def _check_recorder(self) -> None:
        pulse, at_ms = self._recorder or (RecorderPulse(0.0, 0, None), self._started_ms)
        late_s = (self.context.clock.monotonic_ms() - at_ms) / 1000
        behind_s = max(pulse.lag_s, late_s if late_s > PULSE_LATE_S else 0.0)
        if behind_s > self._limits.recorder_lag_s:
            if self.context.gate.hold(None, "database does not record", GateLevel.REDUCE_ONLY):
                self._note("database", "stale", pulse.error or f"{behind_s:.1f} s behind")
        elif self.context.gate.release(None, "database does not record"):
            self._note("database", "recovered", "everything is recorded again")
        if pulse.journal_error is not None:
            if self.context.gate.hold(None, "journal not writable", GateLevel.REDUCE_ONLY):
                self._note("journal", "stale", pulse.journal_error)
        elif self.context.gate.release(None, "journal not writable"):
            self._note("journal", "recovered", "it can be written again")

    def _tell_turned(self) -> None:
        """Write each feed's turn down, and log those of one venue that turned together in one line."""
        groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for feed, asset, status, detail in self._turned:
            self._write(feed, status, detail)
            groups.setdefault((feed.rsplit(".", 1)[0], status), []).append((asset, detail))
        self._turned.clear()
        for (venue, status), members in groups.items():
            detail = members[0][1]
            text = f"{venue} {' '.join(asset for asset, _ in members)} {status}: {detail}"
            self._log(text)
            self.context.tell(addresses.NOTIFIER, Alert(FEED_OUTAGE if status == "stale" else FEED_RECOVERED, text))

    def _note(self, subject: str, status: str, detail: str) -> None:
        text = f"{subject} {status}: {detail}"
        self._log(text)
        self.context.tell(addresses.NOTIFIER, Alert(RECORDER_OUTAGE if status == "stale" else RECORDER_RECOVERED, text))
        self._write(subject, status, detail)

    def _write(self, subject: str, status: str, detail: str) -> None:
        row = HealthEventRecord(self._session_id, subject, status, detail, self.context.clock.now_ms())
        self.context.tell(addresses.DB_WRITER, Persist((row,)))

    # -- exits --------------------------------------------------------------------------------------------------

    def _check_exits(self) -> None:
        now_ms = self.context.clock.now_ms()
        for place, position in self._positions.items():
            portfolio, condition_id = place
            reason = self._exit_reason(position.asset, condition_id, now_ms)
            if reason is None:
                continue
            asked_ms = self._asked.get(place)
            if asked_ms is None or now_ms - asked_ms >= EXIT_AGAIN_S * 1000:
                self._asked[place] = now_ms
                self.context.tell(portfolio, ForcedExit(position.asset, condition_id, reason))
        for condition_id, market in list(self._markets.items()):
            if market.window.seconds_left(now_ms) < -market.window.length_s:
                del self._markets[condition_id]

    def _check_closed(self) -> None:
        """Have taken back what rests in markets that are closed; asked again until it is gone."""
        now_ms = self.context.clock.now_ms()
        for place, asset in self._busy.items():
            portfolio, condition_id = place
            if level(self.context.gate.state, asset) is not GateLevel.CLOSED:
                self._recalled.pop(place, None)
            elif now_ms - self._recalled.get(place, 0) >= EXIT_AGAIN_S * 1000:
                self._recalled[place] = now_ms
                self.context.tell(self._executors[portfolio], CancelRequested(condition_id))

    def _held(self, position: PositionPublished) -> None:
        place = position.portfolio, position.condition_id
        if position.busy:
            self._busy[place] = position.asset
        else:
            self._busy.pop(place, None)
            self._recalled.pop(place, None)
        if position.side is None:
            self._positions.pop(place, None)
            self._asked.pop(place, None)
        else:
            self._positions[place] = position

    def _exit_reason(self, asset: str, condition_id: str, now_ms: int) -> str | None:
        market = self._markets.get(condition_id)
        if market is None or market.window.seconds_left(now_ms) <= 0:
            return None
        if asset in self._retired:
            return RETIRED
        if is_flattened(self.context.gate.state, asset):
            return FLATTEN
        if self._limits.exit_before_s is None or asset in self._limits.hold_to_settlement:
            return None
        return "T-2" if exit_due(market.window, now_ms, self._limits.exit_before_s) else None
