"""The control channel: commands for a running process travel through the database, and so do its answers."""

from collections.abc import Mapping
from typing import Any

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from core.errors import FatalError
from storage.lease import ADVISORY_LOCK
from storage.pool import Connection, connect, database_errors
from storage.values import unix_ms

CHANNEL = "fusebox_commands"
ANSWERS = "fusebox_answers"
LOOK_AGAIN_S = 0.25
"""A notification may be lost with a connection; whoever waits looks for itself this often."""


class Command(msgspec.Struct, frozen=True):
    """One request; `result` is None until the running process has acknowledged it."""

    id: int
    command: str
    args: dict[str, Any]
    requested_at_ms: int
    acknowledged_at_ms: int | None = None
    result: dict[str, Any] | None = None


class Holder(msgspec.Struct, frozen=True):
    """The process that trades: it holds the lease's lock at this moment."""

    epoch: int
    pid: int
    host: str
    since_ms: int


def holder(connection: Connection) -> Holder | None:
    """Return who holds the lease now, None when no process trades on this database."""
    with database_errors():
        row = connection.execute(
            "SELECT epoch, pid, host, acquired_at FROM lease WHERE acquired_at IS NOT NULL AND released_at IS NULL"
            " AND EXISTS ("
            "SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND (classid::bigint << 32 | objid::bigint) = %s)",
            (ADVISORY_LOCK,),
        ).fetchone()
    return None if row is None else Holder(row[0], row[1], row[2], unix_ms(row[3]))  # type: ignore[arg-type]


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
        connection.execute("SELECT pg_notify(%s, %s)", (ANSWERS, str(command_id)))
    return done.rowcount == 1


def expect_answers(connection: Connection) -> None:
    """Let `wait_for_answer` on this connection be woken; to be called before the request."""
    with database_errors():
        connection.execute(f"LISTEN {ANSWERS}")


def wait_for_answer(connection: Connection, command_id: int, timeout_s: float) -> Command | None:
    """Return the command once it is answered, None when it is not within `timeout_s`, at most `LOOK_AGAIN_S`."""
    command = find(connection, command_id)
    if command is None or command.result is None:
        with database_errors():
            list(connection.notifies(timeout=min(timeout_s, LOOK_AGAIN_S), stop_after=1))
        command = find(connection, command_id)
    return None if command is None or command.result is None else command


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

    @property
    def connection(self) -> Connection:
        """The listener's connection, for what a command's answer needs; of use in the thread that waits."""
        return self._connection

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
