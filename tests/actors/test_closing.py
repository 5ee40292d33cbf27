"""Closing a position: by signal, by force, in parts, at settlement; never more than is held, never twice."""

import pytest
from msgspec.structs import replace

from actors import addresses
from actors.executor import ExecutorActor
from actors.exits import HELD
from actors.portfolio import PortfolioActor
from core.market.market import Side
from core.messages import AwaitWinner, MarketListed
from core.status import PortfolioStatus
from core.trading.gate import GateLevel
from core.trading.money import MICRO
from core.trading.positions import SETTLEMENT
from tests.actors.builders import BIDS, START_USD, World, a_market
from tests.trading.builders import OPENS_S, a_fill, an_order, levels

MARKET = a_market()
NEXT = a_market(opens_s=OPENS_S + 900)


@pytest.fixture
def world() -> World:
    world = World()
    world.opened(MARKET)
    return world


def test_a_signal_sells_everything_and_the_round_trip_is_written_net_of_fees(world: World) -> None:
    world.propose(MARKET, "UP", "CLOSE")
    world.run_s(1)

    (trade,) = world.tables.trades.values()
    buys = sum(f.shares * f.price // MICRO + f.fee_usd for f in world.tables.fills.values() if f.price == 510_000)
    sells = sum(f.shares * f.price // MICRO - f.fee_usd for f in world.tables.fills.values() if f.price == 490_000)
    assert (trade.exit_reason, trade.force_closed) == ("signal", False)
    assert trade.pnl_net_usd == sells - buys
    assert world.state.ledger.cash_usd == START_USD + trade.pnl_net_usd
    assert world.tables.positions == {}


def test_an_exit_does_not_wait_for_the_database(world: World) -> None:
    world.commit_after(None)
    world.propose(MARKET, "UP", "CLOSE")
    world.run_s(1)
    assert world.shares(MARKET) == 0

    world.commit_after(5)
    world.run_s(1)
    assert [order.state for order in world.orders("SELL")] == ["FILLED"]
    assert len(world.tables.trades) == 1


def test_an_exit_passes_a_gate_that_is_reduce_only(world: World) -> None:
    world.runtime.gate.hold(None, "test", GateLevel.REDUCE_ONLY)
    world.propose(MARKET, "UP", "CLOSE")
    world.run_s(1)

    assert world.shares(MARKET) == 0


def test_a_closed_gate_lets_nothing_out(world: World) -> None:
    world.runtime.gate.hold(None, "test", GateLevel.CLOSED)
    world.propose(MARKET, "UP", "CLOSE")
    world.force(MARKET)
    world.run_s(1)

    assert world.orders("SELL") == []
    assert any("refused: the gate is CLOSED (T-2)" in text for text in world.said)


def test_what_a_thin_book_left_unsold_is_sold_by_the_next_exit(world: World) -> None:
    held = world.shares(MARKET)
    world.quote(MARKET, bids=levels(("0.49", 30)))
    world.propose(MARKET, "UP", "CLOSE")
    world.run_s(1)
    assert world.shares(MARKET) == held - 30 * MICRO
    assert world.state.ledger.reservations == {}
    assert world.orders("SELL")[0].state == "PARTIALLY_FILLED"

    world.quote(MARKET, bids=BIDS)
    world.force(MARKET)
    world.run_s(1)
    (trade,) = world.tables.trades.values()
    assert (trade.shares, trade.exit_reason, trade.force_close_reason) == (held, "T-2", "T-2")
    assert world.state.positions(MARKET.condition_id) == ()


def test_a_part_too_small_to_sell_is_held_to_settlement(world: World) -> None:
    held = world.shares(MARKET)
    world.quote(MARKET, bids=levels(("0.49", held / MICRO - 3)))
    world.propose(MARKET, "UP", "CLOSE")
    world.run_s(1)
    world.quote(MARKET)
    world.force(MARKET)
    world.run_s(1)
    assert len(world.orders("SELL")) == 1
    assert [row.status for row in world.events()] == [HELD]
    assert "3.000000 shares" in world.events()[0].detail
    assert world.events()[0].detail.endswith("(T-2): dust; no attempt")

    cash = world.state.ledger.cash_usd
    world.win(MARKET, "UP")
    world.run_s(1)
    assert world.state.ledger.cash_usd == cash + 3 * MICRO
    assert next(iter(world.tables.trades.values())).exit_reason == SETTLEMENT


@pytest.mark.parametrize(("winner", "pays"), [("UP", 1), ("DOWN", 0)])
def test_settlement_pays_one_or_nothing(world: World, winner: Side, pays: int) -> None:
    held, cash = world.shares(MARKET), world.state.ledger.cash_usd
    world.win(MARKET, winner)
    world.run_s(1)

    (trade,) = world.tables.trades.values()
    assert world.state.ledger.cash_usd == cash + pays * held
    assert trade.exit_price == pays * MICRO
    assert (world.state.markets, world.state.ledger.positions, world.state.ledger.fills) == ({}, {}, {})
    world.assert_books_balance()


def test_a_winner_told_twice_pays_once(world: World) -> None:
    world.win(MARKET, "UP")
    world.run_s(1)
    cash, rows = world.state.ledger.cash_usd, len(world.tables.log)
    world.win(MARKET, "UP")
    world.run_s(1)

    assert world.state.ledger.cash_usd == cash
    assert len(world.tables.log) == rows


def test_a_contradicted_winner_changes_nothing_and_is_told(world: World) -> None:
    world.win(MARKET, "UP")
    world.run_s(1)
    cash = world.state.ledger.cash_usd
    world.win(MARKET, "DOWN")
    world.run_s(1)

    assert world.state.ledger.cash_usd == cash
    assert world.runtime.failure is None
    assert world.runtime.cells[addresses.PORTFOLIO].restarts == 0
    assert any("winner contradicted" in text for text in world.said)


def test_winners_of_markets_never_traded_leave_no_trace(world: World) -> None:
    before = world.state
    for number in range(1, 100):
        world.win(a_market(opens_s=OPENS_S - 900 * number), "UP")
    world.run_s(1)

    assert world.state == before


def test_an_order_still_open_at_the_settlement_reaches_its_end(world: World) -> None:
    world.propose(MARKET, "UP", "CLOSE")
    world.run_ms(100)
    world.win(MARKET, "UP")
    world.quote(MARKET, epoch=2)
    world.run_ms(10)
    assert len(world.state.orders) == 1
    world.win(MARKET, "DOWN")
    world.run_s(1)

    assert world.state.orders == {}
    assert world.state.markets == {}
    assert all(order.closed_at_ms is not None for order in world.orders())
    assert world.runtime.cells[addresses.PORTFOLIO].restarts == 0
    world.assert_books_balance()


def test_a_settlement_waits_for_fills_that_may_still_be_undone() -> None:
    world = World()
    world.quote(MARKET)
    world.tables.delay_ms = 900
    world.propose(MARKET)
    world.run_ms(10)
    (order,) = world.state.orders.values()
    matched = a_fill(order, shares=10, price="0.51", state="MATCHED")
    world.report(MARKET, order, (matched,))
    world.win(MARKET, "UP")
    world.run_ms(10)
    assert world.runtime.cells[addresses.PORTFOLIO].restarts == 0
    assert world.shares(MARKET) == 10 * MICRO

    confirmed = replace(matched, state="CONFIRMED")
    world.report(MARKET, order, (confirmed,))
    world.win(MARKET, "UP")
    world.run_ms(10)
    assert world.shares(MARKET) == 0
    world.assert_books_balance()


def test_the_winner_is_asked_for_again_while_a_settlement_waits(world: World) -> None:
    world.run_to(MARKET.window.closes_at_s)
    world.run_s(40)

    wishes = world.told(addresses.DISCOVERY, AwaitWinner)
    assert [wish.condition_id for wish in wishes] == [MARKET.condition_id] * 3


def test_a_fill_reported_after_its_orders_end_is_booked() -> None:
    world = World()
    world.quote(MARKET)
    world.propose(MARKET)
    world.run_ms(10)
    (order,) = world.state.orders.values()
    world.run_s(1)
    before = world.shares(MARKET)
    world.report(MARKET, order, (a_fill(order, 99, shares=7),))
    world.run_s(1)

    assert world.shares(MARKET) == before + 7 * MICRO
    world.assert_books_balance()


def test_a_report_repeated_after_the_orders_end_changes_nothing_and_alarms_nobody(world: World) -> None:
    (fill,) = world.state.ledger.fills.values()
    (record,) = world.orders()
    order = replace(an_order(record.id, intent_id=record.intent_id, condition_id=MARKET.condition_id), fills=())
    before, said = world.state, list(world.said)
    world.report(MARKET, order, (fill.fill,))
    world.run_s(1)

    assert world.state == before
    assert world.said == said


def test_a_position_awaits_its_winner_while_the_next_window_trades(world: World) -> None:
    held = world.shares(MARKET)
    world.run_to(NEXT.window.opens_at_s + 5)
    world.opened(NEXT, "DOWN")
    assert world.shares(MARKET) == held
    shown = world.runtime.board.read("portfolio")
    assert shown is not None
    assert isinstance(shown[0], PortfolioStatus)
    assert (shown[0].holdings["BTC"].side, shown[0].holdings["BTC"].unsettled) == ("DOWN", 1)

    world.win(MARKET, "DOWN")
    world.propose(NEXT, "DOWN", "CLOSE")
    world.run_s(1)
    assert [trade.exit_reason for trade in world.tables.trades.values()] == [SETTLEMENT, "signal"]
    assert world.state.ledger.positions == {}
    world.assert_books_balance()


def test_only_one_close_at_a_time(world: World) -> None:
    world.propose(MARKET, "UP", "CLOSE")
    world.run_ms(10)
    world.force(MARKET)
    world.propose(MARKET, "UP", "CLOSE")
    world.run_s(1)

    assert len(world.orders("SELL")) == 1
    assert not any("refused" in text for text in world.said)  # asking while it is under way is no news


def test_a_forced_exit_without_market_or_book_changes_nothing(world: World) -> None:
    world.force(NEXT)
    world.crash(addresses.PORTFOLIO)  # takes the books with it
    world.run_ms(1_000)
    world.force(MARKET)
    world.run_ms(1_000)

    assert world.orders("SELL") == []
    assert any("refused: no book (T-2)" in text for text in world.said)
    assert world.runtime.cells[addresses.PORTFOLIO].restarts == 1


def test_the_books_of_windows_long_over_are_forgotten() -> None:
    world = World()
    markets = [a_market(opens_s=OPENS_S + 900 * number) for number in range(6)]
    for market in markets:
        world.run_to(market.window.opens_at_s + 10)
        world.runtime.tell(addresses.PORTFOLIO, MarketListed(market))
        world.quote(market)
    world.run_s(1)
    world.runtime.tell(addresses.PORTFOLIO, MarketListed(a_market("ETH")))
    world.run_s(1)

    (actor,) = world.actors(PortfolioActor)
    assert set(actor._views) == {market.condition_id for market in markets[-3:]}


def test_a_refused_exit_is_said_once_for_each_position(world: World) -> None:
    world.quote(MARKET, bids=(), asks=())
    for _ in range(3):
        world.propose(MARKET, "UP", "CLOSE")
        world.force(MARKET)
        world.run_s(1)

    assert [text for text in world.said if "refused" in text] == [
        "BTC CLOSE UP refused: nobody bids or offers (T-2); what is held stays, settlement if nothing changes"
    ]


def test_the_executor_forgets_the_books_and_takings_of_windows_long_over(world: World) -> None:
    assert set(world.paper.consumption) == {MARKET.condition_id}
    world.run_to(NEXT.window.opens_at_s + 200)
    world.opened(NEXT)

    assert set(world.paper.consumption) == {NEXT.condition_id}
    (actor,) = world.actors(ExecutorActor)
    assert set(actor._views) == {NEXT.condition_id}


def test_a_restarted_executor_forgets_what_was_taken_from_books_that_never_come_again(world: World) -> None:
    world.crash(addresses.EXECUTOR)
    world.run_ms(NEXT.window.opens_at_s * 1000 + 10_000 - world.now_ms)
    world.opened(NEXT)

    assert set(world.paper.consumption) == {NEXT.condition_id}
