"""What a stop leaves: every order terminal, nothing reserved, nothing sold merely because it stops."""

import pytest

from core.trading.gate import GateLevel
from core.trading.orders import OrderType
from tests.actors.builders import LATENCY_MS, World, a_market
from tests.trading.builders import levels

MARKET = a_market()


def stopped(world: World) -> None:
    world.runtime.gate.hold(None, "stopping", GateLevel.CLOSED)
    world.runtime.stop()


@pytest.mark.parametrize("order_type", ["FAK", "GTC"])
def test_an_order_on_its_way_is_cancelled_and_what_it_reserved_is_free(order_type: OrderType) -> None:
    world = World(order_type=order_type)
    world.quote(MARKET)
    world.propose(MARKET)
    world.run_ms(LATENCY_MS // 2)
    assert world.state.ledger.reservations
    stopped(world)

    assert [order.state for order in world.orders()] == ["CANCELLED"]
    assert world.state.orders == {}
    assert world.state.ledger.reservations == {}
    world.assert_books_balance()


def test_an_order_that_waits_for_its_commit_is_cancelled_and_never_sent() -> None:
    world = World()
    world.quote(MARKET)
    world.tables.delay_ms = 500
    world.propose(MARKET)
    world.run_ms(10)
    stopped(world)

    (order,) = world.orders()
    assert (order.state, order.submitted_at_ms) == ("CANCELLED", None)
    assert world.state.ledger.reservations == {}


def test_a_resting_order_is_cancelled_and_a_position_is_kept() -> None:
    world = World(order_type="GTC")
    world.opened(MARKET)
    held = world.state.positions(MARKET.condition_id)
    world.quote(MARKET, bids=levels(("0.30", 5_000)))
    stopped(world)

    assert world.state.positions(MARKET.condition_id) == held
    assert {order.state for order in world.orders()} <= {"FILLED", "PARTIALLY_FILLED"}
    assert world.orders("SELL") == []
    world.assert_books_balance()
