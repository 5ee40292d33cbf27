"""Ways in which a real PostgreSQL fails, each begun and ended on a server of our own."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg

from storage.cluster import Postmaster
from storage.embedded import EmbeddedServer

SLEEP_S = 2.0
SLOW = f"""
CREATE OR REPLACE FUNCTION sleep_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('bench.slept', true) IS DISTINCT FROM txid_current()::text THEN
        PERFORM pg_sleep({SLEEP_S}), set_config('bench.slept', txid_current()::text, true);
    END IF;
    RETURN NULL;
END
$$
"""
WRITTEN = ("markets", "intents", "orders", "fills", "positions", "trades", "health_events", "alerts")
"""Checkpoints are not among them: some are written beside the rest, and say nothing of it."""
SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND application_name = 'fusebox'"
LOCKED = "LOCK TABLE orders, fills, positions, trades, health_events, alerts IN ACCESS EXCLUSIVE MODE"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'fusebox'"


@contextlib.contextmanager
def stopped(server: EmbeddedServer) -> Iterator[None]:
    """Stop the server in order: every connection ends, new ones are refused."""
    server.stop()
    yield
    server.start()


@contextlib.contextmanager
def frozen(server: EmbeddedServer) -> Iterator[None]:
    """Stop every process of the server where it is: connections stay, and nothing answers."""
    pids = _family(_postmaster(server))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def slow(uri: str) -> Iterator[None]:
    """Let every transaction that writes take two seconds longer."""
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(SLOW)
        for table in WRITTEN:
            connection.execute(
                f"CREATE TRIGGER slow BEFORE INSERT OR UPDATE OR DELETE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION sleep_once()"
            )
        _wait_for(connection, SLEEPING)
    yield
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("DROP FUNCTION sleep_once() CASCADE")


@contextlib.contextmanager
def restarted(server: EmbeddedServer, uri: str) -> Iterator[None]:
    """Catch the program in the middle of a transaction, and end the server there as a crash would."""
    connection = psycopg.connect(uri)
    connection.execute(LOCKED)
    _wait_for(connection, WAITING)
    yield
    os.kill(_postmaster(server), signal.SIGQUIT)
    with contextlib.suppress(psycopg.Error):  # its server is gone: what was wanted
        connection.close()
    server.start()


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """Fill the disk of `folder` to the last byte."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):  # full: what was wanted
        while True:
            file.write(bytes(1 << 16))
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(64))
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[str | None]:
    """Mount a small disk in memory on `folder`; yields why that is not possible, None when it is."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        yield f"no small disk can be mounted here: {done.stderr.strip()}"
        return
    try:
        yield None
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _wait_for(connection: psycopg.Connection, some: LiteralString, within_s: float = 60.0) -> None:
    """Wait until the program is caught by a fault: from then on the second counts."""
    deadline_s = time.monotonic() + within_s
    while (row := connection.execute(some).fetchone()) is None or row[0] == 0:
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"the program did not write within {within_s:g} s")
        time.sleep(0.01)


def _postmaster(server: EmbeddedServer) -> int:
    running = Postmaster.read(server.data_dir)
    if running is None:
        raise RuntimeError(f"no server runs in {server.data_dir}")
    return running.pid


def _family(pid: int) -> list[int]:
    """Return a process and its children, itself first so that it starts no more of them."""
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                children.append(int(stat.parent.name))
    return [pid, *children]
