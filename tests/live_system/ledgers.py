"""The two ledgers of a live run: while it goes on, and at rest."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg

from bench.measure.two_ledgers import Rows, Venue, differences, read_rows, read_venue
from storage.embedded import EmbeddedServer
from tests.system.process import ROOT, Supervisor, environ_of

AT_REST_WITHIN_S = 90.0
"""The rest of a window, its winner (late now and then), and the moment until that is asked for again."""
POLL_S = 0.5


def command(state_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the program on a state folder, and return what it said."""
    return subprocess.run(
        [sys.executable, "supervisor.py", *arguments],
        cwd=ROOT,
        env=environ_of(state_dir, {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def read(state_dir: Path) -> tuple[Venue, Rows]:
    """Return both ledgers, the venue's read last: it may know more than we have heard."""
    server = EmbeddedServer(state_dir)
    try:
        with psycopg.connect(server.start(), autocommit=True) as connection:
            rows = read_rows(connection, 1)
        return read_venue(state_dir / "exchange-ledger.jsonl"), rows
    finally:
        server.stop()


def assert_nothing_contradicts(state_dir: Path) -> tuple[Venue, Rows]:
    """Check what we know against the venue's postings, whatever may be in flight, and return both."""
    venue, rows = read(state_dir)
    assert differences(venue, rows, at_rest=False) == []
    return venue, rows


def assert_the_same_at_rest(state_dir: Path, running: Supervisor, but: Sequence[str] = ()) -> tuple[Venue, Rows]:
    """Open nothing more, wait until nothing is in flight, stop, and check that both ledgers agree but for `but`.

    What is held waits for its winner and is in flight as well: the venue pays at its own moment, and a stop may come
    between that and the moment we hear of it.
    """
    halted = command(state_dir, "halt", "--reason", "ledgers are compared")
    assert halted.returncode == 0, halted.stderr
    found: list[str] = []

    def agree() -> bool:
        found[:] = differences(*read(state_dir), at_rest=True)
        return found == list(but)

    assert eventually(agree, AT_REST_WITHIN_S), f"while halted: {found}"
    running.interrupt()
    assert running.process.returncode == 0, "\n".join(running.lines)
    venue, rows = read(state_dir)
    assert differences(venue, rows, at_rest=True) == list(but)
    return venue, rows


def eventually(ready: Callable[[], bool], within_s: float) -> bool:
    """Return whether `ready` came true in time."""
    deadline_s, pause = time.monotonic() + within_s, threading.Event()
    while not ready():
        if time.monotonic() > deadline_s:
            return False
        pause.wait(POLL_S)
    return True
