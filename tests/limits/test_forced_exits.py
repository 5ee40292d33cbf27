"""Which rule sells a position whatever the policy says, and which of several is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.market.window import Window
from core.trading.forced_exits import (
    MAX_AGE,
    RETIRED,
    STALE_BOOK,
    STOP_LOSS,
    T_2,
    TAKE_PROFIT,
    ForcedExitRules,
    Held,
    exit_reason,
    held_by_choice,
)
from core.trading.lasting_holds import FLATTEN
from core.trading.money import MICRO
from tests.trading.builders import OPENS_S

WINDOW = Window("BTC", OPENS_S, 900)
OPENED_MS = OPENS_S * 1000
ALL = ForcedExitRules(exit_before_s=120.0, max_age_s=600.0, stale_book_s=60.0, take_profit=0.2, stop_loss=0.3)
HELD = Held(WINDOW, OPENED_MS, shares=10 * MICRO, cost_usd=5 * MICRO, bid=500_000, book_age_s=1.0)
"""Ten shares that cost 0.50 each and are bid for at that."""


def at(second: float, window: Window = WINDOW) -> int:
    """Return unix milliseconds, `second` after the window's opening."""
    return round((window.opens_at_s + second) * 1000)


def bid(price: int) -> Held:
    return replace(HELD, bid=price)


def test_a_position_that_no_rule_concerns_is_left_alone() -> None:
    assert exit_reason(HELD, ALL, at(300)) is None


@pytest.mark.parametrize(
    ("held", "rules", "second", "reason"),
    [
        (HELD, ALL, 599.999, None),
        (HELD, ALL, 600, MAX_AGE),
        (HELD, ALL, 779.999, MAX_AGE),
        (HELD, replace(ALL, max_age_s=None), 779.999, None),
        (HELD, replace(ALL, max_age_s=None), 780, T_2),
        (HELD, ALL, 780, T_2),
        (HELD, replace(ALL, exit_before_s=None), 780, MAX_AGE),
        (replace(HELD, book_age_s=60.0), ALL, 300, None),
        (replace(HELD, book_age_s=60.001), ALL, 300, STALE_BOOK),
        (replace(HELD, book_age_s=None), ALL, 300, None),
        (replace(HELD, book_age_s=900.0), replace(ALL, stale_book_s=None), 300, None),
        (bid(350_001), ALL, 300, None),
        (bid(350_000), ALL, 300, STOP_LOSS),
        (bid(350_000), replace(ALL, stop_loss=None), 300, None),
        (bid(599_999), ALL, 300, None),
        (bid(600_000), ALL, 300, TAKE_PROFIT),
        (bid(600_000), replace(ALL, take_profit=None), 300, None),
        (replace(HELD, bid=None), ALL, 300, None),
        (replace(bid(1), cost_usd=0), ALL, 300, None),
    ],
)
def test_each_rule_begins_exactly_at_its_value_and_not_without_it(
    held: Held, rules: ForcedExitRules, second: float, reason: str | None
) -> None:
    assert exit_reason(held, rules, at(second)) == reason


@pytest.mark.parametrize("before_s", [30.0, 60.0, 300.0])
def test_the_clocks_rule_begins_where_its_setting_says(before_s: float) -> None:
    rules = ForcedExitRules(exit_before_s=before_s, max_age_s=None)
    by_choice = replace(rules, hold_to_settlement=("BTC",))
    assert exit_reason(HELD, rules, at(900 - before_s - 0.001)) is None
    assert exit_reason(HELD, rules, at(900 - before_s)) == T_2
    assert not held_by_choice(HELD, by_choice, at(900 - before_s - 0.001))
    assert held_by_choice(HELD, by_choice, at(900 - before_s))


def test_the_strongest_reason_is_named() -> None:
    worst, late = replace(bid(1), book_age_s=100.0), at(790)
    assert exit_reason(worst, ALL, late, retired=True, flattened=True) == RETIRED
    assert exit_reason(worst, ALL, late, flattened=True) == FLATTEN
    assert exit_reason(worst, ALL, late) == T_2
    assert exit_reason(worst, ALL, at(610)) == MAX_AGE
    assert exit_reason(worst, ALL, at(300)) == STALE_BOOK
    assert exit_reason(replace(worst, book_age_s=0.0), ALL, at(300)) == STOP_LOSS


def test_the_clocks_rules_shrink_with_the_window_and_the_books_does_not() -> None:
    window = Window("BTC", OPENS_S, 60)
    held = replace(HELD, window=window)
    assert exit_reason(held, ALL, at(39.999, window)) is None
    assert exit_reason(held, ALL, at(40, window)) == MAX_AGE
    assert exit_reason(held, replace(ALL, max_age_s=None), at(51.999, window)) is None
    assert exit_reason(held, replace(ALL, max_age_s=None), at(52, window)) == T_2
    assert exit_reason(replace(held, book_age_s=59.0), ALL, at(30, window)) is None


def test_what_is_held_to_settlement_is_sold_by_price_or_order_but_not_by_the_clock() -> None:
    rules = replace(ALL, hold_to_settlement=("BTC",))
    late = at(890)
    assert exit_reason(replace(HELD, book_age_s=500.0), rules, late) is None
    assert exit_reason(bid(100_000), rules, late) == STOP_LOSS
    assert exit_reason(HELD, rules, late, flattened=True) == FLATTEN
    assert exit_reason(HELD, rules, late, retired=True) == RETIRED
    assert exit_reason(HELD, replace(ALL, hold_to_settlement=("ETH",)), late) == T_2


@given(st.booleans(), st.booleans(), st.integers(0, 2_000), st.integers(1, MICRO - 1))
def test_after_the_close_nothing_is_sold(retired: bool, flattened: bool, late_ms: int, price: int) -> None:  # noqa: FBT001
    now_ms = at(900) + late_ms
    assert exit_reason(bid(price), ALL, now_ms, retired=retired, flattened=flattened) is None
    assert not held_by_choice(HELD, replace(ALL, exit_before_s=None), now_ms)


def test_the_last_moment_before_the_close_still_counts() -> None:
    assert exit_reason(HELD, ALL, at(899.999)) == T_2


# -- gain -------------------------------------------------------------------------------------------------------------


def test_the_gain_is_what_the_bid_pays_beyond_the_cost() -> None:
    assert bid(600_000).gain == pytest.approx(0.2)
    assert bid(400_000).gain == pytest.approx(-0.2)
    assert replace(HELD, bid=None).gain is None
    assert replace(HELD, cost_usd=0).gain is None
    assert replace(HELD, cost_usd=1).gain == pytest.approx(4_999_999.0)


@given(st.integers(0, MICRO), st.floats(0.01, 3), st.floats(0.01, 1))
def test_no_position_is_at_once_a_loss_to_cut_and_a_profit_to_take(price: int, profit: float, loss: float) -> None:
    rules = ForcedExitRules(None, None, None, profit, loss)
    reason, gain = exit_reason(bid(price), rules, at(300)), bid(price).gain
    assert gain is not None
    assert (reason == STOP_LOSS) == (gain <= -loss)
    assert (reason == TAKE_PROFIT) == (gain >= profit)


# -- held by choice ---------------------------------------------------------------------------------------------------


def test_an_asset_held_to_settlement_is_noted_when_it_would_have_been_sold() -> None:
    rules = replace(ALL, hold_to_settlement=("BTC",))
    assert not held_by_choice(HELD, rules, at(779.999))
    assert held_by_choice(HELD, rules, at(780))
    assert held_by_choice(HELD, rules, at(899.999))
    assert not held_by_choice(HELD, rules, at(900))


def test_where_no_rule_sells_before_the_close_it_is_noted_just_before_it() -> None:
    never = replace(ALL, exit_before_s=None)
    assert not held_by_choice(HELD, never, at(889.999))
    assert held_by_choice(HELD, never, at(890))
    assert not held_by_choice(HELD, ALL, at(895))


def test_an_asset_held_to_settlement_without_such_a_rule_is_noted_two_minutes_before() -> None:
    rules = replace(ALL, exit_before_s=None, hold_to_settlement=("BTC",))
    assert not held_by_choice(HELD, rules, at(779.999))
    assert held_by_choice(HELD, rules, at(780))


def test_in_a_short_window_there_are_two_seconds_to_note_it() -> None:
    held = replace(HELD, window=Window("BTC", OPENS_S, 60))
    never = replace(ALL, exit_before_s=None)
    assert not held_by_choice(held, never, at(57.999, held.window))
    assert held_by_choice(held, never, at(58, held.window))
