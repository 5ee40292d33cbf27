"""Live trading end to end: whatever the exchange does, and whatever kills us or it, both ledgers agree in the end."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

from tests.live_system.ledgers import assert_nothing_contradicts, assert_the_same_at_rest
from tests.system.process import Supervisor

Trade = Callable[..., Supervisor]


def exchange_pid(supervisor: Supervisor) -> int:
    return int(re.findall(r"pid (\d+)", supervisor.wait_for("embedded exchange runs"))[0])


def ready(supervisor: Supervisor) -> None:
    supervisor.wait_for("reconciled with the venue")
    supervisor.wait_for("hold lifted: starting")


def test_windows_under_the_default_faults_end_with_the_exchanges_own_figures(trade: Trade, state_dir: Path) -> None:
    supervisor = trade()
    ready(supervisor)
    for _ in range(3):
        supervisor.wait_for("closed by", "PnL net", within_s=180)
    for _ in range(4):
        supervisor.wait_for("resolved", within_s=180)
    took_s = supervisor.interrupt(signal.SIGTERM)

    assert supervisor.process.returncode == 0, "\n".join(supervisor.lines)
    assert took_s < 4.0
    assert "Traceback" not in "\n".join(supervisor.lines)
    venue, rows = assert_nothing_contradicts(state_dir)
    assert venue.open_orders == ()
    assert len(rows.flows) >= 3

    again = trade()
    again.wait_for("resuming session 1")
    ready(again)
    venue, rows = assert_the_same_at_rest(state_dir, again)
    assert venue.cash_usd != venue.deposit_usd
    assert len(rows.flows) >= 3


def test_a_kill_while_it_trades_leaves_no_order_unknown(trade: Trade, state_dir: Path) -> None:
    supervisor = trade(FUSEBOX_ORDER_TYPE="GTC", FUSEBOX_MAX_SLIPPAGE_TICKS="0")
    ready(supervisor)
    supervisor.wait_for("FILLED", within_s=180)
    supervisor.wait_for(" OPEN ", within_s=180)
    supervisor.kill()
    assert_nothing_contradicts(state_dir)

    again = trade()
    again.wait_for("resuming session 1")
    ready(again)
    _, rows = assert_the_same_at_rest(state_dir, again)
    assert "UNKNOWN" not in rows.outcomes


def test_an_exchange_that_freezes_and_dies_is_traded_on_again_and_nothing_is_missing(
    trade: Trade, state_dir: Path
) -> None:
    supervisor = trade(FUSEBOX_ORDER_TYPE="GTC", FUSEBOX_MAX_SLIPPAGE_TICKS="0")
    pid = exchange_pid(supervisor)
    ready(supervisor)
    supervisor.wait_for("FILLED", within_s=180)
    os.kill(pid, signal.SIGSTOP)
    try:
        supervisor.wait_for("gate reduce-only: the venue has not heard our heartbeat", within_s=30)
    finally:
        os.kill(pid, signal.SIGCONT)
    supervisor.wait_for("the venue hears our heartbeat again", within_s=30)
    supervisor.wait_for("FILLED", within_s=180)
    os.kill(pid, signal.SIGKILL)
    supervisor.wait_for("the embedded exchange is back", within_s=30)
    supervisor.wait_for("FILLED", within_s=180)

    assert_the_same_at_rest(state_dir, supervisor)
    assert "Traceback" not in "\n".join(supervisor.lines)
