"""Migrations go forward and back, once, alone, and over whatever a killed one left."""

import threading
from pathlib import Path

import pytest

from core.errors import FatalError
from core.records import Record
from storage.migrate import ADVISORY_LOCK, MIGRATIONS, migrate, rollback
from storage.pool import connect
from storage.writer import write

ALL = sorted(path.stem for path in MIGRATIONS.glob("*.sql") if ".rollback" not in path.name)
NAMED_COLUMNS = {
    "sessions": "id mode venue started_at ended_at status config",
    "markets": "condition_id asset slug opens_at closes_at strike winner fee_rate tick_size",
    "intents": "id session_id asset condition_id side action decided_at reason lease_epoch incarnation"
    " action_probs features",
    "orders": "id intent_id venue order_hash order_type side token_id price shares state submitted_at closed_at"
    " last_error",
    "fills": "id order_id venue trade_id order_hash price shares fee_usd liquidity state filled_at",
    "positions": "session_id asset condition_id side shares cost_usd opened_at updated_at",
    "trades": "id session_id asset condition_id side opened_at closed_at shares entry_price exit_price fees_usd"
    " pnl_net_usd exit_reason force_closed force_close_reason",
    "checkpoints": "id kind name generation schema_version sha256 payload created_at quarantined_at quarantine_reason",
}


def tables(conninfo: str) -> set[str]:
    with connect(conninfo) as connection:
        return {
            str(name)
            for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            if "yoyo" not in str(name)
        }


def test_a_second_run_finds_nothing_to_do(empty_database: str) -> None:
    assert migrate(empty_database) == ALL
    assert migrate(empty_database) == []


def test_the_names_that_others_rely_on_exist(database: str) -> None:
    with connect(database) as connection:
        for table, columns in NAMED_COLUMNS.items():
            found = connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s", (table,)
            ).fetchall()
            assert {str(name) for (name,) in found} == set(columns.split())
        kinds = connection.execute(
            "SELECT DISTINCT numeric_precision, numeric_scale FROM information_schema.columns"
            " WHERE table_schema = 'public' AND data_type = 'numeric'"
        ).fetchall()
        naive = connection.execute(
            "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public'"
            " AND table_name NOT LIKE '%%yoyo%%' AND data_type = 'timestamp without time zone'"
        ).fetchone()
    assert kinds == [(20, 6)]
    assert naive == (0,)
    assert tables(database) >= {"health_events", "alerts", "metrics", "commands", "dead_letters", "lease"}


def test_back_and_forth_with_data(database: str, records: list[Record]) -> None:
    with connect(database) as connection:
        write(connection, records)
    assert rollback(database, count=len(ALL)) == ALL[::-1]
    assert tables(database) == set()
    assert migrate(database) == ALL


def test_the_lock_row_of_a_killed_migration_is_broken(empty_database: str) -> None:
    migrate(empty_database)
    with connect(empty_database) as connection:
        connection.execute("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 999999)")
    assert migrate(empty_database) == []
    assert rollback(empty_database) == ALL[-1:]


@pytest.mark.parametrize("name", ALL)
def test_a_migration_killed_before_it_was_noted_runs_again(database: str, records: list[Record], name: str) -> None:
    with connect(database) as connection:
        write(connection, records)
        connection.execute("DELETE FROM _yoyo_migration WHERE migration_id = %s", (name,))
    assert migrate(database) == [name]
    with connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM fills").fetchone() == (1,)


def test_a_failing_migration_leaves_nothing_behind(empty_database: str, tmp_path: Path) -> None:
    (tmp_path / "0001_bad.sql").write_text("CREATE TABLE half (n int);\nSELECT no_such_column FROM half;\n")
    with pytest.raises(FatalError, match="no_such_column"):
        migrate(empty_database, tmp_path)
    assert tables(empty_database) == set()
    assert migrate(empty_database) == ALL


def test_a_newer_schema_is_refused(database: str, tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"newer fusebox.*update this program"):
        migrate(database, tmp_path)


def test_two_processes_take_turns(empty_database: str) -> None:
    done: list[list[str]] = []
    with connect(empty_database) as guard:
        guard.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        runs = [threading.Thread(target=lambda: done.append(migrate(empty_database))) for _ in range(2)]
        for run in runs:
            run.start()
        runs[0].join(0.2)
        assert done == []
    for run in runs:
        run.join(20)
    assert sorted(done) == [[], ALL]
