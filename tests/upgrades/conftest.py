"""The database that an earlier program left behind, as `pg_dump` wrote it down.

It is of half a minute of `run --window-s 20 --assets BTC,ETH` with an untrained policy at commit a3765e3: three trades,
two positions held at its orderly stop, a learner with transitions that it had not learnt from.
"""

import lzma
from pathlib import Path

import psycopg
import pytest

DUMP = Path(__file__).parent / "database_of_a3765e3.sql.xz"


@pytest.fixture
def old_database(empty_database: str) -> str:
    """Connection string of a database that holds what the earlier program left."""
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(lzma.decompress(DUMP.read_bytes()))
    return empty_database
