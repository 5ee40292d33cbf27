"""Forced exits against the embedded exchange: they escalate, outlast restarts and pauses, and end in agreement."""

from msgspec.structs import replace

from actors import addresses
from actors.exits import HELD
from core.messages import OrderRequested
from core.records import HealthEventRecord
from core.status import PortfolioStatus, VenueStatus
from core.trading.orders import OrderState
from core.trading.sizing import LOT_SHARES
from tests.live_execution.engine_account import Trouble
from tests.live_execution.world import LiveWorld
from venues.sim.faults import FaultPlan, FaultRule
from venues.sim.trading.values import TradingRules


def opened(world: LiveWorld) -> LiveWorld:
    world.propose("UP")
    world.run_s(15)
    assert world.shares("UP") > 0
    return world


def ask(world: LiveWorld, times: int) -> None:
    for _ in range(times):
        world.force()
        world.run_s(2)


def steps(world: LiveWorld) -> list[tuple[str, str]]:
    sells = [order for order in world.tables.orders.values() if order.side == "SELL"]
    return [(world.tables.intents[order.intent_id].reason, order.state) for order in sells]


def test_an_exit_the_venue_kills_goes_deeper_and_then_sells() -> None:
    world = opened(LiveWorld())
    world.engine.set_faults(FaultPlan(1, (FaultRule(kind="partial_fill", probability=1.0, limit=2),)))
    ask(world, 6)

    assert world.shares("UP") < LOT_SHARES
    assert [reason for reason, _ in steps(world)][:2] == ["T-2, touch", "T-2, deeper"]
    world.run_s(60)
    world.assert_ledgers_agree()


def test_in_post_only_minutes_an_exit_rests_as_post_only() -> None:
    world = opened(LiveWorld())
    world.engine.restart(world.now_ms, 0, 60_000)
    ask(world, 4)

    sells = [order for order in world.tables.orders.values() if order.side == "SELL"]
    assert (sells[0].order_type, sells[0].state) == ("FAK", "REJECTED")
    assert sells[1].order_type == "GTC"
    assert sells[1].state in ("LIVE", "CANCELLED", "FILLED", "PARTIALLY_FILLED")
    assert "REJECTED" not in [order.state for order in sells[1:]]
    world.run_s(90)
    ask(world, 8)
    assert world.shares("UP") < LOT_SHARES
    world.run_s(60)
    world.assert_ledgers_agree()


def test_restarts_in_the_middle_of_an_exit_sell_nothing_twice() -> None:
    world = opened(LiveWorld(trouble=Trouble(unanswered=0.3)))
    held = world.shares("UP")
    for number in range(6):
        world.force()
        world.run_s(1)
        world.crash(addresses.PORTFOLIO if number % 2 else addresses.EXECUTOR)
        world.run_s(1)
    world.account.trouble = Trouble()
    ask(world, 6)
    world.run_s(60)

    sold = sum(f.shares for f in world.tables.fills.values() if world.tables.orders[f.order_id].side == "SELL")
    assert held - LOT_SHARES < sold <= held
    world.assert_ledgers_agree()


def test_what_could_not_be_sold_before_the_close_is_held_and_written_down() -> None:
    world = opened(LiveWorld())
    world.run_s(world.listing.closes_at_s - 8 - world.now_ms / 1000)
    world.account.trouble = Trouble(unsent=1.0)
    ask(world, 3)
    world.run_s(3)

    events = [row for row in world.tables.log if isinstance(row, HealthEventRecord) and row.status == HELD]
    assert [event.subject for event in events] == ["exit BTC"]
    assert "3 attempts: touch" in events[0].detail
    world.resolve()
    assert [trade.exit_reason for trade in world.tables.trades.values()] == ["settlement"]
    world.assert_ledgers_agree()


def test_status_says_how_the_venue_takes_us_and_what_waits_to_be_redeemed() -> None:
    world = opened(LiveWorld(rules=TradingRules(auto_redeem=False)))
    venue, _ = shown(world)
    assert venue.user_channel is False
    world.reconnect()
    world.engine.restart(world.now_ms, 30_000, 0)
    ask(world, 1)
    venue, _ = shown(world)
    assert venue.user_channel
    assert venue.heartbeat_ms is not None
    assert world.now_ms - venue.heartbeat_ms < 10_000
    assert venue.reconciled_ms is not None
    assert (venue.paused_until_ms or 0) > world.now_ms
    world.run_s(45)
    assert shown(world)[0].paused_until_ms is None

    winner = world.resolve()
    _, account = shown(world)
    assert [claim.slug for claim in account.claims] == [world.market.window.slug] * (winner == "UP")


def test_nothing_is_posted_for_a_token_while_an_outcome_there_is_unknown() -> None:
    world = opened(LiveWorld(listen=False))
    world.account.trouble = Trouble(unanswered=1.0, unreadable=1.0)
    world.force()
    world.run_s(1)
    posted = len(world.account.posted)
    (unknown,) = shown(world)[1].unknown
    assert (unknown.action, unknown.error) == ("CLOSE", "sent, but not answered")
    assert world.now_ms - 1_000 <= unknown.since_ms <= world.now_ms
    for _ in range(5):
        world.propose("UP", "CLOSE")
        world.force()
        world.run_s(2)
    assert len(world.account.posted) == posted
    (same,) = shown(world)[1].unknown
    assert same.since_ms == unknown.since_ms

    world.account.trouble = Trouble()
    world.run_s(30)
    assert shown(world)[1].unknown == ()
    world.assert_ledgers_agree()


def test_an_order_on_its_way_is_not_posted_once_another_of_its_token_became_unknown() -> None:
    world = opened(LiveWorld(listen=False))
    world.account.trouble = Trouble(unanswered=1.0, unreadable=1.0)
    world.force()
    world.run_s(1)
    posted = len(world.account.posted)
    (order,) = world.state.orders.values()
    intent = world.state.intents[order.intent_id]
    second = replace(order, id="o2", intent_id="i2", order_hash=None, state=OrderState.NEW, fills=())
    request = OrderRequested(world.market, replace(intent, id="i2"), second)
    world.runtime.tell(addresses.EXECUTOR, request)
    world.run_s(1)

    assert len(world.account.posted) == posted
    assert "o2" not in world.executor.working
    assert any("outcome of an order of this token is not known" in text for text in world.said)


def shown(world: LiveWorld) -> tuple[VenueStatus, PortfolioStatus]:
    """Return what is on the status board."""
    venue, account = world.runtime.board.read("venue"), world.runtime.board.read("portfolio")
    assert venue is not None
    assert account is not None
    assert isinstance(venue[0], VenueStatus)
    assert isinstance(account[0], PortfolioStatus)
    return venue[0], account[0]
