"""The watchdog alone on a stage: when exactly it asks, and what it forgets."""

from typing import cast

import pytest
from msgspec.structs import replace

from actors import addresses
from actors.exit_watch import EXIT_AGAIN_S
from actors.feed_watch import FeedLimits, FeedWatch
from actors.watchdog import CHECK_S, WatchdogActor, WatchdogLimits
from core.market.market import Market
from core.messages import (
    AssetAdded,
    AssetRemoved,
    AssetRetiring,
    CancelRequested,
    FeedPulse,
    ForcedExit,
    Persist,
    PositionPublished,
    RecorderPulse,
)
from core.records import HealthEventRecord
from core.runtime.clock import VirtualClock
from core.runtime.context import Context
from core.trading.forced_exits import ForcedExitRules
from core.trading.gate import GateLevel
from core.trading.money import MICRO
from core.trading.positions import Position
from tests.actors_data.builders import OPENS_MS, WINDOW_S, Stage, market_of

NOW = market_of()
NEVER = ForcedExitRules(exit_before_s=None, max_age_s=None)


def on_stage(rules: ForcedExitRules = NEVER) -> Stage:
    """Return the watchdog among listeners, in a window of sixty seconds that has just opened."""
    stage = Stage(OPENS_MS)
    stage.listen(addresses.PORTFOLIO, addresses.EXECUTOR, addresses.DISCOVERY, addresses.DB_WRITER, addresses.NOTIFIER)
    limits = WatchdogLimits(FeedLimits(5.0, None), rules)
    stage.play(addresses.WATCHDOG, lambda context: WatchdogActor(context, ("BTC",), 1, limits, stage.said.append))
    return stage


def says(stage: Stage, shares: int = 10, *, busy: bool = False, market: Market | None = NOW) -> None:
    """Let the portfolio say what it holds."""
    held = Position(1, "BTC", NOW.condition_id, "UP", "i", OPENS_MS, OPENS_MS, shares * MICRO, MICRO)
    published = PositionPublished("BTC", NOW.condition_id, held if shares else None, busy, addresses.PORTFOLIO)
    stage.tell(addresses.WATCHDOG, replace(published, market=market))


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
    says(stage, market=None)
    stage.run(2)
    assert restarts(stage) == 0
    assert asked_ms(stage) == []


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
    rows = [row for told in stage.told(addresses.DB_WRITER, Persist) for row in told.rows]
    overdue = [row for row in rows if isinstance(row, HealthEventRecord) and row.status == "overdue"]
    assert len(overdue) == 2


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
    pulse = FeedPulse("feed.polymarket.BTC", "BTC", True, True, 0.0, 1, 0, 0, "connected")  # noqa: FBT003 -- a message
    stage.tell(addresses.WATCHDOG, pulse)
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
    stage.run(2.9)
    assert [hold.reason for hold in stage.system.gate.state.holds] == ["starting"]
    stage.run(0.5)
    assert "database does not record" in {hold.reason for hold in stage.system.gate.state.holds}
    stage.tell(addresses.WATCHDOG, RecorderPulse(0.0, 0, None))
    stage.run(0.1)
    assert [hold.reason for hold in stage.system.gate.state.holds] == ["starting"]


# -- ages -------------------------------------------------------------------------------------------------------------


class Clocked:
    """As much of a context as ages need."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock


@pytest.mark.parametrize(("has_data", "age_s", "expected"), [(True, 2.0, 302.0), (False, 0.0, 300.0)])
def test_ages_are_seconds_since_the_last_data_or_since_there_was_none(
    has_data: bool,
    age_s: float,
    expected: float,  # noqa: FBT001
) -> None:
    clock = VirtualClock(OPENS_MS)
    feeds = FeedWatch(cast("Context", Clocked(clock)), FeedLimits(5.0, None))
    assert feeds.book_age_s("BTC", 7.5) == 7.5
    feeds.hear(FeedPulse("feed.polymarket.BTC", "BTC", True, has_data, age_s, 1, 0, 0, "connected"))  # noqa: FBT003
    clock.advance_to(OPENS_MS + 300_000)
    assert feeds.book_age_s("BTC", 7.5) == pytest.approx(expected, rel=1e-9)
