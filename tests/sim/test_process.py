"""The exchange as a process: how it is started, what it prints, and how it ends."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websocket

_ROOT = Path(__file__).resolve().parents[2]
_COMMAND = [sys.executable, "-m", "venues.sim"]

Process = subprocess.Popen[str]


def _start(*flags: str) -> Process:
    pipe = subprocess.PIPE
    return subprocess.Popen([*_COMMAND, *flags], cwd=_ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def _announced(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = json.loads(process.stdout.readline())
    assert isinstance(line, dict)
    return line


@pytest.fixture
def running() -> Iterator[tuple[Process, dict[str, Any]]]:
    """A process that ends with its standard input, and what it announced."""
    process = _start("--seed", "9", "--window-s", "60", "--world", "lagged", "--assets", "btc", "--exit-with-stdin")
    with process:
        yield process, _announced(process)
        process.kill()


def test_it_announces_every_address_in_one_line(running: tuple[Process, dict[str, Any]]) -> None:
    process, line = running
    assert set(line) == {
        *("gamma", "clob", "clob_ws", "user_ws", "price_ws", "admin", "binance_rest", "binance_ws"),
        *("world", "seed", "window_s", "pid"),
    }
    assert (line["world"], line["seed"], line["window_s"], line["pid"]) == ("lagged", 9, 60, process.pid)
    assert all("//127.0.0.1:" in line[key] for key in ("gamma", "clob", "binance_ws"))
    opens = int(time.time()) // 60 * 60
    slug = f"btc-updown-60s-{opens}"
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{line['gamma']}/markets/slug/{slug}").json()["slug"] == slug


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_with_open_websockets(
    running: tuple[Process, dict[str, Any]], number: signal.Signals
) -> None:
    process, line = running
    sockets = [
        websocket.create_connection(line["binance_ws"] + "/ws/btcusdt@bookTicker", timeout=5),
        websocket.create_connection(line["user_ws"], timeout=5),
    ]
    assert sockets[0].recv()
    asked = time.monotonic()
    process.send_signal(number)
    assert process.wait(5) == 0
    assert time.monotonic() - asked < 1.0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    for socket in sockets:
        socket.close()


def test_it_ends_when_its_standard_input_does(running: tuple[Process, dict[str, Any]]) -> None:
    process, _ = running
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(5) == 0


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--world", "flat"], "flat"),
        (["--window-s", "7000"], "7000"),
        (["--port", "70000"], "70000"),
        (["--assets", "DOGE"], "DOGE"),
        (["--nonsense"], "nonsense"),
        (["--port", "x"], "whole number"),
        (["--clob-version", "3"], "3"),
        (["--deposit", "much"], "much"),
        (["--deposit", "-1"], "-1"),
        (["--deposit", "0.0000001"], "0.0000001"),
        (["--taker-delay-ms", "-5"], "-5"),
        (["--ledger", "no/such/folder/ledger"], "no/such/folder"),
        (["--faults", "no-such-file"], "no-such-file"),
        (["--faults", "pyproject.toml"], "fault plan"),
    ],
)
def test_a_bad_flag_is_one_clear_line_and_exit_2(flags: list[str], word: str) -> None:
    done = subprocess.run([*_COMMAND, *flags], cwd=_ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_its_help_names_every_flag_and_what_it_is_for() -> None:
    command = [*_COMMAND, "--help"]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=20, check=True)
    flags = "port seed window-s world assets host exit-with-stdin clob-version require-deposit-wallet deposit ledger"
    for flag in (*flags.split(), "faults", "taker-delay-ms"):
        assert re.search(rf"^  --{flag}\b", done.stdout, re.MULTILINE), flag


def test_a_ledger_of_another_world_is_one_clear_line_and_exit_2(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.write_text("not a ledger\n")
    command = [*_COMMAND, "--ledger", str(ledger)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "ledger" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_taken_port_is_one_clear_line_and_exit_1(running: tuple[Process, dict[str, Any]]) -> None:
    port = running[1]["clob"].split(":")[2].split("/")[0]
    command = [*_COMMAND, "--port", port]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert port in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_restarted_exchange_goes_on_with_the_same_world(running: tuple[Process, dict[str, Any]]) -> None:
    opens = int(time.time()) // 60 * 60 - 600
    slug = f"btc-updown-60s-{opens}"
    with _start(
        "--seed", "9", "--window-s", "60", "--world", "lagged", "--assets", "BTC", "--exit-with-stdin"
    ) as other:
        lines = [running[1], _announced(other)]
        with httpx.Client(trust_env=False) as client:
            first, second = (client.get(f"{line['gamma']}/events/slug/{slug}").json() for line in lines)
        other.kill()
    assert first == second
    assert first["eventMetadata"]["priceToBeat"] > 0
