"""The kill switch's arithmetic: a day that rolls at midnight UTC, a fall from the best result, a run of losses."""

from hypothesis import given
from hypothesis import strategies as st

from core.trading.losses import (
    DAILY,
    DAY_MS,
    DRAWDOWN,
    REASONS,
    STREAK,
    Losses,
    LossLimits,
    exceeded,
    lifted,
    seen,
    with_trade,
)
from core.trading.money import MICRO

NOON_MS = 20_000 * DAY_MS + DAY_MS // 2
MIDNIGHT_MS = 20_001 * DAY_MS
RESULTS = st.integers(-1_000 * MICRO, 1_000 * MICRO)


def reached(losses: Losses, result_usd: int, limits: LossLimits) -> list[str]:
    return [reason for reason, _ in exceeded(losses, result_usd, limits)]


def test_a_days_loss_is_counted_from_the_result_it_began_with() -> None:
    losses = seen(Losses(), 30, NOON_MS)
    assert losses.lost_today_usd(-20) == 50
    assert losses.lost_today_usd(30) == losses.lost_today_usd(31) == 0
    assert seen(losses, -20, MIDNIGHT_MS - 1).lost_today_usd(-20) == 50


def test_midnight_utc_begins_a_new_day_with_the_result_so_far() -> None:
    losses = seen(seen(Losses(), 30, NOON_MS), -20, MIDNIGHT_MS)
    assert (losses.day, losses.day_from_usd) == (20_001, -20)
    assert losses.lost_today_usd(-25) == 5


def test_a_clock_that_is_set_back_begins_no_day_again() -> None:
    losses = seen(seen(Losses(), 0, MIDNIGHT_MS), -40, NOON_MS)
    assert losses.lost_today_usd(-40) == 40
    assert seen(losses, -40, MIDNIGHT_MS + 5).lost_today_usd(-40) == 40


def test_drawdown_is_the_fall_from_the_best_result_whatever_the_day() -> None:
    losses = Losses()
    for result, at_ms in ((10, NOON_MS), (70, NOON_MS), (20, MIDNIGHT_MS), (60, MIDNIGHT_MS + DAY_MS)):
        losses = seen(losses, result, at_ms)
    assert losses.peak_usd == 70
    assert (losses.drawdown_usd(15), losses.drawdown_usd(75)) == (55, 0)


def test_a_session_that_only_loses_falls_from_nothing() -> None:
    assert seen(Losses(), -30, NOON_MS).drawdown_usd(-30) == 30


@given(st.lists(RESULTS, min_size=1))
def test_within_a_day_losses_count_from_its_first_result_and_from_the_best_so_far(results: list[int]) -> None:
    losses, best = Losses(), 0
    for result in results:
        losses, best = seen(losses, result, NOON_MS), max(best, result)
        assert losses.drawdown_usd(result) == best - result
        assert losses.lost_today_usd(result) == max(0, results[0] - result)


@given(st.lists(st.integers(-3, 3)))
def test_a_streak_counts_the_losing_trades_since_the_last_gain(trades: list[int]) -> None:
    losses, expected = Losses(), 0
    for pnl in trades:
        losses = with_trade(losses, pnl)
        expected = expected + 1 if pnl < 0 else 0 if pnl > 0 else expected
    assert losses.streak == expected


def test_each_limit_is_reached_exactly_at_its_value() -> None:
    losses = Losses(day=20_000, day_from_usd=10 * MICRO, peak_usd=20 * MICRO, streak=3)
    assert reached(losses, 0, LossLimits(10 * MICRO, 20 * MICRO, 3)) == [DAILY, DRAWDOWN, STREAK]
    assert reached(losses, 0, LossLimits(10 * MICRO + 1, 20 * MICRO + 1, 4)) == []
    assert reached(losses, 0, LossLimits()) == []


def test_what_was_reached_is_told_in_dollars_beside_its_limit() -> None:
    losses = Losses(day=20_000, day_from_usd=10 * MICRO, peak_usd=20 * MICRO, streak=3)
    assert dict(exceeded(losses, -MICRO, LossLimits(5 * MICRO, 6 * MICRO, 2))) == {
        DAILY: "11.00 USD lost since midnight UTC, limit 5.00",
        DRAWDOWN: "21.00 USD below the session's best, limit 6.00",
        STREAK: "3 losing trades in a row, limit 2",
    }


@given(RESULTS, RESULTS, RESULTS, st.integers(1, 20))
def test_what_a_person_lifted_counts_anew_and_the_rest_goes_on(day_from: int, peak: int, result: int, run: int) -> None:
    losses = Losses(20_000, day_from, peak, run, REASONS)
    limits = LossLimits(1, 1, 1)
    for reason in REASONS:
        after = lifted(losses, reason, result)
        assert after.tripped == tuple(kept for kept in REASONS if kept != reason)
        assert reason not in reached(after, result, limits)
        others = [other for other in reached(losses, result, limits) if other != reason]
        assert reached(after, result, limits) == others
