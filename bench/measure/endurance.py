"""The demo watched for hours: what each of its processes uses every few seconds, and what its database holds."""

import time
from collections.abc import Callable

import msgspec
import psycopg
from psycopg import sql

from bench.measure.demo import Demo
from bench.measure.proc import GONE, Usage, total, usage

SAMPLE_EVERY_S = 10.0
ROWS_EVERY = 6
"""Rows are counted with every so many samples."""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename !~ '^_?yoyo' ORDER BY tablename"
EVENTS = "SELECT status, subject, count(*) FROM health_events GROUP BY status, subject ORDER BY status, subject"
LETTERS = "SELECT target, reason, count(*) FROM dead_letters GROUP BY target, reason ORDER BY 3 DESC LIMIT 20"
DATABASE_MB = "SELECT pg_database_size(current_database()) / 1e6"


class Sample(msgspec.Struct, frozen=True):
    """One look; `at_s` since the start, `postgres.rss_mb` with shared memory counted once, sizes in 1e6 bytes."""

    at_s: float
    trader: Usage
    exchange: Usage
    postgres: Usage
    files_mb: float
    """Journal, logs and state files, without the database's own."""
    database_mb: float | None = None
    rows: dict[str, int] | None = None


class Happened(msgspec.Struct, frozen=True):
    """What the database tells of a run when it ends: health events and dead letters with how often."""

    events: list[tuple[str, str, int]]
    dead_letters: list[tuple[str, str, int]]


def watch(demo: Demo, duration_s: float, seen: Callable[[Sample], None]) -> None:
    """Hand a sample to `seen` every ten seconds, until the time is over or the process is."""
    began_s = time.monotonic()
    number = 0
    while (now_s := time.monotonic() - began_s) < duration_s:
        number += 1
        due_s = min(duration_s, number * SAMPLE_EVERY_S)
        if due_s > now_s:
            time.sleep(due_s - now_s)
        if demo.process.poll() is not None:
            return
        try:
            seen(_sample(demo, time.monotonic() - began_s, with_rows=number % ROWS_EVERY == 0))
        except GONE:
            return


def happened(demo: Demo) -> Happened | None:
    """Return what the running demo's database tells; None when it cannot be asked."""
    uri = demo.database_uri()
    if uri is None:
        return None
    try:
        with psycopg.connect(uri, autocommit=True) as connection:
            return Happened(
                [(str(a), str(b), int(c)) for a, b, c in connection.execute(EVENTS)],
                [(str(a), str(b), int(c)) for a, b, c in connection.execute(LETTERS)],
            )
    except psycopg.OperationalError:
        return None


def _sample(demo: Demo, at_s: float, *, with_rows: bool) -> Sample:
    exchange, postgres = demo.children()
    size_mb, rows = _database(demo) if with_rows else (None, None)
    files = (path for path in demo.state_dir.rglob("*") if "postgres" not in path.relative_to(demo.state_dir).parts[:1])
    return Sample(
        at_s=at_s,
        trader=usage(demo.process.pid),
        exchange=total(exchange),
        postgres=total(postgres),
        files_mb=sum(_size(path.stat) for path in files) / 1e6,
        database_mb=size_mb,
        rows=rows,
    )


def _size(stat: Callable[[], object]) -> int:
    try:
        return int(getattr(stat(), "st_size", 0))
    except FileNotFoundError:  # confirmed and removed in between
        return 0


def _database(demo: Demo) -> tuple[float | None, dict[str, int] | None]:
    uri = demo.database_uri()
    if uri is None:
        return None, None
    try:
        with psycopg.connect(uri, autocommit=True) as connection:
            tables = [str(name) for (name,) in connection.execute(TABLES).fetchall()]
            counts = {
                name: connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))).fetchone()
                for name in tables
            }
            size = connection.execute(DATABASE_MB).fetchone()
    except psycopg.OperationalError:
        return None, None
    return None if size is None else float(size[0]), {name: row[0] for name, row in counts.items() if row is not None}
