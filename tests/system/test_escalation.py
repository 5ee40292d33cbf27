"""Above the root: a process that cannot go on ends by itself with exit code 70, so that its host starts another."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import EXIT_ESCALATED
from storage.embedded import EmbeddedServer
from tests.system.process import ROOT, Supervisor

NEVER_STARTS = """
from actors.notifier import NotifierActor

def on_start(self):
    raise OSError("planted: the notifier never starts")

NotifierActor.on_start = on_start
"""
ALL_HANG = """
import threading
from actors.book_feed import BookFeedActor
from actors.flow_feed import FlowFeedActor
from actors.market import MarketActor

def receive(self, message):
    threading.Event().wait()

for kind in (BookFeedActor, FlowFeedActor, MarketActor):
    kind.receive = receive
"""
NEVER_LOOKS = """
from actors.watchdog import WatchdogActor

WatchdogActor._check = lambda self: None
"""
RUN = """
import runpy
runpy.run_path("supervisor.py", run_name="__main__")
"""


def exit_of(planted: str, state_dir: Path) -> tuple[int, str]:
    """Run the whole program with a planted defect until it ends; return its exit code and what it said."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("FUSEBOX_", "DATABASE_URL"))}
    try:
        done = subprocess.run(
            [sys.executable, "-c", planted + RUN, "run", "--window-s", "20"],
            cwd=ROOT,
            env={
                **clean,
                "FUSEBOX_LOG_FORMAT": "human",
                "FUSEBOX_DASHBOARD": "false",
                "FUSEBOX_STATE_DIR": str(state_dir),
            },
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    finally:
        if (state_dir / "postgres.uri").exists():  # left behind only where the end was not orderly
            server = EmbeddedServer(state_dir)
            server.start()
            server.stop()
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        (NEVER_STARTS, "giving up: notifier: 6 crashes within 60 s, limit 5 (OSError: planted"),
        (ALL_HANG, "threads hang, limit 8: a new process has none"),
    ],
    ids=["an actor above the root fails too often", "too many threads hang"],
)
def test_the_process_ends_with_exit_code_70(planted: str, said: str, state_dir: Path) -> None:
    code, output = exit_of(planted, state_dir)

    assert code == EXIT_ESCALATED == 70, output
    assert said in output


def test_a_watchdog_that_lives_and_does_not_look_is_noticed_by_the_process_itself(state_dir: Path) -> None:
    supervisor = Supervisor(state_dir, "--window-s", "20", command=(sys.executable, "-c", NEVER_LOOKS + RUN, "run"))
    try:
        supervisor.wait_for("watchdog critical: it has not looked for", within_s=60)
        supervisor.interrupt()
    finally:
        supervisor.kill()
    assert supervisor.process.returncode == 0
    assert not [line for line in supervisor.lines if "FILLED" in line]
