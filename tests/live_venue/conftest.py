"""A local CLOB, and clients of it."""

from collections.abc import Iterator

import pytest

from tests.live_venue.builders import API_KEY, NOW_MS, ORDER, WALLET, signer
from tests.live_venue.local_clob import LocalClob
from venues.polymarket.account import Account
from venues.polymarket.auth import Level2
from venues.polymarket.connection import Connections, Timeouts
from venues.polymarket.order_client import OrderClient
from venues.polymarket.session import Session
from venues.polymarket.signing import OrderTerms, SignedOrder, signer_address

IMPATIENT = Timeouts(connect_s=1.0, write_s=0.25, answer_s=0.4)


@pytest.fixture
def clob() -> Iterator[LocalClob]:
    running = LocalClob()
    yield running
    running.close()


@pytest.fixture
def connections(clob: LocalClob) -> Iterator[Connections]:
    pool = Connections(clob.url, timeouts=IMPATIENT)
    yield pool
    pool.close()


@pytest.fixture
def session(connections: Connections) -> Session:
    return Session(connections, Level2(signer_address(WALLET), API_KEY, lambda: NOW_MS))


@pytest.fixture
def orders(session: Session) -> OrderClient:
    return OrderClient(session)


@pytest.fixture
def account(session: Session) -> Account:
    return Account(session, WALLET.signature_type)


@pytest.fixture(scope="session")
def signed() -> SignedOrder:
    return signer().sign(ORDER, OrderTerms(10_000))
