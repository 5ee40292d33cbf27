"""The real process, halted from another shell: closed at once, after a kill, and without its database."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from cli.heartbeat import NAME, Heartbeat
from storage.embedded import EmbeddedServer
from tests.system.process import ROOT, Start
from tests.system.test_demo import SHORT, wait_until


class Shell:
    """Commands of an operator with the state folder and the database of the process."""

    def __init__(self, state_dir: Path, uri: str) -> None:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("FUSEBOX_")}
        self._environ = {**clean, "FUSEBOX_STATE_DIR": str(state_dir), "DATABASE_URL": uri}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "supervisor.py", *arguments],
            cwd=ROOT,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def gate(self) -> dict[str, Any]:
        gate: dict[str, Any] = json.loads(self("status", "--json").stdout)["gate"]
        return gate


def heartbeat(state_dir: Path) -> str:
    return msgspec.json.decode((state_dir / NAME).read_bytes(), type=Heartbeat).gate


def intents_after_the_halt(uri: str) -> int:
    with psycopg.connect(uri) as connection:
        row = connection.execute(
            "SELECT count(*) FROM intents WHERE decided_at > (SELECT set_at FROM gate WHERE reason = 'halt')"
            " AND action = 'OPEN'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def stored_holds(uri: str) -> list[str]:
    with psycopg.connect(uri) as connection:
        return [str(reason) for (reason,) in connection.execute("SELECT reason FROM gate").fetchall()]


def test_a_halt_closes_at_once_outlasts_a_kill_and_needs_no_database(start: Start, state_dir: Path) -> None:
    own = EmbeddedServer(state_dir / "own")
    uri = own.start()
    operator = Shell(state_dir, uri)
    try:
        first = start(*SHORT, DATABASE_URL=uri)
        first.wait_for(" OPEN ", "FILLED", within_s=180)
        done = operator("halt", "--reason", "looking at fills")
        assert done.returncode == 0, done.stderr
        assert "-> closed" in done.stdout
        assert "`flatten` makes it reduce-only" in done.stdout
        wait_until(lambda: heartbeat(state_dir) == "closed")
        gate = operator.gate()
        (hold,) = (each for each in gate["holds"] if each["reason"] == "halt")
        assert (gate["level"], hold["detail"], hold["lasting"]) == ("closed", "looking at fills", True)
        for _ in range(2):  # a whole window in which the policy would have opened
            first.wait_for("btc-updown", "resolved", within_s=60)
        assert intents_after_the_halt(uri) == 0
        first.kill()

        second = start(*SHORT, DATABASE_URL=uri)
        second.wait_for("gate: all closed: halt (looking at fills)")
        second.wait_for("hold lifted: starting")
        assert operator.gate()["level"] == "closed"
        assert operator("resume").returncode == 2
        done = operator("resume", "--reason", "the fills are right")
        assert (done.returncode, "lifted: all closed: halt (looking at fills)" in done.stdout) == (0, True)
        second.wait_for(" OPEN ", "FILLED", within_s=180)

        own.stop()
        done = operator("halt", "--reason", "no database")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "has taken it from the file" in done.stdout
        wait_until(lambda: heartbeat(state_dir) == "closed")
        assert operator("resume", "--reason", "too early").returncode == 1
        own = EmbeddedServer(state_dir / "own")
        assert own.start() == uri
        wait_until(lambda: stored_holds(uri) == ["halt"], within_s=30)
        assert operator.gate()["level"] == "closed"
        assert second.interrupt() < 4.0
        assert second.process.returncode == 0

        done = operator("resume", "--reason", "database is back")
        assert done.returncode == 3
        assert stored_holds(uri) == []
    finally:
        own.stop()
