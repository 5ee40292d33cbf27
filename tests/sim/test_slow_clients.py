"""A client that does not read costs the exchange neither memory nor the others' time."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import websocket

from venues.sim.exchange import make_exchange

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def running() -> Iterator[tuple[int, dict[str, str]]]:
    """A process of the exchange: its id and addresses."""
    command = [sys.executable, "-m", "venues.sim", "--seed", "4", "--window-s", "60", "--exit-with-stdin"]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.pid, json.loads(process.stdout.readline())
        process.kill()


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_a_client_that_never_reads_does_not_grow_the_process(running: tuple[int, dict[str, str]]) -> None:
    pid, urls = running
    now_ms = time.time_ns() // 1_000_000
    exchange = make_exchange(4, "today", 60, ("BTC",), lambda: now_ms)
    first = now_ms // 60_000 * 60
    tokens = [exchange.world.market("BTC", first + 60 * k).up_token for k in range(2, 26)]
    deaf = websocket.create_connection(urls["clob_ws"], timeout=0.5)
    request = json.dumps({"assets_ids": tokens, "type": "market"})
    deaf.send(request)
    before = _resident_mb(pid)
    asked = 0
    deadline = time.monotonic() + 3
    while asked < 2_000 and time.monotonic() < deadline:  # each of them asks for 24 books, some 200 kB
        try:
            deaf.send(request)
        except (TimeoutError, websocket.WebSocketTimeoutException):
            break  # the exchange has stopped reading: it pushes back instead of hoarding
        asked += 1
    other = websocket.create_connection(urls["binance_ws"] + "/ws/btcusdt@bookTicker", timeout=5)
    assert json.loads(other.recv())["e"] == "bookTicker"
    assert _resident_mb(pid) - before < 60
    other.close()
    deaf.close(timeout=0)
