"""The web page's tables: trades, orders and health events of a session, newest first, filtered, a page at a time.

Dollars, shares and prices are decimals, moments unix milliseconds.
"""

from typing import Any

import msgspec
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed

from storage.pool import Connection, database_errors
from storage.values import instant

MOST_ROWS = 200

TRADES = SQL(
    "SELECT id, asset, condition_id, side, (extract(epoch FROM opened_at) * 1000)::bigint AS opened_ms,"
    " (extract(epoch FROM closed_at) * 1000)::bigint AS closed_ms, shares, entry_price, exit_price, fees_usd,"
    " pnl_net_usd, exit_reason, force_closed, force_close_reason FROM trades"
    " WHERE session_id = %(session)s AND closed_at < %(before)s"
)
TRADES_END = SQL(" ORDER BY closed_at DESC, id DESC LIMIT %(most)s")
ORDERS = SQL(
    "SELECT o.id, i.asset, i.side, i.action, i.reason, (extract(epoch FROM i.decided_at) * 1000)::bigint AS decided_ms,"
    " o.venue, o.order_type, o.state, o.price, o.shares, coalesce(f.shares, 0) AS filled_shares,"
    " round(f.notional / nullif(f.shares, 0), 6) AS fill_price, coalesce(f.fees, 0) AS fees_usd, o.last_error"
    " FROM intents i JOIN orders o ON o.intent_id = i.id LEFT JOIN LATERAL (SELECT sum(shares) AS shares,"
    " sum(price * shares) AS notional, sum(fee_usd) AS fees FROM fills WHERE order_id = o.id AND state <> 'FAILED') f"
    " ON true WHERE i.session_id = %(session)s AND i.decided_at < %(before)s"
)
ORDERS_END = SQL(" ORDER BY i.decided_at DESC, o.id DESC LIMIT %(most)s")
EVENTS = SQL(
    "SELECT id, (extract(epoch FROM at) * 1000)::bigint AS at_ms, subject, status, detail FROM health_events"
    " WHERE session_id = %(session)s AND at < %(before)s"
)
EVENTS_END = SQL(" ORDER BY at DESC, id DESC LIMIT %(most)s")

RESULTS = {"won": SQL(" AND pnl_net_usd > 0"), "lost": SQL(" AND pnl_net_usd <= 0"), "forced": SQL(" AND force_closed")}
"""What trades may be narrowed to."""
STATES = {
    "filled": SQL(" AND f.shares > 0"),
    "unfilled": SQL(" AND o.closed_at IS NOT NULL AND coalesce(f.shares, 0) = 0"),
    "live": SQL(" AND o.closed_at IS NULL"),
}
"""What orders may be narrowed to."""


class Asked(msgspec.Struct, frozen=True):
    """Which rows: before a moment (unix ms), at most so many, of one asset, one side, one kind, with a text."""

    session_id: int
    before_ms: int
    most: int = 50
    asset: str = ""
    side: str = ""
    kind: str = ""
    text: str = ""

    def values(self) -> dict[str, object]:
        """Return what the statements take; a text is searched for as it is."""
        escaped = self.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return {
            "session": self.session_id,
            "before": instant(self.before_ms),
            "most": max(1, min(self.most, MOST_ROWS)),
            "asset": self.asset,
            "side": self.side,
            "text": f"%{escaped}%",
        }


def trades(connection: Connection, asked: Asked) -> list[dict[str, Any]]:
    """Return closed round trips; `kind` is one of `RESULTS`, or empty.

    Raises:
        TransientError, FatalError: as every query does.
    """
    parts: list[SQL] = [TRADES]
    parts += [SQL(" AND asset = %(asset)s")] if asked.asset else []
    parts += [SQL(" AND side = %(side)s")] if asked.side else []
    parts += [RESULTS[asked.kind]] if asked.kind else []
    return _rows(connection, Composed([*parts, TRADES_END]), asked)


def orders(connection: Connection, asked: Asked) -> list[dict[str, Any]]:
    """Return orders with what they filled; `kind` is one of `STATES`, or empty.

    Raises:
        TransientError, FatalError: as every query does.
    """
    parts: list[SQL] = [ORDERS]
    parts += [SQL(" AND i.asset = %(asset)s")] if asked.asset else []
    parts += [SQL(" AND i.side = %(side)s")] if asked.side else []
    parts += [STATES[asked.kind]] if asked.kind else []
    return _rows(connection, Composed([*parts, ORDERS_END]), asked)


def events(connection: Connection, asked: Asked) -> list[dict[str, Any]]:
    """Return health events; with an asset those whose subject or detail names it.

    Raises:
        TransientError, FatalError: as every query does.
    """
    parts: list[SQL] = [EVENTS]
    if asked.asset:
        parts.append(SQL(" AND (right(subject, length(%(asset)s) + 1) IN ('.' || %(asset)s, ' ' || %(asset)s)"))
        parts.append(SQL(" OR subject = %(asset)s OR starts_with(detail, %(asset)s || ' '))"))
    parts += [SQL(" AND (subject ILIKE %(text)s OR status ILIKE %(text)s OR detail ILIKE %(text)s)")] * bool(asked.text)
    return _rows(connection, Composed([*parts, EVENTS_END]), asked)


def _rows(connection: Connection, query: Composed, asked: Asked) -> list[dict[str, Any]]:
    with database_errors(), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, asked.values()).fetchall()
