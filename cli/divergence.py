"""How a live session and the paper one beside it differ, by their rows: fills, prices, fees, PnL.

Only processes in which both ran count, and only orders that have ended. Shares, dollars and prices are decimal strings.
"""

from decimal import Decimal
from typing import Any

import msgspec
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed

from storage.beside import WENT_ALONG
from storage.pool import Connection, database_errors

MICRO = Decimal("0.000001")

ORDERS = SQL(
    "WITH ended AS (SELECT i.session_id, i.asset, i.condition_id, i.side, i.action, i.decided_at, i.reason, o.shares,"
    " coalesce(f.shares, 0) AS filled, f.notional, f.fees FROM intents i JOIN orders o ON o.intent_id = i.id"
    " LEFT JOIN LATERAL (SELECT sum(shares) AS shares, sum(price * shares) AS notional, sum(fee_usd) AS fees"
    " FROM fills WHERE order_id = o.id AND state <> 'FAILED') f ON true"
    " WHERE i.session_id IN (%(live)s, %(paper)s) AND o.closed_at IS NOT NULL AND i.lease_epoch IN"
    " (SELECT value::bigint FROM metrics WHERE session_id = %(paper)s AND name = %(along)s)) "
)
EXECUTIONS = ORDERS + SQL(
    "SELECT session_id, action, count(*) AS orders, count(*) FILTER (WHERE filled > 0) AS filled,"
    " sum(shares) AS shares, sum(filled) AS filled_shares, sum(notional) AS notional, sum(fees) AS fees"
    " FROM ended GROUP BY session_id, action"
)
SAME = ORDERS + SQL(
    ", l AS (SELECT * FROM ended WHERE session_id = %(live)s AND reason = 'signal'),"
    " p AS (SELECT * FROM ended WHERE session_id = %(paper)s AND reason = 'signal'),"
    " pairs AS (SELECT l.decided_at AS of_live, p.decided_at AS of_paper, l.filled > 0 AND p.filled > 0 AS both_filled,"
    " CASE l.action WHEN 'OPEN' THEN 1 ELSE -1 END * (l.notional / nullif(l.filled, 0) - p.notional"
    " / nullif(p.filled, 0)) AS worse, l.fees / nullif(l.filled, 0) - p.fees / nullif(p.filled, 0) AS more"
    " FROM l FULL JOIN p USING (asset, condition_id, side, action, decided_at)) "
    "SELECT count(*) FILTER (WHERE of_live IS NOT NULL AND of_paper IS NOT NULL) AS both,"
    " count(*) FILTER (WHERE of_paper IS NULL) AS only_live, count(*) FILTER (WHERE of_live IS NULL) AS only_paper,"
    " count(*) FILTER (WHERE both_filled) AS both_filled, avg(worse) AS worse, avg(more) AS more FROM pairs"
)
# A round trip's id is that of the intent that opened it, and a number.
TRADES = SQL(
    "WITH t AS (SELECT t.*, i.decided_at FROM trades t JOIN intents i ON i.id = regexp_replace(t.id, '\\.[0-9]+$', '')"
    " WHERE t.session_id IN (%(live)s, %(paper)s) AND i.lease_epoch IN"
    " (SELECT value::bigint FROM metrics WHERE session_id = %(paper)s AND name = %(along)s)) "
)
RESULTS = TRADES + SQL(
    "SELECT session_id, count(*) AS trades, sum(pnl_net_usd) AS pnl, sum(fees_usd) AS fees FROM t GROUP BY session_id"
)
SAME_TRADES = TRADES + SQL(
    "SELECT count(*) AS trades, coalesce(sum(l.pnl_net_usd), 0) AS live, coalesce(sum(p.pnl_net_usd), 0) AS paper"
    " FROM t l JOIN t p USING (asset, condition_id, side, decided_at)"
    " WHERE l.session_id = %(live)s AND p.session_id = %(paper)s"
)


class Execution(msgspec.Struct, frozen=True):
    """What became of one session's orders to open, or to close; price and fee are averages per share, None unfilled."""

    orders: int = 0
    filled: int = 0
    shares: str = "0.000000"
    filled_shares: str = "0.000000"
    price: str | None = None
    fee: str | None = None


class SessionFigures(msgspec.Struct, frozen=True):
    """One of the two sessions; PnL is of closed round trips, net of fees."""

    session: int
    opening: Execution
    closing: Execution
    trades: int
    pnl_net_usd: str
    fees_usd: str


class SameDecisions(msgspec.Struct, frozen=True):
    """Orders that came of the same decision, and round trips that did.

    `price_worse` and `fee_more` are per share, positive where live was worse; averages over orders that both filled.
    """

    orders: int
    only_live: int
    only_paper: int
    both_filled: int
    price_worse: str | None
    fee_more: str | None
    trades: int
    live_pnl_net_usd: str
    paper_pnl_net_usd: str


class Divergence(msgspec.Struct, frozen=True):
    """The live session, the paper one beside it, and the decisions that both acted on."""

    live: SessionFigures
    paper: SessionFigures
    same: SameDecisions


def divergence(connection: Connection, live: int, paper: int) -> Divergence:
    """Return how two sessions differ.

    Raises:
        TransientError, FatalError: as every query does.
    """
    ids = {"live": live, "paper": paper, "along": WENT_ALONG}
    with database_errors(), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        executions = {(row["session_id"], row["action"]): row for row in _rows(connection, EXECUTIONS, ids)}
        results = {row["session_id"]: row for row in _rows(connection, RESULTS, ids)}
        (same,) = _rows(connection, SAME, ids)
        (trips,) = _rows(connection, SAME_TRADES, ids)

    def figures(session: int) -> SessionFigures:
        result = results.get(session, {"trades": 0, "pnl": Decimal(0), "fees": Decimal(0)})
        return SessionFigures(
            session=session,
            opening=_execution(executions.get((session, "OPEN"))),
            closing=_execution(executions.get((session, "CLOSE"))),
            trades=result["trades"],
            pnl_net_usd=_exact(result["pnl"]),
            fees_usd=_exact(result["fees"]),
        )

    return Divergence(
        figures(live),
        figures(paper),
        SameDecisions(
            orders=same["both"],
            only_live=same["only_live"],
            only_paper=same["only_paper"],
            both_filled=same["both_filled"],
            price_worse=None if same["worse"] is None else _exact(same["worse"]),
            fee_more=None if same["more"] is None else _exact(same["more"]),
            trades=trips["trades"],
            live_pnl_net_usd=_exact(trips["live"]),
            paper_pnl_net_usd=_exact(trips["paper"]),
        ),
    )


def lines(found: Divergence) -> list[str]:
    """Return the divergence for people."""
    live, paper, same = found.live, found.paper, found.same
    orders = f"same decisions: {same.orders} orders of both, {same.only_live} only live, {same.only_paper} only paper"
    if same.price_worse is not None and same.fee_more is not None:
        orders += (
            f"; where both filled ({same.both_filled}) live's price was {_than(same.price_worse, 'worse', 'better')}, "
            f"its fee {_than(same.fee_more, 'higher', 'lower')}"
        )
    results = (
        f"PnL net: live {_usd(live.pnl_net_usd)} USD of {live.trades} trades, "
        f"paper {_usd(paper.pnl_net_usd)} USD of {paper.trades}"
    )
    trips = (
        f"; round trips of both ({same.trades}): live {_usd(same.live_pnl_net_usd)}, "
        f"paper {_usd(same.paper_pnl_net_usd)}"
    )
    return [
        f"live session {live.session}, paper session {paper.session} beside it",
        f"opening: live {_said(live.opening)}; paper {_said(paper.opening)}",
        f"closing: live {_said(live.closing)}; paper {_said(paper.closing)}",
        orders,
        results + (trips if same.trades else ""),
    ]


def _said(execution: Execution) -> str:
    if not execution.orders:
        return "no orders"
    filled = f"{execution.filled} of {execution.orders} orders filled"
    if execution.price is None or execution.fee is None:
        return filled
    rate = 100 * Decimal(execution.filled_shares) / Decimal(execution.shares)
    return f"{filled} ({rate:.1f} % of the shares) at {Decimal(execution.price):.4f}, fee {Decimal(execution.fee):.4f}"


def _than(per_share: str, more: str, less: str) -> str:
    value = Decimal(per_share)
    return f"{abs(value):.4f} a share {more if value > 0 else less}" if value else "the same"


def _usd(value: str) -> str:
    return f"{Decimal(value):+,.2f}"


def _execution(row: dict[str, Any] | None) -> Execution:
    if row is None:
        return Execution()
    filled = row["filled_shares"]
    return Execution(
        orders=row["orders"],
        filled=row["filled"],
        shares=_exact(row["shares"]),
        filled_shares=_exact(filled),
        price=_exact(row["notional"] / filled) if filled else None,
        fee=_exact(row["fees"] / filled) if filled else None,
    )


def _exact(value: Decimal) -> str:
    return str(value.quantize(MICRO))


def _rows(connection: Connection, query: Composed, ids: dict[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, ids).fetchall()
