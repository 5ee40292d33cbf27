"""The real program as a child process: the demo on a state folder of its own, whatever this shell's settings are."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from bench.measure.proc import command_line, descendants
from storage.embedded import recorded_uri

ROOT = Path(__file__).resolve().parents[2]
STOP_WITHIN_S = 30.0
POLL_S = 0.05


def environment(state_dir: Path) -> Mapping[str, str]:
    """Return this shell's environment without its settings, and with this state folder."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FUSEBOX_", "DATABASE_URL"))}
    return {**inherited, "FUSEBOX_LOG_FORMAT": "human", "FUSEBOX_STATE_DIR": str(state_dir)}


class Demo:
    """`supervisor.py run` in a session of its own, so that a terminal's Ctrl-C stays with the benchmark."""

    def __init__(self, state_dir: Path, *arguments: str) -> None:
        self.state_dir = state_dir
        self.output = state_dir / "output.log"
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "supervisor.py", "run", "--profile", "demo", *arguments],
                cwd=ROOT,
                env=environment(state_dir),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, text: str, within_s: float) -> bool:
        """Wait until the process has said `text`; False when it ended or took too long."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s and self.process.poll() is None:
            if text in self.output.read_text(errors="replace"):
                return True
            time.sleep(POLL_S)
        return False

    def children(self) -> tuple[list[int], list[int]]:
        """Return the process ids of the embedded exchange and of the embedded database."""
        exchange = [pid for pid in descendants(self.process.pid) if "venues.sim" in command_line(pid)]
        lock = self.state_dir / "postgres" / "postmaster.pid"
        if not lock.exists():
            return exchange, []
        postmaster = int(lock.read_text().split("\n", 1)[0])
        return exchange, [postmaster, *descendants(postmaster)]

    def database_uri(self) -> str | None:
        """Return how to reach the embedded database; None when it does not run."""
        return recorded_uri(self.state_dir)

    def end(self) -> tuple[int, float]:
        """Send SIGINT, wait, and return the exit code and the seconds it took."""
        began_s = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        return code, time.monotonic() - began_s
