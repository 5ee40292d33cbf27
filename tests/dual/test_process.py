"""`run --mode dual` as processes on the embedded exchange."""

import json
import re
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from actors.portfolio_state import PortfolioState
from bench.measure.live_wallet import live_environ
from storage.embedded import EmbeddedServer
from storage.queries import checkpoint_name, latest_checkpoint, ledger_totals
from tests.system.process import ROOT, Start, Supervisor, environ_of

SHORT = ("--window-s", "20", "--assets", "BTC,ETH")
WALLET = live_environ(8)
STARTING_CASH_USD = 10_000_000_000
FLOWS = (
    "SELECT count(*), count(f.shares), sum(o.shares), sum(f.shares), sum(f.paid), sum(f.fees)"
    " FROM orders o JOIN intents i ON i.id = o.intent_id LEFT JOIN (SELECT order_id, sum(shares) AS shares,"
    " sum(price * shares) AS paid, sum(fee_usd) AS fees FROM fills WHERE state <> 'FAILED' GROUP BY order_id) f"
    " ON f.order_id = o.id WHERE i.session_id = %s AND i.action = %s AND o.closed_at IS NOT NULL"
)


def status(state_dir: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "supervisor.py", "status", "--json"],
        cwd=ROOT, env=environ_of(state_dir, {}), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check_figures(connection: psycopg.Connection, figures: dict[str, Any], session: int) -> None:
    """Compare one session of the report with sums of its rows that are made here in another way."""
    for key, action in (("opening", "OPEN"), ("closing", "CLOSE")):
        row = connection.execute(FLOWS, (session, action)).fetchone()
        assert row is not None
        orders, filled, shares, filled_shares, paid, fees = row
        said = figures[key]
        assert (said["orders"], said["filled"]) == (orders, filled)
        assert (Decimal(said["shares"]), Decimal(said["filled_shares"])) == (shares, filled_shares)
        assert abs(Decimal(said["price"]) * filled_shares - paid) < Decimal("0.001")
        assert abs(Decimal(said["fee"]) * filled_shares - fees) < Decimal("0.001")
    totals = connection.execute(
        "SELECT count(*), sum(pnl_net_usd), sum(fees_usd) FROM trades WHERE session_id = %s", (session,)
    ).fetchone()
    assert totals == (figures["trades"], Decimal(figures["pnl_net_usd"]), Decimal(figures["fees_usd"]))


def check_paper_books(connection: psycopg.Connection) -> PortfolioState:
    """Check that paper's checkpoint agrees with its rows to the micro-dollar."""
    checkpoint = latest_checkpoint(connection, "actor", checkpoint_name(2, "portfolio.paper"))
    assert checkpoint is not None
    state = msgspec.msgpack.decode(checkpoint.payload, type=PortfolioState)
    totals = ledger_totals(connection, 2)
    assert state.ledger.cash_usd == totals.cash(STARTING_CASH_USD)
    assert state.ledger.trade_count == totals.trades
    return state


def wait_for_trades(supervisor: Supervisor, paper: int, live: int) -> None:
    """Wait until both accounts have closed so many round trips."""
    closed = {"paper": 0, "live": 0}
    while closed["paper"] < paper or closed["live"] < live:
        line = supervisor.wait_for("closed by", "PnL net", within_s=180)
        closed["paper" if "paper beside: " in line else "live"] += 1


def test_both_sessions_trade_resume_and_differ_as_the_report_says(start: Start, state_dir: Path) -> None:
    supervisor = start("--mode", "dual", *SHORT, **WALLET)
    supervisor.wait_for("hold lifted: starting")
    wait_for_trades(supervisor, 3, 3)
    running = status(state_dir)
    assert (running["process"]["mode"], running["process"]["session"], running["process"]["paper_session"]) == (
        "dual", 1, 2,
    )  # fmt: skip
    assert running["paper_beside"]["trades"] >= 3
    assert running["divergence"]["paper"]["trades"] >= 3
    assert supervisor.interrupt(signal.SIGTERM) < 4.0
    assert supervisor.process.returncode == 0, "\n".join(supervisor.lines)
    told = [line.split("divergence: ")[1] for line in supervisor.lines if "divergence: " in line]
    assert told[0] == "live session 1, paper session 2 beside it"
    assert re.search(r"paper \S+ USD of \d+", told[-1])

    stored = status(state_dir)
    assert (stored["running"], stored["session"]["id"], stored["session"]["mode"]) == (False, 1, "live")
    server = EmbeddedServer(state_dir)
    try:
        with psycopg.connect(server.start(), autocommit=True) as connection:
            sessions = connection.execute("SELECT id, mode, venue FROM sessions ORDER BY id").fetchall()
            assert [(number, mode) for number, mode, _ in sessions] == [(1, "live"), (2, "paper")]
            assert sessions[1][2] == "beside live session 1"
            for name, session in (("live", 1), ("paper", 2)):
                check_figures(connection, stored["divergence"][name], session)
            before = check_paper_books(connection)
            names = {str(row[0]) for row in connection.execute("SELECT DISTINCT name FROM checkpoints").fetchall()}
            assert {"1/portfolio", "1/executor", "2/portfolio.paper", "2/executor.paper"} <= names
            venues = connection.execute(
                "SELECT DISTINCT i.session_id, o.venue FROM orders o JOIN intents i ON i.id = o.intent_id ORDER BY 1"
            ).fetchall()
            assert venues == [(1, "polymarket"), (2, "paper")]
            same = connection.execute(
                "SELECT count(*) FROM intents a JOIN intents b USING (asset, condition_id, side, action, decided_at)"
                " WHERE a.session_id = 1 AND b.session_id = 2"
            ).fetchone()
            assert same is not None
            assert same[0] > 0
    finally:
        server.stop()

    again = start("--mode", "dual", *SHORT, **WALLET)
    again.wait_for("resuming session 1")
    wait_for_trades(again, 1, 0)
    assert again.interrupt(signal.SIGTERM) < 4.0
    server = EmbeddedServer(state_dir)
    try:
        with psycopg.connect(server.start(), autocommit=True) as connection:
            assert check_paper_books(connection).ledger.trade_count > before.ledger.trade_count
            assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (2,)
    finally:
        server.stop()


def test_dual_is_refused_for_what_live_is_refused_for(start: Start) -> None:
    refused = start("--mode", "dual", *SHORT)
    refused.wait_for("mode dual is refused: no opt-in")
    refused.process.wait(30)
    assert refused.process.returncode == 2
