"""The holds that outlast the process, and what an operator's halt, flatten and resume make of them."""

from collections.abc import Iterable

import msgspec

from core.trading import losses
from core.trading.gate import GateLevel, GateState, Hold, stricter, with_holds

HALT = "halt"
FLATTEN = "flatten"
UNREADABLE = "gate file damaged"
MISMATCH = "reconciliation mismatch"
ORDER_FAILURES = "order failures"
LASTING = frozenset(
    (
        HALT,
        FLATTEN,
        UNREADABLE,
        *losses.REASONS,
        MISMATCH,
        ORDER_FAILURES,
    )
)
"""Reasons that a restart does not make untrue: only `resume` lifts them. All others end with what caused them."""


def lasting(state: GateState) -> tuple[Hold, ...]:
    """Return the holds that only `resume` lifts, sorted."""
    return tuple(hold for hold in state.holds if hold.reason in LASTING)


def halted(state: GateState, detail: str, set_by: str, set_at_ms: int) -> GateState:
    """Return `state` closed by an operator; what was to be flattened is not asked for any more."""
    if any(_shuts_all(hold) for hold in state.holds):
        return state
    kept = [hold for hold in state.holds if hold.reason not in (FLATTEN, HALT)]
    return _replaced(state, (*kept, Hold("", HALT, GateLevel.CLOSED, detail, set_by, set_at_ms)))


def flattened(state: GateState, scope: str, set_by: str, set_at_ms: int, detail: str = "") -> GateState:
    """Return `state` with what is held in `scope` (an asset, empty for all) to be sold, and nothing opened there.

    A lasting hold that closed the gate becomes reduce-only there; other holds stay as they are.
    """
    softer = (_softened(hold, scope) if hold.reason in LASTING else hold for hold in state.holds)
    wish = Hold(scope, FLATTEN, GateLevel.REDUCE_ONLY, detail, set_by, set_at_ms)
    return with_holds(_replaced(state, softer), (wish,))


def resumed(state: GateState) -> GateState:
    """Return `state` without its lasting holds."""
    return _replaced(state, (hold for hold in state.holds if hold.reason not in LASTING))


def is_flattened(state: GateState, asset: str) -> bool:
    """Return whether what is held in `asset` is to be sold because an operator said so."""
    return any(hold.reason == FLATTEN and hold.scope in ("", asset) for hold in state.holds)


def absorbed(state: GateState, news: Iterable[Hold]) -> GateState:
    """Return `state` with holds that somebody else has stored, each taken as the command it came from.

    Nothing is lifted by what is missing there: a store that lost a hold must not open the gate.
    """
    for hold in sorted(news, key=lambda each: (each.set_at_ms, each)):
        if hold.reason == FLATTEN:
            state = flattened(state, hold.scope, hold.set_by, hold.set_at_ms, hold.detail)
        elif _shuts_all(hold):
            state = halted(state, hold.detail, hold.set_by, hold.set_at_ms)
        else:
            state = stricter(state, GateState((hold,), 0))
    return state


def told(hold: Hold) -> str:
    """Return a hold as people read it: where, how far, why, who."""
    author = f" by {hold.set_by}" if hold.set_by else ""
    detail = f" ({hold.detail})" if hold.detail else ""
    return f"{hold.scope or 'all'} {hold.level.name.lower().replace('_', '-')}: {hold.reason}{detail}{author}"


def _shuts_all(hold: Hold) -> bool:
    return (hold.scope, hold.reason, hold.level, hold.softened_for) == ("", HALT, GateLevel.CLOSED, ())


def _softened(hold: Hold, scope: str) -> Hold:
    if hold.level is not GateLevel.CLOSED:
        return hold
    if scope in ("", hold.scope):
        return msgspec.structs.replace(hold, level=GateLevel.REDUCE_ONLY, softened_for=())
    if hold.scope:
        return hold  # of another asset
    return msgspec.structs.replace(hold, softened_for=tuple(sorted({*hold.softened_for, scope})))


def _replaced(state: GateState, holds: Iterable[Hold]) -> GateState:
    after = tuple(sorted(holds))
    return state if after == state.holds else GateState(after, state.sequence + 1)
