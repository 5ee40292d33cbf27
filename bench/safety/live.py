"""A live run from its start to what is found in its log, its rows and the exchange's own ledger."""

import shutil
from collections import Counter
from pathlib import Path

import msgspec
import psycopg

from bench.safety.bounds import default_bounds
from bench.safety.live_evidence import Findings, Ledger, Rows, records_of
from bench.safety.live_log import read_log
from bench.safety.live_run import LEDGER, LOG, TRADE_USD, Course, LiveRun, Plan
from bench.safety.many_windows import amounts, listed
from storage.embedded import EmbeddedServer

COURSE = "course.json"
WINDOW_S = 60


def run_live(minutes: float, seed: int, state_dir: Path, *, keep: bool) -> int:
    """Trade, look, print what is found, and return 1 if anything was broken; then the folder is kept too."""
    state_dir.mkdir(parents=True, exist_ok=True)
    course = LiveRun(Plan(minutes, seed, WINDOW_S), state_dir).run()
    (state_dir / COURSE).write_bytes(msgspec.json.encode(course))
    code = look_at(state_dir)
    if code or keep:
        print(f"kept for a look: {state_dir}")
    else:
        shutil.rmtree(state_dir)
    return code


def look_at(state_dir: Path) -> int:
    """Print what is found in a run's folder, of one that goes on as well, and return 1 if anything was broken."""
    log = read_log(state_dir / LOG)
    rows = rows_of(state_dir)
    bounds = default_bounds(TRADE_USD, WINDOW_S)
    found = Ledger(records_of(state_dir / LEDGER), bounds, WINDOW_S, log, rows).look()
    course = _course(state_dir)
    broken = [*found.broken, *log.tracebacks]
    if course is not None:
        broken += [f"at rest: {text}" for text in course.at_rest]
        broken += [] if course.exit_code == 0 else [f"exit code {course.exit_code}"]
        print(f"restarts: {len(course.restarts)} ({listed(Counter(course.restarts))}), {len(course.refused)} refused")
        print(f"trips seen from the shell: {len(course.trips)}")
    _print(found, rows, log.lines)
    print(f"broken: {len(broken)}")
    for text in broken[:50]:
        print(f"  {text}")
    return 1 if broken else 0


def _print(found: Findings, rows: Rows, lines: int) -> None:
    print(f"seen: {listed(found.counts)}")
    print(f"largest seen: {amounts(found.largest)}")
    print(f"trips of the kill switch: {listed(found.trips) or 'none'}")
    print(f"trades by the reason of their exit: {listed(Counter(rows.trades))}")
    print(f"rows of exits: {listed(Counter(status for status, _ in rows.exits))}; {lines:,} lines of log")
    print(f"alerts: {listed(Counter(rows.alerts))}")


def _course(state_dir: Path) -> Course | None:
    path = state_dir / COURSE
    return msgspec.json.decode(path.read_bytes(), type=Course) if path.exists() else None


def rows_of(state_dir: Path) -> Rows:
    """Return what the tables of a run say, of one that goes on as well."""
    server = EmbeddedServer(state_dir)
    try:
        with psycopg.connect(server.start(), autocommit=True) as database:
            exits = database.execute("SELECT status, detail FROM health_events WHERE subject LIKE 'exit %' ORDER BY id")
            markets = database.execute("SELECT condition_id, slug FROM markets")
            return Rows(
                exits=tuple((str(status), str(detail)) for status, detail in exits),
                conditions={str(condition_id): str(slug) for condition_id, slug in markets},
                alerts=_counted(database, "SELECT kind, count(*) FROM alerts GROUP BY kind"),
                trades=_counted(database, "SELECT exit_reason, count(*) FROM trades GROUP BY exit_reason"),
            )
    finally:
        server.stop()


def _counted(database: psycopg.Connection, query: str) -> dict[str, int]:
    return {str(name): int(count) for name, count in database.execute(query)}
