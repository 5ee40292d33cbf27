"""The real program on what another version of it left: it goes on with the account, or refuses in one line."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.system.process import ROOT, Start, environ_of
from tests.system.test_demo import SHORT, assert_reconciled

FUTURE = "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc) VALUES ('f', '9999_future', now())"

KEPT = "SELECT asset, side, shares FROM positions UNION ALL SELECT asset, side, shares FROM trades"
"""What was held then, and is still, or is settled by now: the embedded world knows the winner of any of its windows."""


def test_a_run_goes_on_with_the_session_the_account_and_the_positions_of_an_earlier_version(
    start: Start, old_database: str
) -> None:
    uri = f"postgresql:///?{'&'.join(old_database.split())}"
    supervisor = start(*SHORT, DATABASE_URL=uri)
    supervisor.wait_for("resuming session 1")
    supervisor.wait_for("hold lifted: starting")
    assert supervisor.interrupt() < 4.0

    assert supervisor.process.returncode == 0
    assert [line for line in supervisor.lines if "checkpoint of" in line] == []
    with psycopg.connect(old_database) as connection:
        state = assert_reconciled(connection)
        sessions = connection.execute("SELECT count(*) FROM sessions").fetchone()
        kept = connection.execute(KEPT).fetchall()
    assert sessions == (1,)
    assert state.ledger.trade_count >= 3
    assert {(asset, side, int(shares)) for asset, side, shares in kept} >= {("BTC", "UP", 91), ("ETH", "DOWN", 48)}


@pytest.mark.parametrize("command", [("run", "--no-wait")])
def test_a_database_newer_than_the_program_is_refused_in_one_line(
    state_dir: Path, old_database: str, command: tuple[str, ...]
) -> None:
    with psycopg.connect(old_database) as connection:
        connection.execute(FUTURE)
    uri = f"postgresql:///?{'&'.join(old_database.split())}"
    done = subprocess.run(
        [sys.executable, "supervisor.py", *command],
        cwd=ROOT,
        env=environ_of(state_dir, {"DATABASE_URL": uri}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    said = [line for line in done.stderr.splitlines() if line.startswith("fusebox:")]
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(said) == 1
    assert "was migrated by a newer fusebox (9999_future): update this program, or roll the database back" in said[0]
