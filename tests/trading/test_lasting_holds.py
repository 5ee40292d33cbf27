"""What an operator's halt, flatten and resume make of the gate, and what a store's content may do to it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trading.gate import GateLevel, GateState, Hold, level, stricter, with_hold
from core.trading.lasting_holds import (
    FLATTEN,
    HALT,
    LASTING,
    absorbed,
    flattened,
    halted,
    is_flattened,
    lasting,
    resumed,
    told,
)

OPEN, REDUCE_ONLY, CLOSED = GateLevel.OPEN, GateLevel.REDUCE_ONLY, GateLevel.CLOSED
NOON_MS = 1_776_772_800_000
HOLDS = st.builds(
    Hold,
    st.sampled_from(["", "BTC", "ETH"]),
    st.sampled_from([HALT, "daily loss", "starting"]),
    st.sampled_from([REDUCE_ONLY, CLOSED]),
    softened_for=st.sampled_from([(), ("BTC",), ("BTC", "ETH")]),
)
STATES = st.lists(HOLDS, max_size=6).map(lambda holds: absorbed(GateState(), holds))


def a_halt(state: GateState | None = None) -> GateState:
    return halted(state or GateState(), "looking", "ada", NOON_MS)


def levels_of(state: GateState) -> list[GateLevel]:
    return [level(state, asset) for asset in ("", "BTC", "ETH")]


def test_a_halt_closes_everything_and_says_who_when_and_why() -> None:
    (hold,) = a_halt().holds

    assert (hold.level, hold.detail, hold.set_by, hold.set_at_ms) == (CLOSED, "looking", "ada", NOON_MS)
    assert levels_of(a_halt()) == [CLOSED, CLOSED, CLOSED]
    assert told(hold) == "all closed: halt (looking) by ada"


def test_a_second_halt_changes_nothing_and_leaves_the_first_one_its_author() -> None:
    once = a_halt()

    assert halted(once, "me too", "bob", NOON_MS + 1) is once


def test_flatten_makes_a_halt_reduce_only_for_its_asset_alone() -> None:
    state = flattened(a_halt(), "BTC", "ada", NOON_MS + 1)

    assert levels_of(state) == [CLOSED, REDUCE_ONLY, CLOSED]
    assert (is_flattened(state, "BTC"), is_flattened(state, "ETH")) == (True, False)
    assert levels_of(flattened(state, "", "ada", NOON_MS + 2)) == [REDUCE_ONLY, REDUCE_ONLY, REDUCE_ONLY]


def test_flatten_leaves_what_no_person_has_closed_closed() -> None:
    state = with_hold(a_halt(), None, "lease lost", CLOSED)

    assert levels_of(flattened(state, "", "ada", NOON_MS)) == [CLOSED, CLOSED, CLOSED]


def test_a_halt_after_a_flatten_closes_again_and_asks_for_no_more_exits() -> None:
    state = a_halt(flattened(a_halt(), "", "ada", NOON_MS))

    assert levels_of(state) == [CLOSED, CLOSED, CLOSED]
    assert not is_flattened(state, "BTC")


def test_resume_lifts_what_lasts_and_leaves_what_ends_with_its_cause() -> None:
    state = with_hold(with_hold(a_halt(), "BTC", "starting", REDUCE_ONLY), None, "daily loss", REDUCE_ONLY)

    assert {hold.reason for hold in lasting(state)} == {HALT, "daily loss"}
    assert [hold.reason for hold in resumed(state).holds] == ["starting"]


@given(STATES, st.sampled_from(["", "BTC", "ETH"]))
def test_flatten_never_opens_anything(state: GateState, scope: str) -> None:
    after = flattened(state, scope, "ada", NOON_MS)

    assert all(now >= min(before, REDUCE_ONLY) for now, before in zip(levels_of(after), levels_of(state), strict=True))
    assert level(after, scope or "BTC") >= REDUCE_ONLY


@given(STATES, st.lists(HOLDS, max_size=4))
def test_what_a_store_says_never_loosens_the_gate(state: GateState, news: list[Hold]) -> None:
    after = absorbed(state, news)

    assert all(now >= before for now, before in zip(levels_of(after), levels_of(state), strict=True))
    assert all(level(after, asset) >= hold.level_in(asset) for hold in news for asset in ("", "BTC", "ETH"))


@given(STATES, STATES)
def test_of_two_stores_the_stricter_wins_softened_holds_included(one: GateState, other: GateState) -> None:
    merged = stricter(one, other)

    assert levels_of(merged) == [max(pair) for pair in zip(levels_of(one), levels_of(other), strict=True)]


def test_a_flatten_that_was_stored_elsewhere_softens_the_halt_it_knew() -> None:
    elsewhere = flattened(a_halt(), "BTC", "ada", NOON_MS + 1)
    after = absorbed(a_halt(), [hold for hold in elsewhere.holds if hold not in a_halt().holds])

    assert levels_of(after) == [CLOSED, REDUCE_ONLY, CLOSED]


@pytest.mark.parametrize("reason", ["starting", "feed.binance.BTC stale", "database does not record", "lease lost"])
def test_what_ends_with_its_cause_does_not_last(reason: str) -> None:
    assert reason not in LASTING
    assert {HALT, FLATTEN} <= LASTING


def test_a_flatten_says_who_when_and_why_also_where_it_was_stored_elsewhere() -> None:
    state = flattened(GateState(), "BTC", "ada", NOON_MS, "leaving")
    (hold,) = state.holds

    assert hold == Hold("BTC", FLATTEN, REDUCE_ONLY, "leaving", "ada", NOON_MS)
    assert absorbed(GateState(), [hold]).holds == (hold,)
    assert flattened(GateState(), "", "ada", NOON_MS).holds == (Hold("", FLATTEN, REDUCE_ONLY, "", "ada", NOON_MS),)


def test_a_halt_that_was_stored_elsewhere_keeps_its_author() -> None:
    assert absorbed(GateState(), a_halt().holds).holds == a_halt().holds


def test_commands_that_were_stored_elsewhere_are_taken_in_the_order_they_were_given() -> None:
    flat = Hold("", FLATTEN, REDUCE_ONLY, set_by="ada", set_at_ms=NOON_MS)
    halt = Hold("", HALT, CLOSED, set_by="ada", set_at_ms=NOON_MS + 1)

    assert levels_of(absorbed(GateState(), [halt, flat])) == [CLOSED] * 3
    later = msgspec.structs.replace(halt, set_at_ms=NOON_MS - 1)
    assert levels_of(absorbed(GateState(), [flat, later])) == [REDUCE_ONLY] * 3


def test_flatten_of_everything_makes_a_halt_of_one_asset_reduce_only_too() -> None:
    state = GateState((Hold("ETH", HALT, CLOSED, softened_for=("ETH",)),))

    assert [hold.level for hold in flattened(state, "", "ada", NOON_MS).holds] == [REDUCE_ONLY] * 2
    assert all(hold.softened_for == () for hold in flattened(state, "", "ada", NOON_MS).holds)
    assert levels_of(flattened(state, "BTC", "ada", NOON_MS)) == levels_of(with_hold(state, "BTC", "x", REDUCE_ONLY))


def test_each_command_is_one_change_of_the_gate_and_none_where_nothing_changes() -> None:
    halt = a_halt(GateState((), 7))

    assert halt.sequence == 8
    assert resumed(halt).sequence == 9
    assert resumed(GateState((), 7)) == GateState((), 7)
    assert absorbed(halt, halt.holds) is halt
    known = with_hold(GateState((), 7), None, "daily loss", REDUCE_ONLY)
    assert absorbed(known, known.holds) == known
    assert absorbed(GateState(), known.holds).sequence == 1


def test_a_hold_is_told_with_what_is_known_of_it() -> None:
    assert told(Hold("BTC", "starting", REDUCE_ONLY)) == "BTC reduce-only: starting"
    assert told(Hold("", "halt", CLOSED, "", "ada")) == "all closed: halt by ada"
