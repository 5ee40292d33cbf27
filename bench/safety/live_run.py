"""Live trading as processes on the embedded exchange under its default faults, with restarts of actors now and then.

What trips the kill switch is left alone for a while, so that what follows a trip can be seen, and then resumed.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import psycopg

from bench.measure.live_wallet import live_environ
from bench.measure.two_ledgers import differences, read_rows, read_venue
from storage.embedded import EmbeddedServer

ROOT = Path(__file__).resolve().parents[2]
LEDGER = "exchange-ledger.jsonl"
LOG = "run.jsonl"
TRADE_USD = 100
RESTARTED = (
    *(f"market.{asset}" for asset in ("BTC", "ETH", "SOL", "XRP")),
    "BTC", "ETH", "executor", "portfolio", "watchdog", "discovery", "db_writer",
)  # fmt: skip
"""An asset's name is its market actor and both feeds; `market.BTC` is that one actor."""
TRIPPED_FOR_S = 20.0
LOOK_EVERY_S = 0.5
STARTS_WITHIN_S = 90.0
AT_REST_WITHIN_S = 180.0


class Plan(msgspec.Struct, frozen=True):
    """One run: how long it opens positions, and how often an actor is restarted (mean, seconds)."""

    minutes: float
    seed: int
    window_s: int = 60
    restart_every_s: float = 45.0


class Course(msgspec.Struct, frozen=True):
    """What was done: restarts by name, trips as (reason, detail), what was said that never should be."""

    restarts: tuple[str, ...]
    refused: tuple[str, ...]
    trips: tuple[tuple[str, str], ...]
    at_rest: tuple[str, ...]
    exit_code: int | None


class LiveRun:
    """The program as a process, and the shell beside it; `run` does all of it."""

    def __init__(self, plan: Plan, state_dir: Path) -> None:
        self._plan = plan
        self._state_dir = state_dir
        self._random = Random(plan.seed)
        self._pause = threading.Event()
        self._environ = _environ(plan.seed, state_dir)

    def run(self) -> Course:
        """Trade for the planned time, stop opening, come to rest, and return what was done."""
        log = (self._state_dir / LOG).open("w")
        process = subprocess.Popen(
            [
                sys.executable, "supervisor.py", "run", "--mode", "live", "--window-s", str(self._plan.window_s),
                "--policy", "random", "--seed", str(self._plan.seed), "--new-session",
            ],
            cwd=ROOT, env=self._environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        server = EmbeddedServer(self._state_dir)
        try:
            with psycopg.connect(self._reached(server), autocommit=True) as database:
                return self._course(process, database)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            server.stop()
            log.close()

    def _reached(self, server: EmbeddedServer) -> str:
        """Return where the database is, once the process trades."""
        deadline_s = time.monotonic() + STARTS_WITHIN_S
        while b"hold lifted: starting" not in (self._state_dir / LOG).read_bytes():
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"does not trade: look at {self._state_dir / LOG}")
            self._pause.wait(LOOK_EVERY_S)
        return server.start()

    def _course(self, process: subprocess.Popen[bytes], database: psycopg.Connection) -> Course:
        restarts: list[str] = []
        refused: list[str] = []
        trips: list[tuple[str, str]] = []
        ends_s = time.monotonic() + 60 * self._plan.minutes
        restart_s = time.monotonic() + self._gap_s()
        resume_s: float | None = None
        while (now_s := time.monotonic()) < ends_s and process.poll() is None:
            self._pause.wait(LOOK_EVERY_S)
            tripped = list(_tripped(database))
            if tripped and resume_s is None:
                trips += tripped
                resume_s = now_s + TRIPPED_FOR_S
                print(f"tripped: {'; '.join(f'{reason} ({detail})' for reason, detail in tripped)}", flush=True)
            if resume_s is not None and now_s >= resume_s:
                resume_s = None
                if tripped:
                    self._command("resume", "--reason", "the bench goes on")
            if now_s >= restart_s:
                name = self._random.choice(RESTARTED)
                said = self._command("restart", name)
                (restarts if said is None else refused).append(name if said is None else f"{name}: {said}")
                restart_s = time.monotonic() + self._gap_s()
        at_rest = self._rested(process, database)
        process.terminate()
        process.wait(30)
        return Course(tuple(restarts), tuple(refused), tuple(trips), tuple(at_rest), process.returncode)

    def _rested(self, process: subprocess.Popen[bytes], database: psycopg.Connection) -> list[str]:
        """Open nothing more, and return how both ledgers differ once nothing is in flight."""
        self._command("halt", "--reason", "the bench looks at what was done")
        deadline_s, found = time.monotonic() + AT_REST_WITHIN_S, ["not looked at"]
        while found and time.monotonic() < deadline_s and process.poll() is None:
            self._pause.wait(2.0)
            row = database.execute("SELECT max(id) FROM sessions").fetchone()
            rows = read_rows(database, 1 if row is None else row[0])
            found = differences(read_venue(self._state_dir / LEDGER), rows, at_rest=True)
        return found

    def _gap_s(self) -> float:
        return self._random.expovariate(1 / self._plan.restart_every_s)

    def _command(self, *words: str) -> str | None:
        """Give a command to the process; return what it said if it was not done."""
        done = subprocess.run(
            [sys.executable, "supervisor.py", *words],
            cwd=ROOT, env=self._environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return None if done.returncode == 0 else (done.stderr or done.stdout).strip().splitlines()[-1]


def _environ(seed: int, state_dir: Path) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("FUSEBOX_", "DATABASE_URL"))}
    return {
        **clean,
        **live_environ(seed, TRADE_USD),
        "FUSEBOX_EXCHANGE_FAULTS": "default",
        "FUSEBOX_DASHBOARD": "false",
        "FUSEBOX_LOG_FORMAT": "json",
        "FUSEBOX_LOG_LEVEL": "DEBUG",
        "FUSEBOX_STATE_DIR": str(state_dir),
    }


def _tripped(database: psycopg.Connection) -> Iterator[tuple[str, str]]:
    """Yield what only a person lifts and no person has set."""
    for reason, detail in database.execute("SELECT reason, detail FROM gate WHERE set_by = '' ORDER BY reason"):
        yield str(reason), str(detail)
