"""The demo as a user runs it: real processes, a real PostgreSQL, real websockets."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psycopg
import pytest

from actors.portfolio_state import PortfolioState
from storage.embedded import EmbeddedServer
from storage.queries import checkpoint_name, latest_checkpoint, ledger_totals
from tests.system.process import Start

SHORT = ("--window-s", "20", "--assets", "BTC,ETH")
STARTING_CASH_USD = 10_000_000_000


def reconcile(state_dir: Path) -> PortfolioState:
    """Check that the last checkpoint agrees with the tables to the micro-dollar, and return it."""
    server = EmbeddedServer(state_dir)
    try:
        with psycopg.connect(server.start()) as connection:
            return assert_reconciled(connection)
    finally:
        server.stop()


def wait_until(ready: Callable[[], bool], within_s: float = 10.0, every_s: float = 0.02) -> None:
    deadline_s, pause = time.monotonic() + within_s, threading.Event()
    while not ready():
        assert time.monotonic() < deadline_s
        pause.wait(every_s)


def assert_reconciled(connection: psycopg.Connection) -> PortfolioState:
    row = connection.execute("SELECT max(id) FROM sessions").fetchone()
    assert row is not None
    session_id = row[0]
    checkpoint = latest_checkpoint(connection, "actor", checkpoint_name(session_id, "portfolio"))
    assert checkpoint is not None
    state = msgspec.msgpack.decode(checkpoint.payload, type=PortfolioState)
    totals = ledger_totals(connection, session_id)
    assert state.ledger.cash_usd == totals.cash(STARTING_CASH_USD)
    assert state.ledger.trade_count == totals.trades
    flows = connection.execute(
        "SELECT coalesce(sum(CASE WHEN o.side = 'SELL' THEN f.price * f.shares ELSE -f.price * f.shares END"
        " - f.fee_usd), 0) FROM fills f JOIN orders o ON o.id = f.order_id"
    ).fetchone()
    settled = connection.execute(
        "SELECT count(*) FROM trades t WHERE exit_reason = 'settlement' AND exit_price > 0"
    ).fetchone()
    assert flows is not None
    assert settled is not None
    if settled[0] == 0:  # a settlement pays without a fill
        assert round(flows[0] * 1_000_000) == state.ledger.cash_usd - STARTING_CASH_USD
    return state


def test_it_trades_stops_within_four_seconds_and_resumes_with_everything_booked(start: Start, state_dir: Path) -> None:
    supervisor = start(*SHORT)
    supervisor.wait_for("starting session 1")
    supervisor.wait_for("world lagged")
    supervisor.wait_for("hold lifted: starting")
    for _ in range(3):
        supervisor.wait_for("closed by", "PnL net", within_s=180)
    supervisor.wait_for("resolved", within_s=180)
    took_s = supervisor.interrupt()

    assert supervisor.process.returncode == 0, "\n".join(supervisor.lines)
    assert took_s < 4.0
    assert "Traceback" not in "\n".join(supervisor.lines)
    before = reconcile(state_dir)
    assert before.ledger.trade_count >= 3

    again = start(*SHORT)
    again.wait_for("resuming session 1")
    again.wait_for("closed by", "PnL net", within_s=180)
    assert again.interrupt(signal.SIGTERM) < 4.0
    assert again.process.returncode == 0
    after = reconcile(state_dir)
    assert after.ledger.trade_count > before.ledger.trade_count


def test_a_killed_exchange_closes_the_gate_and_trading_resumes_by_itself(start: Start, state_dir: Path) -> None:
    supervisor = start(*SHORT)
    pid = int(re.findall(r"pid (\d+)", supervisor.wait_for("embedded exchange runs"))[0])
    supervisor.wait_for("OPEN", "FILLED", within_s=180)
    os.kill(pid, signal.SIGSTOP)  # first it freezes: sockets stay open and say nothing
    try:
        supervisor.wait_for("feed.polymarket BTC", "critical", within_s=30)
    finally:
        os.kill(pid, signal.SIGKILL)
    supervisor.wait_for("the embedded exchange ended (code -9); starting it again")
    mark = len(supervisor.lines)
    supervisor.wait_for("the embedded exchange is back")
    supervisor.wait_for("feed.polymarket BTC", "recovered", within_s=30)
    opened = [line for line in supervisor.lines[mark:] if " OPEN " in line and "FILLED" in line]
    assert opened == []
    supervisor.wait_for("BTC OPEN", "FILLED", within_s=180)

    assert supervisor.interrupt() < 4.0
    assert supervisor.process.returncode == 0
    reconcile(state_dir)


def test_a_process_killed_while_it_trades_resumes_with_its_positions(start: Start, state_dir: Path) -> None:
    supervisor = start(*SHORT, FUSEBOX_HOLD_TO_SETTLEMENT="BTC,ETH")
    supervisor.wait_for("OPEN", "FILLED", within_s=180)
    supervisor.wait_for("resolved", within_s=180)
    supervisor.kill()

    again = start(*SHORT, FUSEBOX_HOLD_TO_SETTLEMENT="BTC,ETH")
    again.wait_for("resuming session 1")
    again.wait_for("closed by settlement", within_s=180)
    assert again.interrupt() < 4.0
    assert again.process.returncode == 0
    assert reconcile(state_dir).ledger.trade_count > 0


def test_a_killed_database_comes_back_and_nothing_is_missing(start: Start, state_dir: Path) -> None:
    supervisor = start(*SHORT)
    supervisor.wait_for("closed by", within_s=180)
    postmaster = int((state_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, signal.SIGKILL)
    supervisor.wait_for("the embedded database ended; starting it again", within_s=30)
    for _ in range(2):
        supervisor.wait_for("closed by", within_s=180)

    assert supervisor.interrupt() < 4.0
    assert supervisor.process.returncode == 0
    reconcile(state_dir)


def test_what_happened_while_the_database_was_away_survives_a_kill(start: Start, state_dir: Path) -> None:
    own = EmbeddedServer(state_dir / "own")
    uri = own.start()
    try:
        supervisor = start(*SHORT, DATABASE_URL=uri)
        supervisor.wait_for(" OPEN ", "FILLED", within_s=180)
        own.stop()
        supervisor.wait_for("database does not record", within_s=30)
        closed = supervisor.wait_for("closed by", within_s=180)  # exits go on
        wait_until(lambda: any(b"TradeRecord" in file.read_bytes() for file in (state_dir / "journal").iterdir()))
        supervisor.kill()
        own = EmbeddedServer(state_dir / "own")
        assert own.start() == uri

        again = start(*SHORT, DATABASE_URL=uri)
        again.wait_for("entries that the journal had kept", within_s=30)
        again.wait_for("resuming session 1")
        assert again.interrupt() < 4.0
        with psycopg.connect(uri) as connection:
            pnl = re.findall(r"PnL net ([+-][\d.]+)", closed)[0]
            found = connection.execute(
                "SELECT count(*) FROM trades WHERE round(pnl_net_usd, 2) = %s", (pnl,)
            ).fetchone()
            assert found is not None
            assert found[0] >= 1
            assert_reconciled(connection)
    finally:
        own.stop()


def test_a_second_run_on_the_same_state_is_refused_in_one_line(start: Start) -> None:
    first = start(*SHORT)
    first.wait_for("embedded exchange runs")
    second = start(*SHORT, "--no-wait")
    second.process.wait(30)

    assert second.process.returncode == 1
    assert "another" in second.wait_for("fusebox:")
    assert first.process.poll() is None


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (("--assets", "DOGE"), {}, "--assets DOGE: each of them once"),
        ((), {"FUSEBOX_ASSETS": "DOGE"}, "FUSEBOX_ASSETS=DOGE: each of them once"),
        (("--mode", "live"), {}, "mode live"),
        ((), {"FUSEBOX_TRADE_SIZE": "5"}, "FUSEBOX_TRADE_SIZE: there is no such setting"),
    ],
)
def test_bad_settings_are_one_line_and_exit_code_2(
    start: Start, arguments: tuple[str, ...], environ: dict[str, str], said: str
) -> None:
    supervisor = start(*arguments, **environ)
    line = supervisor.wait_for("fusebox:", within_s=20)
    supervisor.process.wait(10)

    assert said in line
    assert supervisor.process.returncode == 2


def test_missing_weights_end_the_run_with_one_clear_line(start: Start, tmp_path: Path) -> None:
    supervisor = start(*SHORT, "--weights", str(tmp_path / "nothing.safetensors"), FUSEBOX_POLICY="")
    line = supervisor.wait_for("fusebox:", within_s=30)
    supervisor.process.wait(10)

    assert "nothing.safetensors" in line
    assert supervisor.process.returncode == 1
