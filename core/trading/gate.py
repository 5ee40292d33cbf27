"""The gate's rules: which holds lie on which asset, and what they still allow."""

from collections.abc import Iterable
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


STRICTEST = {
    OrderKind.OPEN_ORDER: GateLevel.OPEN,
    OrderKind.REDUCE: GateLevel.REDUCE_ONLY,
    OrderKind.CANCEL: GateLevel.CLOSED,
}
"""The strictest level at which each kind is still allowed."""


class Hold(msgspec.Struct, frozen=True, order=True):
    """One reason to keep the gate shut; `scope` is an asset, or empty for all of them.

    `detail` is for people; `set_by` is who, empty for the program itself, `set_at_ms` unix time, 0 where nobody looked
    at a clock. In the assets of `softened_for` it counts as reduce-only at most: what is held there is to be sold.
    """

    scope: str
    reason: str
    level: GateLevel
    detail: str = ""
    set_by: str = ""
    set_at_ms: int = 0
    softened_for: tuple[str, ...] = ()

    def level_in(self, asset: str) -> GateLevel:
        """Return how far this hold shuts the gate for `asset`; empty asks for what is traded in general."""
        if self.scope not in ("", asset):
            return GateLevel.OPEN
        return min(self.level, GateLevel.REDUCE_ONLY) if asset in self.softened_for else self.level


class GateState(msgspec.Struct, frozen=True):
    """Every hold in force, sorted; `sequence` grows by one at each change."""

    holds: tuple[Hold, ...] = ()
    sequence: int = 0


def is_held(state: GateState, reason: str, scope: str = "") -> bool:
    """Return whether the hold `(scope, reason)` is in force."""
    return any((hold.scope, hold.reason) == (scope, reason) for hold in state.holds)


def level(state: GateState, asset: str) -> GateLevel:
    """Return the strictest level among the holds on `asset` and on everything."""
    return max((hold.level_in(asset) for hold in state.holds), default=GateLevel.OPEN)


def permits(state: GateState, asset: str, kind: OrderKind) -> bool:
    """Return whether a request of this kind may pass for `asset`."""
    return level(state, asset) <= STRICTEST[kind]


def with_hold(
    state: GateState,
    scope: str | None,
    reason: str,
    at_level: GateLevel,
    *,
    detail: str = "",
    set_by: str = "",
    set_at_ms: int = 0,
) -> GateState:
    """Return `state` with the hold `(scope, reason)` at `at_level`; scope None is every asset, OPEN lifts the hold.

    The same state, same sequence, comes back when nothing changes: who set a hold first, and when, stays.
    """
    key = (scope or "", reason)
    if at_level is not GateLevel.OPEN:
        return with_holds(state, (Hold(*key, at_level, detail, set_by, set_at_ms),))
    holds = tuple(hold for hold in state.holds if (hold.scope, hold.reason) != key)
    return state if holds == state.holds else GateState(holds, state.sequence + 1)


def with_holds(state: GateState, holds: Iterable[Hold]) -> GateState:
    """Return `state` with each of `holds` in the place of the one with its scope and reason, in one step.

    One that shuts the gate exactly as far as the one that is there leaves it, and its author, alone.
    """
    kept = {(hold.scope, hold.reason): hold for hold in state.holds}
    for hold in holds:
        there = kept.get((hold.scope, hold.reason))
        if there is None or (there.level, there.softened_for) != (hold.level, hold.softened_for):
            kept[hold.scope, hold.reason] = hold
    after = tuple(sorted(kept.values()))
    return state if after == state.holds else GateState(after, state.sequence + 1)


def without_hold(state: GateState, scope: str | None, reason: str) -> GateState:
    """Return `state` without the hold `(scope, reason)`; the same state when there was none."""
    return with_hold(state, scope, reason, GateLevel.OPEN)


def stricter(one: GateState, other: GateState) -> GateState:
    """Return the union of two persisted values, each hold at its stricter level.

    The sequence is the larger one, plus one where the union differs from the value it came with.
    """
    kept: dict[tuple[str, str], Hold] = {}
    for hold in (*one.holds, *other.holds):
        key = (hold.scope, hold.reason)
        kept[key] = hold if key not in kept else _stricter_of(kept[key], hold)
    holds = tuple(sorted(kept.values()))
    newest = one if one.sequence >= other.sequence else other
    return newest if holds == newest.holds else GateState(holds, newest.sequence + 1)


def _stricter_of(one: Hold, other: Hold) -> Hold:
    if one.level is not other.level:
        return max(one, other, key=lambda hold: hold.level)
    first = min(one, other, key=lambda hold: hold.set_at_ms)
    both = tuple(sorted(set(one.softened_for) & set(other.softened_for)))
    return msgspec.structs.replace(first, softened_for=both)
