"""What the web page's charts ask: the newest picture of a process, an asset's and an account's samples, marks, curves.

Every answer is bounded: samples are thinned to at most one per bucket of time, whatever span is asked for. Charts take
floats: dollars and prices are doubles here, moments unix seconds.
"""

from typing import Any

import msgspec
from psycopg.rows import dict_row
from psycopg.sql import SQL

from storage.pool import Connection, database_errors
from storage.values import instant, unix_ms

MOST_POINTS = 1200
MOST_MARKS = 400
MOST_UPDATES = 1000
CURVES = (
    "entropy",
    "kl",
    "policy_loss",
    "value_loss",
    "explained_variance",
    "clip_fraction",
    "reward_sum_usd",
    "version",
)
"""What of the learner's metrics is drawn."""

ASSET_COLUMNS = (
    "up_price::float8 AS up, fair_value AS fair, spot, strike, probabilities[1]::float8 AS hold,"
    " probabilities[2]::float8 AS buy, probabilities[3]::float8 AS sell, best_bid::float8 AS bid,"
    " best_ask::float8 AS ask, CASE side WHEN 'UP' THEN shares::float8 WHEN 'DOWN' THEN -shares::float8 ELSE 0 END"
    " AS shares, net_usd::float8 AS net"
)
ASSET_NAMES = ("t", "up", "fair", "spot", "strike", "hold", "buy", "sell", "bid", "ask", "shares", "net")
ASSET_HISTORY = SQL(
    "SELECT DISTINCT ON (floor(extract(epoch FROM at) / %(bucket)s)) extract(epoch FROM at)::float8 AS t, "  # noqa: S608 - literals
    + ASSET_COLUMNS
    + " FROM asset_samples WHERE session_id = %(session)s AND asset = %(asset)s AND at >= %(since)s"
    " ORDER BY floor(extract(epoch FROM at) / %(bucket)s), at"
)
EQUITY_NAMES = ("t", "equity", "net", "open", "cash")
EQUITY_HISTORY = SQL(
    "SELECT DISTINCT ON (floor(extract(epoch FROM at) / %(bucket)s)) extract(epoch FROM at)::float8 AS t,"
    " equity_usd::float8 AS equity, pnl_net_usd::float8 AS net, open_pnl_usd::float8 AS open, cash_usd::float8 AS cash"
    " FROM account_samples WHERE session_id = %(session)s AND at >= %(since)s"
    " ORDER BY floor(extract(epoch FROM at) / %(bucket)s), at"
)
REALISED_NAMES = ("t", "net", "fees")
REALISED = SQL(
    "SELECT t, net, fees FROM (SELECT extract(epoch FROM closed_at)::float8 AS t,"
    " sum(pnl_net_usd) OVER so_far::float8 AS net, sum(fees_usd) OVER so_far::float8 AS fees,"
    " row_number() OVER (ORDER BY closed_at DESC, id DESC) - 1 AS place,"
    " greatest(1, count(*) OVER () / %(points)s) AS step"
    " FROM trades WHERE session_id = %(session)s WINDOW so_far AS (ORDER BY closed_at, id)) AS summed"
    " WHERE place %% step = 0 ORDER BY t"
)
MARKS = SQL(
    "SELECT extract(epoch FROM coalesce(f.last_at, o.submitted_at, i.decided_at))::float8 AS t,"
    " extract(epoch FROM i.decided_at)::float8 AS decided, i.side, i.action, i.reason, o.state, o.order_type,"
    " o.last_error, o.shares::float8 AS asked, f.shares::float8 AS filled,"
    " (f.notional / nullif(f.shares, 0))::float8 AS price, f.fees::float8 AS fees FROM intents i"
    " LEFT JOIN orders o ON o.intent_id = i.id"
    " LEFT JOIN LATERAL (SELECT sum(shares) AS shares, sum(price * shares) AS notional, sum(fee_usd) AS fees,"
    " max(filled_at) AS last_at FROM fills WHERE order_id = o.id AND state <> 'FAILED') f ON true"
    " WHERE i.session_id = %(session)s AND i.asset = %(asset)s AND i.decided_at >= %(since)s"
    " ORDER BY i.decided_at DESC LIMIT %(most)s"
)
LEARNER = SQL(
    "SELECT substr(name, 9) AS name, extract(epoch FROM at)::float8 AS t, value FROM metrics"
    " WHERE session_id = %(session)s AND name = ANY(%(names)s) AND at >= coalesce((SELECT at FROM metrics"
    " WHERE session_id = %(session)s AND name = 'learner.version' ORDER BY at DESC OFFSET %(most)s LIMIT 1),"
    " '-infinity') ORDER BY at"
)


class Picture(msgspec.Struct, frozen=True):
    """The newest status document that a process has written, as JSON, and when."""

    session_id: int
    at_ms: int
    status: bytes


Columns = dict[str, list[Any]]
"""By name, one value a row; None where nothing was known."""


def latest_picture(connection: Connection) -> Picture | None:
    """Return the newest picture; None when no process has ever written one, nor made the table.

    Raises:
        TransientError, FatalError: as every query does.
    """
    with database_errors():
        if connection.execute("SELECT to_regclass('status_snapshots')").fetchone() == (None,):
            return None  # a version without the page has made this database
        row: Any = connection.execute(
            "SELECT session_id, at, status::text FROM status_snapshots ORDER BY at DESC LIMIT 1"
        ).fetchone()
    return None if row is None else Picture(row[0], unix_ms(row[1]), row[2].encode())


def asset_history(connection: Connection, session_id: int, asset: str, since_ms: int, until_ms: int) -> Columns:
    """Return an asset's samples since a moment, thinned to `MOST_POINTS` over the time until `until_ms`.

    Raises:
        TransientError, FatalError: as every query does.
    """
    asked = {"session": session_id, "asset": asset, **_span(since_ms, until_ms)}
    return _columns(connection, ASSET_HISTORY, ASSET_NAMES, asked)


def equity_history(connection: Connection, session_id: int, since_ms: int, until_ms: int) -> Columns:
    """Return an account's samples since a moment, thinned in the same way; they reach back a day.

    Raises:
        TransientError, FatalError: as every query does.
    """
    asked = {"session": session_id, **_span(since_ms, until_ms)}
    return _columns(connection, EQUITY_HISTORY, EQUITY_NAMES, asked)


def realised_history(connection: Connection, session_id: int) -> Columns:
    """Return what all closed trades of a session had come to after each of them, net of fees, thinned to the newest.

    Raises:
        TransientError, FatalError: as every query does.
    """
    return _columns(connection, REALISED, REALISED_NAMES, {"session": session_id, "points": MOST_POINTS})


def marks(connection: Connection, session_id: int, asset: str, since_ms: int) -> list[dict[str, Any]]:
    """Return the newest decisions that became intents, each with its order and what it filled; price per share.

    Raises:
        TransientError, FatalError: as every query does.
    """
    asked = {"session": session_id, "asset": asset, "since": instant(since_ms), "most": MOST_MARKS}
    return _rows(connection, MARKS, asked)[::-1]


def learner_curves(connection: Connection, session_id: int) -> dict[str, Columns]:
    """Return the newest updates' numbers by name, each with columns `t` and `value`.

    Raises:
        TransientError, FatalError: as every query does.
    """
    names = [f"learner.{name}" for name in CURVES]
    curves: dict[str, Columns] = {name: {"t": [], "value": []} for name in CURVES}
    for row in _rows(connection, LEARNER, {"session": session_id, "names": names, "most": MOST_UPDATES}):
        curve = curves[row["name"]]
        curve["t"].append(row["t"])
        curve["value"].append(row["value"])
    return curves


def _span(since_ms: int, until_ms: int) -> dict[str, object]:
    return {"since": instant(since_ms), "bucket": max(1, -(-(until_ms - since_ms) // (1000 * MOST_POINTS)))}


def _columns(connection: Connection, query: SQL, names: tuple[str, ...], asked: dict[str, object]) -> Columns:
    with database_errors(), connection.cursor() as cursor:
        rows = cursor.execute(query, asked).fetchall()
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _rows(connection: Connection, query: SQL, asked: dict[str, Any]) -> list[dict[str, Any]]:
    with database_errors(), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, asked).fetchall()
