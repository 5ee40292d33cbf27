"""The real program as a child process: its lines, its exit, its database afterwards."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def environ_of(state_dir: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without our own settings, and with those given.

    The policy is an untrained one unless a test says otherwise: it trades often, at any price, in any window, and loses
    its fees, so no loss stops it. No test but those of the page starts that.
    """
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("FUSEBOX_", "DATABASE_URL"))}
    quiet = {"FUSEBOX_POLICY": "fresh", "FUSEBOX_DASHBOARD": "false", "FUSEBOX_LOG_FORMAT": "human"}
    return {**clean, "FUSEBOX_STATE_DIR": str(state_dir), **quiet, **UNSTOPPED, **environ}


UNSTOPPED = {
    "FUSEBOX_MAX_DAILY_LOSS_USD": "1000000",
    "FUSEBOX_MAX_DRAWDOWN_USD": "1000000",
    "FUSEBOX_MAX_CONSECUTIVE_LOSSES": "0",
}
RUN = (sys.executable, "supervisor.py", "run")


class Supervisor:
    """`python supervisor.py run`, or another command, with a state folder; `wait_for` reads its lines as they come."""

    def __init__(
        self,
        state_dir: Path,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        command: tuple[str, ...] = RUN,
        cwd: Path = ROOT,
    ) -> None:
        self.process = subprocess.Popen(
            [*command, *arguments],
            cwd=cwd,
            env=environ_of(state_dir, environ or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def wait_for(self, *parts: str, within_s: float = 60.0) -> str:
        """Return the next line that contains all `parts`; fail with everything printed so far."""
        deadline_s = time.monotonic() + within_s
        while True:
            try:
                line = self._queue.get(timeout=max(0.0, deadline_s - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, f"no line with {parts} within {within_s} s:\n" + "\n".join(self.lines)
            self.lines.append(line)
            if all(part in line for part in parts):
                return line

    def interrupt(self, number: int = signal.SIGINT) -> float:
        """Send a signal, wait for the end, and return the seconds it took; the exit code is in `process`."""
        began_s = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        took_s = time.monotonic() - began_s
        while (line := self._queue.get(timeout=10)) is not None:
            self.lines.append(line)
        return took_s

    def kill(self) -> None:
        """End the process the hard way, if it still runs, and let go of its pipe."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


Start = Callable[..., Supervisor]
"""Starts `run` on a test's state folder: command-line arguments, then environment variables by keyword."""
