"""The control channel: commands for a running process travel through the database, and so do its answers."""

from collections.abc import Mapping
from typing import Any

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from core.errors import FatalError
from storage.pool import Connection, connect, database_errors
from storage.values import unix_ms

CHANNEL = "fusebox_commands"


class Command(msgspec.Struct, frozen=True):
    """One request; `result` is None until the running process has acknowledged it."""

    id: int
    command: str
    args: dict[str, Any]
    requested_at_ms: int
    acknowledged_at_ms: int | None = None
    result: dict[str, Any] | None = None


def request(connection: Connection, command: str, args: Mapping[str, Any]) -> int:
    """Leave a command for the running process and return its id; listeners hear of it when the transaction commits."""
    with database_errors(), connection.transaction():
        row = connection.execute(
            "INSERT INTO commands (command, args) VALUES (%s, %s) RETURNING id", (command, Jsonb(dict(args)))
        ).fetchone()
    if row is None or not isinstance(row[0], int):
        raise FatalError("the database took a command and gave it no number")
    return row[0]


def waiting(connection: Connection) -> list[Command]:
    """Return the commands nobody has acknowledged, oldest first, with their age for the reader to judge."""
    return _commands(connection, "WHERE acknowledged_at IS NULL ORDER BY id")


def acknowledge(connection: Connection, command_id: int, result: Mapping[str, Any]) -> bool:
    """Answer a command; False when it was already answered, and that answer stands."""
    with database_errors(), connection.transaction():
        done = connection.execute(
            "UPDATE commands SET acknowledged_at = now(), result = %s WHERE id = %s AND acknowledged_at IS NULL",
            (Jsonb(dict(result)), command_id),
        )
    return done.rowcount == 1


def find(connection: Connection, command_id: int) -> Command | None:
    """Return one command with its answer, if any."""
    found = _commands(connection, "WHERE id = %s", command_id)
    return found[0] if found else None


class Listener:
    """Waits for commands on a connection of its own; blocks, so it belongs in a worker."""

    def __init__(self, conninfo: str) -> None:
        self._connection = connect(conninfo, statement_timeout_s=0)
        with database_errors():
            self._connection.execute(f"LISTEN {CHANNEL}")

    def wait(self, timeout_s: float) -> list[Command]:
        """Return what waits, at once or as soon as something does; empty after `timeout_s` seconds.

        Raises:
            TransientError: when the connection is lost; make another listener.
        """
        with database_errors():
            found = waiting(self._connection)
            # The generator holds the connection until it is exhausted, so nothing is asked inside it.
            if not found and list(self._connection.notifies(timeout=timeout_s, stop_after=1)):
                found = waiting(self._connection)
        return found

    def close(self) -> None:
        """Close the connection; a later `wait` raises TransientError. Call it where `wait` is called."""
        self._connection.close()


def _commands(connection: Connection, condition: str, *parameters: object) -> list[Command]:
    query = "SELECT id, command, args, requested_at, acknowledged_at, result FROM commands " + condition  # noqa: S608 - a literal
    with database_errors(), connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        rows = cursor.execute(query, parameters).fetchall()
    return [
        Command(number, name, args, unix_ms(requested), None if done is None else unix_ms(done), result)
        for number, name, args, requested, done, result in rows
    ]
