"""Crashes at every message, restarts of the process, and the end of it: nothing is lost and nothing counts twice."""

import pytest

from actors import addresses
from core.messages import AwaitWinner, PositionPublished
from core.trading.gate import GateLevel
from core.trading.money import MICRO
from core.trading.orders import OrderState
from tests.actors.builders import BIDS, START_USD, World, a_market
from tests.actors.neighbours import Fuse
from tests.trading.builders import OPENS_S, levels

FIRST, SECOND = a_market(), a_market(opens_s=OPENS_S + 900)
PORTFOLIO_MESSAGES, EXECUTOR_MESSAGES = 32, 52
"""More than the script below makes of either; `test_the_script_is_covered` checks it."""


def act(world: World) -> None:
    """Open on two levels, sell a part, be forced out of the rest; open again in the next window and be settled."""
    world.quote(FIRST, asks=levels(("0.51", 40), ("0.52", 200)))
    world.run_ms(500)
    world.propose(FIRST)
    world.run_ms(1_000)
    world.quote(FIRST, bids=levels(("0.49", 30)))
    world.run_ms(500)
    world.propose(FIRST, "UP", "CLOSE")
    world.run_ms(1_000)
    for _ in range(3):  # as the watchdog does until it hears that nothing is held
        world.quote(FIRST, bids=BIDS)
        world.run_ms(500)
        world.force(FIRST)
        world.run_ms(1_500)
    world.run_ms(SECOND.window.opens_at_s * 1000 + 20_000 - world.now_ms)
    world.quote(SECOND)
    world.run_ms(500)
    world.propose(SECOND, "DOWN")
    world.run_ms(1_000)
    world.win(FIRST, "UP")
    world.run_ms(SECOND.window.closes_at_s * 1000 + 30_000 - world.now_ms)
    for _ in range(2):
        world.win(SECOND, "DOWN")
        world.run_ms(1_000)


def result(world: World) -> tuple[object, ...]:
    ledger = world.state.ledger
    trades = [(t.id, t.shares, t.pnl_net_usd, t.exit_reason, t.force_closed) for t in world.tables.trades.values()]
    return ledger.cash_usd, ledger.realised_usd, ledger.trade_count, ledger.positions, ledger.reservations, trades


def assert_at_rest(world: World) -> None:
    """Check that every order ended, nothing is reserved, and the database agrees with the ledger."""
    assert world.runtime.failure is None
    assert world.state.orders == {}
    assert world.state.ledger.reservations == {}
    assert world.executor.working == {}
    assert all(order.closed_at_ms is not None for order in world.orders())
    assert sum(trade.pnl_net_usd for trade in world.tables.trades.values()) == world.state.ledger.realised_usd
    world.assert_books_balance()


@pytest.fixture(scope="module")
def undisturbed() -> World:
    world = World()
    act(world)
    return world


def test_the_script_is_covered(undisturbed: World) -> None:
    assert [trade.exit_reason for trade in undisturbed.tables.trades.values()] == ["T-2", "settlement"]
    assert len(undisturbed.tables.fills) == 5
    assert undisturbed.portfolio_fuse.count <= PORTFOLIO_MESSAGES
    assert undisturbed.executor_fuse.count <= EXECUTOR_MESSAGES
    assert_at_rest(undisturbed)


@pytest.mark.parametrize("at", range(1, PORTFOLIO_MESSAGES + 1))
def test_a_crash_of_the_portfolio_at_any_message_changes_nothing(undisturbed: World, at: int) -> None:
    world = World(portfolio_fuse=Fuse(at))
    act(world)

    assert world.runtime.cells[addresses.PORTFOLIO].restarts == (at <= undisturbed.portfolio_fuse.count)
    assert result(world) == result(undisturbed)
    assert_at_rest(world)


@pytest.mark.parametrize("at", range(1, EXECUTOR_MESSAGES + 1))
def test_a_crash_of_the_executor_at_any_message_leaves_no_order_behind(undisturbed: World, at: int) -> None:
    """A crash forgets the books, so an order may end unfilled; but it ends, and what it took is booked."""
    world = World(executor_fuse=Fuse(at))
    act(world)

    assert world.runtime.cells[addresses.EXECUTOR].restarts == (at <= undisturbed.executor_fuse.count)
    assert world.state.ledger.positions == {}
    assert_at_rest(world)


def test_a_restarted_portfolio_hears_of_its_open_order_and_books_no_fill_twice() -> None:
    world = World(order_type="GTC")
    world.quote(FIRST, asks=levels(("0.51", 20)))
    world.propose(FIRST)
    world.run_s(1)
    assert world.shares(FIRST) == 20 * MICRO
    before = world.state
    world.crash(addresses.PORTFOLIO)
    world.run_s(1)

    assert world.state == before
    world.quote(FIRST, asks=levels(("0.50", 500)))
    world.run_s(1)
    assert [order.state for order in world.orders()] == ["FILLED"]
    assert world.shares(FIRST) == world.orders()[0].shares
    assert_at_rest(world)


def test_an_executor_that_dies_between_sending_and_arrival_still_ends_the_order() -> None:
    world = World()
    world.quote(FIRST)
    world.propose(FIRST)
    world.run_ms(100)
    (working,) = world.executor.working.values()
    assert working.order.state is OrderState.SUBMITTED
    world.crash(addresses.EXECUTOR)
    world.run_ms(20)
    world.quote(FIRST)
    world.run_s(1)

    assert [order.state for order in world.orders()] == ["FILLED"]
    assert_at_rest(world)


def test_an_executor_back_without_a_book_ends_the_order_unfilled() -> None:
    world = World()
    world.quote(FIRST)
    world.propose(FIRST)
    world.run_ms(100)
    world.crash(addresses.EXECUTOR)
    world.run_ms(1_000)

    assert [(order.state, order.last_error) for order in world.orders()] == [("REJECTED", "no book")]
    assert_at_rest(world)


def test_an_executor_that_dies_before_the_commit_asks_for_it_again() -> None:
    world = World()
    world.tables.delay_ms = 300
    world.quote(FIRST)
    world.propose(FIRST)
    world.run_ms(50)
    world.crash(addresses.EXECUTOR)
    world.run_ms(20)
    world.quote(FIRST)
    world.run_s(2)

    assert [order.state for order in world.orders()] == ["FILLED"]
    assert len(world.tables.fills) == 1


# -- the process ------------------------------------------------------------------------------------------------------


def reborn(world: World) -> World:
    """Return the next process: only what was committed of the portfolio is left, in the same database."""
    world.tables.waiting.clear()
    return World(start_ms=world.now_ms + 5_000, saved=dict(world.tables.saved), tables=world.tables)


def test_a_new_process_ends_the_orders_of_the_last_one_and_releases_what_they_held() -> None:
    world = World()
    world.quote(FIRST)
    world.propose(FIRST)
    world.run_ms(100)
    assert world.tables.orders
    after = reborn(world)
    after.run_s(1)

    (order,) = after.orders()
    assert order.state == "FAILED"
    assert "restarted" in (order.last_error or "")
    assert after.state.ledger.cash_usd == START_USD
    assert_at_rest(after)


@pytest.mark.parametrize("moment_ms", range(0, 400, 20))
def test_a_process_killed_at_any_moment_of_an_exit_resumes_with_rows_that_fit_together(moment_ms: int) -> None:
    """The database in these tests refuses an order without its intent, as PostgreSQL does."""
    world = World()
    world.tables.delay_ms = 30
    world.opened(FIRST)
    world.run_s(1)
    world.quote(FIRST)
    world.propose(FIRST, "UP", "CLOSE")
    world.run_ms(moment_ms)
    after = reborn(world)
    after.run_s(1)
    assert_at_rest(after)

    if after.shares(FIRST):
        after.quote(FIRST)
        after.force(FIRST)
        after.run_s(1)
    assert after.shares(FIRST) == 0
    assert len(after.tables.trades) == 1
    assert_at_rest(after)


def test_an_open_order_in_the_checkpoint_has_its_rows_in_the_same_transaction() -> None:
    world = World()
    world.quote(FIRST)
    world.commit_after(None)
    world.propose(FIRST, "UP")
    world.run_ms(10)
    (persist, _), *_ = [
        waiting for waiting in world.tables.waiting if waiting[0].ack_to is None and len(waiting[0].rows) > 1
    ]
    kinds = [type(row).__name__ for row in persist.rows]

    assert kinds == ["MarketRecord", "IntentRecord", "OrderRecord", "CheckpointRecord"]


def test_a_new_process_keeps_positions_and_asks_for_their_winner() -> None:
    world = World()
    world.opened(FIRST)
    held = world.shares(FIRST)
    after = reborn(world)
    after.run_s(1)
    assert after.shares(FIRST) == held
    shown = after.told(addresses.market("BTC"), PositionPublished)[-1]
    assert (shown.condition_id, shown.side, shown.busy) == (FIRST.condition_id, "UP", False)
    assert after.told(addresses.DISCOVERY, AwaitWinner) == []

    after.run_ms(FIRST.window.closes_at_s * 1000 + 1_000 - after.now_ms)
    (wish,) = after.told(addresses.DISCOVERY, AwaitWinner)
    assert (wish.condition_id, wish.slug) == (FIRST.condition_id, FIRST.window.slug)
    after.win(FIRST, "UP")
    after.run_s(1)
    assert after.state.ledger.cash_usd == START_USD + after.state.ledger.realised_usd
    assert after.state.ledger.positions == {}


def test_a_process_that_starts_after_the_close_asks_for_the_winner_at_once() -> None:
    world = World()
    world.opened(FIRST)
    world.run_ms(FIRST.window.closes_at_s * 1000 - world.now_ms)
    after = reborn(world)

    assert [wish.condition_id for wish in after.told(addresses.DISCOVERY, AwaitWinner)] == [FIRST.condition_id]


def test_a_position_opened_after_a_restart_of_the_portfolio_has_its_winner_asked_for() -> None:
    world = World()
    world.quote(FIRST)
    world.crash(addresses.PORTFOLIO)
    world.run_ms(50)
    world.opened(FIRST)
    world.run_ms(FIRST.window.closes_at_s * 1000 + 1_000 - world.now_ms)

    assert len(world.told(addresses.DISCOVERY, AwaitWinner)) == 1


@pytest.mark.parametrize("ran_ms", [3, 50, 150, 1_000])
def test_stopping_ends_what_is_in_flight_and_keeps_what_is_held(ran_ms: int) -> None:
    world = World()
    world.tables.delay_ms = 20
    world.opened(FIRST)
    held = world.shares(FIRST)
    world.quote(FIRST)
    world.propose(FIRST, "UP", "CLOSE")
    world.run_ms(ran_ms)
    world.runtime.gate.hold(None, "stopping", GateLevel.CLOSED)
    world.runtime.stop()

    assert [cell.life for cell in world.runtime.cells.values()] == ["stopped"] * len(world.runtime.cells)
    assert world.shares(FIRST) == (0 if ran_ms == 1_000 else held)
    assert world.tables.saved["portfolio"][1] == world.runtime.cells[addresses.PORTFOLIO].saved
    assert_at_rest(world)


def test_a_resting_order_is_cancelled_at_the_end_of_the_process() -> None:
    world = World(order_type="GTC")
    world.quote(FIRST, asks=levels(("0.51", 20)))
    world.propose(FIRST)
    world.run_s(1)
    world.runtime.stop()

    (order,) = world.orders()
    assert (order.state, order.last_error) == ("PARTIALLY_FILLED", "cancelled")
    assert world.shares(FIRST) == 20 * MICRO
    assert_at_rest(world)
