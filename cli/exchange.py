"""The embedded exchange as a child process: started, watched, started again when it dies, ended with us."""

import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec

from cli.children import end
from core.errors import FatalError

START_WITHIN_S = 20.0
STOP_WITHIN_S = 1.0
BACKOFF_S = (0.2, 1.0, 3.0, 10.0)
ROOT = Path(__file__).resolve().parent.parent
LONGEST_REASON = 300


class Endpoints(msgspec.Struct, frozen=True):
    """Where the venues are: base URLs as the real ones are written in the settings."""

    gamma: str
    clob: str
    clob_ws: str
    price_ws: str
    binance_rest: str
    binance_ws: str
    user_ws: str


class Exchange:
    """Runs `python -m venues.sim` in a session of its own, so that a terminal's Ctrl-C does not reach it.

    The child ends by itself when its standard input closes, that is, when this process dies. It is restarted on the
    port it had, so the URLs stay; the world is a function of seed and time, and who trades live on it has its accounts
    in `ledger`, so nothing is forgotten.
    """

    def __init__(
        self,
        *,
        seed: int,
        window_s: int,
        world: str,
        assets: tuple[str, ...],
        log_file: Path,
        log: Callable[[str], None],
        ledger: Path | None = None,
        faults: str = "",
    ) -> None:
        self._arguments = ["--seed", str(seed), "--window-s", str(window_s), "--world", world]
        self._arguments += ["--assets", ",".join(assets), "--exit-with-stdin"]
        self._arguments += [] if ledger is None else ["--ledger", str(ledger)]
        self._arguments += ["--faults", faults] if faults else []
        self._log_file = log_file
        self._log = log
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._watcher = threading.Thread(target=self._watch, name="exchange", daemon=True)
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Process id of the running child, None when there is none."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def start(self) -> Endpoints:
        """Start the child and return where it listens.

        Raises:
            FatalError: it does not start; the text names its log.
        """
        endpoints = self._launch()
        self._watcher.start()
        self._log(f"the embedded exchange runs (pid {self.pid})")
        return endpoints

    def stop(self) -> None:
        """End the child."""
        self._stopping.set()
        if self._process is not None:
            end(self._process, STOP_WITHIN_S)

    def _launch(self) -> Endpoints:
        with self._log_file.open("ab") as log:
            said_before = log.tell()
            process = subprocess.Popen(  # noqa: S603 -- our own module, with arguments from validated settings
                [sys.executable, "-m", "venues.sim", "--port", str(self._port), *self._arguments],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._process = process
        assert process.stdout is not None  # noqa: S101 -- a pipe was asked for
        line = _first_line(process.stdout, START_WITHIN_S)
        try:
            endpoints = msgspec.json.decode(line, type=Endpoints)
        except msgspec.DecodeError:
            end(process, STOP_WITHIN_S)
            why = _last_line(self._log_file, said_before) or "it said nothing"
            raise FatalError(f"the embedded exchange did not start: {why}; see {self._log_file}") from None
        self._port = int(endpoints.clob.rsplit(":", 1)[1].split("/")[0])
        return endpoints

    def _watch(self) -> None:
        while not self._stopping.is_set():
            process = self._process
            code = None if process is None else process.wait()
            if self._stopping.is_set():
                return
            self._log(f"the embedded exchange ended (code {code}); starting it again")
            self._relaunch()

    def _relaunch(self) -> None:
        attempt = 0
        while not self._stopping.wait(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)]):
            attempt += 1
            try:
                self._launch()
            except (FatalError, OSError) as error:
                self._log(f"{error}; trying again")
                continue
            self.restarts += 1
            self._log(f"the embedded exchange is back (pid {self.pid})")
            if self._stopping.is_set() and self._process is not None:
                end(self._process, STOP_WITHIN_S)
            return


def _first_line(pipe: IO[bytes], within_s: float) -> bytes:
    """Return the first line, or what came of it when the child ended or took too long."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=lambda: lines.put(pipe.readline()), name="exchange-start", daemon=True).start()
    try:
        return lines.get(timeout=within_s)
    except queue.Empty:
        return b""


def _last_line(file: Path, after: int) -> str:
    with file.open("rb") as log:
        log.seek(after)
        lines = log.read().decode(errors="replace").split("\n")
    return next((" ".join(line.split()) for line in reversed(lines) if line.strip()), "")[:LONGEST_REASON]
