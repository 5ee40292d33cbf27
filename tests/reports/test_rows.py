"""The report's numbers are those of the rows, worked out by hand from `made`."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.exits import hold_event
from actors.portfolio_state import PortfolioState
from cli.report import reported
from cli.report_view import Report, as_json, grids, lines
from core.records import OrderRecord, Record
from core.trading.exits import Attempt, ExitStep, Progress
from core.trading.money import micros
from core.trading.performance import Slice
from core.trading.positions import Position
from core.trading.report import Drawdown, Forced, GivenUp, Held, Results
from storage.pool import Connection
from storage.queries import Session, open_session, trades_summary
from storage.record_rows import record_of
from storage.report_rows import report_rows, sessions
from storage.writer import write
from tests.reports.made import BTC, ETH, T0, Order, at, history, trade

NOW = datetime.fromtimestamp(at(4000) / 1000, UTC)


def since(second: float) -> datetime:
    return datetime.fromtimestamp(at(second) / 1000, UTC)


def part(trades: int, won: int, net: str, fees: str) -> Slice:
    paid, earned = micros(fees), micros(net)
    return Slice(trades, won / trades, earned + paid, paid, earned)


@pytest.fixture
def report(connection: Connection, traded: Session) -> Report:
    return reported(connection, None, None, NOW)


@pytest.fixture
def found(report: Report) -> Results:
    return report.results


def test_net_and_fees_by_asset_side_hour_and_reason(found: Results) -> None:
    assert found.all == part(4, 2, "-12.4", "3.5")
    assert found.by_asset == {
        "BTC": part(2, 2, "7.6", "2.5"), "ETH": part(1, 0, "-11.7", "0.7"), "SOL": part(1, 0, "-8.3", "0.3"),
    }  # fmt: skip
    assert found.by_side == {"DOWN": part(1, 0, "-11.7", "0.7"), "UP": part(3, 2, "-0.7", "2.8")}
    assert found.by_hour == {"00:00": part(1, 0, "-8.3", "0.3"), "23:00": part(3, 2, "-4.1", "3.2")}
    assert found.by_reason == {
        "T-2": part(1, 0, "-11.7", "0.7"),
        "settlement": part(1, 0, "-8.3", "0.3"),
        "signal": part(2, 2, "7.6", "2.5"),
    }


def test_the_curve_and_its_drawdown(found: Results) -> None:
    assert [(point.at_ms, point.net_usd) for point in found.equity] == [
        (at(100), micros("5.6")), (at(790), micros("-6.1")), (at(1200), micros("-4.1")), (at(1805), micros("-12.4")),
    ]  # fmt: skip
    assert found.drawdown == Drawdown(micros(18), at(100), at(1805))
    assert found.net.windows == 2


def test_forced_exits_with_those_that_ended_in_settlement(found: Results) -> None:
    assert found.forced == {"T-2": Forced(1, 1, 3, 2, 2, micros(1), micros(-20))}
    assert found.held == (Held("s.open.3", "SOL", "UP", "T-2", "the window ends", 1, micros("-8.3")),)


def test_slippage_against_the_price_that_the_decision_saw(found: Results) -> None:
    opened, closed, forced = (found.slippage[kind] for kind in ("open", "close", "forced exit"))
    assert (opened.orders, opened.filled_shares, opened.measured_shares) == (3, micros(170), micros(150))
    assert (opened.decision_usd, opened.worse_usd) == (micros("67"), micros("0.4"))  # 100 at 0.51, 50 at 0.32
    assert opened.within_limit_usd == micros("2.6")
    assert (closed.worse_price, closed.worse_usd, closed.within_limit_usd) == (micros("0.01"), micros(1), micros(1))
    assert (forced.orders, forced.unfilled, forced.measured_shares) == (3, 2, 0)
    assert (forced.worse_price, forced.within_limit_usd) == (None, micros(1))
    by_asset = {asset: (each.orders, each.worse_usd) for asset, each in found.slippage_by_asset.items()}
    assert by_asset == {"BTC": (2, micros("1.4")), "ETH": (1, 0), "SOL": (1, 0)}


def test_a_fill_that_failed_never_happened(connection: Connection, traded: Session) -> None:
    undone = Order("u", traded.id, BTC, "OPEN", 95, "0.9", ("10", "0.9", "1"), fill_state="FAILED")
    write(connection, undone.rows)
    opened = reported(connection, None, None, NOW).results.slippage["open"]
    assert (opened.orders, opened.unfilled, opened.filled_shares) == (4, 1, micros(170))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    results=st.lists(
        st.tuples(st.integers(-(10**12), 10**12), st.integers(0, 10**9), st.integers(0, 86_400 * 3)), max_size=8
    )
)
def test_the_rows_add_up_to_what_the_session_has_earned(
    connection: Connection, session: Session, results: list[tuple[int, int, int]]
) -> None:
    connection.execute("TRUNCATE trades CASCADE")
    made = [trade(f"t.{number}", session.id, ETH, (0, 1), ("0", "0")) for number in range(len(results))]
    write(
        connection,
        [
            msgspec.structs.replace(row, pnl_net_usd=net, fees_usd=fees, closed_at_ms=at(second))
            for row, (net, fees, second) in zip(made, results, strict=True)
        ],
    )
    found = reported(connection, session.id, None, NOW).results
    totals = trades_summary(connection, session.id)
    assert sum(each.pnl_net_usd for each in found.by_hour.values()) == sum(each.pnl_net_usd for each in totals)
    assert sum(each.fees_usd for each in found.by_hour.values()) == sum(each.fees_usd for each in totals)


# -- a part of the time -----------------------------------------------------------------------------------------------


def test_since_counts_trades_closed_since_and_orders_decided_since(connection: Connection, traded: Session) -> None:
    assert reported(connection, None, since(1802), NOW).results.forced["T-2"].held == 1  # given up before that
    found = reported(connection, None, since(785), NOW).results
    assert found.all == part(3, 1, "-18", "1.5")
    assert (found.forced["T-2"].orders, found.forced["T-2"].held) == (
        3,
        1,
    )  # the first try of a trade that closed since was before
    assert found.slippage["forced exit"].orders == 2
    assert found.slippage["open"].orders == 1


def test_since_takes_every_session_of_the_same_world_and_names_the_others(
    connection: Connection, traded: Session
) -> None:
    again = open_session(connection, "paper", {}, venue="demo", new=True, now_ms=at(3000))
    idle = open_session(connection, "paper", {}, venue="elsewhere", new=False, now_ms=at(3000))
    live = open_session(connection, "live", {}, venue="demo", new=False, now_ms=at(3000))
    write(connection, [trade("l.0", live.id, BTC, (3001, 3002), ("-1", "0.1"))])
    write(connection, [trade("p.0", again.id, BTC, (3001, 3003), ("3", "0.1"))])
    report = reported(connection, None, since(0), NOW)
    assert [each.id for each in report.sessions] == [live.id]
    assert [(each.id, each.trades) for each in report.others] == [(traded.id, 4), (again.id, 1)]
    assert idle.id not in {each.id for each in report.others}
    assert f"not in it: 1 trades of session {again.id} (paper, demo), see `report --session {again.id}`" in lines(
        report
    )
    connection.execute("DELETE FROM trades WHERE session_id = %s", (live.id,))
    both = reported(connection, None, since(0), NOW)
    assert [each.id for each in both.sessions] == [traded.id, again.id]
    assert both.results.all.pnl_net_usd == micros("-9.4")
    assert reported(connection, traded.id, since(1000), NOW).results.all.trades == 2


def test_the_newest_session_is_meant_and_one_without_trades_says_so(connection: Connection, traded: Session) -> None:
    empty = open_session(connection, "paper", {}, venue="demo", new=True, now_ms=at(3000))
    report = reported(connection, None, None, NOW)
    assert [each.id for each in report.sessions] == [empty.id]
    assert "no trades: no position was closed yet" in lines(report)
    assert list(grids(report)) == []
    later = reported(connection, traded.id, since(1806), NOW)
    assert "no trades: no position was closed since 2026-04-21 00:00:06 UTC" in lines(later)


# -- what is said -----------------------------------------------------------------------------------------------------


def test_the_lines_above_the_tables(report: Report) -> None:
    fall = "max drawdown 18.00 USD net of fees (1.80% of the 1,000.00 it started with)"
    assert lines(report) == (
        "session 1 (paper, demo) from 2026-04-20 23:30:00 UTC, not ended",
        "4 trades, 50.0% won; gross -8.90, fees 3.50, net -12.40 USD",
        "net -12.40 is between -12.60 and -12.20 (95 %, bootstrap over the 2 windows traded)",
        f"{fall}, from 2026-04-20 23:31:40 UTC to 2026-04-21 00:00:05 UTC",
    )


def test_what_is_open_is_named_and_not_counted(connection: Connection, traded: Session) -> None:
    connection.execute("INSERT INTO positions VALUES (%s, 'BTC', '0xz', 'UP', 10, 5.25, now(), now())", (traded.id,))
    told = lines(reported(connection, None, None, NOW))
    assert told[-1] == f"open in session {traded.id}: 1 positions that cost 5.25 USD, not in these numbers"


def test_json_has_exact_dollars(report: Report) -> None:
    plain = as_json(report)
    assert plain["schema"] == 1
    assert plain["sessions"][0]["starting_cash_usd"] == "1000.000000"
    assert plain["results"]["all"]["pnl_net_usd"] == "-12.400000"
    assert plain["results"]["slippage"]["close"]["worse_usd"] == "1.000000"
    assert plain["results"]["worst"][0]["entry_price"] == "0.320000"
    assert plain["results"]["equity"][-1] == {"at_ms": at(1805), "net_usd": "-12.400000"}
    assert plain["divergence"] is None


# -- rows and the records they were -----------------------------------------------------------------------------------


def test_what_the_portfolio_writes_of_an_exit_given_up_is_read_back(connection: Connection, session: Session) -> None:
    position = Position(session.id, "SOL", "0xs", "UP", "s.open", at(1), at(1), shares=micros("2.5"))
    progress = Progress("s.open", "T-2", 1, (Attempt(ExitStep.TOUCH, micros("0.3"), at(2)),), held="the window ends")
    state = PortfolioState.new(0)
    rows: list[Record] = [
        hold_event(state.with_exit(position, each), session.id, position, at(3))
        for each in (progress, msgspec.structs.replace(progress, count=0, attempts=(), held="dust", reason="flatten"))
    ]
    write(connection, rows)
    assert set(report_rows(connection, [session.id]).given_up) == {
        GivenUp(session.id, "0xs", "UP", "T-2", "the window ends", at(3)),
        GivenUp(session.id, "0xs", "UP", "flatten", "dust", at(3)),
    }


def test_a_row_gives_back_the_record_that_was_written(connection: Connection, traded: Session) -> None:
    (written,) = (each for each in history(traded.id) if isinstance(each, OrderRecord) and each.id == "e.exit1.o")
    cursor = connection.execute("SELECT * FROM orders WHERE id = 'e.exit1.o'")
    assert cursor.description is not None
    row = dict(zip((column.name for column in cursor.description), cursor.fetchall()[0], strict=True))
    assert record_of(OrderRecord, row) == written


def test_a_session_without_a_number_of_dollars_has_none(connection: Connection) -> None:
    open_session(connection, "paper", {"starting_cash_usd": "plenty"}, venue="demo", new=False, now_ms=T0)
    assert [each.starting_cash_usd for each in sessions(connection)] == [None]
