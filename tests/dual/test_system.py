"""Both accounts in the assembled system: they trade apart, are watched apart, and settle apart."""

import pytest

from actors import addresses
from core.messages import ForcedExit, MarketListed, Tick
from core.records import CheckpointRecord, IntentRecord, OrderRecord, TradeRecord
from core.runtime.address import Address
from core.runtime.supervision import SystemEvent
from core.status import PortfolioStatus
from core.trading.gate import GateLevel
from tests.actors_data.builders import BUYS, HOLDS, Chooser, Record
from tests.dual.builders import LIVE, MARKET, PAPER, PORTFOLIOS, Dual, Refuses


def sessions(rows: list[object]) -> set[int]:
    return {row.session_id for row in rows if isinstance(row, (IntentRecord, TradeRecord))}


def test_both_accounts_open_close_and_book_under_their_own_session() -> None:
    dual = Dual(Chooser(BUYS))
    dual.run_to(5)
    assert [dual.held(portfolio) for portfolio in PORTFOLIOS] == [["UP"], ["UP"]]
    dual.run_to(55)

    assert [dual.held(portfolio) for portfolio in PORTFOLIOS] == [[], []]
    shown = [dual.system.board.read(portfolio.name) for portfolio in PORTFOLIOS]
    assert [each[0].session_id for each in shown if each and isinstance(each[0], PortfolioStatus)] == [LIVE, PAPER]
    told = {address for address, message in dual.heard if isinstance(message, MarketListed)}
    assert {"portfolio", "executor", "portfolio.paper", "executor.paper"} <= told
    assert sessions(list(dual.wrote(IntentRecord))) == {LIVE, PAPER}
    trades = [row for row in dual.wrote(TradeRecord) if isinstance(row, TradeRecord)]
    assert {(row.session_id, row.exit_reason) for row in trades} == {(LIVE, "T-2"), (PAPER, "T-2")}
    names = {row.name for row in dual.wrote(CheckpointRecord) if isinstance(row, CheckpointRecord)}
    assert names >= {f"{LIVE}/portfolio", f"{PAPER}/portfolio.paper"}
    venues = {row.venue for row in dual.wrote(OrderRecord) if isinstance(row, OrderRecord)}
    assert venues == {"sim", "paper"}


def test_paper_goes_its_own_way_where_live_is_not_filled() -> None:
    dual = Dual(Chooser(BUYS), Refuses)
    dual.run_to(5)
    assert [dual.held(portfolio) for portfolio in PORTFOLIOS] == [[], ["UP"]]
    dual.run_to(55)  # the watchdog has paper's position closed though live holds nothing

    assert dual.held(addresses.PAPER_PORTFOLIO) == []
    trades = [row for row in dual.wrote(TradeRecord) if isinstance(row, TradeRecord)]
    assert [(row.session_id, row.exit_reason) for row in trades] == [(PAPER, "T-2")]
    assert dual.state(addresses.PORTFOLIO).ledger.cash_usd == dual.state(addresses.PORTFOLIO).ledger.start_usd


def test_a_winner_settles_both_accounts() -> None:
    dual = Dual(Chooser(BUYS))
    dual.run_to(5)
    dual.policy.probabilities = HOLDS
    dual.system.gate.hold(None, "test", GateLevel.CLOSED)  # no exit
    dual.run_to(62)
    dual.calendar.records[MARKET.window.slug] = Record(winner="UP")
    dual.run_to(100)

    trades = [row for row in dual.wrote(TradeRecord) if isinstance(row, TradeRecord)]
    assert {(row.session_id, row.exit_reason) for row in trades} == {(LIVE, "settlement"), (PAPER, "settlement")}
    assert len(trades) == 2


def test_the_watchdog_asks_each_portfolio_for_its_own_exit_only() -> None:
    dual = Dual(Chooser(BUYS), Refuses)
    dual.run_to(55)
    assert {address for address, message in dual.heard if isinstance(message, ForcedExit)} == {"portfolio.paper"}


@pytest.mark.parametrize("address", [addresses.PAPER_PORTFOLIO, addresses.PAPER_EXECUTOR])
def test_the_live_account_goes_on_without_paper(address: Address) -> None:
    dual = Dual(Chooser(BUYS))
    events: list[object] = []
    dual.system.observers.append(events.append)
    for _ in range(20):
        dual.system.tell(address, Tick(None))  # type: ignore[arg-type]  # what no handler can bear
    dual.run_to(55)

    assert dual.system.cells[address].life == "retired"
    assert dual.system.failure is None
    assert [e.address for e in events if isinstance(e, SystemEvent) and e.kind == "retired"] == [address.name]
    trades = [row for row in dual.wrote(TradeRecord) if isinstance(row, TradeRecord)]
    assert [row.session_id for row in trades] == [LIVE]
    buried = dual.system.dead_letter_count
    dual.run_to(58)
    assert dual.system.dead_letter_count == buried  # what it is told from now on is nobody's loss
    assert dual.system.gate.level("BTC") is GateLevel.OPEN


def test_who_is_not_expendable_ends_the_process() -> None:
    dual = Dual(Chooser(BUYS))
    for _ in range(20):
        dual.system.tell(addresses.PORTFOLIO, Tick(None))  # type: ignore[arg-type]
    dual.run_to(55)
    assert dual.system.failure is not None


def test_paper_alerts_nobody() -> None:
    dual = Dual(Chooser(BUYS), Refuses)
    dual.run_to(55)
    assert any(line.startswith("paper beside: BTC UP closed") for line in dual.said)
    assert [message for address, message in dual.heard if address == "notifier"] == []
