"""Sessions, open work and totals: what start-up and the reports read."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.records import OrderRecord, PositionRecord, Record, TradeRecord
from storage.pool import Connection
from storage.queries import (
    LedgerTotals,
    Session,
    TradesSummary,
    checkpoint_name,
    ledger_totals,
    non_terminal_orders,
    open_positions,
    open_session,
    trades_summary,
)
from storage.writer import write

T0 = 1_776_727_800_123


def test_a_session_is_resumed_with_what_it_was_started_with(connection: Connection, session: Session) -> None:
    assert not session.resumed
    again = open_session(connection, "paper", {"starting_cash_usd": 5}, venue="demo", new=False, now_ms=T0 + 60_000)
    assert again == msgspec.structs.replace(session, resumed=True)
    assert again.config == {"starting_cash_usd": 10_000}


def test_a_new_session_ends_the_old_one_of_its_mode_only(connection: Connection, session: Session) -> None:
    live = open_session(connection, "live", {}, venue="demo", new=False, now_ms=T0)
    fresh = open_session(connection, "paper", {}, venue="demo", new=True, now_ms=T0 + 1)
    assert fresh.id > session.id
    assert not fresh.resumed
    rows = connection.execute("SELECT id, status, ended_at IS NULL FROM sessions ORDER BY id").fetchall()
    assert rows == [(session.id, "ended", False), (live.id, "running", True), (fresh.id, "running", True)]
    assert checkpoint_name(fresh.id, "portfolio") != checkpoint_name(session.id, "portfolio")


def test_start_up_finds_what_is_open_as_it_was_written(
    connection: Connection, session: Session, records: list[Record]
) -> None:
    write(connection, records)
    position = next(record for record in records if isinstance(record, PositionRecord))
    order = next(record for record in records if isinstance(record, OrderRecord))
    assert open_positions(connection, session.id) == [position]
    assert non_terminal_orders(connection, session.id) == [order]
    assert open_positions(connection, session.id + 1) == []
    assert non_terminal_orders(connection, session.id + 1) == []
    write(connection, [msgspec.structs.replace(order, state="FILLED", closed_at_ms=T0 + 9)])
    assert non_terminal_orders(connection, session.id) == []


def test_summary_per_asset(connection: Connection, session: Session, records: list[Record]) -> None:
    won = next(record for record in records if isinstance(record, TradeRecord))
    lost = msgspec.structs.replace(won, id="r2", pnl_net_usd=-3_000_000, force_closed=True, force_close_reason="T-2")
    btc = msgspec.structs.replace(won, id="r3", asset="BTC")
    write(connection, [won, lost, btc])
    assert trades_summary(connection, session.id) == [
        TradesSummary("BTC", 1, 1, 0, 84_000, 2_916_000),
        TradesSummary("ETH", 2, 1, 1, 168_000, -84_000),
    ]


def test_totals_of_an_empty_session_are_zero(connection: Connection, session: Session) -> None:
    totals = ledger_totals(connection, session.id)
    assert totals == LedgerTotals(0, 0, 0, 0, 0)
    assert totals.cash(10_000_000_000) == 10_000_000_000


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pnls=st.lists(st.integers(-(10**12), 10**12), max_size=8),
    costs=st.lists(st.integers(-(10**12), 10**12), max_size=8),
)
def test_cash_reconciles_to_the_micro_dollar(
    connection: Connection, session: Session, records: list[Record], pnls: list[int], costs: list[int]
) -> None:
    trade = next(record for record in records if isinstance(record, TradeRecord))
    position = next(record for record in records if isinstance(record, PositionRecord))
    connection.execute("TRUNCATE trades, positions")
    batch: list[Any] = [msgspec.structs.replace(trade, id=f"r{n}", pnl_net_usd=pnl) for n, pnl in enumerate(pnls)]
    batch += [msgspec.structs.replace(position, condition_id=f"0x{n}", cost_usd=cost) for n, cost in enumerate(costs)]
    write(connection, batch)
    assert ledger_totals(connection, session.id).cash(10**10) == 10**10 + sum(pnls) - sum(costs)


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_the_database_itself_allows_one_open_session_per_mode(connection: Connection, mode: Any) -> None:
    first = open_session(connection, mode, {}, venue="demo", new=True, now_ms=T0)
    assert open_session(connection, mode, {}, venue="demo", new=False, now_ms=T0).id == first.id


def test_each_venue_has_a_session_of_its_own_and_numbers_do_not_jump(connection: Connection) -> None:
    real = open_session(connection, "paper", {}, venue="polymarket", new=False, now_ms=T0)
    for _ in range(3):
        assert open_session(connection, "paper", {}, venue="polymarket", new=False, now_ms=T0).id == real.id
    other = open_session(connection, "paper", {}, venue="embedded today", new=False, now_ms=T0)

    assert other.id == real.id + 1
    assert not other.resumed
    assert open_session(connection, "paper", {}, venue="polymarket", new=False, now_ms=T0).resumed
