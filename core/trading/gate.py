"""The gate's rules: which holds lie on which asset, and what they still allow."""

from enum import IntEnum, StrEnum

import msgspec


class GateLevel(IntEnum):
    """How far the gate is shut; the larger, the stricter."""

    OPEN = 0
    REDUCE_ONLY = 1
    CLOSED = 2


class OrderKind(StrEnum):
    """What a request would do to our exposure."""

    OPEN_ORDER = "OPEN_ORDER"
    REDUCE = "REDUCE"
    CANCEL = "CANCEL"


_STRICTEST = {
    OrderKind.OPEN_ORDER: GateLevel.OPEN,
    OrderKind.REDUCE: GateLevel.REDUCE_ONLY,
    OrderKind.CANCEL: GateLevel.CLOSED,
}
"""The strictest level at which each kind is still allowed."""


class Hold(msgspec.Struct, frozen=True, order=True):
    """One reason to keep the gate shut; `scope` is an asset, or empty for all of them."""

    scope: str
    reason: str
    level: GateLevel


class GateState(msgspec.Struct, frozen=True):
    """Every hold in force, sorted; `sequence` grows by one at each change."""

    holds: tuple[Hold, ...] = ()
    sequence: int = 0


def level(state: GateState, asset: str) -> GateLevel:
    """Return the strictest level among the holds on `asset` and on everything."""
    return max((hold.level for hold in state.holds if hold.scope in ("", asset)), default=GateLevel.OPEN)


def permits(state: GateState, asset: str, kind: OrderKind) -> bool:
    """Return whether a request of this kind may pass for `asset`."""
    return level(state, asset) <= _STRICTEST[kind]


def with_hold(state: GateState, scope: str | None, reason: str, at_level: GateLevel) -> GateState:
    """Return `state` with the hold `(scope, reason)` at `at_level`; scope None is every asset, OPEN lifts the hold.

    The same state, same sequence, comes back when nothing changes.
    """
    kept = [hold for hold in state.holds if (hold.scope, hold.reason) != (scope or "", reason)]
    if at_level is not GateLevel.OPEN:
        kept.append(Hold(scope or "", reason, at_level))
    holds = tuple(sorted(kept))
    return state if holds == state.holds else GateState(holds, state.sequence + 1)


def without_hold(state: GateState, scope: str | None, reason: str) -> GateState:
    """Return `state` without the hold `(scope, reason)`; the same state when there was none."""
    return with_hold(state, scope, reason, GateLevel.OPEN)


def stricter(one: GateState, other: GateState) -> GateState:
    """Return the union of two persisted values, each hold at its stricter level.

    The sequence is the larger one, plus one where the union differs from the value it came with.
    """
    levels: dict[tuple[str, str], GateLevel] = {}
    for hold in (*one.holds, *other.holds):
        key = (hold.scope, hold.reason)
        levels[key] = max(hold.level, levels.get(key, GateLevel.OPEN))
    holds = tuple(sorted(Hold(scope, reason, at) for (scope, reason), at in levels.items()))
    newest = one if one.sequence >= other.sequence else other
    return newest if holds == newest.holds else GateState(holds, newest.sequence + 1)
