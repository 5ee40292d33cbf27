"""The learner hears what came of each market in which something was ordered, once, when that is certain."""

from actors import addresses
from core.messages import PositionPublished, TrajectoryEnded
from tests.actors.builders import World, a_market
from tests.trading.builders import OPENS_S

MARKET = a_market()
CLOSES_S = OPENS_S + 900


def a_world() -> World:
    world = World()
    world._record(addresses.LEARNER)
    world.runtime.start(addresses.LEARNER)
    return world


def test_a_market_that_ends_flat_is_told_at_its_close() -> None:
    world = a_world()
    world.opened(MARKET)
    world.propose(MARKET, "UP", "CLOSE")
    world.run_s(1)
    (trade,) = world.tables.trades.values()
    assert world.told(addresses.LEARNER, TrajectoryEnded) == []
    assert world.state.realised(MARKET.condition_id) == trade.pnl_net_usd

    world.run_ms((CLOSES_S + 1) * 1000 - world.now_ms)
    assert world.told(addresses.LEARNER, TrajectoryEnded) == [
        TrajectoryEnded("BTC", MARKET.condition_id, trade.pnl_net_usd)
    ]
    assert world.state.results == {}


def test_a_market_that_ends_with_something_held_is_told_when_it_is_settled() -> None:
    world = a_world()
    world.opened(MARKET)
    world.run_ms((CLOSES_S + 30) * 1000 - world.now_ms)
    assert world.told(addresses.LEARNER, TrajectoryEnded) == []

    world.win(MARKET, "UP")
    world.run_ms(10)
    (trade,) = world.tables.trades.values()
    assert world.told(addresses.LEARNER, TrajectoryEnded) == [
        TrajectoryEnded("BTC", MARKET.condition_id, trade.pnl_net_usd)
    ]
    assert trade.pnl_net_usd > 0


def test_several_round_trips_of_a_market_add_up_and_show_in_what_is_published() -> None:
    world = a_world()
    for _ in range(3):
        world.opened(MARKET)
        world.propose(MARKET, "UP", "CLOSE")
        world.run_s(1)
    total = sum(trade.pnl_net_usd for trade in world.tables.trades.values())

    assert len(world.tables.trades) == 3
    newest = world.told(addresses.market("BTC"), PositionPublished)[-1]
    assert (newest.realised_usd, newest.position, newest.forced) == (total, None, False)


def test_a_forced_exit_shows_in_what_is_published() -> None:
    world = a_world()
    world.opened(MARKET)
    world.force(MARKET)
    world.run_s(1)

    forced = [said.forced for said in world.told(addresses.market("BTC"), PositionPublished)]
    assert True in forced
    assert forced[-1] is False


def test_a_restarted_portfolio_still_tells_of_a_market_that_ended_flat() -> None:
    world = a_world()
    world.opened(MARKET)
    world.propose(MARKET, "UP", "CLOSE")
    world.run_s(1)
    world.crash(addresses.PORTFOLIO)
    world.run_ms((CLOSES_S + 1) * 1000 - world.now_ms)

    assert len(world.told(addresses.LEARNER, TrajectoryEnded)) == 1
