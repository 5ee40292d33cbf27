"""Live trading is refused with one line that says what to mend, before a session exists or an order is sent."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.measure.live_wallet import private_key
from tests.live_system.conftest import WALLET
from tests.live_venue.local_clob import LocalClob, Reply
from tests.system.process import Supervisor

Trade = Callable[..., Supervisor]
BAD_SETTINGS, REFUSED = 2, 1
BEYOND_THE_DEPOSIT = {"FUSEBOX_TRADE_SIZE_USD": "10001", "FUSEBOX_STARTING_CASH_USD": "20000"}
SOMEBODY_ELSE = "0x" + "77" * 20


def refusal(supervisor: Supervisor, code: int) -> str:
    """Return the one line it ended with."""
    line = supervisor.wait_for("fusebox: ", within_s=60)
    supervisor.process.wait(30)
    said = "\n".join(supervisor.lines)
    assert supervisor.process.returncode == code, said
    assert "Traceback" not in said
    assert "starting session" not in said
    assert private_key(WALLET).removeprefix("0x") not in said
    return line


@pytest.mark.parametrize(
    ("environ", "code", "said"),
    [
        ({"FUSEBOX_PRIVATE_KEY": ""}, BAD_SETTINGS, "no key: set FUSEBOX_PRIVATE_KEY_FILE"),
        ({"FUSEBOX_LIVE_OPT_IN": ""}, BAD_SETTINGS, "no opt-in: set FUSEBOX_LIVE_OPT_IN=real-money"),
        ({"FUSEBOX_TRADE_SIZE_USD": ""}, BAD_SETTINGS, "no limit chosen: set FUSEBOX_TRADE_SIZE_USD"),
        ({"FUSEBOX_SIGNATURE_TYPE": ""}, BAD_SETTINGS, "no signature type: set FUSEBOX_SIGNATURE_TYPE"),
        ({"FUSEBOX_PRIVATE_KEY": "hello"}, BAD_SETTINGS, "FUSEBOX_PRIVATE_KEY: the private key is no 64 hexadecimal"),
        ({"FUSEBOX_PRIVATE_KEY": "f" * 64}, BAD_SETTINGS, "FUSEBOX_PRIVATE_KEY: the private key is a number that no"),
        ({"FUSEBOX_PRIVATE_KEY_FILE": "/key"}, BAD_SETTINGS, "two keys: unset FUSEBOX_PRIVATE_KEY or"),
        ({"FUSEBOX_EXCHANGE_FAULTS": "defualt"}, REFUSED, "--faults: defualt: No such file or directory: give a JSON"),
        ({"FUSEBOX_FUNDER": SOMEBODY_ELSE}, REFUSED, "signature type 0 does not go with funder"),
        (BEYOND_THE_DEPOSIT, REFUSED, "the funder has $10000.000000, the limits need $10001.000000"),
    ],
)
def test_what_is_missing_or_wrong_is_named_with_its_remedy(
    trade: Trade, environ: dict[str, str], code: int, said: str
) -> None:
    assert said in refusal(trade(**{"FUSEBOX_EXCHANGE_FAULTS": "", **environ}), code)


def test_a_key_file_that_others_may_read_is_refused(trade: Trade, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(private_key(WALLET))
    file.chmod(0o640)
    line = refusal(trade(FUSEBOX_PRIVATE_KEY="", FUSEBOX_PRIVATE_KEY_FILE=str(file)), BAD_SETTINGS)

    assert line.endswith(f"others may read it: chmod 600 {file}")


def test_a_key_file_that_is_none_is_refused_and_not_waited_for(trade: Trade, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", tmp_path):
        line = refusal(trade(FUSEBOX_PRIVATE_KEY="", FUSEBOX_PRIVATE_KEY_FILE=str(path)), BAD_SETTINGS)
        assert line.endswith(f"FUSEBOX_PRIVATE_KEY_FILE={path}: is no file: name the file that holds the key")


def test_a_fault_plan_that_is_none_is_refused_with_what_is_wrong_in_it(trade: Trade, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"rules": [{"kind": "nonsense"}]}))
    assert "Invalid enum value 'nonsense'" in refusal(trade(FUSEBOX_EXCHANGE_FAULTS=str(plan)), REFUSED)


def test_a_state_folder_that_is_a_file_is_refused(trade: Trade, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = refusal(trade(FUSEBOX_STATE_DIR=str(tmp_path / "file")), BAD_SETTINGS)
    assert line.endswith(f"FUSEBOX_STATE_DIR={tmp_path / 'file'}: File exists: name a folder that can be written")


def test_a_venue_that_cannot_be_reached_is_named(trade: Trade) -> None:
    names = ("CLOB", "GAMMA", "BINANCE_REST", "CLOB_WS", "USER_WS", "PRICE_WS", "BINANCE_WS")
    urls = {f"FUSEBOX_{name}_URL": f"{'ws' if name.endswith('WS') else 'http'}://127.0.0.1:9" for name in names}
    line = refusal(trade("--profile", "real", "--window-s", "900", FUSEBOX_EXCHANGE_FAULTS="", **urls), REFUSED)
    assert "the venue at http://127.0.0.1:9 cannot be asked, try again later: GET /time: ConnectError" in line


def test_a_key_file_of_our_own_is_taken(trade: Trade, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(private_key(WALLET) + "\n")
    file.chmod(0o600)
    supervisor = trade(FUSEBOX_PRIVATE_KEY="", FUSEBOX_PRIVATE_KEY_FILE=str(file))
    supervisor.wait_for("reconciled with the venue")


def test_a_clock_that_is_off_is_refused(trade: Trade, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"rules": [{"kind": "clock_skew", "probability": 1.0, "skew_ms": 60_000}]}))
    line = refusal(trade(FUSEBOX_EXCHANGE_FAULTS=str(plan)), REFUSED)

    assert "behind the venue, 5 s allowed: synchronise it" in line


def test_a_venue_that_limits_us_once_is_asked_again(trade: Trade, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    rule = {"kind": "rate_limited", "probability": 1.0, "duration_ms": 1000, "limit": 1, "scope": "/balance-allowance"}
    plan.write_text(json.dumps({"rules": [rule]}))
    supervisor = trade(FUSEBOX_EXCHANGE_FAULTS=str(plan))
    supervisor.wait_for("HTTP 429", "asking again in 1 s")
    supervisor.wait_for("reconciled with the venue")


def test_a_region_that_is_blocked_is_told_so(trade: Trade, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"rules": [{"kind": "forbidden", "probability": 1.0, "scope": "/auth"}]}))
    line = refusal(trade(FUSEBOX_EXCHANGE_FAULTS=str(plan)), REFUSED)

    assert "this host or region may not trade there" in line
    assert "derive the API key" not in line


@pytest.fixture
def clob() -> Iterator[LocalClob]:
    server = LocalClob()
    yield server
    server.close()


def test_an_order_version_that_cannot_be_signed_is_refused(trade: Trade, clob: LocalClob) -> None:
    clob.on("GET", "/time", lambda _: Reply(int(time.time())))
    clob.on("GET", "/version", Reply({"version": 3}))
    names = ("CLOB", "GAMMA", "BINANCE_REST", "CLOB_WS", "USER_WS", "PRICE_WS", "BINANCE_WS")
    urls = {
        f"FUSEBOX_{name}_URL": clob.url.replace("http", "ws") if name.endswith("WS") else clob.url for name in names
    }
    line = refusal(trade("--profile", "real", "--window-s", "900", FUSEBOX_EXCHANGE_FAULTS="", **urls), REFUSED)

    assert "the venue takes order version 3, we sign 1" in line
    assert {asked.path for asked in clob.asked} == {"/time", "/version"}
