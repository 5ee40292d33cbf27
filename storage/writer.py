"""Writes batches of records: one transaction each, in order, and any number of times with the same result."""

import hashlib
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import LiteralString

from psycopg.pq import TransactionStatus
from psycopg.sql import SQL, Composed, Identifier

from core.errors import FatalError
from core.records import (
    AlertRecord,
    CheckpointRecord,
    DeadLetterRecord,
    FillRecord,
    HealthEventRecord,
    IntentRecord,
    MarketRecord,
    MetricRecord,
    OrderRecord,
    PositionRecord,
    Record,
    TradeRecord,
)
from storage.lease import check_epoch
from storage.pool import Connection, database_errors
from storage.values import instant, money

GENERATIONS_KEPT = 3
MONEY = frozenset(
    ("price", "shares", "fee_usd", "cost_usd", "entry_price", "exit_price", "fees_usd", "pnl_net_usd", "tick_size")
)

UPSERTS: dict[type[Record], tuple[LiteralString, LiteralString]] = {
    MarketRecord: (
        "markets",
        (
            "(condition_id) DO UPDATE SET tick_size = excluded.tick_size,"
            " strike = coalesce(excluded.strike, markets.strike), winner = coalesce(excluded.winner, markets.winner),"
            " fee_rate = coalesce(excluded.fee_rate, markets.fee_rate)"
        ),
    ),
    IntentRecord: ("intents", "(id) DO NOTHING"),
    # A closed order stays closed: a batch written again must not bring back the state before its end.
    OrderRecord: (
        "orders",
        (
            "(id) DO UPDATE SET state = excluded.state, order_hash = coalesce(excluded.order_hash, orders.order_hash),"
            " price = excluded.price, shares = excluded.shares, closed_at = excluded.closed_at,"
            " submitted_at = coalesce(excluded.submitted_at, orders.submitted_at), last_error = excluded.last_error"
            " WHERE orders.closed_at IS NULL OR excluded.closed_at IS NOT NULL"
        ),
    ),
    FillRecord: ("fills", "(venue, trade_id, order_hash) DO UPDATE SET state = excluded.state"),
    PositionRecord: (
        "positions",
        (
            "(session_id, asset, condition_id, side) DO UPDATE SET shares = excluded.shares,"
            " cost_usd = excluded.cost_usd, opened_at = excluded.opened_at, updated_at = excluded.updated_at"
        ),
    ),
    TradeRecord: (
        "trades",
        (
            "(id) DO UPDATE SET closed_at = excluded.closed_at, shares = excluded.shares,"
            " entry_price = excluded.entry_price, exit_price = excluded.exit_price, fees_usd = excluded.fees_usd,"
            " pnl_net_usd = excluded.pnl_net_usd, exit_reason = excluded.exit_reason,"
            " force_closed = excluded.force_closed, force_close_reason = excluded.force_close_reason"
        ),
    ),
    CheckpointRecord: (
        "checkpoints",
        (
            "(kind, name, generation) DO UPDATE SET schema_version = excluded.schema_version,"
            " sha256 = excluded.sha256, payload = excluded.payload, created_at = excluded.created_at"
        ),
    ),
    HealthEventRecord: ("health_events", "DO NOTHING"),
    AlertRecord: ("alerts", "(session_id, at, kind, md5(text)) DO UPDATE SET delivery = excluded.delivery"),
    MetricRecord: ("metrics", "(session_id, name, at) DO UPDATE SET value = excluded.value"),
    DeadLetterRecord: ("dead_letters", "DO NOTHING"),
}

REMOVE_POSITION = SQL(
    "DELETE FROM positions WHERE session_id = %(session_id)s AND asset = %(asset)s"
    " AND condition_id = %(condition_id)s AND side = %(side)s"
)
REMOVE_OLD_CHECKPOINTS = SQL(  # those in quarantine are kept beside the others, not in their place
    "DELETE FROM checkpoints WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER"
    " (PARTITION BY quarantined_at IS NULL ORDER BY generation DESC) AS place FROM checkpoints"
    " WHERE kind = %(kind)s AND name = %(name)s) AS placed WHERE place > %(kept)s)"
)

Row = dict[str, object]


def write(connection: Connection, records: Sequence[Record], *, lease_epoch: int | None = None) -> None:
    """Write `records` in their order, all of them or none; writing them again changes nothing.

    With `lease_epoch` the database itself refuses the batch of a process that has lost its lease.

    Raises:
        TransientError: when the database is unreachable, busy or full; the batch may be sent again as it is.
        RejectedError: when the database refuses one of the records; nothing was written.
        LeaseLostError: when another process holds a newer lease; nothing was written.
        FatalError: when the connection is inside a transaction, whose end would decide what lasts.
    """
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        raise FatalError("a batch needs a connection of its own, this one is inside a transaction")
    with database_errors(), connection.transaction():
        if lease_epoch is not None:
            check_epoch(connection, lease_epoch)
        with connection.pipeline(), connection.cursor() as cursor:
            for statement, rows in _statements(records):
                cursor.executemany(statement, rows)


def _statements(records: Sequence[Record]) -> list[tuple[SQL | Composed, list[Row]]]:
    """Group neighbours that need the same statement, so that each group is one `executemany`."""
    statements: list[tuple[SQL | Composed, list[Row]]] = []
    for (kind, gone), group in groupby(records, key=lambda record: (type(record), _is_gone(record))):
        rows = [_row(record) for record in group]
        statements.append((REMOVE_POSITION if gone else STATEMENTS[kind], rows))
        if kind is CheckpointRecord:
            names = {(row["kind"], row["name"]) for row in rows}
            old: list[Row] = [{"kind": k, "name": name, "kept": GENERATIONS_KEPT} for k, name in sorted(names, key=str)]
            statements.append((REMOVE_OLD_CHECKPOINTS, old))
    return statements


def _is_gone(record: Record) -> bool:
    return isinstance(record, PositionRecord) and record.shares == 0


def _row(record: Record) -> Row:
    row: Row = {}
    for field, (column, convert) in COLUMNS[type(record)].items():
        value = getattr(record, field)
        row[column] = value if value is None or convert is None else convert(value)
    if isinstance(record, CheckpointRecord):
        row["sha256"] = hashlib.sha256(record.payload).hexdigest()
    return row


def _columns(kind: type[Record]) -> dict[str, tuple[str, Callable[..., object] | None]]:
    """Map each field to its column and conversion: `_ms` becomes a time, money a decimal, a tuple an array."""
    columns: dict[str, tuple[str, Callable[..., object] | None]] = {}
    for field in kind.__struct_fields__:
        if field.endswith("_ms"):
            columns[field] = (field.removesuffix("_ms"), instant)
        elif field in MONEY:
            columns[field] = (field, money)
        elif field in {"action_probs", "features"}:
            columns[field] = (field, list)
        else:
            columns[field] = (field, None)
    return columns


def _upsert(kind: type[Record]) -> Composed:
    table, conflict = UPSERTS[kind]
    columns = [column for column, _ in COLUMNS[kind].values()]
    if kind is CheckpointRecord:
        columns.append("sha256")
    return SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT {}").format(
        Identifier(table),
        SQL(", ").join(Identifier(column) for column in columns),
        SQL(", ").join(SQL("%({})s").format(SQL(column)) for column in columns),
        SQL(conflict),
    )


COLUMNS = {kind: _columns(kind) for kind in UPSERTS}
STATEMENTS = {kind: _upsert(kind) for kind in UPSERTS}
