"""The gate's cell: one value, global and per asset, readable without a mailbox and from any thread.

Check and hand-over happen under the same lock as the setter: what passed before a closing is in flight, what comes
after it is refused. Each submit carries the gate's sequence number.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from core.trading.gate import STRICTEST, GateLevel, GateState, OrderKind, level, permits, with_hold, without_hold

HandOver = Callable[[int], None]
Refused = Callable[[GateLevel], None]


class GateCell:
    """Holds the gate's state. `observer` hears every change, under no lock.

    `fence`, if set, says how far the gate is shut beyond its holds at the moment of asking: what only a clock can tell
    to a process that was stopped. It is called under the gate's lock and must only compute. `now_ms` notes when a hold
    was set, where somebody will read that.
    """

    def __init__(self, state: GateState | None = None, now_ms: Callable[[], int] | None = None) -> None:
        self._lock = threading.Lock()
        self._state = state if state is not None else GateState()
        self._now_ms = now_ms
        self.observer: Callable[[GateState], None] | None = None
        self.fence: Callable[[], GateLevel] | None = None

    @property
    def state(self) -> GateState:
        """The current value; immutable."""
        return self._state

    def level(self, asset: str | None = None) -> GateLevel:
        """Return the level that applies to `asset`, or the global one."""
        held = level(self._state, asset or "")
        return held if self.fence is None else max(held, self.fence())

    def hold(self, scope: str | None, reason: str, at: GateLevel, detail: str = "") -> bool:
        """Add a hold for one asset (or globally with scope None) and return whether anything changed."""
        at_ms = 0 if self._now_ms is None else self._now_ms()
        return self.change(lambda state: with_hold(state, scope, reason, at, detail=detail, set_at_ms=at_ms))

    def release(self, scope: str | None, reason: str) -> bool:
        """Remove a hold and return whether anything changed."""
        return self.change(lambda state: without_hold(state, scope, reason))

    def submit(self, asset: str, kind: OrderKind, hand_over: HandOver, refused: Refused | None = None) -> int | None:
        """Call `hand_over(sequence)` under the gate's lock if the gate permits; None when it refuses.

        `hand_over` must only pass the order on (to a socket, a worker, the paper broker), never wait for an answer.
        `refused` hears the level that refused, under the lock too: a moment later it may be another one.
        """
        with self._lock:
            fenced = GateLevel.OPEN if self.fence is None else self.fence()
            if not permits(self._state, asset, kind) or fenced > STRICTEST[kind]:
                if refused is not None:
                    refused(max(level(self._state, asset), fenced))
                return None
            sequence = self._state.sequence
            hand_over(sequence)
            return sequence

    def change(self, change: Callable[[GateState], GateState]) -> bool:
        """Apply a rule to all holds in one step, under the lock, and return whether anything changed."""
        with self._lock:
            before = self._state
            self._state = change(before)
            after = self._state
        if after.sequence == before.sequence:
            return False
        if self.observer is not None:
            self.observer(after)
        return True


class Gate(Protocol):
    """What an actor sees of the gate."""

    @property
    def state(self) -> GateState:
        """The current value; immutable."""
        ...

    def level(self, asset: str | None = None) -> GateLevel:
        """Return the level that applies to `asset`, or the global one."""
        ...

    def hold(self, scope: str | None, reason: str, at: GateLevel, detail: str = "") -> bool:
        """Add a hold and return whether anything changed; `detail` is for people."""
        ...

    def release(self, scope: str | None, reason: str) -> bool:
        """Remove a hold and return whether anything changed."""
        ...

    def submit(self, asset: str, kind: OrderKind, hand_over: HandOver, refused: Refused | None = None) -> int | None:
        """Call `hand_over(sequence)` under the gate's lock if the gate permits; None when it refuses."""
        ...


class FencedGate:
    """The gate in one incarnation's hands: reading goes on for ever, setting and submitting end with the incarnation.

    `alive` is a context manager that yields whether the incarnation is still the one, and keeps it so meanwhile.
    """

    def __init__(self, cell: GateCell, alive: Callable[[], AbstractContextManager[bool]]) -> None:
        self._cell = cell
        self._alive = alive

    @property
    def state(self) -> GateState:
        """The current value; immutable."""
        return self._cell.state

    def level(self, asset: str | None = None) -> GateLevel:
        """Return the level that applies to `asset`, or the global one."""
        return self._cell.level(asset)

    def hold(self, scope: str | None, reason: str, at: GateLevel, detail: str = "") -> bool:
        """Add a hold and return whether anything changed; a replaced incarnation changes nothing."""
        with self._alive() as alive:
            return alive and self._cell.hold(scope, reason, at, detail)

    def release(self, scope: str | None, reason: str) -> bool:
        """Remove a hold and return whether anything changed; a replaced incarnation changes nothing."""
        with self._alive() as alive:
            return alive and self._cell.release(scope, reason)

    def submit(self, asset: str, kind: OrderKind, hand_over: HandOver, refused: Refused | None = None) -> int | None:
        """Hand over if the gate permits and the incarnation is still the one; None when not.

        A replaced incarnation is refused at no level.
        """
        with self._alive() as alive:
            return self._cell.submit(asset, kind, hand_over, refused) if alive else None
