"""A migrated database with a paper session that holds the four trades of `made`."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from urllib.parse import quote, urlencode

import pytest
from psycopg.conninfo import conninfo_to_dict

from storage.pool import Connection, connect
from storage.queries import Session, open_session
from storage.writer import write
from tests.reports.made import T0, history
from tests.system.process import ROOT

Fusebox = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


@pytest.fixture
def session(connection: Connection) -> Session:
    return open_session(connection, "paper", {"starting_cash_usd": "1000"}, venue="demo", new=False, now_ms=T0)


@pytest.fixture
def traded(connection: Connection, session: Session) -> Session:
    """The session with its four trades."""
    write(connection, history(session.id))
    return session


@pytest.fixture
def fusebox(database: str) -> Fusebox:
    """Run a command in another shell on the database of this test alone."""
    uri = "postgresql:///?" + urlencode(conninfo_to_dict(database), quote_via=quote)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("FUSEBOX_")}

    def command(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "supervisor.py", *map(str, arguments)],
            cwd=ROOT,
            env={**clean, "DATABASE_URL": uri},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return command
