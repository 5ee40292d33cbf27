"""One trade's rows: its market, decisions, orders, fills, and what happened to the system meanwhile."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from psycopg.rows import dict_row
from psycopg.sql import SQL

from core.records import (
    AlertRecord,
    FillRecord,
    HealthEventRecord,
    IntentRecord,
    MarketRecord,
    OrderRecord,
    TradeRecord,
)
from core.trading.slippage import Execution
from core.trading.trade_orders import entry_intent, orders_of_trades
from storage.pool import Connection, database_errors
from storage.queries import BESIDE
from storage.record_rows import record_of
from storage.report_rows import EXECUTIONS, FEATURES, execution
from storage.values import instant

AROUND_MS = 10_000
"""Events that long before the decision and after the end still belong to the story."""
SAME_PLACE = SQL(
    "SELECT * FROM trades WHERE session_id = %(session)s AND condition_id = %(market)s AND side = %(side)s"
)
ORDERS_THERE = EXECUTIONS + SQL(
    " WHERE i.session_id = %(session)s AND i.condition_id = %(market)s AND i.side = %(side)s"
)
DURING = SQL(" WHERE session_id = ANY(%(sessions)s) AND at BETWEEN %(from)s AND %(to)s ORDER BY at, id")
WORD = re.compile(r"[^A-Za-z0-9]+")


class Story(msgspec.Struct, frozen=True):
    """Everything stored about a trade, each part in the order of its times; `market` None where it was not stored.

    `executions` are its orders with what filled, `events` and `alerts` those around it that are not of another asset.
    """

    trade: TradeRecord
    mode: str
    venue: str
    market: MarketRecord | None
    intents: tuple[IntentRecord, ...]
    orders: tuple[OrderRecord, ...]
    fills: tuple[FillRecord, ...]
    executions: tuple[Execution, ...]
    events: tuple[HealthEventRecord, ...]
    alerts: tuple[AlertRecord, ...]

    @property
    def decision(self) -> IntentRecord | None:
        """The intent that opened it, None where it is not stored."""
        entry = entry_intent(self.trade.id)
        return next((each for each in self.intents if each.id == entry), None)


def trades_called(connection: Connection, name: str, most: int) -> list[TradeRecord]:
    """Return the trade with that id, or else up to `most` newest ones whose ids begin with `name`.

    Raises:
        TransientError, FatalError: as every query does.
    """
    exact = _rows(connection, "SELECT * FROM trades WHERE id = %(name)s", name=name)
    found = exact or _rows(
        connection,
        "SELECT * FROM trades WHERE starts_with(id, %(name)s) ORDER BY closed_at DESC, id LIMIT %(most)s",
        name=name,
        most=most,
    )
    return [record_of(TradeRecord, row) for row in found]


def story(connection: Connection, trade: TradeRecord) -> Story:
    """Return everything stored about `trade`.

    Raises:
        TransientError, FatalError: as every query does.
    """
    place = {"session": trade.session_id, "market": trade.condition_id, "side": trade.side}
    with database_errors(), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        (session,) = _rows(connection, "SELECT mode, venue FROM sessions WHERE id = %(session)s", **place)
        markets = _rows(connection, "SELECT * FROM markets WHERE condition_id = %(market)s", **place)
        beside = _rows(connection, SAME_PLACE, **place)
        executions = orders_of_trades(
            [record_of(TradeRecord, row) for row in beside],
            [execution(row) for row in _rows(connection, ORDERS_THERE, **place, **FEATURES)],
        )[trade.id]
        orders = [each.order_id for each in executions]
        intents = _rows(
            connection,
            "SELECT * FROM intents WHERE id = ANY(%(ids)s) OR id = %(entry)s ORDER BY decided_at, id",
            ids=[each.intent_id for each in executions],
            entry=entry_intent(trade.id),
        )
        sent = _rows(
            connection,
            "SELECT o.* FROM orders o JOIN intents i ON i.id = o.intent_id WHERE o.id = ANY(%(orders)s)"
            " ORDER BY i.decided_at, o.id",
            orders=orders,
        )
        fills = _rows(
            connection, "SELECT * FROM fills WHERE order_id = ANY(%(orders)s) ORDER BY filled_at, id", orders=orders
        )
        began_ms = min([trade.opened_at_ms, *(each.decided_ms for each in executions)])
        around: dict[str, Any] = {
            "sessions": [trade.session_id, *_live_session(session["venue"])],
            "from": instant(began_ms - AROUND_MS),
            "to": instant(trade.closed_at_ms + AROUND_MS),
        }
        events = _rows(connection, SQL("SELECT * FROM health_events") + DURING, **around)
        alerts = _rows(connection, SQL("SELECT * FROM alerts") + DURING, **around)
        assets = {row["asset"] for row in _rows(connection, "SELECT DISTINCT asset FROM markets")} - {trade.asset}
    return Story(
        trade=trade,
        mode=session["mode"],
        venue=session["venue"],
        market=record_of(MarketRecord, markets[0]) if markets else None,
        intents=tuple(record_of(IntentRecord, row) for row in intents),
        orders=tuple(record_of(OrderRecord, row) for row in sent),
        fills=tuple(record_of(FillRecord, row) for row in fills),
        executions=executions,
        events=tuple(record_of(HealthEventRecord, row) for row in events if not _names(row["subject"], assets)),
        alerts=tuple(record_of(AlertRecord, row) for row in alerts if not _names(row["text"], assets)),
    )


def _live_session(venue: str) -> tuple[int, ...]:
    """Return the session whose events tell what happened to the paper one beside it."""
    return (int(venue.removeprefix(f"{BESIDE} ")),) if venue.startswith(BESIDE) else ()


def _names(text: str, assets: Iterable[str]) -> bool:
    return not set(WORD.split(text)).isdisjoint(assets)


def _rows(connection: Connection, query: Any, **parameters: object) -> list[dict[str, Any]]:
    with database_errors(), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()
