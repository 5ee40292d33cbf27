"""All stored generations of one checkpoint, as a start has to choose between them."""

import hashlib
from typing import Literal

import msgspec
from psycopg.rows import dict_row

from storage.pool import Connection, database_errors
from storage.values import unix_ms

DAMAGED = "its content no longer has its checksum"


class StoredState(msgspec.Struct, frozen=True):
    """One generation with its content; `problem` says why it must not be used, None when nothing is known against it.

    `marked` tells whether it is in quarantine already.
    """

    generation: int
    schema_version: int
    sha256: str
    payload: bytes
    created_at_ms: int
    problem: str | None = None
    marked: bool = False


def stored_states(connection: Connection, kind: Literal["actor", "model"], name: str) -> list[StoredState]:
    """Return every generation of one name, newest first.

    Raises:
        TransientError, FatalError: as every query does.
    """
    with database_errors(), connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "SELECT generation, schema_version, sha256, payload, created_at, quarantined_at IS NOT NULL AS marked,"
            " quarantine_reason FROM checkpoints WHERE kind = %s AND name = %s ORDER BY generation DESC",
            (kind, name),
        ).fetchall()
    found = []
    for row in rows:
        payload = bytes(row["payload"])
        damaged = None if hashlib.sha256(payload).hexdigest() == row["sha256"] else DAMAGED
        found.append(
            StoredState(
                generation=row["generation"],
                schema_version=row["schema_version"],
                sha256=row["sha256"],
                payload=payload,
                created_at_ms=unix_ms(row["created_at"]),
                problem=(row["quarantine_reason"] or "in quarantine") if row["marked"] else damaged,
                marked=row["marked"],
            )
        )
    return found


def stored_names(connection: Connection, kind: Literal["actor", "model"], prefix: str = "") -> list[str]:
    """Return the names that start with `prefix`, sorted."""
    with database_errors():
        rows = connection.execute(
            "SELECT DISTINCT name FROM checkpoints WHERE kind = %s AND starts_with(name, %s) ORDER BY name",
            (kind, prefix),
        ).fetchall()
    return [str(name) for (name,) in rows]
