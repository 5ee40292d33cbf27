"""What happened in our account while we were not there: strays are cancelled, a position we do not know is adopted."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import py_clob_client_v2.http_helpers.helpers as http
import pytest
from py_clob_client_v2 import MarketOrderArgs, OrderArgs, PartialCreateOrderOptions
from py_clob_client_v2.client import ClobClient

from bench.measure.live_wallet import private_key
from cli.exchange import Endpoints, Exchange
from config.limits import KNOWN_ASSETS
from tests.live_system.conftest import WALLET, WINDOW_S
from tests.live_system.ledgers import assert_the_same_at_rest
from tests.system.process import Supervisor

Trade = Callable[..., Supervisor]
TICK = PartialCreateOrderOptions(tick_size="0.01", neg_risk=False)


@pytest.fixture
def direct() -> Iterator[None]:
    """Keep the vendor's client from the environment's proxies."""
    before, http._http_client = http._http_client, httpx.Client(trust_env=False, timeout=5)
    yield
    http._http_client.close()
    http._http_client = before


def exchange_on(state_dir: Path) -> Exchange:
    """Return the run's exchange, started by hand on its ledger and without faults."""
    return Exchange(
        seed=0,
        window_s=WINDOW_S,
        world="lagged",
        assets=KNOWN_ASSETS,
        log_file=state_dir / "exchange.log",
        log=lambda _: None,
        ledger=state_dir / "exchange-ledger.jsonl",
    )


def next_market(endpoints: Endpoints) -> dict[str, Any]:
    opens_at_s = (int(time.time()) // WINDOW_S + 1) * WINDOW_S
    slug = f"btc-updown-{WINDOW_S}s-{opens_at_s}"
    found = httpx.get(f"{endpoints.gamma}/markets/slug/{slug}", trust_env=False).json()
    assert isinstance(found, dict)
    return found


def test_strays_are_cancelled_and_an_orphan_position_is_adopted(trade: Trade, state_dir: Path, direct: None) -> None:
    supervisor = trade()
    supervisor.wait_for("reconciled with the venue")
    supervisor.wait_for("FILLED", within_s=180)
    supervisor.kill()

    exchange = exchange_on(state_dir)
    try:
        endpoints = exchange.start()
        client = ClobClient(endpoints.clob, 137, key=private_key(WALLET), signature_type=0)
        client.set_api_creds(client.create_or_derive_api_key())
        up, _ = json.loads(next_market(endpoints)["clobTokenIds"])
        resting = client.create_and_post_order(OrderArgs(up, 0.01, 10, "BUY"), TICK, "GTC")
        assert resting["status"] == "live"
        bought = client.create_and_post_market_order(MarketOrderArgs(up, 20, "BUY", order_type="FAK"), TICK, "FAK")
        assert bought["status"] == "matched"
    finally:
        exchange.stop()

    again = trade()
    again.wait_for("resuming session 1")
    again.wait_for(f"stray order: {resting['orderID']}", "cancelled")
    left = [f"BUY {resting['orderID']} is at the venue, no row of ours has it"]
    _, rows = assert_the_same_at_rest(state_dir, again, but=left)
    assert bought["orderID"] in rows.hashes
