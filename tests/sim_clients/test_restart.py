"""Keys, orders and balances survive the exchange's process; without a ledger they end with it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import BalanceAllowanceParams, OrderArgs, PartialCreateOrderOptions

from tests.sim_clients.conftest import WINDOW_S, new_secret

_ROOT = Path(__file__).resolve().parents[2]
_OPTIONS = PartialCreateOrderOptions(tick_size="0.01", neg_risk=False)


@contextmanager
def exchange(*flags: str) -> Iterator[dict[str, Any]]:
    """Run the exchange as a process, kill it in the end, and say what it announced."""
    command = [sys.executable, "-m", "venues.sim", "--assets", "BTC", "--exit-with-stdin", *flags]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.kill()


def _up_token(urls: dict[str, Any]) -> str:
    opens_at_s = (int(time.time()) // WINDOW_S + 1) * WINDOW_S
    with httpx.Client(trust_env=False) as http:
        market = http.get(f"{urls['gamma']}/markets/slug/btc-updown-15m-{opens_at_s}").json()
    return str(json.loads(market["clobTokenIds"])[0])


def test_a_killed_exchange_goes_on_with_its_accounts_orders_and_keys(tmp_path: Path) -> None:
    flags = ("--ledger", str(tmp_path / "ledger"), "--deposit", "500.25")
    secret = new_secret()
    with exchange(*flags) as urls:
        client = ClobClient(urls["clob"], 137, key=secret)
        creds = client.create_api_key()
        client.set_api_creds(creds)
        args = OrderArgs(token_id=_up_token(urls), price=0.05, size=10, side="BUY")
        order_id = client.create_and_post_order(args, _OPTIONS)["orderID"]
        assert client.get_balance_allowance(BalanceAllowanceParams("COLLATERAL"))["balance"] == "500250000"
    with exchange(*flags) as urls:
        again = ClobClient(urls["clob"], 137, key=secret, creds=creds)
        assert [order["id"] for order in again.get_open_orders()] == [order_id]
        assert again.derive_api_key() == creds
        again.delete_api_key()
    with (tmp_path / "ledger.keys").open("ab") as file:
        file.write(b'{"address":"0x')  # what a kill in the middle of a write leaves
    with exchange(*flags) as urls:
        anew = ClobClient(urls["clob"], 137, key=secret)
        assert anew.create_api_key() == creds
        anew.set_api_creds(creds)
        assert [order["id"] for order in anew.get_open_orders()] == [order_id]


def test_flags_choose_the_order_version_and_the_faults(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('{"seed": 3, "rules": [{"kind": "rate_limited", "probability": 1.0, "scope": "GET /ok"}]}')
    with exchange("--clob-version", "1", "--faults", str(plan)) as urls, httpx.Client(trust_env=False) as http:
        assert http.get(urls["clob"] + "/version").json() == {"version": 1}
        assert http.get(urls["clob"] + "/ok").status_code == 429
        assert http.get(urls["admin"] + "/faults").json()["seed"] == 3
