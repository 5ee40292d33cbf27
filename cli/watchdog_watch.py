"""Watches the watchdog: while it says nothing, nothing may be opened, whatever the runtime thinks of its thread."""

from loguru import logger

from actors import addresses
from core.alerts.kinds import GATE
from core.market.health import RECOVERED, Health
from core.messages import Alert, Persist
from core.records import HealthEventRecord
from core.runtime.system import ActorSystem
from core.status import WatchdogStatus
from core.trading.gate import GateLevel

SILENT = "watchdog silent"
SILENT_AFTER_S = 4.0
"""It looks four times a second and shows so once a second."""


class WatchdogWatch:
    """Looks when asked to, from the process's own thread: no actor can keep it from that."""

    def __init__(self, system: ActorSystem, session_id: int) -> None:
        self._system = system
        self._session_id = session_id
        self._since_ms = system.clock.monotonic_ms()

    def look(self) -> None:
        """Hold the gate while the watchdog's last look is too long ago."""
        shown = self._system.board.read("watchdog")
        status = None if shown is None else shown[0]
        looked_ms = status.checked_ms if isinstance(status, WatchdogStatus) else self._since_ms
        silent_s = (self._system.clock.monotonic_ms() - looked_ms) / 1000
        if silent_s <= SILENT_AFTER_S:
            if self._system.gate.release(None, SILENT):
                self._tell(RECOVERED, "it looks again")
        elif self._system.gate.hold(None, SILENT, GateLevel.REDUCE_ONLY, f"for {silent_s:.0f} s"):
            self._tell(Health.CRITICAL.value, f"it has not looked for {silent_s:.0f} s; nothing is opened")

    def _tell(self, status: str, detail: str) -> None:
        now_ms = self._system.clock.now_ms()
        logger.log("INFO" if status == RECOVERED else "ERROR", "watchdog {}: {}", status, detail)
        row = HealthEventRecord(self._session_id, "watchdog", status, detail, now_ms)
        self._system.tell(addresses.DB_WRITER, Persist((row,)))
        self._system.tell(addresses.NOTIFIER, Alert(GATE, f"watchdog {status}: {detail}"))
