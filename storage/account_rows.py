"""What the rows of a session say of its account: the truth that a portfolio's checkpoint must agree with."""

from typing import Any

import msgspec
from psycopg.rows import dict_row

from core.records import FillRecord, IntentRecord, MarketRecord, OrderRecord, PositionRecord
from storage.pool import Connection, database_errors
from storage.queries import LedgerTotals, TradesSummary, ledger_totals, open_positions, trades_summary
from storage.values import instant, units, unix_ms


class OrderRows(msgspec.Struct, frozen=True):
    """One order with its intent and its fills, oldest first."""

    order: OrderRecord
    intent: IntentRecord
    fills: tuple[FillRecord, ...]


class UnconfirmedRows(msgspec.Struct, frozen=True):
    """Orders that have ended and of whose fills one may still be undone, with their markets."""

    orders: tuple[OrderRows, ...] = ()
    markets: tuple[MarketRecord, ...] = ()


class AccountRows(msgspec.Struct, frozen=True):
    """A session's account in rows of one snapshot.

    `orders` are those that are not closed, and all of the markets in which something is held; `markets` are theirs.
    `unconfirmed` counts the fills of the session that may still be undone.
    """

    totals: LedgerTotals
    trades: tuple[TradesSummary, ...]
    positions: tuple[PositionRecord, ...]
    orders: tuple[OrderRows, ...]
    markets: tuple[MarketRecord, ...]
    unconfirmed: int

    @property
    def untouched(self) -> bool:
        """Whether nothing was ever traded."""
        return not (self.totals.trades or self.positions or self.orders)


def account_rows(connection: Connection, session_id: int) -> AccountRows:
    """Read the account of a session.

    Raises:
        TransientError, FatalError: as every query does.
    """
    with database_errors(), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        positions = tuple(open_positions(connection, session_id))
        held = [position.condition_id for position in positions]
        found = _rows(
            connection,
            _ORDERS + " WHERE i.session_id = %s AND (o.closed_at IS NULL OR i.condition_id = ANY(%s))" + _OLDEST_FIRST,
            (session_id, held),
        )
        orders, markets = _with_fills(connection, found), _markets(connection, found)
        (unconfirmed,) = _rows(
            connection,
            "SELECT count(*) AS count FROM fills f JOIN orders o ON o.id = f.order_id JOIN intents i"
            " ON i.id = o.intent_id WHERE i.session_id = %s AND f.state = 'MATCHED'",
            (session_id,),
        )
        return AccountRows(
            totals=ledger_totals(connection, session_id),
            trades=tuple(trades_summary(connection, session_id)),
            positions=positions,
            orders=orders,
            markets=markets,
            unconfirmed=unconfirmed["count"],
        )


def unconfirmed_rows(connection: Connection, session_id: int) -> UnconfirmedRows:
    """Read a session's closed orders whose fills are not all final.

    Raises:
        TransientError, FatalError: as every query does.
    """
    with database_errors(), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        found = _rows(
            connection,
            _ORDERS + " WHERE i.session_id = %s AND o.closed_at IS NOT NULL"
            " AND EXISTS (SELECT FROM fills f WHERE f.order_id = o.id AND f.state = 'MATCHED')" + _OLDEST_FIRST,
            (session_id,),
        )
        return UnconfirmedRows(_with_fills(connection, found), _markets(connection, found))


def final_fills(connection: Connection, session_id: int, since_ms: int) -> frozenset[tuple[str, str]]:
    """Return trade and order hash of each of a session's fills since `since_ms` (unix) that cannot change any more.

    Raises:
        TransientError, FatalError: as every query does.
    """
    with database_errors():
        found = _rows(
            connection,
            "SELECT f.trade_id, f.order_hash FROM fills f JOIN orders o ON o.id = f.order_id JOIN intents i"
            " ON i.id = o.intent_id WHERE i.session_id = %s AND f.state <> 'MATCHED' AND f.filled_at >= %s",
            (session_id, instant(since_ms)),
        )
    return frozenset((row["trade_id"], row["order_hash"]) for row in found)


_ORDERS = (
    "SELECT o.*, i.session_id, i.asset, i.condition_id, i.side AS outcome, i.action, i.decided_at, i.reason,"
    " i.lease_epoch, i.incarnation, i.action_probs, i.features FROM orders o JOIN intents i ON i.id = o.intent_id"
)
_OLDEST_FIRST = " ORDER BY i.decided_at, o.id"


def _with_fills(connection: Connection, orders: list[dict[str, Any]]) -> tuple[OrderRows, ...]:
    fills = _rows(
        connection,
        "SELECT * FROM fills WHERE order_id = ANY(%s) ORDER BY filled_at, id",
        ([row["id"] for row in orders],),
    )
    return tuple(
        OrderRows(_order(row), _intent(row), tuple(_fill(f) for f in fills if f["order_id"] == row["id"]))
        for row in orders
    )


def _markets(connection: Connection, orders: list[dict[str, Any]]) -> tuple[MarketRecord, ...]:
    rows = _rows(
        connection, "SELECT * FROM markets WHERE condition_id = ANY(%s)", ([row["condition_id"] for row in orders],)
    )
    return tuple(_market(row) for row in rows)


def _order(row: dict[str, Any]) -> OrderRecord:
    return OrderRecord(
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
        closed_at_ms=None if row["closed_at"] is None else unix_ms(row["closed_at"]),
        last_error=row["last_error"],
    )


def _intent(row: dict[str, Any]) -> IntentRecord:
    return IntentRecord(
        id=row["intent_id"],
        session_id=row["session_id"],
        asset=row["asset"],
        condition_id=row["condition_id"],
        side=row["outcome"],
        action=row["action"],
        decided_at_ms=unix_ms(row["decided_at"]),
        reason=row["reason"],
        lease_epoch=row["lease_epoch"],
        incarnation=row["incarnation"],
        action_probs=tuple(row["action_probs"]),
        features=tuple(row["features"]),
    )


def _fill(row: dict[str, Any]) -> FillRecord:
    return FillRecord(
        id=row["id"],
        order_id=row["order_id"],
        venue=row["venue"],
        trade_id=row["trade_id"],
        order_hash=row["order_hash"],
        price=units(row["price"]),
        shares=units(row["shares"]),
        fee_usd=units(row["fee_usd"]),
        liquidity=row["liquidity"],
        state=row["state"],
        filled_at_ms=unix_ms(row["filled_at"]),
    )


def _market(row: dict[str, Any]) -> MarketRecord:
    return MarketRecord(
        condition_id=row["condition_id"],
        asset=row["asset"],
        slug=row["slug"],
        opens_at_ms=unix_ms(row["opens_at"]),
        closes_at_ms=unix_ms(row["closes_at"]),
        strike=row["strike"],
        winner=row["winner"],
        fee_rate=row["fee_rate"],
        tick_size=units(row["tick_size"]),
    )


def _rows(connection: Connection, query: Any, parameters: tuple[object, ...]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()
