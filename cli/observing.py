"""Turns what the runtime and the gate announce into log lines, health events, dead letters and alerts."""

import re
import threading
import time
from collections.abc import Callable

from loguru import logger

from actors import addresses
from core.alerts.kinds import KILL_SWITCH, RECOVERY, START
from core.market.health import RECOVERED, Health
from core.messages import Alert, Persist
from core.records import DeadLetterRecord, HealthEventRecord
from core.runtime.supervision import DeadLetter, SystemEvent
from core.runtime.threaded import ThreadedRuntime
from core.trading.gate import GateState, Hold, level
from core.trading.lasting_holds import LASTING, told

QUIET = re.compile(r" stale\)?$|reduce-only: starting$")
"""Gate lines for the file only: the watchdog names a stale feed and its reason in one line of its own."""
PER_ASSET = re.compile(r"^(feed\.\w+|market)\.[A-Z]+")
ALIKE_WITHIN_S = 1.0
ROUTINE = "for an earlier incarnation"
"""Dead letters that every restart makes: counted and kept, but not worth a log line each."""


class Observer:
    """Listens to one runtime. Called from whatever thread an event happens in, so it only logs and tells.

    Args:
        system: the runtime.
        session_id: whose rows they are.
        scrub: takes secrets out of what an exception says, for lines and rows.
    """

    def __init__(self, system: ThreadedRuntime, session_id: int, scrub: Callable[[str], str] = str) -> None:
        self._system = system
        self._session_id = session_id
        self._scrub = scrub
        self._lock = threading.Lock()
        self._gate = system.gate.state
        system.observers.append(self._heard)
        system.gate.observer = self._gate_changed

    def announce(self, text: str, *, resumed: bool) -> None:
        """Say that everything was started, and what it goes on with."""
        self._system.tell(addresses.NOTIFIER, Alert(RECOVERY if resumed else START, text))

    def _heard(self, event: SystemEvent | DeadLetter) -> None:
        if isinstance(event, DeadLetter):
            self._dead_letter(event)
            return
        if event.kind == "started" and event.incarnation == 1:
            return
        if event.kind == "stopped":
            return
        said = self._scrub(event.detail)
        level = "ERROR" if event.kind in ("failed", "retired") else "WARNING" if event.kind != "started" else "INFO"
        logger.log(level, "{} {} (incarnation {}): {}", event.address, event.kind, event.incarnation, said)
        detail = f"{event.kind} (incarnation {event.incarnation}): {said}"
        row = HealthEventRecord(self._session_id, event.address, health_after(event.kind), detail, event.at_ms)
        self._system.tell(addresses.DB_WRITER, Persist((row,)))
        again = event.kind == "started"
        detail = f"incarnation {event.incarnation} runs" if again else said
        kind = "actor restarted" if again else f"actor {event.kind}"
        self._system.tell(addresses.NOTIFIER, Alert(kind, f"{event.address}: {detail}"))

    def _dead_letter(self, letter: DeadLetter) -> None:
        if letter.target == addresses.DB_WRITER.name or letter.reason == ROUTINE:
            return
        reason = self._scrub(letter.reason)
        logger.warning("dead letter: {} for {}: {}", letter.message_type, letter.target, reason)
        row = DeadLetterRecord(
            session_id=self._session_id,
            target=letter.target,
            sender=letter.sender,
            incarnation=letter.incarnation,
            message_type=letter.message_type,
            reason=reason,
            at_ms=letter.at_ms,
        )
        self._system.tell(addresses.DB_WRITER, Persist((row,)))

    def _gate_changed(self, state: GateState) -> None:
        with self._lock:
            before, self._gate = self._gate, state
        for hold in state.holds:
            if hold not in before.holds:
                self._gate_line(hold.scope, f"{hold.level.name.lower().replace('_', '-')}: {hold.reason}", state)
                if _tripped(hold):
                    self._system.tell(addresses.NOTIFIER, Alert(KILL_SWITCH, told(hold)))
        for hold in before.holds:
            if all((hold.scope, hold.reason) != (kept.scope, kept.reason) for kept in state.holds):
                now = level(state, hold.scope).name.lower().replace("_", "-")
                self._gate_line(hold.scope, f"{now} (hold lifted: {hold.reason})", state)

    def _gate_line(self, scope: str, text: str, state: GateState) -> None:
        """Log a change with the number that orders carry, and write it down."""
        subject = f"gate {scope}" if scope else "gate"
        said = logger.bind(gate_sequence=state.sequence, holds=[told(hold) for hold in state.holds])
        said.log("DEBUG" if QUIET.search(text) else "INFO", "{} {}", subject, text)
        row = HealthEventRecord(self._session_id, subject, "changed", text, self._system.clock.now_ms())
        self._system.tell(addresses.DB_WRITER, Persist((row,)))


def health_after(kind: str) -> str:
    """Return what a turn in an actor's life says of its health, as it is written down."""
    if kind == "started":
        return RECOVERED
    return (Health.CRITICAL if kind in ("failed", "retired") else Health.DEGRADED).value


def _tripped(hold: Hold) -> bool:
    """Return whether the program itself set a hold that only a person lifts."""
    return hold.reason in LASTING and not hold.set_by


class OneOfAKind:
    """A log for actors: what several feeds or markets say alike within a second is one line, the rest is for the file.

    Args:
        monotonic_s: the clock.
        subject: the ids of what the line is about; they are bound to it.
    """

    def __init__(
        self, monotonic_s: Callable[[], float] = time.monotonic, subject: Callable[[], dict[str, str]] = dict
    ) -> None:
        self._monotonic_s = monotonic_s
        self._subject = subject
        self._lock = threading.Lock()
        self._said_s: dict[str, float] = {}

    def __call__(self, text: str) -> None:
        """Log `text`, at DEBUG when another asset's actor has just said the same."""
        about = logger.bind(**self._subject())
        about.opt(depth=1).log("DEBUG" if self._repeats(text) else "INFO", "{}", text)

    def _repeats(self, text: str) -> bool:
        alike = PER_ASSET.sub(r"\1", text)
        if alike == text:
            return False
        now_s = self._monotonic_s()
        with self._lock:
            said_s = self._said_s.get(alike)
            self._said_s = {key: at_s for key, at_s in self._said_s.items() if now_s - at_s < ALIKE_WITHIN_S}
            self._said_s[alike] = now_s
        return said_s is not None and now_s - said_s < ALIKE_WITHIN_S
