"""A question to PostgreSQL whose answer is waited for no longer than a deadline, even when the server is frozen.

The server's own time-outs need a server that runs, and the driver's calls wait for as long as the socket stays open.
"""

import select
import time
from collections.abc import Callable, Sequence
from typing import LiteralString

from psycopg import errors
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from core.errors import TransientError
from storage.pool import Connection, database_errors

ANSWERED = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)

Row = tuple[str | None, ...]


def ask(
    connection: Connection,
    question: LiteralString,
    parameters: Sequence[object] = (),
    *,
    within_s: float,
    monotonic: Callable[[], float] = time.monotonic,
) -> list[Row]:
    """Return the rows that answer one statement with parameters $1, $2 ..., every value as the server's text.

    After an error the connection may still owe an answer: close it.

    Raises:
        TransientError: when there is no answer within `within_s` seconds, or the connection is lost.
        RejectedError, FatalError: when the server refuses the statement.
    """
    deadline_s = monotonic() + within_s
    pq = connection.pgconn
    with database_errors():
        pq.send_query_params(question.encode(), [str(value).encode() for value in parameters])
        while pq.flush():
            _await(pq.socket, select.POLLIN | select.POLLOUT, deadline_s - monotonic(), within_s)
        last: PGresult | None = None
        while True:
            while pq.is_busy():
                _await(pq.socket, select.POLLIN, deadline_s - monotonic(), within_s)
                pq.consume_input()
            result = pq.get_result()
            if result is None:
                break
            if result.status not in ANSWERED:
                raise errors.error_from_result(result)
            last = result
    return [] if last is None else _rows(last)


def _await(socket: int, events: int, left_s: float, within_s: float) -> None:
    poller = select.poll()
    poller.register(socket, events)
    if left_s <= 0 or not poller.poll(left_s * 1000):
        raise TransientError(f"the database does not answer within {within_s:g} s")


def _rows(result: PGresult) -> list[Row]:
    def text(row: int, column: int) -> str | None:
        value = result.get_value(row, column)
        return None if value is None else value.decode()

    return [tuple(text(row, column) for column in range(result.nfields)) for row in range(result.ntuples)]
