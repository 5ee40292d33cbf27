"""The gate's levels, scopes and sequence."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trading.gate import (
    GateLevel,
    GateState,
    Hold,
    OrderKind,
    is_held,
    level,
    permits,
    stricter,
    with_hold,
    without_hold,
)

SCOPES = st.sampled_from([None, "BTC", "ETH"])
REASONS = st.sampled_from(["halt", "drawdown", "stale"])
HOLDS = st.lists(st.tuples(SCOPES, REASONS, st.sampled_from(GateLevel)), max_size=8)


def a_state(holds: list[tuple[str | None, str, GateLevel]]) -> GateState:
    state = GateState()
    for scope, reason, at_level in holds:
        state = with_hold(state, scope, reason, at_level)
    return state


@pytest.mark.parametrize(
    ("at_level", "allowed"),
    [
        (GateLevel.OPEN, {OrderKind.OPEN_ORDER, OrderKind.REDUCE, OrderKind.CANCEL}),
        (GateLevel.REDUCE_ONLY, {OrderKind.REDUCE, OrderKind.CANCEL}),
        (GateLevel.CLOSED, {OrderKind.CANCEL}),
    ],
)
def test_each_level_allows_what_the_design_says(at_level: GateLevel, allowed: set[OrderKind]) -> None:
    state = with_hold(GateState(), None, "halt", at_level)

    assert {kind for kind in OrderKind if permits(state, "BTC", kind)} == allowed


def test_a_hold_on_one_asset_leaves_the_others_alone() -> None:
    state = with_hold(GateState(), "BTC", "drawdown", GateLevel.REDUCE_ONLY)

    assert not permits(state, "BTC", OrderKind.OPEN_ORDER)
    assert permits(state, "ETH", OrderKind.OPEN_ORDER)


def test_lifting_one_reason_leaves_the_others_in_force() -> None:
    state = a_state([(None, "halt", GateLevel.CLOSED), ("BTC", "stale", GateLevel.REDUCE_ONLY)])

    assert level(without_hold(state, None, "halt"), "BTC") == GateLevel.REDUCE_ONLY


def test_sequence_grows_at_each_change_and_only_then() -> None:
    once = with_hold(GateState(), "BTC", "stale", GateLevel.REDUCE_ONLY)
    again = with_hold(once, "BTC", "stale", GateLevel.REDUCE_ONLY)
    lifted = without_hold(again, "BTC", "stale")

    assert again is once
    assert (once.sequence, lifted.sequence) == (1, 2)
    assert without_hold(lifted, "BTC", "stale") is lifted


@given(HOLDS, SCOPES, REASONS, st.sampled_from(GateLevel))
def test_a_hold_never_opens_the_gate_further_than_its_own_level(
    holds: list[tuple[str | None, str, GateLevel]], scope: str | None, reason: str, at_level: GateLevel
) -> None:
    state = with_hold(a_state(holds), scope, reason, at_level)

    assert level(state, scope or "BTC") >= at_level


@given(HOLDS, HOLDS)
def test_of_two_persisted_values_the_stricter_wins(
    here: list[tuple[str | None, str, GateLevel]], there: list[tuple[str | None, str, GateLevel]]
) -> None:
    one, other = a_state(here), a_state(there)
    merged = stricter(one, other)

    for asset in ("BTC", "ETH"):
        assert level(merged, asset) == max(level(one, asset), level(other, asset))
    assert merged.sequence >= max(one.sequence, other.sequence)


@given(HOLDS)
def test_the_state_survives_its_encoding(holds: list[tuple[str | None, str, GateLevel]]) -> None:
    state = a_state(holds)

    assert msgspec.json.decode(msgspec.json.encode(state), type=GateState) == state


def test_a_hold_is_found_by_scope_and_reason() -> None:
    state = a_state([(None, "halt", GateLevel.CLOSED), ("BTC", "stale", GateLevel.REDUCE_ONLY)])

    assert is_held(state, "halt")
    assert is_held(state, "stale", "BTC")
    assert not is_held(state, "stale")
    assert not is_held(state, "halt", "BTC")
    assert not is_held(GateState(), "halt")


def test_two_persisted_values_that_are_the_same_stay_as_they_are() -> None:
    one = a_state([(None, "halt", GateLevel.CLOSED)])
    other = GateState(one.holds, one.sequence)

    assert stricter(one, other) is one
    assert stricter(one, GateState(one.holds, 9)).sequence == 9


def test_a_union_that_is_news_to_the_newer_value_is_one_change() -> None:
    one = GateState((Hold("", "halt", GateLevel.CLOSED),), 4)
    other = GateState((Hold("BTC", "stale", GateLevel.REDUCE_ONLY),), 6)

    assert stricter(one, other).sequence == stricter(other, one).sequence == 7


def test_of_two_holds_alike_the_first_one_keeps_its_author_and_only_common_softening_stays() -> None:
    early = Hold("", "halt", GateLevel.CLOSED, "z", "zoe", 1, ("BTC", "ETH"))
    late = Hold("", "halt", GateLevel.CLOSED, "a", "ada", 2, ("ETH", "SOL"))
    for pair in ((early, late), (late, early)):
        (hold,) = stricter(GateState(pair[:1], 1), GateState(pair[1:], 1)).holds
        assert hold == Hold("", "halt", GateLevel.CLOSED, "z", "zoe", 1, ("ETH",))


def test_of_two_holds_the_stricter_one_stays_whole() -> None:
    mild = Hold("", "halt", GateLevel.REDUCE_ONLY, "z", "zoe", 1)
    hard = Hold("", "halt", GateLevel.CLOSED, "a", "ada", 2)
    for pair in ((mild, hard), (hard, mild)):
        assert stricter(GateState(pair[:1], 1), GateState(pair[1:], 1)).holds == (hard,)


def test_a_hold_keeps_who_set_it_and_when_and_says_nothing_where_nobody_told() -> None:
    told = with_hold(GateState(), None, "halt", GateLevel.CLOSED, detail="looking", set_by="ada", set_at_ms=5)

    assert told.holds == (Hold("", "halt", GateLevel.CLOSED, "looking", "ada", 5),)
    assert with_hold(GateState(), "BTC", "stale", GateLevel.CLOSED).holds == (Hold("BTC", "stale", GateLevel.CLOSED),)
