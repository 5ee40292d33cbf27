"""Two processes, one database: the second waits, takes over however the first one ends, and never do both trade."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cli.exit_codes import EXIT_LEASE_LOST
from storage.embedded import EmbeddedServer
from storage.lease import ADVISORY_LOCK
from tests.system.process import ROOT, Start, Supervisor
from tests.system.test_demo import SHORT, reconcile

TRADED_LATE = """
SELECT (SELECT count(*) FROM intents WHERE lease_epoch < %(epoch)s AND decided_at > acquired_at),
       (SELECT count(*) FROM orders o JOIN intents i ON i.id = o.intent_id
        WHERE i.lease_epoch < %(epoch)s AND o.submitted_at > acquired_at),
       (SELECT count(*) FROM fills f JOIN orders o ON o.id = f.order_id JOIN intents i ON i.id = o.intent_id
        WHERE i.lease_epoch < %(epoch)s AND f.filled_at > acquired_at)
FROM lease
"""
"""Intents, orders and fills of older epochs after the newest lease was taken."""


@pytest.fixture
def server() -> Iterator[str]:
    """A database that belongs to neither of the processes."""
    with tempfile.TemporaryDirectory(prefix="fusebox-test-") as folder:
        own = EmbeddedServer(Path(folder))
        try:
            yield own.start()
        finally:
            own.stop()


@pytest.fixture
def elsewhere() -> Iterator[Start]:
    """Start `run` on a state folder of its own each time."""
    started: list[Supervisor] = []
    with tempfile.TemporaryDirectory(prefix="fusebox-test-") as folder:

        def run(*arguments: str, **environ: str) -> Supervisor:
            started.append(Supervisor(Path(folder) / f"state-{len(started)}", *arguments, environ=environ))
            return started[-1]

        yield run
        for supervisor in started:
            supervisor.kill()


def taken_after_s(connection: psycopg.Connection, ended: str) -> float:
    """Return how long after the end of the holder, in seconds, the lease was taken."""
    row = connection.execute("SELECT extract(epoch FROM acquired_at)::float8 - %s FROM lease", (ended,)).fetchone()
    assert row is not None
    return float(row[0])


def now_s(connection: psycopg.Connection) -> str:
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()
    assert row is not None
    return str(row[0])


def test_a_newcomer_waits_says_for_whom_and_ctrl_c_gives_up(start: Start) -> None:
    first = start(*SHORT)
    first.wait_for("session 1")
    second = start(*SHORT)
    line = second.wait_for("is traded by process", "waiting for its end, Ctrl-C gives up")
    assert re.search(rf"process {first.process.pid} on \S+ \(epoch 1, since [\d-]+ [\d:]+ UTC\)", line)
    refused = start(*SHORT, "--no-wait")
    assert f"process {first.process.pid}" in refused.wait_for("fusebox:", "stop that one first")
    assert refused.process.wait(10) == 1

    second.interrupt()
    assert second.process.returncode == 0, second.lines
    assert first.process.poll() is None
    first.interrupt()
    assert first.process.returncode == 0


def test_the_database_outlives_its_first_process_and_is_stopped_by_the_last(start: Start, state_dir: Path) -> None:
    """Both share a state folder: the newcomer uses the server that the holder started."""
    first = start(*SHORT)
    first.wait_for("hold lifted: starting")
    second = start(*SHORT)
    second.wait_for("waiting for its end")
    assert first.interrupt(signal.SIGTERM) < 4.0
    assert first.process.returncode == 0
    second.wait_for("resuming session 1", within_s=3)
    second.wait_for("hold lifted: starting")
    assert second.interrupt(signal.SIGTERM) < 4.0
    assert second.process.returncode == 0

    assert not (state_dir / "postgres.uri").exists()
    assert not (state_dir / "postgres" / "postmaster.pid").exists()


def test_a_newcomer_starts_the_database_that_died_with_its_holder(start: Start, state_dir: Path) -> None:
    first = start(*SHORT)
    first.wait_for("FILLED", within_s=180)
    second = start(*SHORT)
    second.wait_for("waiting for its end")
    postmaster = int((state_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    first.process.kill()
    os.kill(postmaster, signal.SIGKILL)
    second.wait_for("resuming session 1", within_s=20)
    second.wait_for("hold lifted: starting")

    assert second.interrupt(signal.SIGTERM) < 4.0
    assert second.process.returncode == 0
    reconcile(state_dir)


def test_a_killed_holder_is_followed_within_a_second(elsewhere: Start, server: str) -> None:
    first = elsewhere(*SHORT, DATABASE_URL=server)
    first.wait_for("FILLED", within_s=180)
    second = elsewhere(*SHORT, DATABASE_URL=server)
    second.wait_for("waiting for its end")
    with psycopg.connect(server, autocommit=True) as connection:
        ended = now_s(connection)
        first.process.kill()
        second.wait_for("resuming session 1", within_s=10)
        assert taken_after_s(connection, ended) < 1.0
    assert second.interrupt() < 4.0


def test_a_holder_that_was_stopped_trades_no_more_when_it_goes_on(elsewhere: Start, server: str) -> None:
    first = elsewhere(*SHORT, DATABASE_URL=server)
    first.wait_for("FILLED", within_s=180)
    second = elsewhere(*SHORT, DATABASE_URL=server)
    second.wait_for("waiting for its end")
    first.process.send_signal(signal.SIGSTOP)
    second.wait_for("resuming session 1", within_s=10)
    second.wait_for("hold lifted: starting")
    first.process.send_signal(signal.SIGCONT)
    first.wait_for("gate closed: lease lost", within_s=2)
    first.process.wait(5)

    assert first.process.returncode == EXIT_LEASE_LOST == 75
    assert "is lost, its holder is process" in first.wait_for("giving up:")
    second.wait_for("FILLED", within_s=180)
    with psycopg.connect(server) as connection:
        assert connection.execute(TRADED_LATE, {"epoch": 2}).fetchone() == (0, 0, 0)
        assert connection.execute("SELECT epoch FROM lease").fetchone() == (2,)
    assert second.interrupt() < 4.0


def test_a_cut_connection_is_survived_alone_and_deadly_beside_a_newcomer(elsewhere: Start, server: str) -> None:
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
        " AND (classid::bigint << 32 | objid::bigint) = %s"
    )
    first = elsewhere(*SHORT, DATABASE_URL=server)
    first.wait_for("hold lifted: starting")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(cut, (ADVISORY_LOCK,))
        first.wait_for("gate reduce-only: lease not confirmed", within_s=2)
        first.wait_for("hold lifted: lease not confirmed", within_s=5)
        second = elsewhere(*SHORT, DATABASE_URL=server)
        second.wait_for("waiting for its end")
        second.process.send_signal(signal.SIGSTOP)  # its next question comes after the holder's
        connection.execute(cut, (ADVISORY_LOCK,))
        first.wait_for("hold lifted: lease not confirmed", within_s=5)
        connection.execute("UPDATE lease SET epoch = epoch + 1, host = 'elsewhere', pid = 7")
    first.wait_for("gate closed: lease lost", within_s=2)
    assert first.process.wait(5) == EXIT_LEASE_LOST
    second.process.send_signal(signal.SIGCONT)
    second.wait_for("resuming session 1", within_s=10)
    assert second.interrupt() < 4.0


def test_a_frozen_database_is_reduce_only_within_a_second_and_open_again_afterwards(
    elsewhere: Start, server: str
) -> None:
    """A server that hangs answers nothing, and breaks no connection either."""
    first = elsewhere(*SHORT, DATABASE_URL=server)
    first.wait_for("hold lifted: starting")
    with psycopg.connect(server, autocommit=True) as connection:
        row = connection.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
            " AND (classid::bigint << 32 | objid::bigint) = %s", (ADVISORY_LOCK,)
        ).fetchone()  # fmt: skip
    assert row is not None
    os.kill(int(row[0]), signal.SIGSTOP)
    try:
        first.wait_for("gate reduce-only: lease not confirmed", within_s=1.2)
    finally:
        os.kill(int(row[0]), signal.SIGCONT)
    first.wait_for("hold lifted: lease not confirmed", within_s=10)
    assert first.interrupt() < 4.0
    assert first.process.returncode == 0


def test_the_benchmark_of_two_instances_says_what_it_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.instances", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "--rounds" in done.stdout
