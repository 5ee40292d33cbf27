"""A change of the schema, forward or back, keeps every row of the tables that it does not own."""

from typing import Any

import pytest

from core.records import Record
from storage.migrate import MIGRATIONS, migrate, rollback
from storage.pool import connect
from storage.writer import write
from tests.storage.conftest import connection, records, session  # noqa: F401 -- fixtures
from tests.upgrades.stored import in_common, stored_rows

ALL = sorted(path.stem for path in MIGRATIONS.glob("*.sql") if ".rollback" not in path.name)
BY_HAND = (
    "UPDATE checkpoints SET quarantined_at = now(), quarantine_reason = 'damaged'",
    "INSERT INTO gate (scope, reason, level, set_at, sequence) VALUES ('', 'halted', 'closed', now(), 7)",
    "INSERT INTO checkpoint_uploads (kind, schema_version, payload) VALUES ('actor', 1, 'x')",
)
"""What no record of the actors writes, and not any value will do for."""
REQUIRED = """
SELECT column_name::text, data_type::text FROM information_schema.columns WHERE table_schema = 'public'
AND table_name = %s AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'
"""
OF_TYPE = {
    "bigint": "1", "integer": "1", "numeric": "1.5", "double precision": "1.5", "text": "'x'", "bytea": "'x'",
    "timestamp with time zone": "now()", "json": "'{}'", "jsonb": "'{}'", "ARRAY": "'{}'", "boolean": "true",
}  # fmt: skip
"""A value of each type, for tables that no record of the actors is written to."""


@pytest.fixture
def filled(database: str, records: list[Record]) -> str:  # noqa: F811
    """Connection string of a database with rows in every table."""
    with connect(database) as opened:
        write(opened, records)
        for statement in BY_HAND:
            opened.execute(statement)
        for table in (name for name, rows in stored_rows(database).items() if not rows):
            columns: dict[Any, Any] = dict(opened.execute(REQUIRED, (table,)).fetchall())  # type: ignore[arg-type]
            names, values = ", ".join(columns), ", ".join(OF_TYPE[kind] for kind in columns.values())
            opened.execute(f"INSERT INTO {table} ({names}) VALUES ({values})")  # noqa: S608 -- names of the schema
    assert [name for name, rows in stored_rows(database).items() if not rows] == []
    return database


@pytest.mark.parametrize("count", range(1, len(ALL) + 1))
def test_a_migration_rolled_back_and_applied_again_keeps_the_rows_of_what_it_does_not_own(
    filled: str, count: int
) -> None:
    before = stored_rows(filled)
    assert rollback(filled, count) == ALL[::-1][:count]
    back = stored_rows(filled)
    assert migrate(filled) == ALL[-count:]
    forward = stored_rows(filled)

    assert back == in_common(before, back)
    assert in_common(forward, back) == back
    assert forward.keys() == before.keys()


def test_a_database_of_an_earlier_program_comes_forward_with_every_row(old_database: str) -> None:
    before = stored_rows(old_database)
    migrate(old_database)
    after = stored_rows(old_database)

    assert (len(before["trades"]), len(before["positions"]), len(before["intents"])) == (3, 2, 7)
    assert in_common(after, before) == before
    assert migrate(old_database) == []


def test_and_back_again(old_database: str) -> None:
    before = stored_rows(old_database)
    applied = migrate(old_database)
    rollback(old_database, len(applied))

    assert stored_rows(old_database) == before
