"""The dead-man's heartbeat: the venue hears from us every five seconds, or cancels what rests; we notice first."""

from collections.abc import Callable

from actors.execution import Host
from actors.live_signs import VenueSigns
from actors.venue_holds import MISSED
from core.errors import FuseboxError
from core.messages import Tick
from core.trading.gate import GateLevel
from venues.polymarket.heartbeat import BEAT_EVERY_S, CANCELS_AFTER_S
from venues.polymarket.live_account import TradingAccount

AGAIN_S = 1.0
LATE_S = CANCELS_AFTER_S - 2.0
"""Without a heartbeat for this long nothing new is opened: what rests may be cancelled any moment."""
BEAT, LATE = "beat", "silence"


class Pulse:
    """Beats from `start` on. `missed` hears when the venue may have cancelled everything, once it listens again."""

    def __init__(
        self,
        account: TradingAccount,
        host: Host,
        signs: VenueSigns,
        log: Callable[[str], None],
        missed: Callable[[], None],
    ) -> None:
        self._account = account
        self._host = host
        self._signs = signs
        self._log = log
        self._missed = missed
        self._beating = False
        self._heard_ms = host.context.clock.monotonic_ms()

    def start(self) -> None:
        """Beat at once, and notice if that takes too long."""
        self._host.context.timer(LATE, LATE_S, Tick(LATE))
        self.due()

    def due(self) -> None:
        """Beat, unless the last one is still on its way."""
        context = self._host.context
        context.timer(BEAT, BEAT_EVERY_S, Tick(BEAT))
        if not self._beating:
            self._beating = True
            context.work(BEAT, self._account.beat, lane="heartbeat")

    def done(self) -> None:
        """Note that the venue heard us."""
        context = self._host.context
        self._beating = False
        now_ms = context.clock.monotonic_ms()
        gap_s, self._heard_ms = (now_ms - self._heard_ms) / 1000, now_ms
        context.timer(LATE, LATE_S, Tick(LATE))
        self._signs.note(heartbeat_ms=context.clock.now_ms())
        if context.gate.release(None, MISSED):
            self._log(f"the venue hears our heartbeat again, after {gap_s:.0f} s")
        if gap_s >= CANCELS_AFTER_S:
            self._missed()

    def failed(self, error: FuseboxError) -> None:
        """Try again soon."""
        self._beating = False
        self._host.context.timer(BEAT, AGAIN_S, Tick(BEAT))
        self._hold(str(error))

    def late(self) -> None:
        """Hold the gate: the heartbeat on its way takes too long."""
        self._hold(f"none arrived for {LATE_S:g} s")

    def _hold(self, why: str) -> None:
        if self._host.context.gate.hold(None, MISSED, GateLevel.REDUCE_ONLY):
            self._log(f"{MISSED}: {why}")
