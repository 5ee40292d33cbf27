"""`doctor`: a finding a line, with what to do about it; starts nothing, shows no key; exit code 1 with a problem."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest
from psycopg.conninfo import conninfo_to_dict

from bench.measure.live_wallet import live_environ
from cli.doctor_host import compiler_line, files_line, folder_lines, mlx_line, python_line
from cli.doctor_line import Line
from cli.doctor_venues import skew_line
from storage.lease import Lease
from tests.commands.conftest import Command
from tests.system.process import ROOT

VENUES = {
    "gamma": "FUSEBOX_GAMMA_URL", "clob": "FUSEBOX_CLOB_URL", "clob_ws": "FUSEBOX_CLOB_WS_URL",
    "user_ws": "FUSEBOX_USER_WS_URL", "price_ws": "FUSEBOX_PRICE_WS_URL",
    "binance_rest": "FUSEBOX_BINANCE_REST_URL", "binance_ws": "FUSEBOX_BINANCE_WS_URL",
}  # fmt: skip


class Examined:
    """The findings of one run, by topic."""

    def __init__(self, code: int, printed: str) -> None:
        self.code, self.printed = code, printed
        found = json.loads(printed)
        self.ok = found["ok"]
        self.lines = msgspec.convert(found["checks"], list[Line])

    def of(self, topic: str) -> list[Line]:
        return [line for line in self.lines if line.topic == topic]

    def levels(self, topic: str) -> list[str]:
        return [line.level for line in self.of(topic)]


Examine = Callable[..., Examined]


@pytest.fixture
def examine(command: Command, state_dir: Path, capsys: pytest.CaptureFixture[str]) -> Examine:
    """Run `doctor --json` on an empty state folder."""

    def run(*arguments: str, **environ: str) -> Examined:
        code = command("doctor", "--json", *arguments, **{"FUSEBOX_STATE_DIR": str(state_dir), **environ})
        return Examined(code, capsys.readouterr().out)

    return run


@pytest.fixture(scope="module")
def real_venues() -> Iterator[dict[str, str]]:
    """The embedded exchange in the place of the public venues."""
    exchange = subprocess.Popen(
        [sys.executable, "-m", "venues.sim", "--port", "0", "--seed", "1", "--window-s", "900", "--exit-with-stdin"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert exchange.stdout is not None
    urls = json.loads(exchange.stdout.readline())
    yield {"FUSEBOX_PROFILE": "real"} | {variable: urls[name] for name, variable in VENUES.items()}
    exchange.communicate()


def test_a_new_host_has_no_problem_and_nothing_is_started(examine: Examine, state_dir: Path) -> None:
    found = examine()

    assert (found.code, found.ok) == (0, True)
    assert all(line.remedy for line in found.lines if line.level == "problem")
    assert found.levels("database") == ["note"]
    assert "not running" in found.of("database")[0].found
    assert "not checked" in found.of("venues")[0].found
    assert list(state_dir.iterdir()) == []


def test_garbage_is_a_line_each_and_the_rest_is_checked(examine: Examine) -> None:
    found = examine(
        FUSEBOX_SEED="x", FUSEBOX_SED="1", FUSEBOX_EXIT_SECONDS_BEFORE_CLOSE="500", FUSEBOX_WEIGHTS="/nowhere",
        FUSEBOX_STATE_DIR="/proc/x", FUSEBOX_DASHBOARD_HOST="10.0.0.1", FUSEBOX_ALERT_CHANNELS="pigeon=https://h/hunter2",
        DATABASE_URL="postgresql://u:hunter2@127.0.0.1:1/x",
    )  # fmt: skip

    assert (found.code, found.ok) == (1, False)
    assert found.levels("settings").count("problem") == 3
    for topic in ("state folder", "database", "policy", "alerts", "web page"):
        assert "problem" in found.levels(topic), topic
    assert all(line.remedy for line in found.lines if line.level == "problem")
    assert "hunter2" not in found.printed


def test_every_venue_is_asked_once_and_the_clocks_agree(examine: Examine, real_venues: dict[str, str]) -> None:
    found = examine(**real_venues)

    topics = ("clob", "gamma", "binance", "clob websocket", "price websocket", "user websocket",
              "binance websocket 1", "binance websocket 2", "venue clock", "binance clock")  # fmt: skip
    assert {topic: found.levels(topic) for topic in topics} == {topic: ["ok"] for topic in topics}
    assert found.code == 0


def test_a_venue_that_is_away_is_a_problem_with_its_url(examine: Examine) -> None:
    away = {variable: f"{'ws' if name.endswith('ws') else 'http'}://127.0.0.1:1/x" for name, variable in VENUES.items()}
    found = examine(FUSEBOX_PROFILE="real", **away)

    assert found.code == 1
    for topic in ("clob", "gamma", "binance", "clob websocket", "price websocket", "binance websocket 1"):
        assert found.levels(topic) == ["problem"], topic
        assert "127.0.0.1:1" in found.of(topic)[0].found


def test_offline_asks_nobody(examine: Examine) -> None:
    found = examine("--profile", "real", "--offline")

    assert [line.found for line in found.of("venues")] == ["not checked: --offline"]
    assert found.code == 0


def test_a_live_key_is_shown_as_its_address_only(examine: Examine, real_venues: dict[str, str], tmp_path: Path) -> None:
    wallet = live_environ(7)
    key = wallet.pop("FUSEBOX_PRIVATE_KEY")
    file = tmp_path / "key"
    file.write_text(key)
    file.chmod(0o644)
    given = {**real_venues, **wallet, "FUSEBOX_PRIVATE_KEY_FILE": str(file), "FUSEBOX_MODE": "live"}
    found = examine(**given)

    assert found.levels("key") == ["problem"]
    assert f"chmod 600 {file}" in found.of("key")[0].remedy

    file.chmod(0o600)
    found = examine(**given)

    assert found.levels("key") == ["ok"]
    assert wallet["FUSEBOX_FUNDER"] in found.of("key")[0].found
    assert key.removeprefix("0x") not in found.printed
    assert "no API key yet" in found.of("account")[0].found, "doctor makes none"


def test_live_without_anything_names_all_that_is_missing(examine: Examine) -> None:
    assert examine("--mode", "live").levels("key") == ["problem"] * 5


def test_the_database_is_looked_into(examine: Examine, database: str) -> None:
    parts = {name: str(value) for name, value in conninfo_to_dict(database).items() if value is not None}
    url = f"postgresql:///?{urlencode(parts)}"
    lease = Lease.acquire(database, host="elsewhere", pid=7)
    try:
        held = examine(DATABASE_URL=url)
    finally:
        lease.release()

    assert held.levels("database") == held.levels("schema") == held.levels("database clock") == ["ok"]
    assert "process 7 on elsewhere trades" in held.of("lease")[0].found
    assert examine(DATABASE_URL=url).levels("lease") == ["ok"]


def test_a_database_without_tables_is_only_noted(examine: Examine, empty_database: str) -> None:
    parts = {name: str(value) for name, value in conninfo_to_dict(empty_database).items() if value is not None}
    found = examine(DATABASE_URL=f"postgresql:///?{urlencode(parts)}")

    assert (found.code, found.levels("schema"), found.levels("lease")) == (0, ["note"], ["note"])


def test_limits_that_do_nothing_are_noted(examine: Examine) -> None:
    found = examine(FUSEBOX_TRADE_SIZE_USD="10", FUSEBOX_MAX_CONSECUTIVE_LOSSES="0", FUSEBOX_MAX_SLIPPAGE_TICKS="9")

    assert found.levels("limits") == ["ok", "note", "note"]
    assert found.levels("kill switch") == ["ok", "note"]
    assert "sells 8 s before it" in found.of("times")[0].found


def test_what_a_host_lacks(tmp_path: Path) -> None:
    assert python_line((3, 10)).level == "problem"
    assert python_line((3, 14)).level == "ok"
    assert compiler_line(str(tmp_path)).level == "note"
    assert files_line((64, 64)).level == "problem"
    assert folder_lines(tmp_path / "new")[0].level == "ok"
    assert not (tmp_path / "new").exists()
    assert folder_lines(Path("/proc/x"))[0].level == "problem"
    assert mlx_line((sys.executable, "-c", "raise ImportError('no mlx')")).level == "problem"


@pytest.mark.parametrize(("skew_ms", "level"), [(0, "ok"), (1_500, "ok"), (2_500, "problem"), (-2_500, "problem")])
def test_a_clock_that_is_off_by_more_than_is_allowed_is_a_problem(skew_ms: int, level: str) -> None:
    assert skew_line("venue clock", "the venue's", skew_ms, 2_000).level == level


def test_lines_in_a_pipe_begin_with_their_level(
    command: Command, state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("doctor", FUSEBOX_STATE_DIR=str(state_dir))

    *lines, counted = capsys.readouterr().out.splitlines()
    assert all(line.split()[0] in ("ok", "note", "problem") for line in lines)
    assert counted.startswith("no problems")
