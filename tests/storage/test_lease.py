"""One holder at a time, a growing epoch, and an honest answer about who it is."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from storage.lease import Lease, LeaseHeldError, check_epoch

ROOT = Path(__file__).resolve().parents[2]


def holder_process(conninfo: str) -> subprocess.Popen[str]:
    program = (
        "import sys; from storage.lease import Lease\n"
        "lease = Lease.acquire(sys.argv[1], host='other-host'); print(lease.epoch, flush=True)\n"
        "sys.stdin.read(); lease.release()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, conninfo], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip().isdigit()
    return process


def test_a_second_process_is_told_who_holds_it(database: str) -> None:
    with holder_process(database) as other:
        for wait_s in (0.0, 0.05):
            with pytest.raises(LeaseHeldError, match=rf"process {other.pid} on other-host \(epoch 1"):
                Lease.acquire(database, wait_s)
        other.communicate(timeout=20)
    lease = Lease.acquire(database)
    assert lease.epoch == 2
    lease.release()


def test_a_killed_holder_makes_room_within_the_wait(database: str) -> None:
    with holder_process(database) as other:
        other.kill()
        lease = Lease.acquire(database, wait_s=5.0)
    assert (lease.epoch, lease.held()) == (2, True)
    lease.release()


def test_a_batch_that_its_stopped_process_left_open_does_not_keep_the_next_holder_out(database: str) -> None:
    """Stopped inside a pipeline: for the server that is no idle transaction, so no time-out of its own ends it."""
    older = Lease.acquire(database)
    stopped = psycopg.connect(database, autocommit=True)
    with contextlib.suppress(psycopg.OperationalError), stopped, stopped.transaction():
        check_epoch(stopped, older.epoch)
        with stopped.pipeline():
            stopped.execute("SELECT 1")
            older.release()
            newer = Lease.acquire(database, wait_s=5.0)
            assert (newer.epoch, newer.held()) == (older.epoch + 1, True)
    newer.release()


def test_the_holder_is_recorded(database: str) -> None:
    lease = Lease.acquire(database)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT epoch, pid, released_at FROM lease").fetchone() == (1, os.getpid(), None)
        lease.release()
        assert connection.execute("SELECT released_at IS NULL FROM lease").fetchone() == (False,)


def test_a_cut_connection_is_a_lost_lease(database: str) -> None:
    lease = Lease.acquire(database)
    assert lease.held()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    assert not lease.held()
    lease.release()
    successor = Lease.acquire(database, wait_s=5.0)
    assert successor.held()
    successor.release()
