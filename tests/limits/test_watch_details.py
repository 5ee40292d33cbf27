"""The watchdog alone on a stage: when exactly it asks, and what it forgets."""

from typing import cast

import pytest
from msgspec.structs import replace

from actors import addresses
from actors.exit_watch import EXIT_AGAIN_S
from actors.feed_watch import OF_LATE_MS, FeedLimits, FeedWatch
from actors.watchdog import CHECK_S, WatchdogActor, WatchdogLimits
from core.market.market import Market
from core.messages import (
    AssetAdded,
    AssetRemoved,
    AssetRetiring,
    CancelRequested,
    FeedPulse,
    ForcedExit,
    HeldByChoice,
    Persist,
    PositionPublished,
    RecorderPulse,
)
from core.records import HealthEventRecord
from core.runtime.clock import VirtualClock
from core.runtime.context import Context
from core.status import FeedStatus, WatchdogStatus
from core.trading.forced_exits import ForcedExitRules
from core.trading.gate import GateLevel
from core.trading.money import MICRO
from core.trading.positions import Position
from tests.actors_data.builders import OPENS_MS, OPENS_S, WINDOW_S, Stage, market_of

NOW = market_of()
NEVER = ForcedExitRules(exit_before_s=None, max_age_s=None)


def on_stage(rules: ForcedExitRules = NEVER) -> Stage:
    """Return the watchdog among listeners, in a window of sixty seconds that has just opened."""
    stage = Stage(OPENS_MS)
    stage.listen(addresses.PORTFOLIO, addresses.EXECUTOR, addresses.DISCOVERY, addresses.DB_WRITER, addresses.NOTIFIER)
    limits = WatchdogLimits(FeedLimits(5.0, None), rules)
    stage.play(addresses.WATCHDOG, lambda context: WatchdogActor(context, ("BTC",), 1, limits, stage.said.append))
    return stage


def says(stage: Stage, shares: int = 10, *, busy: bool = False, market: Market = NOW, known: bool = True) -> None:
    """Let the portfolio say what it holds in a market, which it may not know any more."""
    held = Position(1, "BTC", market.condition_id, "UP", "i", OPENS_MS, OPENS_MS, shares * MICRO, MICRO)
    published = PositionPublished("BTC", market.condition_id, held if shares else None, busy, addresses.PORTFOLIO)
    stage.tell(addresses.WATCHDOG, replace(published, market=market if known else None))


def noted(stage: Stage, subject: str = "feed.polymarket.BTC") -> list[HealthEventRecord]:
    """Return what was written down about a subject."""
    rows = [row for told in stage.told(addresses.DB_WRITER, Persist) for row in told.rows]
    return [row for row in rows if isinstance(row, HealthEventRecord) and row.subject == subject]


def pulse(stage: Stage, *, bad_frames: int = 0, connected: bool = True) -> None:
    """Let the book feed say how it is."""
    message = FeedPulse(
        feed="feed.polymarket.BTC",
        asset="BTC",
        connected=connected,
        has_data=True,
        age_s=0.5,
        frames=7,
        bad_frames=bad_frames,
        reconnects=2,
        detail="connected",
    )
    stage.tell(addresses.WATCHDOG, message)


def restarts(stage: Stage) -> int:
    return stage.system.cells[addresses.WATCHDOG].restarts


def asked_ms(stage: Stage) -> list[int]:
    return stage.told_at(addresses.PORTFOLIO, ForcedExit)


def test_an_exit_is_asked_for_at_the_first_look_and_then_every_other_second() -> None:
    stage = on_stage(ForcedExitRules(exit_before_s=450.0))
    says(stage)
    stage.run(40)
    first, *later = asked_ms(stage)
    assert first - OPENS_MS == 30_000
    assert later == [first + round(EXIT_AGAIN_S * 1000) * (n + 1) for n in range(len(later))]
    assert len(later) >= 4


def test_a_position_whose_market_is_not_known_is_nobodys_to_judge() -> None:
    stage = on_stage(ForcedExitRules(exit_before_s=900.0))
    says(stage, known=False)
    stage.run(2)
    assert restarts(stage) == 0
    assert asked_ms(stage) == []


def test_it_is_asked_for_until_the_close() -> None:
    stage = on_stage(replace(NEVER, exit_before_s=0.75 * 15))
    says(stage)
    stage.run(WINDOW_S + 1)
    assert asked_ms(stage) == [OPENS_MS + 59_250]
    assert stage.told(addresses.PORTFOLIO, ForcedExit) == [ForcedExit("BTC", NOW.condition_id, "T-2")]


def test_a_wish_to_hold_is_repeated_too() -> None:
    stage = on_stage(ForcedExitRules(exit_before_s=75.0, hold_to_settlement=("BTC",)))
    says(stage)
    stage.run(WINDOW_S + 1)
    assert stage.told(addresses.PORTFOLIO, HeldByChoice) == [HeldByChoice("BTC", NOW.condition_id)] * 3
    assert restarts(stage) == 0


def test_one_position_keeps_no_other_from_being_judged() -> None:
    lost, over = market_of(opens_s=OPENS_S - WINDOW_S), market_of(opens_s=OPENS_S - 2 * WINDOW_S)
    stage = on_stage(ForcedExitRules(exit_before_s=900.0))
    says(stage, market=lost, known=False)
    says(stage, market=over)
    says(stage)
    stage.run(1)
    assert [told.condition_id for told in stage.told(addresses.PORTFOLIO, ForcedExit)] == [NOW.condition_id]


def test_two_settlements_that_are_overdue_at_once_are_both_told_once() -> None:
    stage = on_stage()
    markets = [market_of(opens_s=OPENS_S - n * WINDOW_S) for n in (3, 4)]
    for market in markets:
        says(stage, market=market)
    stage.run(5)
    assert [row.detail.split(" ")[0] for row in noted(stage, "settlement")] == [
        market.window.slug for market in markets
    ]


def test_an_order_that_rests_again_behind_a_closed_gate_is_taken_back_at_once() -> None:
    stage = on_stage()
    stage.system.gate.hold(None, "test", GateLevel.CLOSED)
    for _ in range(2):
        says(stage, busy=True)
        stage.run(2 * CHECK_S)
        says(stage, busy=False)
        stage.run(CHECK_S)
    assert len(stage.told(addresses.EXECUTOR, CancelRequested)) == 2


def test_a_late_fill_in_a_market_that_was_settled_makes_it_overdue_again() -> None:
    stage = on_stage()
    for _ in range(2):
        says(stage)
        stage.run(2 * WINDOW_S + 1)
        says(stage, 0)
        stage.run(1)
    assert [row.status for row in noted(stage, "settlement")] == ["overdue"] * 2


def test_an_asset_that_is_added_again_is_not_sold_for_having_been_retired() -> None:
    stage = on_stage()
    stage.tell(addresses.WATCHDOG, AssetRetiring("BTC", "too many crashes"))
    says(stage)
    stage.run(1)
    before = len(asked_ms(stage))
    assert before == 1
    stage.tell(addresses.WATCHDOG, AssetAdded("BTC"))
    stage.run(5)
    assert len(asked_ms(stage)) == before


def test_what_an_asset_that_left_still_holds_is_not_sold_for_its_feeds_silence() -> None:
    stage = on_stage(replace(NEVER, stale_book_s=10.0))
    pulse(stage)
    says(stage)
    stage.tell(addresses.WATCHDOG, AssetRemoved("BTC"))
    stage.run(20)
    assert asked_ms(stage) == []


def test_an_asset_that_was_never_watched_may_leave() -> None:
    stage = on_stage()
    stage.tell(addresses.WATCHDOG, AssetRemoved("XRP"))
    stage.run(1)
    assert restarts(stage) == 0


def test_a_start_is_no_outage_of_the_database_before_three_seconds_are_over() -> None:
    stage = on_stage()
    stage.run(3.0)
    assert [hold.reason for hold in stage.system.gate.state.holds] == ["starting"]
    stage.run(0.5)
    assert "database does not record" in {hold.reason for hold in stage.system.gate.state.holds}
    stage.tell(addresses.WATCHDOG, RecorderPulse(0.0, 0, None))
    stage.run(0.1)
    assert [hold.reason for hold in stage.system.gate.state.holds] == ["starting"]


def test_a_feed_that_was_never_heard_is_an_outage_after_ten_seconds_and_not_at_them() -> None:
    stage = on_stage()
    for _ in range(10):
        stage.tell(addresses.WATCHDOG, RecorderPulse(0.0, 0, None))
        stage.run(1)
    assert noted(stage) == []
    stage.run(CHECK_S)
    assert [row.status for row in noted(stage)] == ["critical"]


def test_a_frame_that_could_not_be_read_is_forgotten_when_it_is_more_than_a_minute_old() -> None:
    stage = on_stage()
    pulse(stage)
    stage.run(1)
    for _ in range(62):
        pulse(stage, bad_frames=1)
        stage.tell(addresses.WATCHDOG, RecorderPulse(0.0, 0, None))
        stage.run(1)
    degraded, recovered = noted(stage)
    assert (degraded.status, recovered.status) == ("degraded", "recovered")
    assert recovered.at_ms - (OPENS_MS + 1_000) == OF_LATE_MS + round(CHECK_S * 1000)


# -- what is shown ----------------------------------------------------------------------------------------------------


def test_a_feed_is_shown_as_it_says_it_is_beside_its_health() -> None:
    stage = on_stage()
    pulse(stage)
    stage.run(1)
    shown = FeedStatus(
        feed="feed.polymarket.BTC",
        connected=True,
        stale=False,
        age_s=0.5,
        frames=7,
        bad_frames=0,
        reconnects=2,
        detail="connected",
        health="healthy",
    )
    assert stage.shown("feed feed.polymarket.BTC", FeedStatus) == shown
    pulse(stage, bad_frames=1)
    stage.run(1)
    worse = replace(shown, bad_frames=1, health="degraded", detail="1 frames of late could not be read")
    assert stage.shown("feed feed.polymarket.BTC", FeedStatus) == worse


def test_that_somebody_watches_is_shown_once_a_second() -> None:
    stage = on_stage()
    seen = []
    for _ in range(12):
        stage.run(CHECK_S)
        seen.append(stage.shown("watchdog", WatchdogStatus).checked_ms)
    first = seen[0]
    assert seen == [first + 1_000 * (n // 4) for n in range(12)]
    assert first == stage.clock.monotonic_ms() - 11 * CHECK_S * 1000


# -- ages -------------------------------------------------------------------------------------------------------------


class Clocked:
    """As much of a context as ages need."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock


@pytest.mark.parametrize(("has_data", "age_s", "expected"), [(True, 2.0, 302.0), (False, 0.0, 300.0)])
def test_ages_are_seconds_since_the_last_data_or_since_there_was_none(
    has_data: bool,  # noqa: FBT001
    age_s: float,
    expected: float,
) -> None:
    clock = VirtualClock(OPENS_MS)
    feeds = FeedWatch(cast("Context", Clocked(clock)), FeedLimits(5.0, None))
    assert feeds.book_age_s("BTC", 7.5) == 7.5
    feeds.hear(FeedPulse("feed.polymarket.BTC", "BTC", True, has_data, age_s, 1, 0, 0, "connected"))  # noqa: FBT003
    clock.advance_to(OPENS_MS + 300_000)
    assert feeds.book_age_s("BTC", 7.5) == pytest.approx(expected, rel=1e-9)
