"""The gate's lasting holds in PostgreSQL: every change is made to what is there, by one process at a time."""

from collections.abc import Callable

from core.trading.gate import GateLevel, GateState, Hold
from storage.lease import check_epoch
from storage.pool import Connection, database_errors
from storage.values import instant, unix_ms

WORDS = {GateLevel.REDUCE_ONLY: "reduce-only", GateLevel.CLOSED: "closed"}
LEVELS = {word: level for level, word in WORDS.items()}


def read_gate(connection: Connection) -> GateState:
    """Return the holds that are stored; none in a database that a version without them has made.

    Raises:
        TransientError, FatalError: the database cannot be asked.
    """
    with database_errors():
        there = connection.execute("SELECT to_regclass('gate') IS NOT NULL").fetchone()
        return _rows(connection) if there == (True,) else GateState()


def update_gate(
    connection: Connection, change: Callable[[GateState], GateState], *, lease_epoch: int | None = None
) -> GateState:
    """Store what `change` makes of the stored holds, in one transaction, and return it.

    Raises:
        LeaseLostError: another process has taken the lease of `lease_epoch`; nothing was written.
        TransientError, FatalError: the database cannot be asked.
    """
    with database_errors(), connection.transaction():
        if lease_epoch is not None:
            check_epoch(connection, lease_epoch)
        connection.execute("LOCK TABLE gate IN SHARE ROW EXCLUSIVE MODE")
        before = _rows(connection)
        after = change(before)
        for hold in set(before.holds) - set(after.holds):
            connection.execute("DELETE FROM gate WHERE scope = %s AND reason = %s", (hold.scope, hold.reason))
        for hold in set(after.holds) - set(before.holds):
            connection.execute(
                "INSERT INTO gate (scope, reason, level, detail, set_by, set_at, softened_for, sequence)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    hold.scope,
                    hold.reason,
                    WORDS[hold.level],
                    hold.detail,
                    hold.set_by,
                    instant(hold.set_at_ms),
                    list(hold.softened_for),
                    after.sequence,
                ),
            )
    return after


def _rows(connection: Connection) -> GateState:
    rows = connection.execute(
        "SELECT scope, reason, level, detail, set_by, set_at, softened_for, sequence FROM gate"
    ).fetchall()
    holds = [
        Hold(scope, reason, LEVELS[level], detail, set_by, unix_ms(set_at), tuple(softened_for))  # type: ignore[arg-type, index]
        for scope, reason, level, detail, set_by, set_at, softened_for, _ in rows
    ]
    return GateState(tuple(sorted(holds)), max((int(row[7]) for row in rows), default=0))  # type: ignore[call-overload]
