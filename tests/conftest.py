"""A real PostgreSQL for every test that needs one: the embedded server, or the one that DATABASE_URL names."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from storage.embedded import EmbeddedServer
from storage.migrate import migrate
from tests.system.process import Start, Supervisor


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Connection string of a server for the whole test run, with the right to create databases."""
    given = os.environ.get("DATABASE_URL")
    if given:
        yield given
        return
    # Not in pytest's own folder: every pytest that starts closes that one to other users again, and a server that root
    # has handed to another account would be locked out of its data.
    with tempfile.TemporaryDirectory(prefix="fusebox-tests-") as folder:
        server = EmbeddedServer(Path(folder))
        try:
            yield server.start()
        finally:
            server.stop()


@pytest.fixture(scope="session")
def migrated_template(postgres: str) -> Iterator[str]:
    """Name of a migrated database that nobody connects to: copying it is quicker than migrating again."""
    name = f"fusebox_template_{uuid.uuid4().hex[:8]}"
    _administer(postgres, "CREATE DATABASE {}", name)
    migrate(make_conninfo(postgres, dbname=name))
    yield name
    _administer(postgres, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def database(postgres: str, migrated_template: str) -> Iterator[str]:
    """Connection string of an empty, migrated database of this test alone."""
    name = f"fusebox_test_{uuid.uuid4().hex[:8]}"
    _administer(postgres, "CREATE DATABASE {} TEMPLATE {}", name, migrated_template)
    yield make_conninfo(postgres, dbname=name)
    _administer(postgres, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def empty_database(postgres: str) -> Iterator[str]:
    """Connection string of a database that no migration has touched."""
    name = f"fusebox_empty_{uuid.uuid4().hex[:8]}"
    _administer(postgres, "CREATE DATABASE {}", name)
    yield make_conninfo(postgres, dbname=name)
    _administer(postgres, "DROP DATABASE {} WITH (FORCE)", name)


def _administer(conninfo: str, statement: str, *names: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(SQL(statement).format(*map(Identifier, names)))


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """An empty folder outside pytest's own tree: each new pytest run of root shuts that tree to other accounts."""
    folder = Path(tempfile.mkdtemp(prefix="fusebox-test-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def start(state_dir: Path) -> Iterator[Start]:
    """Start `run` on the state folder; it is killed in the end, and its database stopped."""
    started: list[Supervisor] = []

    def run(*arguments: str, **environ: str) -> Supervisor:
        started.append(Supervisor(state_dir, *arguments, environ=environ))
        return started[-1]

    yield run
    for supervisor in started:
        supervisor.kill()
    if (state_dir / "postgres.uri").exists():  # left behind by a killed process: adopted, then stopped
        server = EmbeddedServer(state_dir)
        server.start()
        server.stop()
