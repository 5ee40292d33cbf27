"""A database with a live session and the paper one beside it."""

from collections.abc import Iterator

import pytest

from storage.beside import open_beside
from storage.lease import Lease
from storage.pool import Connection, connect
from storage.queries import Session, open_session

T0 = 1_776_727_800_000
CONFIG = {"starting_cash_usd": "10000"}


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


@pytest.fixture
def lease(database: str) -> Iterator[Lease]:
    """The lease of the process that trades."""
    taken = Lease.acquire(database)
    yield taken
    taken.release()


@pytest.fixture
def live(connection: Connection) -> Session:
    return open_session(connection, "live", CONFIG, venue="demo, 0xf", new=False, now_ms=T0)


@pytest.fixture
def paper(connection: Connection, live: Session, lease: Lease) -> Session:
    return open_beside(connection, live, CONFIG, lease.epoch, T0 + 1)
