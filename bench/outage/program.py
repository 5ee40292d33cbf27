"""The program under test as a child process: what it said, and when, by its own clock."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) \w+ +(.*)")
GATE_SHUT = re.compile(r"gate (reduce-only|closed): ")
GATE_OPEN = re.compile(r"gate open \(")
STARTED = re.compile(r"gate \w+ open \(hold lifted: starting\)")
FILLED = re.compile(r"\w+ (OPEN|CLOSE) \w+ \(.*\) FILLED: ")
CLOSED = re.compile(r"\w+ (UP|DOWN) closed by ")
SETTLES = "XRP "
"""The demo holds this asset to settlement: it never has to be sold."""
POLL_S = 0.05


class Line(msgspec.Struct, frozen=True):
    """One line of the log; `at_s` is unix time."""

    at_s: float
    text: str


class Program:
    """`python supervisor.py run` against a given database."""

    def __init__(self, state_dir: Path, database_url: str, window_s: int) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FUSEBOX_")}
        ours = {"FUSEBOX_LOG_FORMAT": "human", "FUSEBOX_STATE_DIR": str(state_dir), "DATABASE_URL": database_url}
        self.process = subprocess.Popen(
            [sys.executable, "supervisor.py", "run", "--window-s", str(window_s)],
            cwd=ROOT,
            env={**inherited, **ours},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[Line] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 -- a pipe was asked for
        for line in self.process.stdout:
            found = LINE.match(line)
            if found is None:
                self.lines.append(Line(time.time(), line.rstrip()))
            else:
                self.lines.append(Line(datetime.fromisoformat(found[1]).timestamp(), found[2]))

    def said(self, pattern: re.Pattern[str], after_s: float = 0.0, before_s: float = float("inf")) -> list[Line]:
        """Return the lines of a kind within a span of unix time."""
        return [line for line in list(self.lines) if after_s <= line.at_s < before_s and pattern.match(line.text)]

    def wait(self, ready: Callable[[], bool], within_s: float, wanted: str) -> None:
        """Wait for a condition. Raises TimeoutError, or RuntimeError when the program has ended."""
        deadline_s = time.monotonic() + within_s
        while not ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"the program ended with {self.process.returncode} while waiting for {wanted}")
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"no {wanted} within {within_s:g} s")
            time.sleep(POLL_S)

    def gate_open(self) -> bool:
        """Return whether the last word about the gate of all assets, once started, was that it opened."""
        turns = [line.text for line in list(self.lines) if GATE_OPEN.match(line.text) or GATE_SHUT.match(line.text)]
        return bool(self.said(STARTED)) and (not turns or GATE_OPEN.match(turns[-1]) is not None)

    def holds(self) -> bool:
        """Return whether something is held that has to be sold: an order to open was filled, and no trade closed it."""
        opened = sum(" OPEN " in line.text for line in self.said(FILLED) if not line.text.startswith(SETTLES))
        return opened > sum(not line.text.startswith(SETTLES) for line in self.said(CLOSED))

    def stop(self) -> int:
        """End the program in order and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(10)
        return self.process.returncode
