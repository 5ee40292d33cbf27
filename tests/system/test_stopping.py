"""SIGTERM: gate closed, what rests is cancelled, all is written, positions are kept, exit 0 within four seconds."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from actors.portfolio_state import PortfolioState
from storage.embedded import EmbeddedServer
from tests.system.process import Start
from tests.system.test_demo import SHORT, assert_reconciled, reconcile, wait_until

RESTING = ("--window-s", "60", "--assets", "BTC,ETH")
OPEN_ORDERS = "SELECT count(*) FROM orders WHERE closed_at IS NULL"


@pytest.fixture
def server() -> Iterator[str]:
    """A database that the test may slow down."""
    with tempfile.TemporaryDirectory(prefix="fusebox-test-") as folder:
        own = EmbeddedServer(Path(folder))
        try:
            yield own.start()
        finally:
            own.stop()


def count(uri: str, query: str) -> int:
    with psycopg.connect(uri) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def assert_nothing_is_reserved(state: PortfolioState) -> None:
    assert state.orders == {}
    assert state.intents == {}
    assert state.ledger.reservations == {}


def test_resting_orders_are_cancelled_and_their_reservations_are_free(start: Start, server: str) -> None:
    supervisor = start(*RESTING, DATABASE_URL=server, FUSEBOX_ORDER_TYPE="GTC", FUSEBOX_MAX_SLIPPAGE_TICKS="0")
    supervisor.wait_for("hold lifted: starting")
    wait_until(lambda: count(server, f"{OPEN_ORDERS} AND state = 'LIVE'") > 0, within_s=120)
    took_s = supervisor.interrupt(signal.SIGTERM)

    assert (supervisor.process.returncode, took_s < 4.0) == (0, True), took_s
    assert count(server, OPEN_ORDERS) == 0
    assert count(server, "SELECT count(*) FROM orders WHERE state IN ('CANCELLED', 'PARTIALLY_FILLED')") > 0
    with psycopg.connect(server) as connection:
        assert_nothing_is_reserved(assert_reconciled(connection))


def test_positions_are_kept_and_the_gate_closes_first(start: Start, state_dir: Path) -> None:
    supervisor = start(*SHORT, FUSEBOX_HOLD_TO_SETTLEMENT="BTC,ETH", FUSEBOX_WINDOW_S="60")
    supervisor.wait_for("OPEN", "FILLED", within_s=180)
    assert supervisor.interrupt(signal.SIGTERM) < 4.0

    assert supervisor.process.returncode == 0
    text = "\n".join(supervisor.lines)
    after = text[text.index("gate closed: stopping") :]
    assert "FILLED" not in after
    assert "CLOSE" not in after
    state = reconcile(state_dir)
    assert state.ledger.positions
    assert_nothing_is_reserved(state)


def test_a_slow_database_does_not_hold_the_stop_up_and_loses_nothing(
    start: Start, state_dir: Path, server: str
) -> None:
    """Every write waits for a lock: what the stop has to say goes to the journal, and from there to the tables."""
    supervisor = start(*SHORT, DATABASE_URL=server, FUSEBOX_HOLD_TO_SETTLEMENT="BTC,ETH")
    supervisor.wait_for("OPEN", "FILLED", within_s=180)
    with psycopg.connect(server) as connection:
        connection.execute("LOCK TABLE checkpoints IN ACCESS EXCLUSIVE MODE")
        supervisor.wait_for("gate reduce-only: database does not record", within_s=30)
        took_s = supervisor.interrupt(signal.SIGTERM)
        assert supervisor.process.returncode == 0, "\n".join(supervisor.lines[-20:])
        assert took_s < 4.0
    again = start(*SHORT, DATABASE_URL=server, FUSEBOX_HOLD_TO_SETTLEMENT="BTC,ETH")
    again.wait_for("resuming session 1", within_s=30)
    again.wait_for("hold lifted: starting", within_s=30)
    assert again.interrupt(signal.SIGTERM) < 4.0
    assert again.process.returncode == 0
    with psycopg.connect(server) as connection:
        assert_nothing_is_reserved(assert_reconciled(connection))


def test_a_frozen_database_does_not_hold_the_stop_up(start: Start, state_dir: Path, server: str) -> None:
    supervisor = start(*SHORT, DATABASE_URL=server)
    supervisor.wait_for("hold lifted: starting")
    with psycopg.connect(server) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname IS NOT NULL AND pid <> pg_backend_pid()"
        )
        backends = [int(pid) for (pid,) in rows]
    for pid in backends:
        os.kill(pid, signal.SIGSTOP)
    try:
        supervisor.wait_for("gate reduce-only: lease not confirmed", within_s=2)
        took_s = supervisor.interrupt(signal.SIGTERM)
    finally:
        for pid in backends:
            os.kill(pid, signal.SIGCONT)

    assert (supervisor.process.returncode, took_s < 4.0) == (0, True), (took_s, supervisor.lines[-10:])
