"""The web page as a child process of `run`: started, watched, started again when it dies, ended with us.

It is nothing that trading needs: that it does not start is a warning.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from cli.children import end

BACKOFF_S = (0.5, 2.0, 5.0, 15.0)
STOP_WITHIN_S = 0.25
"""It has nothing to save, and trading's own end must not wait for it."""
ROOT = Path(__file__).resolve().parent.parent


class Started(msgspec.Struct, frozen=True):
    """The child's first line."""

    url: str


class PageServer:
    """Runs `python -m cli.dashboard` in a session of its own, so that a terminal's Ctrl-C does not reach it.

    The child ends by itself when its standard input closes, that is, when this process dies. It is restarted on the
    port it had, so the address stays.
    """

    def __init__(self, host: str, port: int, log_file: Path, log: Callable[[str], None]) -> None:
        self._host = host
        self._port = port
        self._log_file = log_file
        self._log = log
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher = threading.Thread(target=self._watch, name="page-server", daemon=True)
        self.url: str | None = None
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Process id of the running child, None when there is none."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def start(self) -> None:
        """Start the child; nobody waits for it, its address is logged when it is there."""
        self._watcher.start()

    def stop(self) -> None:
        """End the child."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None:
            end(process, STOP_WITHIN_S)
        self._watcher.join(STOP_WITHIN_S)

    def _watch(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            process = self._launch()
            started = None if process is None else self._hear(process)
            if started is None:
                if not failures and not self._stopping.is_set():
                    self._log(f"the web page does not start: see {self._log_file}; trying again")
                failures += 1
            else:
                self._tell(started.url, again=self.url is not None)
                failures = 0
            code = None if process is None else process.wait()
            if self._stopping.is_set():
                return
            if started is not None:
                self._log(f"the web page ended (code {code}); starting it again")
                self.restarts += 1
            self._stopping.wait(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])

    def _launch(self) -> subprocess.Popen[bytes] | None:
        try:
            with self._log_file.open("ab") as log, self._lock:
                if self._stopping.is_set():
                    return None
                self._process = subprocess.Popen(  # noqa: S603 -- our own module, with validated settings
                    [sys.executable, "-m", "cli.dashboard", self._host, str(self._port)],
                    cwd=ROOT,
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            self._log(f"the web page cannot be started: {error}")
            return None
        return self._process

    def _hear(self, process: subprocess.Popen[bytes]) -> Started | None:
        """Return the first line; the child ends where there is none, so this waits for either."""
        assert process.stdout is not None  # noqa: S101 -- a pipe was asked for
        with process.stdout as lines:
            try:
                return msgspec.json.decode(lines.readline(), type=Started)
            except msgspec.DecodeError:
                end(process, STOP_WITHIN_S)
                return None

    def _tell(self, url: str, *, again: bool) -> None:
        port = urlsplit(url).port or 0
        taken = "" if port == self._port or not self._port else f" (port {self._port} is taken)"
        self.url, self._port = url, port
        self._log(f"the web page is {'back ' if again else ''}at {url}{taken}")
