"""What the database knows while no process runs: the last session, positions, health events, holds on the gate."""

from typing import Any

import msgspec
from psycopg.rows import dict_row

from cli.divergence import Divergence, divergence
from cli.hold_lines import HoldLine, hold_line
from cli.status_report import SCHEMA
from core.trading.money import decimal
from storage.beside import beside_of
from storage.gate_table import read_gate
from storage.pool import Connection, database_errors
from storage.queries import BESIDE, ledger_totals, open_positions
from storage.values import unix_ms

EVENTS_SHOWN = 10


class StoredSession(msgspec.Struct, frozen=True):
    """The newest session, live where paper went along; dollars are decimal strings, net of fees."""

    id: int
    mode: str
    status: str
    started_ms: int
    ended_ms: int | None
    trades: int
    pnl_net_usd: str
    fees_usd: str
    open_cost_usd: str


class StoredPosition(msgspec.Struct, frozen=True):
    """A position that was not closed when the process ended."""

    asset: str
    condition_id: str
    side: str
    shares: str
    cost_usd: str
    opened_ms: int


class StoredEvent(msgspec.Struct, frozen=True):
    """A health event."""

    at_ms: int
    subject: str
    status: str
    detail: str


class StoredLease(msgspec.Struct, frozen=True):
    """Who held the lease last; released None when that process did not end by itself."""

    epoch: int
    pid: int | None
    host: str | None
    since_ms: int | None
    released_ms: int | None


class StoredStatus(msgspec.Struct, frozen=True):
    """The fields of `status --json` when no process runs."""

    schema: int = SCHEMA
    running: bool = False
    reason: str = ""
    session: StoredSession | None = None
    divergence: Divergence | None = None
    positions: list[StoredPosition] = []
    events: list[StoredEvent] = []
    last_lease: StoredLease | None = None
    gate: list[HoldLine] = []


def stored_status(connection: Connection) -> StoredStatus:
    """Return what is stored; newest health events first."""
    sessions = _rows(
        connection,
        "SELECT id, mode, status, started_at, ended_at FROM sessions WHERE NOT starts_with(venue, %(beside)s)"
        " ORDER BY id DESC LIMIT 1",
        beside=BESIDE,
    )
    leases = _rows(connection, "SELECT epoch, pid, host, acquired_at, released_at FROM lease")
    gate = [hold_line(hold) for hold in read_gate(connection).holds]
    if not sessions:
        return StoredStatus(last_lease=_lease(leases), gate=gate)
    row = sessions[0]
    paper = beside_of(connection, row["id"])
    totals = ledger_totals(connection, row["id"])
    events = _rows(
        connection,
        "SELECT at, subject, status, detail FROM health_events WHERE session_id = %(id)s ORDER BY at DESC, id DESC"
        " LIMIT %(most)s",
        id=row["id"],
        most=EVENTS_SHOWN,
    )
    return StoredStatus(
        session=StoredSession(
            id=row["id"],
            mode=row["mode"],
            status=row["status"],
            started_ms=unix_ms(row["started_at"]),
            ended_ms=None if row["ended_at"] is None else unix_ms(row["ended_at"]),
            trades=totals.trades,
            pnl_net_usd=str(decimal(totals.realised_pnl_usd)),
            fees_usd=str(decimal(totals.fees_usd)),
            open_cost_usd=str(decimal(totals.open_cost_usd)),
        ),
        divergence=None if paper is None else divergence(connection, row["id"], paper),
        positions=[
            StoredPosition(
                each.asset,
                each.condition_id,
                each.side,
                str(decimal(each.shares)),
                str(decimal(each.cost_usd)),
                each.opened_at_ms,
            )
            for each in open_positions(connection, row["id"])
        ],
        events=[StoredEvent(unix_ms(e["at"]), e["subject"], e["status"], e["detail"]) for e in events],
        last_lease=_lease(leases),
        gate=gate,
    )


def _lease(rows: list[dict[str, Any]]) -> StoredLease | None:
    if not rows or rows[0]["acquired_at"] is None:
        return None
    row = rows[0]
    released = None if row["released_at"] is None else unix_ms(row["released_at"])
    return StoredLease(row["epoch"], row["pid"], row["host"], unix_ms(row["acquired_at"]), released)


def _rows(connection: Connection, query: str, **parameters: object) -> list[dict[str, Any]]:
    with database_errors(), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()
