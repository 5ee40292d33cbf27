"""Neither the private key nor the API's secrets are in anything that a live run writes or says."""

import base64
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
from eth_account import Account
from psycopg.sql import SQL, Identifier

from bench.measure.live_wallet import private_key
from tests.live_system.conftest import WALLET
from tests.live_system.ledgers import command
from tests.system.process import Supervisor
from venues.sim.auth.keys import KeyRing

DEMO_SEED = 0
Trade = Callable[..., Supervisor]
THE_VENUES_OWN = ("exchange-ledger.jsonl", "exchange-ledger.jsonl.keys")
"""The embedded exchange's memory: it knows whose orders it holds. Ours must not need it."""


def secrets_of(state_dir: Path) -> dict[str, str]:
    """Return everything of the wallet that must never be seen: its key, and what the exchange gave for it."""
    address = str(Account.from_key(private_key(WALLET)).address).lower()
    key = KeyRing(DEMO_SEED, state_dir / "exchange-ledger.jsonl.keys").derive(address, 0)
    assert key is not None, "the run made no API key"
    return {"private key": private_key(WALLET).removeprefix("0x")} | key.credentials()


def forms(secret: str) -> Iterator[bytes]:
    """Yield a secret in every form in which it would still be one."""
    for text in (secret, secret.upper(), secret.replace("-", "")):
        yield text.encode()
    yield base64.b64encode(secret.encode()).rstrip(b"=")
    if all(character in "0123456789abcdef" for character in secret):
        raw = bytes.fromhex(secret)
        yield raw
        yield str(int.from_bytes(raw)).encode()
        yield repr(raw)[2:-1].encode()


def found_in(data: bytes, secrets: dict[str, str]) -> list[str]:
    return [name for name, secret in secrets.items() if any(form in data for form in forms(secret))]


def tables(uri: str) -> Iterator[tuple[str, bytes]]:
    """Yield every table of the database with all it holds, as text and, where it is binary, as bytes."""
    with psycopg.connect(uri) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in names:
            rows = connection.execute(SQL("SELECT t.*, t::text FROM {} t").format(Identifier(name))).fetchall()
            cells = [cell if isinstance(cell, bytes) else str(cell).encode() for row in rows for cell in row]
            yield name, b"\n".join(cells)


def test_a_planted_key_and_what_is_derived_from_it_are_nowhere(trade: Trade, state_dir: Path) -> None:
    supervisor = trade(FUSEBOX_ORDER_TYPE="GTC")
    supervisor.wait_for("reconciled with the venue")
    supervisor.wait_for("FILLED", within_s=180)
    supervisor.wait_for("closed by", within_s=180)
    supervisor.process.send_signal(signal.SIGUSR1)
    supervisor.wait_for("dumped", "to the log file")
    status = command(state_dir, "status", "--json")
    assert status.returncode == 0, status.stderr
    places = {f"table {name}": data for name, data in tables((state_dir / "postgres.uri").read_text())}
    supervisor.kill()
    secrets = secrets_of(state_dir)
    places |= {
        "the terminal": "\n".join(supervisor.lines).encode(),
        "status --json": (status.stdout + status.stderr).encode(),
    }
    places |= {
        str(file.relative_to(state_dir)): file.read_bytes()
        for file in state_dir.rglob("*")
        if file.is_file() and file.name not in THE_VENUES_OWN
    }

    assert b"thread " in places["fusebox.jsonl"]  # the dump is among what is searched
    assert len(places["table orders"]) > 100
    assert found_in(b"key " + secrets["secret"].encode(), secrets) == ["secret"]
    assert {place: found for place, data in places.items() if (found := found_in(data, secrets))} == {}
