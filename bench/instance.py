"""A trading process of a benchmark: its lines with the moment each was written, its signals, its end."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STARTS_WITHIN_S = 60.0
STAMP = "%Y-%m-%d %H:%M:%S.%f"


def pause(seconds: float) -> None:
    """Let real time pass: what is measured here are other processes."""
    threading.Event().wait(seconds)


def until(ready: Callable[[], bool], what: str, within_s: float) -> None:
    """Wait until `ready` says so.

    Raises:
        TimeoutError: it did not within `within_s`.
    """
    deadline_s = time.monotonic() + within_s
    while not ready():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not within {within_s:g} s: {what}")
        pause(0.01)


class Instance:
    """`python supervisor.py run` on a state folder of its own and a given database."""

    def __init__(self, state_dir: Path, database_url: str, *arguments: str) -> None:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("FUSEBOX_", "DATABASE_URL"))}
        self.process = subprocess.Popen(
            [sys.executable, "supervisor.py", "run", "--window-s", "20", *arguments],
            cwd=ROOT,
            env={
                **clean,
                "FUSEBOX_LOG_FORMAT": "human",
                "FUSEBOX_STATE_DIR": str(state_dir),
                "DATABASE_URL": database_url,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 -- a pipe was asked for
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    @staticmethod
    def now_s() -> float:
        """Return unix time: what the process stamps its lines with."""
        return time.time()

    def mark(self) -> int:
        """Return how many lines there are by now."""
        while not self._lines.empty():
            line = self._lines.get()
            if line is not None:
                self.lines.append(line)
        return len(self.lines)

    def wait_for(self, *parts: str, within_s: float = STARTS_WITHIN_S, after: int = 0) -> float:
        """Return the unix time of the first line with all `parts`, earlier ones beyond the first `after` included.

        Raises:
            TimeoutError: there is none within `within_s`; shows the last lines.
        """
        deadline_s = time.monotonic() + within_s
        seen = after
        while True:
            for line in self.lines[seen:]:
                if all(part in line for part in parts):
                    return datetime.strptime(line[:23], STAMP).astimezone().timestamp()
            seen = len(self.lines)
            try:
                fresh = self._lines.get(timeout=max(0.0, deadline_s - time.monotonic()))
            except queue.Empty:
                fresh = None
            if fresh is None:
                raise TimeoutError(f"no line with {parts}:\n" + "\n".join(self.lines[-20:]))
            self.lines.append(fresh)

    def signal(self, number: signal.Signals) -> float:
        """Send a signal and return the unix time just before."""
        sent_s = time.time()
        self.process.send_signal(number)
        return sent_s

    def wait_for_exit(self, within_s: float) -> float:
        """Return the unix time at which the process was seen to have ended."""
        until(lambda: self.process.poll() is not None, "the end of the process", within_s)
        return time.time()

    def end(self) -> None:
        """End the process the hard way, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(10)
        if self.process.stdout is not None:
            self.process.stdout.close()
