"""What the reports ask the database: sessions, closed trades, orders with their fills, exits that were given up."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg.rows import dict_row
from psycopg.sql import SQL

from core.market.features import FUSED_FEATURES
from core.records import TradeRecord
from core.trading.money import micros
from core.trading.report import Closed, GivenUp
from core.trading.slippage import Execution, decision_touch
from storage.pool import Connection, database_errors
from storage.queries import BESIDE
from storage.record_rows import record_of
from storage.values import instant, units, unix_ms

HELD = re.compile(r"^\S+ (UP|DOWN) \S+ shares of (\S+) \((.*?)\): (.*); (?:\d+ attempts: |no attempt)")
"""The detail of the health event `held to settlement`, as `actors/exits.py` writes it."""
PRICE, SPREAD = (FUSED_FEATURES.names.index(name) + 1 for name in ("price", "spread"))
"""Places in PostgreSQL's arrays, which begin at 1."""


class SessionFacts(msgspec.Struct, frozen=True):
    """A session and what it did since some moment; dollars in 1e-6. `live_session` is the one that it is beside."""

    id: int
    mode: str
    venue: str
    status: str
    started_ms: int
    ended_ms: int | None
    starting_cash_usd: int | None
    trades: int
    open_positions: int
    open_cost_usd: int

    @property
    def live_session(self) -> int | None:
        """The live session that a paper one goes along with, None for any other."""
        return int(self.venue.removeprefix(f"{BESIDE} ")) if self.venue.startswith(BESIDE) else None


class Rows(msgspec.Struct, frozen=True):
    """What a report is made of, all from one moment."""

    closed: tuple[Closed, ...]
    executions: tuple[Execution, ...]
    given_up: tuple[GivenUp, ...]


def sessions(connection: Connection, since_ms: int = 0) -> list[SessionFacts]:
    """Return every session, oldest first; `trades` counts those closed since `since_ms`.

    Raises:
        TransientError, FatalError: as every query does.
    """
    found = _rows(
        connection,
        "SELECT s.id, s.mode, s.venue, s.status, s.started_at, s.ended_at, s.config ->> 'starting_cash_usd' AS cash,"
        " (SELECT count(*) FROM trades t WHERE t.session_id = s.id AND t.closed_at >= %(since)s) AS trades,"
        " p.count AS positions, p.cost FROM sessions s, LATERAL (SELECT count(*), coalesce(sum(cost_usd), 0) AS cost"
        " FROM positions WHERE session_id = s.id) p ORDER BY s.id",
        since=instant(since_ms),
    )
    return [
        SessionFacts(
            id=row["id"],
            mode=row["mode"],
            venue=row["venue"],
            status=row["status"],
            started_ms=unix_ms(row["started_at"]),
            ended_ms=_ms(row["ended_at"]),
            starting_cash_usd=_cash(row["cash"]),
            trades=row["trades"],
            open_positions=row["positions"],
            open_cost_usd=units(row["cost"]),
        )
        for row in found
    ]


def report_rows(connection: Connection, session_ids: Sequence[int], since_ms: int = 0) -> Rows:
    """Return the trades of some sessions closed since `since_ms`, and every order of theirs or decided since.

    Raises:
        TransientError, FatalError: as every query does.
    """
    asked = {"sessions": list(session_ids), "since": instant(since_ms)}
    with database_errors(), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        closed = _rows(
            connection,
            "SELECT t.*, m.opens_at FROM trades t LEFT JOIN markets m ON m.condition_id = t.condition_id"
            " WHERE t.session_id = ANY(%(sessions)s) AND t.closed_at >= %(since)s ORDER BY t.closed_at, t.id",
            **asked,
        )
        orders = _rows(
            connection,
            EXECUTIONS + OF_THESE,
            **asked,
            **FEATURES,
        )
        events = _rows(
            connection,
            "SELECT session_id, detail, at FROM health_events WHERE session_id = ANY(%(sessions)s)"
            " AND status = 'held to settlement' ORDER BY at, id",
            **asked,
        )
    return Rows(
        closed=tuple(Closed(record_of(TradeRecord, row), _window(row)) for row in closed),
        executions=tuple(map(execution, orders)),
        given_up=tuple(each for each in map(_given_up, events) if each is not None),
    )


EXECUTIONS = SQL(
    "SELECT o.id, o.intent_id, i.session_id, i.asset, i.condition_id, i.side, i.action, i.decided_at, i.reason,"
    " i.action = 'CLOSE' AND cardinality(i.action_probs) = 0 AS forced, o.closed_at, o.price,"
    " CASE WHEN cardinality(i.features) = %(size)s THEN i.features[%(price)s] END AS seen_price,"
    " CASE WHEN cardinality(i.features) = %(size)s THEN i.features[%(spread)s] END AS seen_spread,"
    " f.shares, f.notional, f.fees, f.first_at, f.last_at FROM orders o JOIN intents i ON i.id = o.intent_id"
    " LEFT JOIN LATERAL (SELECT sum(shares) AS shares, sum(price * shares) AS notional, sum(fee_usd) AS fees,"
    " min(filled_at) AS first_at, max(filled_at) AS last_at FROM fills"
    " WHERE order_id = o.id AND state <> 'FAILED') f ON true"
)
OF_THESE = SQL(
    " WHERE i.session_id = ANY(%(sessions)s) AND (i.decided_at >= %(since)s OR EXISTS"
    " (SELECT FROM trades t WHERE t.session_id = i.session_id AND t.condition_id = i.condition_id"
    " AND t.closed_at >= %(since)s)) ORDER BY i.decided_at, o.id"
)
FEATURES = {"size": FUSED_FEATURES.size, "price": PRICE, "spread": SPREAD}
"""The schema is not in the rows: one with as many features as the fused one is taken for it."""


def execution(row: dict[str, Any]) -> Execution:
    """Return the order of a row of `EXECUTIONS`."""
    touch = None
    if row["seen_price"] is not None:
        touch = decision_touch(row["seen_price"], row["seen_spread"], row["side"], row["action"])
    filled = row["shares"] is not None
    return Execution(
        order_id=row["id"],
        intent_id=row["intent_id"],
        session_id=row["session_id"],
        asset=row["asset"],
        condition_id=row["condition_id"],
        side=row["side"],
        action=row["action"],
        decided_ms=unix_ms(row["decided_at"]),
        reason=row["reason"],
        forced=row["forced"],
        ended=row["closed_at"] is not None,
        limit_price=units(row["price"]),
        touch_price=touch,
        filled_shares=units(row["shares"]) if filled else 0,
        notional_usd=units(row["notional"]) if filled else 0,
        fees_usd=units(row["fees"]) if filled else 0,
        first_fill_ms=_ms(row["first_at"]),
        last_fill_ms=_ms(row["last_at"]),
    )


def _window(row: dict[str, Any]) -> str:
    return row["condition_id"] if row["opens_at"] is None else str(unix_ms(row["opens_at"]))


def _given_up(row: dict[str, Any]) -> GivenUp | None:
    told = HELD.match(row["detail"])
    if told is None:
        return None
    side, condition_id, reason, why = told.groups()
    return GivenUp(row["session_id"], condition_id, side, reason, why, unix_ms(row["at"]))


def _cash(text: str | None) -> int | None:
    """Return the dollars that a session's settings began with; whatever is not a number is not known."""
    return None if text is None or not re.fullmatch(r"\d+(\.\d+)?", text) else micros(text)


def _ms(value: datetime | None) -> int | None:
    return None if value is None else unix_ms(value)


def _rows(connection: Connection, query: Any, **parameters: object) -> list[dict[str, Any]]:
    with database_errors(), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()
