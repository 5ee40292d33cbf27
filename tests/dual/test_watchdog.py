"""The watchdog over two accounts: what one holds or has under way is asked of that one, by every rule."""

import pytest

from actors import addresses
from actors.addresses import paper_beside
from actors.feed_watch import FeedLimits
from actors.watchdog import WatchdogActor, WatchdogLimits
from core.messages import AssetRetiring, CancelRequested, ForcedExit, PositionPublished, PositionRequested
from core.runtime.address import Address
from core.trading.gate import GateLevel
from core.trading.money import MICRO
from core.trading.positions import Position
from tests.actors_data.builders import OPENS_MS, Stage, market_of

NOW = market_of()
LIVE, PAPER = addresses.PORTFOLIO, addresses.PAPER_PORTFOLIO
EXECUTORS = (addresses.EXECUTOR, addresses.PAPER_EXECUTOR)


@pytest.fixture
def stage() -> Stage:
    """The watchdog among listeners, with a market that has just opened."""
    stage = Stage(OPENS_MS)
    stage.listen(LIVE, PAPER, *EXECUTORS, addresses.DISCOVERY, addresses.DB_WRITER, addresses.NOTIFIER)
    limits = WatchdogLimits(FeedLimits(book_stale_s=5.0, flow_stale_s=None))
    stage.play(
        addresses.WATCHDOG,
        lambda context: WatchdogActor(context, ("BTC",), 1, limits, stage.said.append, paper_beside(2)),
    )
    return stage


def says(stage: Stage, portfolio: Address, shares: int, *, busy: bool = False) -> None:
    position = Position(1, "BTC", NOW.condition_id, "UP", "i", OPENS_MS, OPENS_MS, shares * MICRO, MICRO)
    stage.tell(
        addresses.WATCHDOG,
        PositionPublished("BTC", NOW.condition_id, position if shares else None, busy, portfolio, market=NOW),
    )


def exits(stage: Stage, portfolio: Address) -> int:
    return len(stage.told(portfolio, ForcedExit))


def test_it_asks_both_what_they_hold(stage: Stage) -> None:
    stage.run(0.1)
    for portfolio in (LIVE, PAPER):
        assert stage.told(portfolio, PositionRequested) == [PositionRequested("BTC", addresses.WATCHDOG)]


@pytest.mark.parametrize(("holder", "other"), [(LIVE, PAPER), (PAPER, LIVE)])
def test_an_exit_is_asked_of_who_holds_until_it_is_flat(stage: Stage, holder: Address, other: Address) -> None:
    says(stage, holder, 10)
    says(stage, other, 0)
    stage.tell(addresses.WATCHDOG, AssetRetiring("BTC", "test"))
    stage.run(5)
    assert (exits(stage, holder), exits(stage, other)) == (3, 0)
    says(stage, other, 0)  # the other's news do not end it
    stage.run(2)
    assert exits(stage, holder) == 4
    says(stage, holder, 0)
    stage.run(5)
    assert exits(stage, holder) == 4


@pytest.mark.parametrize(("busy", "idle"), [(0, 1), (1, 0)])
def test_what_rests_behind_a_closed_gate_is_cancelled_where_it_rests(stage: Stage, busy: int, idle: int) -> None:
    portfolios = (LIVE, PAPER)
    says(stage, portfolios[busy], 0, busy=True)
    says(stage, portfolios[idle], 0)
    stage.system.gate.hold(None, "test", GateLevel.CLOSED)
    stage.run(1)
    assert stage.told(EXECUTORS[busy], CancelRequested) == [CancelRequested(NOW.condition_id)]
    assert stage.told(EXECUTORS[idle], CancelRequested) == []
