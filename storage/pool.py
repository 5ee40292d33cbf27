"""Connections to PostgreSQL, with every failure turned into the project's errors and no password in any text."""

import contextlib
import re
from collections.abc import Iterator
from typing import LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolTimeout

from core.errors import FatalError, FuseboxError, RejectedError, TransientError

OLDEST_SUPPORTED = 15
CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 10
RECONNECT_FOR_S = 1.0
"""The pool's own pauses between attempts double without end: after ten minutes away, minutes more until the next one.
It gives up instead, and whoever asks for a connection next makes it try again."""
IDLE_TRANSACTION_TIMEOUT_S = 5
"""A process that is stopped in the middle of a transaction must not keep its locks: a new holder of the lease waits."""
CLOSE_WITHIN_S = 0.5

Connection = psycopg.Connection[tuple[object, ...]]

# https://www.postgresql.org/docs/18/errcodes-appendix.html, by class or code
RETRYABLE = ("08", "25006", "40", "53", "55", "57", "58")
REFUSED = ("22", "23", "P0")
WRONG_LOGIN = ("password authentication failed", "no password supplied", "no pg_hba.conf entry", "not permitted to log")
UNKNOWN_NAME = re.compile(r'(database|role) ".*" does not exist')


class Pool:
    """A bounded set of connections, all with the same time-outs and in UTC."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    @contextlib.contextmanager
    def connection(self, wait_s: float | None = None) -> Iterator[Connection]:
        """Lend a connection in autocommit mode: each statement, or each `transaction()` block, is its own transaction.

        Raises:
            TransientError: when none is free or reachable within `wait_s` seconds, or the connection is lost. A loss
                during the commit leaves its outcome open: what is written must be idempotent.
            RejectedError: when the database refuses the data.
            FatalError: when the database is not the one this program expects.
        """
        with database_errors(), self._pool.connection(wait_s) as connection:
            yield connection

    def close(self) -> None:
        """Close every connection and end the pool's threads; one that hangs in a dead connection is left behind."""
        self._pool.close(CLOSE_WITHIN_S)


def open_pool(
    conninfo: str,
    *,
    max_connections: int = 4,
    connect_timeout_s: int = CONNECT_TIMEOUT_S,
    statement_timeout_s: float = STATEMENT_TIMEOUT_S,
) -> Pool:
    """Check that the database can be used and return a pool of connections to it.

    Raises:
        TransientError: when it cannot be reached now.
        FatalError: when it refuses us (login, name) or is older than PostgreSQL 15.
    """
    connect(conninfo, connect_timeout_s=connect_timeout_s, statement_timeout_s=statement_timeout_s).close()
    pool: ConnectionPool[Connection] = ConnectionPool(
        conninfo,
        kwargs={"connect_timeout": connect_timeout_s, "autocommit": True},
        min_size=1,
        max_size=max_connections,
        num_workers=1,
        timeout=connect_timeout_s,
        reconnect_timeout=RECONNECT_FOR_S,
        configure=lambda connection: _configure(connection, statement_timeout_s),
        check=ConnectionPool.check_connection,
        open=False,
    )
    with database_errors():
        pool.open(wait=True, timeout=connect_timeout_s)
    return Pool(pool)


def connect(
    conninfo: str,
    *,
    connect_timeout_s: int = CONNECT_TIMEOUT_S,
    statement_timeout_s: float = STATEMENT_TIMEOUT_S,
) -> Connection:
    """Open one connection outside any pool, in autocommit mode; `statement_timeout_s` 0 means no limit.

    Raises:
        TransientError, FatalError: as `open_pool` does.
    """
    try:
        with database_errors():
            connection = psycopg.connect(conninfo, connect_timeout=connect_timeout_s, autocommit=True)
            _configure(connection, statement_timeout_s)
    except (TransientError, FatalError) as error:
        # The library's own traceback would show the connection string, password and all.
        raise type(error)(f"{target(conninfo)}: {error}") from None
    major = connection.info.server_version // 10_000
    if major < OLDEST_SUPPORTED:
        connection.close()
        raise FatalError(
            f"{target(conninfo)} runs PostgreSQL {major}, fusebox needs {OLDEST_SUPPORTED} or newer: "
            "upgrade the server, or unset DATABASE_URL to use the embedded one"
        )
    return connection


def target(conninfo: str) -> str:
    """Return what a person needs to recognise a database, `host:port/name`, without its user or password.

    Raises:
        FatalError: when `conninfo` is neither a URI nor a list of `key=value`.
    """
    try:
        parts = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        raise FatalError(
            "DATABASE_URL is not a PostgreSQL connection string: write postgresql://user@host/name"
        ) from None
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"database {parts.get('host') or 'localhost'}{port}/{parts.get('dbname') or parts.get('user') or ''}"


@contextlib.contextmanager
def database_errors() -> Iterator[None]:
    """Raise the project's errors for the driver's, with the server's one-line message."""
    try:
        yield
    except (psycopg.Error, PoolTimeout) as error:
        raise translated(error) from error


def translated(error: Exception) -> FuseboxError:
    """Return the project's error for one of the driver's: what its catcher may do next decides the class."""
    text = " ".join(str(error).split("\n")[0].split()) or type(error).__name__
    code = getattr(error, "sqlstate", None)
    if code is None:
        return _unreached(error, text)
    if code.startswith(RETRYABLE):
        return TransientError(f"{text} [{code}]")
    if code.startswith(REFUSED):
        return RejectedError(f"{text} [{code}]")
    remedy = ": its tables are not those of this version; name another database" if code in {"42P01", "42703"} else ""
    return FatalError(f"{text} [{code}]{remedy}")


def _unreached(error: Exception, text: str) -> FuseboxError:
    """Classify an error without a code: libpq reports a refused login as just another failed connection."""
    if isinstance(error, PoolTimeout):
        return TransientError(f"no database connection: {text}")
    if any(sign in str(error) for sign in WRONG_LOGIN):
        return FatalError(f"the login was refused ({text}): correct user and password in DATABASE_URL")
    if UNKNOWN_NAME.search(str(error)):
        return FatalError(f"{text}: create it, or correct DATABASE_URL")
    if isinstance(error, psycopg.DataError):
        return RejectedError(text)  # the driver saw it first, such as a NUL in a text
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return TransientError(f"the database is not reachable: {text}")
    return FatalError(f"the database driver refused: {text}")


def _configure(connection: Connection, statement_timeout_s: float) -> None:
    settings: tuple[tuple[LiteralString, str], ...] = (
        ("statement_timeout", str(int(statement_timeout_s * 1000))),
        ("idle_in_transaction_session_timeout", str(IDLE_TRANSACTION_TIMEOUT_S * 1000)),
        ("TimeZone", "UTC"),
        ("application_name", "fusebox"),
    )
    for name, value in settings:
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))
