"""The WatchdogActor sets the gate and asks for exits by the clock.

It hears freshness from the feeds and the recorder, and what is held from the portfolios: no market actor can blind it.
Each reason to hold the gate is set and lifted by itself; the strictest one counts.
"""

from collections.abc import Callable

import msgspec

from actors import addresses
from actors.addresses import Account
from actors.exit_watch import ExitWatch
from actors.feed_watch import FeedLimits, FeedWatch, Turn, alert_of
from core.alerts.kinds import RECORDER_OUTAGE, RECORDER_RECOVERED, SETTLEMENT_OVERDUE
from core.market.health import RECOVERED, Health
from core.messages import (
    Alert,
    AssetAdded,
    AssetRemoved,
    AssetRetiring,
    FeedPulse,
    Persist,
    PositionPublished,
    PositionRequested,
    RecorderPulse,
    Tick,
)
from core.records import HealthEventRecord
from core.runtime.actor import Actor
from core.runtime.context import Context
from core.status import LimitStatus, WatchdogStatus
from core.trading.forced_exits import RETIRED, ForcedExitRules
from core.trading.gate import GateLevel

CHECK_S = 0.25
PULSE_LATE_S = 3.0
"""A recorder that says nothing for this long is dead or hung, whatever it said last."""
STARTING = "starting"
UNRECORDED, UNJOURNALED = "database does not record", "journal not writable"
SHOW_EVERY_MS = 1_000


class WatchdogLimits(msgspec.Struct, frozen=True):
    """When feeds are stale, when positions are sold, and how far behind the database may be."""

    feeds: FeedLimits
    exits: ForcedExitRules = ForcedExitRules()
    recorder_lag_s: float = 0.75
    """The recorder says how it is four times a second: within one second of the last sign of life the gate is shut."""


class WatchdogActor(Actor):
    """Stale feeds, clocks that disagree and an unreachable database take the gate off `open`; exits are asked for."""

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
        self._accounts = (Account(session_id),) if beside is None else (Account(session_id), beside)
        self._session_id = session_id
        self._limits = limits
        self._log = log
        self._feeds = FeedWatch(context, limits.feeds)
        self._exits = ExitWatch(context, self._accounts, limits.exits, self._feeds)
        self._recorder: tuple[RecorderPulse, float] | None = None
        self._retired: set[str] = set()
        self._started_ms = context.clock.monotonic_ms()
        self._watched_since_ms = dict.fromkeys(assets, self._started_ms)
        self._shown_ms: float | None = None

    def on_start(self) -> None:
        """Hold the gate of each asset until its feeds have been heard, and ask what is held."""
        holds = self.context.gate.state.holds
        self._retired.update(hold.scope for hold in holds if hold.reason == RETIRED)
        for asset in self._watched_since_ms:
            self._begin(asset)
        self.context.timer("check", CHECK_S, Tick("check"))

    def _begin(self, asset: str) -> None:
        self.context.gate.hold(asset, STARTING, GateLevel.REDUCE_ONLY)
        for account in self._accounts:
            self.context.tell(account.portfolio, PositionRequested(asset, self.context.address))

    def receive(self, message: object) -> None:
        """Note what is heard; judge on the timer."""
        match message:
            case FeedPulse():
                self._feeds.hear(message)
            case RecorderPulse():
                self._recorder = (message, self.context.clock.monotonic_ms())
                self._check_recorder()
            case PositionPublished():
                self._exits.hear(message)
            case AssetRetiring():
                self._retired.add(message.asset)
                self.context.gate.hold(message.asset, RETIRED, GateLevel.REDUCE_ONLY)
                self.context.tell(addresses.NOTIFIER, Alert("asset retired", message.reason))
            case AssetAdded(asset=asset):
                self._feeds.forget(asset)
                self._retired.discard(asset)
                self._watched_since_ms[asset] = self.context.clock.monotonic_ms()
                self._begin(asset)
            case AssetRemoved(asset=asset):
                self._watched_since_ms.pop(asset, None)
                self._feeds.forget(asset)
            case Tick(name="check"):
                self._check()
                self.context.timer("check", CHECK_S, Tick("check"))

    def _check(self) -> None:
        now_ms = self.context.clock.monotonic_ms()
        waited_s = {asset: (now_ms - since_ms) / 1000 for asset, since_ms in self._watched_since_ms.items()}
        for asset, so_far_s in waited_s.items():
            if self._feeds.check(asset, so_far_s):
                self.context.gate.release(asset, STARTING)
        self._tell_turned()
        self._check_recorder()
        for text in self._exits.check(frozenset(self._retired), waited_s):
            self._note("settlement", "overdue", text, SETTLEMENT_OVERDUE)
        self._show(now_ms)

    # -- recorder -----------------------------------------------------------------------------------------------

    def _check_recorder(self) -> None:
        pulse, at_ms = self._recorder or (RecorderPulse(0.0, 0, None), self._started_ms)
        late_s = (self.context.clock.monotonic_ms() - at_ms) / 1000
        behind_s = max(pulse.lag_s, late_s if late_s > PULSE_LATE_S else 0.0)
        behind = behind_s > self._limits.recorder_lag_s
        detail = pulse.error or f"{behind_s:.1f} s behind"
        self._hold_while(UNRECORDED, "database", detail if behind else None, "everything is recorded again")
        self._hold_while(UNJOURNALED, "journal", pulse.journal_error, "it can be written again")

    def _hold_while(self, hold: str, subject: str, detail: str | None, mended: str) -> None:
        """Keep what is opened waiting for a store, and tell each turn."""
        if detail is None:
            if self.context.gate.release(None, hold):
                self._note(subject, RECOVERED, mended, RECORDER_RECOVERED)
        elif self.context.gate.hold(None, hold, GateLevel.REDUCE_ONLY, detail):
            self._note(subject, Health.CRITICAL.value, detail, RECORDER_OUTAGE)

    # -- telling ------------------------------------------------------------------------------------------------

    def _tell_turned(self) -> None:
        """Write each turn down, and log those of one venue that turned together in one line."""
        groups: dict[tuple[str, str], list[Turn]] = {}
        for turn in self._feeds.turns():
            self._write(turn.feed, turn.status, turn.detail)
            groups.setdefault((turn.feed.removesuffix(turn.asset).rstrip(". "), turn.status), []).append(turn)
        for (venue, status), turns in groups.items():
            text = f"{venue} {' '.join(turn.asset for turn in turns)} {status}: {turns[0].detail}"
            self._log(text)
            alert = alert_of(turns[0], text)
            if alert is not None:
                self.context.tell(addresses.NOTIFIER, alert)

    def _note(self, subject: str, status: str, detail: str, kind: str) -> None:
        text = f"{subject} {status}: {detail}"
        self._log(text)
        self.context.tell(addresses.NOTIFIER, Alert(kind, text))
        self._write(subject, status, detail)

    def _write(self, subject: str, status: str, detail: str) -> None:
        row = HealthEventRecord(self._session_id, subject, status, detail, self.context.clock.now_ms())
        self.context.tell(addresses.DB_WRITER, Persist((row,)))

    def _show(self, now_ms: float) -> None:
        """Show once a second that somebody watches, and how far the clocks are apart."""
        if self._shown_ms is not None and now_ms - self._shown_ms < SHOW_EVERY_MS:
            return
        self._shown_ms = now_ms
        allowed = self._limits.feeds.max_skew_ms
        lags = {asset: self._feeds.lag_ms(asset) for asset in self._watched_since_ms}
        clocks = tuple(
            LimitStatus("clock skew", asset, "ms", allowed, None if lag is None else abs(lag))
            for asset, lag in lags.items()
        )
        self.context.publish("watchdog", WatchdogStatus(now_ms, clocks if allowed is not None else ()))
