"""Getting started as a reader follows it, then what README shows beyond it: each command as it stands there."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.docs.pages import ROOT, shown_commands
from tests.system.process import Start, Supervisor, environ_of

GETTING_STARTED, README = ROOT / "docs" / "getting-started.md", ROOT / "README.md"
PYTHON = ".venv/bin/python"
NOT_TYPED = {
    "make setup": "installs packages from a registry",
    "make test": "runs this test",
    "make docs": "tests/docs/test_site.py builds them",
    f"{PYTHON} supervisor.py doctor --profile real": "asks the public venues",
    f"{PYTHON} supervisor.py run --profile real --mode paper": "trades on the public venues' streams",
    "DATABASE_URL=postgresql://user:password@host:5432/name make run": "names a server that is not there",
}
SMALLER = {"--windows 96": "--windows 16", "--seeds 901-902": "--seeds 901", "--envs 2": "--envs 1"}
"""The pages' numbers are for a minute of somebody's time; these are for a test's."""

BRIEF = {
    "FUSEBOX_POLICY": "shipped",
    "FUSEBOX_WINDOW_S": "20",
    "FUSEBOX_ASSETS": "BTC,ETH",
    "FUSEBOX_DASHBOARD": "true",
    "FUSEBOX_DASHBOARD_PORT": "0",
}
SAYS = {
    "status": "session 1",
    "restart": "restarted feed.polymarket.BTC",
    "halt": "-> closed",
    "flatten": "-> reduce-only",
    "resume": "lifted:",
    "report": "PnL by asset",
    "trace": "closed by",
    "replay": "PnL net of fees",
    "train": "update 1",
    "evaluate": "policies, USD",
}
TRADE = re.compile(r"\b\d+\.BTC\.\d+\.\d+\.\d+\.\d+\b|\b\d+\.ETH\.\d+\.\d+\.\d+\.\d+\b")
STOP = "Ctrl-C"


def as_read(page: Path) -> Iterator[str]:
    """Yield the commands of a page's blocks in their order, and `STOP` where its text says to press that."""
    for line in page.read_text().splitlines():
        if line.startswith("    "):
            yield from shown_commands(line)
        elif STOP in line:
            yield STOP


class Reader:
    """Types what a page shows: `run` in a first terminal, everything else in a second one."""

    def __init__(self, start: Start, state_dir: Path, runs: Path) -> None:
        self._start, self._state_dir, self._runs = start, state_dir, runs
        self._running: Supervisor | None = None
        self._said: list[str] = []
        self._traded = False

    def type(self, command: str) -> None:
        """Carry one command out, and check that it ends, or goes on, as it should."""
        if command == STOP:
            self.stop()
            return
        words = shlex.split(recipe_of(command) if command.startswith("make ") else command)
        assert words[:2] == [PYTHON, "supervisor.py"], command
        if words[2] == "run":
            self.run(*words[3:])
        else:
            self.ask(command)

    def run(self, *options: str) -> None:
        """Start the demo, stopping the one before as the page says, and wait until it trades."""
        self.stop()
        self._running = self._start(*options, **BRIEF)
        page = self._running.wait_for("the web page is at").rpartition(" ")[2]
        assert httpx.get(page, timeout=10).status_code == 200
        if not any("gate BTC open" in line for line in self._running.lines):
            self._running.wait_for("gate BTC open")
        if not self._traded:
            self._running.wait_for("closed by")
            self._traded = True

    def stop(self) -> None:
        """Press Ctrl-C in the first terminal."""
        if self._running is not None:
            self._running.interrupt()
            assert self._running.process.returncode == 0, "\n".join(self._running.lines)
            self._running = None

    def ask(self, command: str) -> None:
        """Type a command that ends by itself; without a process `status` says so with exit code 3."""
        for shown, smaller in SMALLER.items():
            command = command.replace(shown, smaller)
        if "TRADE_ID" in command:
            command = command.replace("TRADE_ID", TRADE.findall("\n".join(self._said))[-1])
        words = shlex.split(command.replace(" runs/", f" {self._runs}/"))
        done = subprocess.run(
            [sys.executable, *words[1:]],
            cwd=ROOT,
            env={**environ_of(self._state_dir, BRIEF), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        said = done.stdout + done.stderr
        expected = 3 if words[2] == "status" and self._running is None else 0
        assert done.returncode == expected, f"{command}\n{said}"
        assert SAYS[words[2]] in said or "--json" in words, f"{command}\n{said}"
        self._said.append(done.stdout)


def recipe_of(command: str) -> str:
    """Return what `make TARGET` does once everything is installed: the one line of its recipe."""
    target = command.split()[1]
    found = re.search(rf"^{target}: setup\n\t\$\(BIN\)/(.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found is not None, command
    return f".venv/bin/{found[1]}"


def test_what_the_pages_show_works_as_it_stands_there(start: Start, state_dir: Path, tmp_path: Path) -> None:
    first = list(as_read(GETTING_STARTED))
    more = [command for command in shown_commands(README.read_text()) if command not in first]
    reader = Reader(start, state_dir, tmp_path)

    for command in (*first, *more, STOP):
        if command not in NOT_TYPED:
            reader.type(command)


def test_what_is_not_typed_is_shown() -> None:
    shown = {command for page in (GETTING_STARTED, README) for command in shown_commands(page.read_text())}

    assert set(NOT_TYPED) <= shown
