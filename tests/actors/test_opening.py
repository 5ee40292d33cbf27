"""Opening a position: sized, reserved, committed, sent, booked; and everything that must stop it on the way."""

import pytest

from actors import addresses
from core.messages import OrderRequested, PositionPublished
from core.records import IntentRecord
from core.runtime.address import OUTSIDE
from core.runtime.supervision import RestartPolicy
from core.trading.gate import GateLevel
from core.trading.money import MICRO
from core.trading.orders import Order
from tests.actors.builders import START_USD, World, a_book, a_market
from tests.trading.builders import levels

MARKET = a_market()


@pytest.fixture
def world() -> World:
    world = World()
    world.quote(MARKET)
    return world


def requested(world: World) -> Order:
    """Return the order that the portfolio holds open."""
    (order,) = world.state.orders.values()
    return order


def test_an_intent_is_sized_reserved_and_told_before_anything_is_spent(world: World) -> None:
    world.tables.delay_ms = 100
    intent_id = world.propose(MARKET)
    world.run_ms(10)

    order = requested(world)
    assert (order.intent_id, order.side, order.token_id) == (intent_id, "BUY", MARKET.up_token)
    assert order.limit_price == 520_000  # the best ask and one tick
    assert order.shares * order.limit_price // MICRO <= 50 * MICRO  # a quarter of 200 dollars at even odds
    reservation = world.state.ledger.reservations[intent_id]
    assert reservation.usd >= order.shares * order.limit_price // MICRO
    assert world.state.ledger.cash_usd == START_USD
    assert world.told(addresses.market("BTC"), PositionPublished)[-1].busy


def test_the_executor_saves_once_for_all_that_a_message_brings(world: World) -> None:
    world.tables.delay_ms = 100
    world.propose(MARKET)
    world.run_ms(10)

    assert len(world.executor.working) == 1
    assert world.runtime.cells[addresses.EXECUTOR].generation == 1


def test_a_fill_becomes_a_position_and_the_rest_of_the_reservation_is_free_again(world: World) -> None:
    world.propose(MARKET)
    world.run_s(1)

    (position,) = world.state.positions(MARKET.condition_id)
    (order,) = world.orders()
    assert order.state == "FILLED"
    assert position.shares == order.shares
    assert position.fees_usd > 0
    assert world.state.ledger.reservations == {}
    assert world.state.orders == {}
    assert world.tables.positions[MARKET.condition_id, "UP"].cost_usd == position.cost_usd
    assert not world.told(addresses.market("BTC"), PositionPublished)[-1].busy
    world.assert_books_balance()


def test_the_portfolio_refuses_to_open_behind_a_shut_gate(world: World) -> None:
    world.runtime.gate.hold("BTC", "test", GateLevel.REDUCE_ONLY)
    world.propose(MARKET)
    world.run_s(1)

    assert world.orders() == []
    assert world.state.ledger.reservations == {}
    assert world.state.orders == {}


def test_the_executor_refuses_what_the_gate_stopped_after_the_sizing(world: World) -> None:
    world.tables.delay_ms = 100
    world.propose(MARKET)
    world.run_ms(10)
    assert requested(world)
    world.runtime.gate.hold("BTC", "test", GateLevel.REDUCE_ONLY)
    world.run_s(1)

    (order,) = world.orders()
    assert (order.state, order.submitted_at_ms) == ("FAILED", None)
    assert order.last_error == "not sent: the gate is REDUCE_ONLY"
    assert world.state.ledger.reservations == {}


def test_what_passed_the_gate_is_in_flight_and_fills(world: World) -> None:
    world.propose(MARKET)
    world.run_ms(100)
    world.runtime.gate.hold("BTC", "test", GateLevel.CLOSED)
    world.run_s(1)

    assert world.orders()[0].state == "FILLED"


def test_an_opening_order_waits_for_its_commit(world: World) -> None:
    world.tables.delay_ms = 900
    world.propose(MARKET)
    world.run_s(0.8)
    assert world.paper.orders == {}
    world.run_s(3)

    (order,) = world.orders()
    assert order.state == "FILLED"
    assert order.submitted_at_ms is not None
    assert order.submitted_at_ms >= world.tables.intents[order.intent_id].decided_at_ms + 900


@pytest.mark.parametrize("delay_ms", [1_001, 3_000])
def test_an_order_committed_too_late_is_never_sent(world: World, delay_ms: int) -> None:
    world.tables.delay_ms = delay_ms
    world.propose(MARKET)
    world.run_s(1.5)
    assert world.state.ledger.reservations == {}
    world.run_s(8)

    (order,) = world.orders()
    assert (order.state, order.submitted_at_ms) == ("FAILED", None)
    assert world.tables.fills == {}


def test_a_restart_of_the_executor_grants_no_second_second_to_commit_in(world: World) -> None:
    world.tables.delay_ms = 700
    world.propose(MARKET)
    world.run_ms(600)
    world.crash(addresses.EXECUTOR)  # its request to commit is made anew, so the answer comes at 1.3 s
    world.tables.waiting.clear()
    world.run_s(3)

    assert world.executor.working == {}
    assert world.tables.fills == {}


def test_a_commit_heard_too_late_sends_nothing() -> None:
    world = World(policy=RestartPolicy(backoff_s=2.0))
    world.tables.delay_ms = 900
    world.quote(MARKET)
    world.propose(MARKET)
    world.run_ms(500)
    world.crash(addresses.EXECUTOR)  # the answer waits for its next incarnation
    world.run_s(5)

    assert "FILLED" not in {order.state for order in world.orders()}
    assert world.tables.fills == {}


def test_no_database_no_position(world: World) -> None:
    world.commit_after(None)
    world.propose(MARKET)
    world.run_s(5)
    assert world.state.positions(MARKET.condition_id) == ()

    world.commit_after(5)
    world.run_s(1)
    assert [order.state for order in world.orders()] == ["FAILED"]


def test_an_order_is_not_sent_on_another_book_than_it_was_sized_on(world: World) -> None:
    world.tables.delay_ms = 300
    world.propose(MARKET)
    world.run_ms(100)
    world.quote(MARKET, epoch=2)
    world.run_s(2)

    (order,) = world.orders()
    assert (order.state, order.submitted_at_ms) == ("FAILED", None)


def test_an_order_in_flight_is_cancelled_when_the_books_continuity_is_lost(world: World) -> None:
    world.propose(MARKET)
    world.run_ms(100)
    world.quote(MARKET, epoch=2)
    world.run_s(1)

    (order,) = world.orders()
    assert (order.state, order.last_error) == ("CANCELLED", "continuity lost")
    assert world.tables.fills == {}


def test_only_one_opening_order_at_a_time(world: World) -> None:
    world.propose(MARKET)
    world.run_ms(50)
    world.propose(MARKET)
    world.propose(MARKET, "DOWN")
    world.run_s(1)

    assert len(world.orders()) == 1


def test_a_position_is_not_added_to(world: World) -> None:
    """A market actor that has just restarted may not know yet what is held."""
    world.opened(MARKET)
    world.propose(MARKET)
    world.propose(MARKET, "DOWN")
    world.run_s(1)

    assert len(world.orders()) == 1


def test_sizing_uses_the_newest_book_not_the_one_of_the_decision(world: World) -> None:
    decided_on = a_book(MARKET, world.now_ms)
    world.run_ms(10)
    world.quote(MARKET, asks=levels(("0.55", 100)), bids=levels(("0.53", 100)))
    world.propose(MARKET, view=decided_on)
    world.run_ms(3)

    assert requested(world).limit_price == 560_000


def test_an_old_decision_opens_nothing(world: World) -> None:
    world.propose(MARKET, decided_ms=world.now_ms - 2_001)
    world.run_s(1)
    assert world.tables.intents == {}

    world.propose(MARKET, decided_ms=world.now_ms - 1_999)
    world.run_s(1)
    assert len(world.tables.intents) == 1


def test_a_refused_intent_does_not_come_back_after_a_crash(world: World) -> None:
    world.runtime.gate.hold("BTC", "test", GateLevel.REDUCE_ONLY)
    world.propose(MARKET)
    world.run_ms(100)
    world.runtime.gate.release("BTC", "test")
    world.crash(addresses.PORTFOLIO)
    world.quote(MARKET)
    world.run_s(2)

    assert world.orders() == []


def test_orders_of_one_intent_are_requested_once(world: World) -> None:
    world.propose(MARKET)
    world.run_ms(10)
    order = requested(world)
    intent = world.state.intents[order.intent_id]
    world.runtime.send(addresses.EXECUTOR, OrderRequested(MARKET, intent, order), OUTSIDE, 0)
    world.run_s(1)

    assert len(world.tables.fills) == 1
    assert world.shares(MARKET) == order.shares
    written_by = [row for row in world.tables.log if isinstance(row, IntentRecord)]
    assert len(written_by) == 2  # the portfolio with its checkpoint, the executor before it sends


def test_a_resting_open_is_recalled_before_it_can_fill_behind_a_shut_gate() -> None:
    world = World(order_type="GTC")
    world.quote(MARKET, asks=levels(("0.51", 20)))
    world.propose(MARKET)
    world.run_s(1)
    assert world.orders()[0].state == "LIVE"
    world.runtime.gate.hold("BTC", "test", GateLevel.REDUCE_ONLY)
    world.quote(MARKET, asks=levels(("0.50", 500)))
    world.run_ms(10)

    assert world.orders()[0].state == "PARTIALLY_FILLED"
    assert world.shares(MARKET) == 20 * MICRO


def test_a_resting_order_ends_with_its_window_even_if_no_book_comes_any_more() -> None:
    world = World(order_type="GTC")
    world.quote(MARKET, asks=levels(("0.51", 20)))
    world.propose(MARKET)
    world.run_s(1)
    world.run_ms(900_000)

    assert world.orders()[0].state == "PARTIALLY_FILLED"
    assert world.state.ledger.reservations == {}


def test_a_resting_order_still_ends_with_its_window_after_a_restart_of_the_executor() -> None:
    world = World(order_type="GTC")
    world.quote(MARKET, asks=levels(("0.51", 20)))
    world.propose(MARKET)
    world.run_s(1)
    world.crash(addresses.EXECUTOR)
    world.run_ms(900_000)

    assert world.executor.working == {}
