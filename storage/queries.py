"""What the program asks the database: sessions, open work, totals, checkpoints. Money in integers of 1e-6."""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from core.records import OrderRecord, PositionRecord
from storage.pool import Connection, database_errors
from storage.values import instant, units, unix_ms

BESIDE = "beside live session"


class Session(msgspec.Struct, frozen=True):
    """A run of trading that restarts do not interrupt. `config` is what it was started with, not today's settings."""

    id: int
    mode: str
    resumed: bool
    started_at_ms: int
    config: dict[str, Any]


class Checkpoint(msgspec.Struct, frozen=True):
    """The newest sound generation; `damaged` lists newer generations whose content no longer has its checksum."""

    kind: str
    name: str
    generation: int
    schema_version: int
    payload: bytes
    created_at_ms: int
    damaged: tuple[int, ...] = ()


class TradesSummary(msgspec.Struct, frozen=True):
    """One asset's closed round trips in a session."""

    asset: str
    trades: int
    wins: int
    force_closed: int
    fees_usd: int
    pnl_net_usd: int


class LedgerTotals(msgspec.Struct, frozen=True):
    """What cash must agree with: `starting + realised - open_cost`, to the micro-dollar."""

    trades: int
    realised_pnl_usd: int
    fees_usd: int
    open_positions: int
    open_cost_usd: int

    def cash(self, starting_cash_usd: int) -> int:
        """Return the cash a session must hold that began with `starting_cash_usd`; all in 1e-6 dollars."""
        return starting_cash_usd + self.realised_pnl_usd - self.open_cost_usd


def checkpoint_name(session_id: int, address: str) -> str:
    """Return the name of an actor's checkpoints: a new session must not wake up with the old one's positions."""
    return f"{session_id}/{address}"


def database_id(connection: Connection) -> str:
    """Return the identity that migration gave this database: what a local journal is stamped with."""
    return str(_one(connection, "SELECT id FROM identity")["id"])


def open_session(
    connection: Connection,
    mode: Literal["paper", "live"],
    config: Mapping[str, Any],
    *,
    venue: str,
    new: bool,
    now_ms: int,
) -> Session:
    """Resume the unfinished session of `mode` at `venue`; with `new`, or when there is none, end it and start one.

    What is held in one world is nothing in another: `venue` tells apart whatever has its own markets. The caller
    holds the lease, so nobody else starts a session meanwhile.

    Raises:
        TransientError, FatalError: as every query does.
    """
    with database_errors(), connection.transaction():
        if new:
            _end_sessions(connection, mode, venue, now_ms)
        found = _rows(
            connection,
            "SELECT id, started_at, config FROM sessions"
            " WHERE mode = %(mode)s AND venue = %(venue)s AND ended_at IS NULL",
            mode=mode,
            venue=venue,
        )
        row = (
            found[0]
            if found
            else _one(
                connection,
                "INSERT INTO sessions (mode, venue, started_at, status, config)"
                " VALUES (%(mode)s, %(venue)s, %(at)s, 'running', %(config)s) RETURNING id, started_at, config",
                mode=mode,
                venue=venue,
                at=instant(now_ms),
                config=Jsonb(dict(config)),
            )
        )
    return Session(row["id"], mode, bool(found), unix_ms(row["started_at"]), row["config"])


def _end_sessions(connection: Connection, mode: str, venue: str, now_ms: int) -> None:
    """End the unfinished session of `mode` at `venue`, and the one on paper beside it."""
    ended = _rows(
        connection,
        "UPDATE sessions SET ended_at = %(at)s, status = 'ended'"
        " WHERE mode = %(mode)s AND venue = %(venue)s AND ended_at IS NULL RETURNING id",
        at=instant(now_ms),
        mode=mode,
        venue=venue,
    )
    connection.execute(
        "UPDATE sessions SET ended_at = %s, status = 'ended' WHERE mode = 'paper' AND venue = ANY(%s)"
        " AND ended_at IS NULL",
        (instant(now_ms), [venue_beside(row["id"]) for row in ended]),
    )


def venue_beside(live_session_id: int) -> str:
    """Return the venue of the paper session beside a live one: only a run of both resumes it."""
    return f"{BESIDE} {live_session_id}"


def open_order_hashes(connection: Connection, session_id: int) -> dict[str, str]:
    """Return, by order id, the hashes of a session's orders that are not known to have ended.

    Raises:
        TransientError, FatalError: as every query does.
    """
    rows = _rows(
        connection,
        "SELECT o.id, o.order_hash FROM orders o JOIN intents i ON i.id = o.intent_id"
        " WHERE i.session_id = %(session)s AND o.closed_at IS NULL AND o.order_hash IS NOT NULL",
        session=session_id,
    )
    return {row["id"]: row["order_hash"] for row in rows}


def latest_checkpoint(connection: Connection, kind: Literal["actor", "model"], name: str) -> Checkpoint | None:
    """Return the newest generation that is not in quarantine and still has its checksum, None when there is none.

    Raises:
        TransientError, FatalError: as every query does.
    """
    damaged: list[int] = []
    for row in _rows(
        connection,
        "SELECT generation, schema_version, sha256, payload, created_at FROM checkpoints"
        " WHERE kind = %(kind)s AND name = %(name)s AND quarantined_at IS NULL ORDER BY generation DESC",
        kind=kind,
        name=name,
    ):
        payload = bytes(row["payload"])
        if hashlib.sha256(payload).hexdigest() == row["sha256"]:
            return Checkpoint(
                kind,
                name,
                row["generation"],
                row["schema_version"],
                payload,
                unix_ms(row["created_at"]),
                tuple(damaged),
            )
        damaged.append(row["generation"])
    return None


def open_positions(connection: Connection, session_id: int) -> list[PositionRecord]:
    """Return what the session holds, oldest first."""
    rows = _rows(
        connection, "SELECT * FROM positions WHERE session_id = %(id)s ORDER BY opened_at, asset, side", id=session_id
    )
    return [
        PositionRecord(
            session_id=row["session_id"],
            asset=row["asset"],
            condition_id=row["condition_id"],
            side=row["side"],
            shares=units(row["shares"]),
            cost_usd=units(row["cost_usd"]),
            opened_at_ms=unix_ms(row["opened_at"]),
            updated_at_ms=unix_ms(row["updated_at"]),
        )
        for row in rows
    ]


def non_terminal_orders(connection: Connection, session_id: int) -> list[OrderRecord]:
    """Return the session's orders without a time of closing, oldest first: what start-up has to find out about."""
    rows = _rows(
        connection,
        "SELECT orders.* FROM orders JOIN intents ON intents.id = orders.intent_id"
        " WHERE intents.session_id = %(id)s AND orders.closed_at IS NULL ORDER BY intents.decided_at, orders.id",
        id=session_id,
    )
    return [
        OrderRecord(
            id=row["id"],
            intent_id=row["intent_id"],
            venue=row["venue"],
            order_hash=row["order_hash"],
            order_type=row["order_type"],
            side=row["side"],
            token_id=row["token_id"],
            price=units(row["price"]),
            shares=units(row["shares"]),
            state=row["state"],
            submitted_at_ms=None if row["submitted_at"] is None else unix_ms(row["submitted_at"]),
            closed_at_ms=None,
            last_error=row["last_error"],
        )
        for row in rows
    ]


def trades_summary(connection: Connection, session_id: int) -> list[TradesSummary]:
    """Return one line per asset that closed a round trip in the session, by name."""
    rows = _rows(
        connection,
        "SELECT asset, count(*) AS trades, count(*) FILTER (WHERE pnl_net_usd > 0) AS wins,"
        " count(*) FILTER (WHERE force_closed) AS force_closed, sum(fees_usd) AS fees_usd,"
        " sum(pnl_net_usd) AS pnl_net_usd FROM trades WHERE session_id = %(id)s GROUP BY asset ORDER BY asset",
        id=session_id,
    )
    return [
        TradesSummary(
            row["asset"],
            row["trades"],
            row["wins"],
            row["force_closed"],
            units(row["fees_usd"]),
            units(row["pnl_net_usd"]),
        )
        for row in rows
    ]


def ledger_totals(connection: Connection, session_id: int) -> LedgerTotals:
    """Return the session's totals from one snapshot of the database."""
    row = _one(
        connection,
        "SELECT t.count AS trades, t.pnl, t.fees, p.count AS positions, p.cost FROM"
        " (SELECT count(*), sum(pnl_net_usd) AS pnl, sum(fees_usd) AS fees FROM trades WHERE session_id = %(id)s) t,"
        " (SELECT count(*), sum(cost_usd) AS cost FROM positions WHERE session_id = %(id)s) p",
        id=session_id,
    )
    zero = Decimal(0)
    return LedgerTotals(
        trades=row["trades"],
        realised_pnl_usd=units(row["pnl"] or zero),
        fees_usd=units(row["fees"] or zero),
        open_positions=row["positions"],
        open_cost_usd=units(row["cost"] or zero),
    )


def _rows(connection: Connection, query: str, **parameters: object) -> list[dict[str, Any]]:
    with database_errors(), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()


def _one(connection: Connection, query: str, **parameters: object) -> dict[str, Any]:
    (row,) = _rows(connection, query, **parameters)
    return row
