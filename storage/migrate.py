"""Brings the database's schema forward (or back), one process at a time, whatever happened to the one before."""

import contextlib
import socket
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI

from core.errors import FatalError
from storage.pool import connect, database_errors, target

MIGRATIONS = Path(__file__).parent / "migrations"
ADVISORY_LOCK = 0x66757365_0001
"""Ours alone: the first four bytes spell `fuse`."""
LOCK_TIMEOUT_S = 30


class Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo ships no types
    """yoyo's backend, with a log row that needs neither DNS (seconds, when it is away) nor a name for our user id."""

    def get_log_data(self, migration: Any = None, operation: str = "apply") -> dict[str, object]:
        """Return the row of yoyo's log table for one operation on `migration`."""
        return {
            "id": str(uuid.uuid4()),
            "migration_id": migration.id if migration else None,
            "migration_hash": migration.hash if migration else None,
            "username": "fusebox",
            "hostname": socket.gethostname(),
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }


def migrate(conninfo: str, migrations: Path = MIGRATIONS) -> list[str]:
    """Apply every migration that the database does not have yet and return their names.

    Raises:
        TransientError: when the database is not reachable, or another process migrates for longer than 30 s.
        FatalError: when a migration fails (it leaves nothing behind), or the schema is newer than this program.
    """
    with _alone(conninfo) as backend:
        known = read_migrations(str(migrations))
        _refuse_newer(backend, {migration.id for migration in known}, conninfo)
        waiting = backend.to_apply(known)
        names = [migration.id for migration in waiting]
        backend.apply_migrations(waiting)
    return names


def rollback(conninfo: str, count: int = 1, migrations: Path = MIGRATIONS) -> list[str]:
    """Undo the last `count` migrations, with the data in what they made, and return their names.

    Raises:
        TransientError, FatalError: as `migrate` does.
    """
    with _alone(conninfo) as backend:
        undone = backend.to_rollback(read_migrations(str(migrations)))[:count]
        names = [migration.id for migration in undone]
        backend.rollback_migrations(undone)
    return names


@contextlib.contextmanager
def _alone(conninfo: str) -> Iterator["Backend"]:
    """Yield yoyo's backend while no other process of ours migrates.

    yoyo keeps its own lock as a row, and a process killed while it migrates leaves that row for good. Under our
    advisory lock, which PostgreSQL drops with its holder, nobody of ours can be migrating: the row is stale.
    """
    with connect(conninfo, statement_timeout_s=0) as guard, database_errors():
        guard.execute("SELECT set_config('lock_timeout', %s, false)", (f"{LOCK_TIMEOUT_S}s",))
        guard.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        backend = _backend(conninfo)
        try:
            backend.break_lock()
            with backend.lock():
                yield backend
        finally:
            backend.connection.close()


def _backend(conninfo: str) -> "Backend":
    """Build the backend from parsed parts: yoyo's parser takes no key=value string, nor `postgres://` for psycopg 3."""
    parts = {name: str(value) for name, value in conninfo_to_dict(conninfo).items() if value is not None}
    uri = DatabaseURI(
        scheme="postgresql+psycopg",
        username=parts.pop("user", None),
        password=parts.pop("password", None),
        hostname=parts.pop("host", None),
        port=parts.pop("port", None),
        database=parts.pop("dbname", None),
        args=parts,
    )
    backend = Backend(uri, "_yoyo_migration")
    try:
        backend.init_database()
    except psycopg.Error:
        backend.connection.close()
        raise
    return backend


def refuse_newer(newer: Sequence[str], conninfo: str) -> None:
    """An older program must not write into a schema that it does not know.

    Raises:
        FatalError: there are migrations that only a newer program knows; names them.
    """
    if newer:
        raise FatalError(
            f"{target(conninfo)} was migrated by a newer fusebox ({', '.join(newer)}): "
            "update this program, or roll the database back with the newer one"
        )


def _refuse_newer(backend: "Backend", known: set[str], conninfo: str) -> None:
    backend.ensure_internal_schema_updated()
    rows = backend.execute("SELECT migration_id FROM _yoyo_migration").fetchall()
    refuse_newer(sorted(str(name) for (name,) in rows if name not in known), conninfo)
