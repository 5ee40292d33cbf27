"""What `doctor` finds in the database: reachable, its version, the schema, who trades, its clock. Starts none."""

import time
from datetime import UTC, datetime

from cli.client import Whereabouts, conninfo_of
from cli.doctor_line import Line, note, ok, problem
from core.errors import FatalError, FuseboxError, TransientError
from storage.cluster import check_version
from storage.control import holder
from storage.migration_list import migration_list
from storage.pool import OLDEST_SUPPORTED, Connection, connect, database_errors
from storage.server_account import server_account

TOPIC = "database"
WITHIN_S = 5
MOST_SKEW_S = 2.0


def database_lines(place: Whereabouts) -> list[Line]:
    """Return what is to be said of the database that a run would use."""
    embedded = place.database_url is None
    try:
        if embedded:
            data = place.state_dir.expanduser().resolve() / "postgres"
            check_version(data)
            server_account(data)
        conninfo = conninfo_of(place)
    except (FatalError, OSError) as error:
        return [_refused(str(error))]
    if conninfo is None:
        kept = "with its data" if (place.state_dir / "postgres").exists() else "and nothing is stored yet"
        return [note(TOPIC, f"embedded, not running {kept}: `run` starts it; schema and lease were not checked")]
    try:
        with connect(conninfo, connect_timeout_s=WITHIN_S, statement_timeout_s=WITHIN_S) as connection:
            return _lines(connection, "embedded" if embedded else "DATABASE_URL")
    except TransientError as error:
        if embedded:
            return [note(TOPIC, f"embedded, left by a process that was killed ({error})", "the next `run` starts it")]
        return [problem(TOPIC, str(error), "start the server, or correct DATABASE_URL")]
    except FuseboxError as error:
        return [_refused(str(error))]


def _refused(said: str) -> Line:
    text, _, remedy = said.rpartition(": ")
    return problem(TOPIC, text or said, remedy or "see docs/storage.md")


def _lines(connection: Connection, which: str) -> list[Line]:
    version = connection.info.server_version
    lines = [
        ok(TOPIC, f"{which}, PostgreSQL {version // 10_000}.{version % 10_000} ({OLDEST_SUPPORTED} or newer needed)")
    ]
    listed = migration_list(connection)
    waiting = [each.name for each in listed if each.state == "waiting"]
    newer = [each.name for each in listed if each.state == "newer"]
    if newer:
        lines.append(problem("schema", f"made by a newer release ({', '.join(newer)})", "update this program"))
    elif waiting:
        lines.append(note("schema", f"waiting: {', '.join(waiting)}", "`run` applies them, or `migrate` does"))
    else:
        lines.append(ok("schema", f"{len(listed)} migrations applied, the last is {listed[-1].name}"))
    if all(each.state == "waiting" for each in listed):
        lines.append(note("lease", "nobody has ever traded with this database"))
    else:
        lines.append(_lease(connection))
    lines.append(_clock(connection))
    return lines


def _lease(connection: Connection) -> Line:
    found = holder(connection)
    if found is None:
        return ok("lease", "free: no process trades with this database")
    since = datetime.fromtimestamp(found.since_ms / 1000, UTC)
    return note("lease", f"process {found.pid} on {found.host} trades, epoch {found.epoch}, since {since:%F %T} UTC")


def _clock(connection: Connection) -> Line:
    before_s = time.time()
    with database_errors():
        row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    after_s = time.time()
    theirs_s = float(str(row[0])) if row is not None else after_s
    skew_s = max(before_s - theirs_s, 0.0) or min(after_s - theirs_s, 0.0)
    said = f"ours is {abs(skew_s):.1f} s {'ahead of' if skew_s > 0 else 'behind'} the database's"
    if abs(skew_s) > MOST_SKEW_S:
        return note("database clock", said, "synchronise both (chrony, systemd-timesyncd)")
    return ok("database clock", "agrees with ours")
