"""Failures of the database arrive as the project's errors, on one line and without a password."""

import os
import signal
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from core.errors import FatalError, RejectedError, TransientError
from storage.cluster import Postmaster
from storage.embedded import EmbeddedServer
from storage.pool import connect, open_pool, target, translated


def test_the_pool_lends_connections_in_utc_with_a_limit_on_statements(database: str) -> None:
    pool = open_pool(database, statement_timeout_s=0.05)
    with pool.connection() as connection:
        assert connection.execute("SHOW TimeZone").fetchone() == ("UTC",)
        assert connection.autocommit
    with pytest.raises(TransientError, match="statement timeout"), pool.connection() as connection:
        connection.execute("SELECT pg_sleep(5)")
    pool.close()


def test_a_pool_that_is_used_up_is_a_passing_trouble(database: str) -> None:
    pool = open_pool(database, max_connections=1)
    with pool.connection(), pytest.raises(TransientError, match=r"^no database connection"), pool.connection(0.05):
        pass
    pool.close()


def test_a_restarted_server_is_reached_again(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    pool = open_pool(server.start())
    running = Postmaster.read(server.data_dir)
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    with pytest.raises(TransientError), pool.connection(0.1) as connection:
        connection.execute("SELECT pg_sleep(5)")
    server.start()
    with pool.connection() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    pool.close()
    server.stop()


def test_an_unknown_database_is_fatal_and_named(postgres: str) -> None:
    with pytest.raises(FatalError, match=r'nowhere: .*"nowhere" does not exist.*DATABASE_URL'):
        open_pool(make_conninfo(postgres, dbname="nowhere"))


def test_an_absent_server_is_a_passing_trouble_without_the_password(tmp_path: Path) -> None:
    for url in ("postgresql://u:hunter2@127.0.0.1:1/n", f"postgresql://u:hunter2@/n?host={tmp_path}"):
        with pytest.raises(TransientError, match="not reachable") as caught:
            open_pool(url)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__suppress_context__


def test_nonsense_is_refused_without_being_repeated() -> None:
    with pytest.raises(FatalError, match="postgresql://user@host/name") as caught:
        connect("postgresql:hunter2")
    assert "hunter2" not in str(caught.value)
    assert target("host=h port=5 dbname=n user=u password=hunter2") == "database h:5/n"


def test_a_server_older_than_15_is_refused_by_name(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.pool.OLDEST_SUPPORTED", 99)
    with pytest.raises(FatalError, match=r"runs PostgreSQL \d+, fusebox needs 99 or newer"):
        open_pool(postgres)


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT 1 / 0", RejectedError),
        ("INSERT INTO fills DEFAULT VALUES", RejectedError),
        ("SELECT * FROM no_such_table", FatalError),
        ("SELECT", None),
        ("BEGIN READ ONLY; INSERT INTO lease DEFAULT VALUES", TransientError),
    ],
)
def test_what_a_catcher_may_do_next_follows_from_the_kind(
    database: str, statement: str, kind: type[Exception] | None
) -> None:
    pool = open_pool(database)
    if kind is None:
        with pool.connection() as connection:
            connection.execute(statement)  # type: ignore[arg-type, unused-ignore]
    else:
        with pytest.raises(kind), pool.connection() as connection:
            connection.execute(statement)  # type: ignore[arg-type, unused-ignore]
    pool.close()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('connection failed: FATAL:  password authentication failed for user "u"', FatalError),
        ("connection failed: fe_sendauth: no password supplied", FatalError),
        ('connection failed: FATAL:  role "u" does not exist', FatalError),
        ("connection failed: Connection refused", TransientError),
        ('connection to server on socket "/x/.s.PGSQL.5432" failed: No such file or directory', TransientError),
    ],
)
def test_failed_logins_and_failed_connections_differ(text: str, kind: type[Exception]) -> None:
    assert type(translated(psycopg.OperationalError(text))) is kind
