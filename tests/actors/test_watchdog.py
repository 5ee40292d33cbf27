"""The watchdog: holds that follow freshness, and exits by the clock."""

from collections.abc import Iterable

import pytest

from actors import addresses
from actors.feed_watch import FeedLimits
from actors.watchdog import WatchdogLimits
from core.market.market import Market
from core.messages import AssetRetiring, ForcedExit, OrderRequested
from core.records import HealthEventRecord, OrderRecord
from core.runtime.address import Address
from core.trading.forced_exits import ForcedExitRules
from core.trading.gate import GateLevel
from core.trading.money import MICRO
from core.trading.orders import OrderType
from tests.actors.builders import World, a_market
from tests.trading.builders import levels

BOOKS, FLOW = addresses.book_feed("BTC"), addresses.flow_feed("BTC")
LIMITS = WatchdogLimits(FeedLimits(book_stale_s=2.0, flow_stale_s=1.5))
MARKET = a_market()


def run_fresh(world: World, duration_s: float, assets: Iterable[str] = ("BTC",)) -> None:
    """Let time pass with every feed and the recorder pulsing."""
    end_ms = world.now_ms + round(duration_s * 1000)
    while world.now_ms < end_ms:
        for asset in assets:
            world.pulses(asset)
        world.run_s(min(0.5, (end_ms - world.now_ms) / 1000))


def holding(
    market: Market = MARKET,
    *,
    limits: WatchdogLimits = LIMITS,
    assets: tuple[str, ...] = ("BTC",),
    order_type: OrderType = "FAK",
) -> World:
    """Return a world with all feeds fresh and a position in `market`."""
    window = market.window
    start_ms = round((window.closes_at_s - 190 * window.scale - 2) * 1000)  # as late as something may be opened
    world = World(limits=limits, assets=assets, order_type=order_type, start_ms=start_ms)
    run_fresh(world, 1, assets)
    world.opened(market)
    return world


def reasons(world: World) -> set[str]:
    return {hold.reason for hold in world.runtime.gate.state.holds}


def notes(world: World) -> list[tuple[str, str]]:
    rows = [row for row in world.tables.log if isinstance(row, HealthEventRecord)]
    return [(row.subject, row.status) for row in rows]


def asked_ms(world: World) -> list[int]:
    """Return when the watchdog asked for exits."""
    return [at_ms for at_ms, _, message in world.traffic if isinstance(message, ForcedExit)]


def exits(world: World) -> list[OrderRecord]:
    return world.orders("SELL")


# -- freshness --------------------------------------------------------------------------------------------------------


def test_nothing_opens_before_both_feeds_were_heard() -> None:
    world = World(limits=LIMITS)
    assert reasons(world) == {"starting"}
    world.pulse(BOOKS, "BTC")
    world.run_s(0.5)
    assert world.runtime.gate.level("BTC") is GateLevel.REDUCE_ONLY

    world.pulses()
    world.run_s(0.5)
    assert world.runtime.gate.level("BTC") is GateLevel.OPEN


@pytest.mark.parametrize("feed", [BOOKS, FLOW])
def test_a_stale_feed_holds_its_asset_alone_and_fresh_data_lifts_it(feed: Address) -> None:
    world = World(limits=LIMITS, assets=("BTC", "ETH"))
    run_fresh(world, 1, ("BTC", "ETH"))
    world.pulse(feed, "BTC", age_s=2.5)
    world.run_s(0.3)
    assert reasons(world) == {f"{feed} stale"}
    assert world.runtime.gate.level("BTC") is GateLevel.REDUCE_ONLY
    assert world.runtime.gate.level("ETH") is GateLevel.OPEN

    run_fresh(world, 1, ("BTC", "ETH"))
    assert world.runtime.gate.level("BTC") is GateLevel.OPEN
    assert notes(world) == [(feed.name, "critical"), (feed.name, "recovered")]


def test_data_grows_old_between_two_pulses() -> None:
    world = World(limits=LIMITS)
    run_fresh(world, 1)
    world.pulse(BOOKS, "BTC", age_s=1.0)
    world.pulse(FLOW, "BTC")
    world.run_s(0.9)
    assert reasons(world) == set()
    world.pulse(FLOW, "BTC")
    world.run_s(0.5)

    assert reasons(world) == {f"{BOOKS} stale"}


def test_a_disconnected_feed_is_stale_whatever_its_age() -> None:
    world = World(limits=LIMITS)
    run_fresh(world, 1)
    world.pulse(BOOKS, "BTC", connected=False)
    world.run_s(0.3)

    assert reasons(world) == {f"{BOOKS} stale"}


def test_a_feed_actor_that_died_is_stale_even_where_data_may_be_old() -> None:
    world = World(limits=WatchdogLimits(FeedLimits(book_stale_s=60.0, flow_stale_s=60.0)))
    run_fresh(world, 1)
    for _ in range(8):
        world.pulse(FLOW, "BTC")
        world.run_s(0.5)

    assert f"{BOOKS} stale" in reasons(world)
    assert any("dead or hung" in text for text in world.said)


def test_a_database_that_is_behind_holds_everything_until_it_has_caught_up() -> None:
    world = World(limits=LIMITS)
    run_fresh(world, 1)
    world.pulses(lag_s=1.2)
    world.run_s(0.3)
    assert reasons(world) == {"database does not record"}
    assert world.runtime.gate.level() is GateLevel.REDUCE_ONLY

    run_fresh(world, 0.5)
    assert reasons(world) == set()


def test_a_recorder_that_died_holds_everything() -> None:
    world = World(limits=LIMITS)
    run_fresh(world, 1)
    for _ in range(7):
        world.pulse(BOOKS, "BTC")
        world.pulse(FLOW, "BTC")
        world.run_s(0.5)

    assert reasons(world) == {"database does not record"}


def test_a_recorder_that_was_never_heard_holds_everything() -> None:
    world = World(limits=LIMITS)
    for _ in range(8):
        world.pulse(BOOKS, "BTC")
        world.pulse(FLOW, "BTC")
        world.run_s(0.5)

    assert reasons(world) == {"database does not record"}


# -- exits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length_s", "exit_s"), [(900, 120), (60, 8)])
def test_a_position_is_closed_two_minutes_before_the_end_scaled_to_the_window(length_s: int, exit_s: int) -> None:
    market = a_market(length_s=length_s)
    world = holding(market)
    closes_s = market.window.closes_at_s
    run_fresh(world, closes_s - exit_s - 0.5 - world.now_ms / 1000)
    assert exits(world) == []
    run_fresh(world, 1.5)

    assert world.shares(market) == 0
    (trade,) = world.tables.trades.values()
    assert (trade.exit_reason, trade.force_closed, trade.force_close_reason) == ("T-2", True, "T-2")
    assert 0 <= trade.closed_at_ms - (closes_s - exit_s) * 1000 <= 600


def test_the_exit_is_repeated_until_nothing_is_left_one_order_at_a_time() -> None:
    world = holding()
    run_fresh(world, MARKET.window.closes_at_s - 121 - world.now_ms / 1000)
    world.quote(MARKET, bids=levels(("0.49", 20)))
    for _ in range(20):
        run_fresh(world, 0.5)
        assert len(world.state.orders) <= 1
    assert sum(fill.shares for fill in world.tables.fills.values() if fill.order_id.endswith("T-2.UP.o")) == 20 * MICRO
    world.quote(MARKET, bids=levels(("0.49", 25)))
    run_fresh(world, 5)
    world.quote(MARKET)
    run_fresh(world, 5)

    assert [order.state for order in exits(world)][-1] == "FILLED"
    assert world.shares(MARKET) == 0
    requests = [order.intent_id for order in exits(world)]
    assert len(requests) == len(set(requests)) >= 3


def test_an_exit_takes_back_what_rests_before_it_sells() -> None:
    world = holding(order_type="GTC")
    world.quote(MARKET, bids=levels(("0.49", 20)))
    run_fresh(world, MARKET.window.closes_at_s - 121 - world.now_ms / 1000)
    world.propose(MARKET, "UP", "CLOSE")
    run_fresh(world, 5)

    taken_back, forced = exits(world)
    assert (taken_back.order_type, taken_back.state) == ("GTC", "PARTIALLY_FILLED")
    assert (forced.order_type, world.tables.intents[forced.intent_id].reason) == ("FAK", "T-2, touch")
    assert len(asked_ms(world)) >= 2


def test_nothing_is_asked_for_after_the_close() -> None:
    world = holding()
    world.quote(MARKET, bids=())
    run_fresh(world, MARKET.window.closes_at_s + 5 - world.now_ms / 1000)

    assert world.shares(MARKET) > 0
    (rested,) = exits(world)
    assert (rested.order_type, rested.price, rested.state) == ("GTC", 500_000, "CANCELLED")
    closes_ms = MARKET.window.closes_at_s * 1000
    assert closes_ms - 2_500 < asked_ms(world)[-1] < closes_ms


def test_assets_held_to_settlement_keep_what_they_hold() -> None:
    world = holding(limits=WatchdogLimits(FeedLimits(2.0, 1.5), ForcedExitRules(hold_to_settlement=("BTC",))))
    run_fresh(world, MARKET.window.closes_at_s + 1 - world.now_ms / 1000)
    assert exits(world) == []
    world.win(MARKET, "UP")
    world.run_s(1)

    (trade,) = world.tables.trades.values()
    assert (trade.exit_reason, trade.exit_price, trade.force_closed) == ("settlement", MICRO, False)


@pytest.mark.parametrize("hold", [(), ("BTC",)])
def test_a_retired_asset_exits_and_opens_no_more(hold: tuple[str, ...]) -> None:
    world = holding(limits=WatchdogLimits(FeedLimits(2.0, 1.5), ForcedExitRules(hold_to_settlement=hold)))
    world.runtime.tell(addresses.WATCHDOG, AssetRetiring("BTC", "market.BTC: too many crashes"))
    run_fresh(world, 2)
    assert world.shares(MARKET) == 0
    assert next(iter(world.tables.trades.values())).force_close_reason == "retired"

    world.propose(MARKET)
    run_fresh(world, 1)
    assert world.shares(MARKET) == 0


def test_a_retired_asset_still_exits_when_the_watchdog_itself_had_to_restart() -> None:
    world = holding()
    world.quote(MARKET, bids=())  # nobody to sell to, yet
    world.runtime.tell(addresses.WATCHDOG, AssetRetiring("BTC", "market.BTC: too many crashes"))
    run_fresh(world, 3)
    world.crash(addresses.WATCHDOG)
    run_fresh(world, 1)
    world.quote(MARKET)
    run_fresh(world, 6)  # what rests is taken back first

    assert world.shares(MARKET) == 0


def test_a_restarted_watchdog_learns_what_is_held() -> None:
    world = holding()
    world.crash(addresses.WATCHDOG)
    run_fresh(world, 1)
    run_fresh(world, MARKET.window.closes_at_s - 118 - world.now_ms / 1000)

    assert world.shares(MARKET) == 0
    assert world.runtime.gate.level("BTC") is GateLevel.OPEN


def test_a_stale_feed_stops_openings_but_not_exits() -> None:
    world = holding()
    world.pulse(FLOW, "BTC", age_s=9.0)
    world.run_s(0.5)
    assert world.runtime.gate.level("BTC") is GateLevel.REDUCE_ONLY
    world.propose(MARKET, "UP", "CLOSE")
    world.run_s(1)

    assert world.shares(MARKET) == 0
    assert OrderRequested not in {type(message) for message in world.heard["market.BTC"]}
