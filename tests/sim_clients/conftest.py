"""Exchanges by the real clock, wallets, and the vendor's two clients pointed at them."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Self, TypeVar

import httpx
import py_clob_client.http_helpers.helpers as http_v1
import py_clob_client_v2.http_helpers.helpers as http_v2
import pytest
from eth_account import Account
from py_clob_client.client import ClobClient as ClientV1
from py_clob_client_v2.client import ClobClient as ClientV2
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2

from tests.sim.conftest import Served, SettableClock, serve
from venues.sim.auth.orders import EXCHANGES, Terms
from venues.sim.exchange import Operation, make_exchange
from venues.sim.trading.values import TradingRules

WINDOW_S = 900
QUICK = TradingRules(taker_delay_ms=50, settle_low_ms=100, settle_high_ms=300, confirm_ms=200)
T = TypeVar("T")
_secrets = itertools.count(1)


def served(operation: Operation, window_s: int = WINDOW_S) -> Iterator[Served]:
    """Serve an exchange that is operated like this, by the real clock."""
    clock = SettableClock()
    yield from serve(make_exchange(5, "today", window_s, ("BTC",), clock, operation), clock)


@pytest.fixture(scope="module", autouse=True)
def _direct() -> Iterator[None]:
    """Both clients share one HTTP client each, which would go through the environment's proxies."""
    before = http_v1._http_client, http_v2._http_client
    http_v1._http_client, http_v2._http_client = (httpx.Client(trust_env=False, timeout=5) for _ in range(2))
    yield
    http_v1._http_client.close()
    http_v2._http_client.close()
    http_v1._http_client, http_v2._http_client = before


@pytest.fixture(scope="module")
def v2() -> Iterator[Served]:
    """An exchange for orders of version 2."""
    yield from served(Operation(rules=QUICK))


@pytest.fixture(scope="module")
def v1() -> Iterator[Served]:
    """An exchange for orders of version 1."""
    yield from served(Operation(terms=Terms(version=1), rules=QUICK))


def new_secret() -> str:
    """Return a private key nobody has used in this run."""
    return "0x" + f"{next(_secrets):064x}"


def client_v2(exchange: Served, signature_type: int = 0, wallet: str = "", secret: str = "") -> ClientV2:
    """Return py-clob-client-v2 for a wallet (a new one's own unless named), with its API key made."""
    client = ClientV2(
        exchange.urls["clob"], 137, key=secret or new_secret(), signature_type=signature_type, funder=wallet or None
    )
    client.set_api_creds(client.create_or_derive_api_key())
    return client


def client_v1(exchange: Served) -> ClientV1:
    """Return py-clob-client for a new wallet, with its API key made."""
    client = ClientV1(exchange.urls["clob"], chain_id=137, key=new_secret())
    client.set_api_creds(client.create_or_derive_api_creds())
    return client


def address_of(secret: str) -> str:
    """Return a private key's address in lower case."""
    return str(Account.from_key(secret).address).lower()


def open_market(exchange: Served) -> dict[str, Any]:
    """Return Gamma's market of the window after this one: its book is there and calm, and it closes far from now."""
    opens_at_s = (int(time.time()) // WINDOW_S + 1) * WINDOW_S
    market = exchange.get("gamma", f"/markets/slug/btc-updown-15m-{opens_at_s}").json()
    assert isinstance(market, dict)
    return market


def tokens(market: dict[str, Any]) -> tuple[str, str]:
    """Return the market's tokens, Up first."""
    up, down = json.loads(market["clobTokenIds"])
    return up, down


def touch(exchange: Served, token_id: str) -> tuple[float, float]:
    """Return best bid and ask."""
    book = exchange.get("clob", f"/book?token_id={token_id}").json()
    return (
        max((float(level["price"]) for level in book["bids"]), default=0.0),
        min((float(level["price"]) for level in book["asks"]), default=1.0),
    )


def asked_until(ask: Callable[[], T], wanted: Callable[[T], bool], within_s: float = 10.0) -> T:
    """Ask the exchange again and again until the answer is the one wanted, and return that."""
    deadline = time.monotonic() + within_s
    while not wanted(answer := ask()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {answer}"
    return answer


def order_hash(order: Any) -> str:
    """Return the id the venue gives an order of version 2 in an ordinary market, as the vendor's code computes it."""
    builder = ExchangeOrderBuilderV2(EXCHANGES[2][0], 137, None)
    return str(builder.build_order_hash(builder.build_order_typed_data(order)))


class UserSocket:
    """The user channel of one client."""

    def __init__(self, exchange: Served, client: ClientV2, **more: object) -> None:
        self.socket = exchange.connect("user_ws")
        creds = client.creds
        auth = {"apiKey": creds.api_key, "secret": creds.api_secret, "passphrase": creds.api_passphrase}
        self.socket.send(json.dumps({"auth": auth, "type": "user"} | more))
        self.ping()

    def ping(self) -> None:
        """Wait until everything sent so far has been read."""
        self.socket.send("PING")
        assert self.socket.recv() == "PONG"

    def until(self, wanted: Callable[[dict[str, Any]], bool], within_s: float = 10.0) -> list[dict[str, Any]]:
        """Return the events up to the first that is wanted."""
        seen: list[dict[str, Any]] = []
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            event = json.loads(self.socket.recv())
            seen.append(event)
            if wanted(event):
                return seen
        raise AssertionError(f"not within {within_s} s: {seen}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        # `close` leaves the socket open where the venue closed first
        self.socket.shutdown()  # type: ignore[no-untyped-call]  # the library's own gap
