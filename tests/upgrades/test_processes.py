"""The real program on what another version of it left: it goes on with the account, or refuses in one line."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from storage.lease import ADVISORY_LOCK
from storage.migrate import migrate, rollback
from tests.system.process import ROOT, Start, environ_of
from tests.system.test_demo import SHORT, assert_reconciled

FUTURE = "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc) VALUES ('f', '9999_future', now())"

KEPT = "SELECT asset, side, shares FROM positions UNION ALL SELECT asset, side, shares FROM trades"
"""What was held then, and is still, or is settled by now: the embedded world knows the winner of any of its windows."""


def test_a_run_goes_on_with_the_session_the_account_and_the_positions_of_an_earlier_version(
    start: Start, old_database: str
) -> None:
    run = start(*SHORT, DATABASE_URL=url_of(old_database))
    run.wait_for("resuming session 1")
    run.wait_for("hold lifted: starting")
    assert run.interrupt() < 4.0

    assert run.process.returncode == 0
    assert [line for line in run.lines if "checkpoint of" in line] == []
    with psycopg.connect(old_database) as connection:
        state = assert_reconciled(connection)
        sessions = connection.execute("SELECT count(*) FROM sessions").fetchone()
        kept = connection.execute(KEPT).fetchall()
    assert sessions == (1,)
    assert state.ledger.trade_count >= 3
    assert {(asset, side, int(shares)) for asset, side, shares in kept} >= {("BTC", "UP", 91), ("ETH", "DOWN", 48)}


@pytest.mark.parametrize("command", [("run", "--no-wait"), ("migrate",)])
def test_a_database_newer_than_the_program_is_refused_in_one_line(
    state_dir: Path, old_database: str, command: tuple[str, ...]
) -> None:
    with psycopg.connect(old_database) as connection:
        connection.execute(FUTURE)
    done = supervisor(state_dir, old_database, *command)

    assert_refused_as_newer(done)


def test_before_a_deploy_the_schema_is_left_to_the_run_that_takes_over_from_the_process_that_trades(
    state_dir: Path, old_database: str
) -> None:
    migrate(old_database)
    with psycopg.connect(old_database, autocommit=True) as trading:
        trading.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        nothing = supervisor(state_dir, old_database, "migrate")
        (newest,) = rollback(old_database)
        waiting = supervisor(state_dir, old_database, "migrate")
        trading.execute(FUTURE)
        newer = supervisor(state_dir, old_database, "migrate")
    with psycopg.connect(old_database) as connection:
        applied = connection.execute("SELECT migration_id FROM _yoyo_migration").fetchall()

    assert (nothing.returncode, "is up to date" in nothing.stdout) == (0, True)
    assert waiting.returncode == 0
    assert f"the `run` that takes over from it applies {newest}" in waiting.stdout
    assert (newest,) not in applied
    assert_refused_as_newer(newer)


def supervisor(state_dir: Path, conninfo: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "supervisor.py", *command],
        cwd=ROOT,
        env=environ_of(state_dir, {"DATABASE_URL": url_of(conninfo)}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def url_of(conninfo: str) -> str:
    """Return a connection string as an address."""
    return f"postgresql:///?{'&'.join(conninfo.split())}"


def assert_refused_as_newer(done: subprocess.CompletedProcess[str]) -> None:
    said = [line for line in done.stderr.splitlines() if line.startswith("fusebox:")]
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(said) == 1
    assert "was migrated by a newer fusebox (9999_future): update this program, or roll the database back" in said[0]
