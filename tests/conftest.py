"""A real PostgreSQL for every test that needs one: the embedded server, or the one that DATABASE_URL names."""

import os
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
