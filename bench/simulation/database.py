"""The database in memory: transactions, unique keys, references and upserts as `storage/` has them in PostgreSQL."""

from collections.abc import Sequence

from core.errors import FatalError, RejectedError
from core.records import (
    AlertRecord,
    CheckpointRecord,
    FillRecord,
    HealthEventRecord,
    IntentRecord,
    MarketRecord,
    OrderRecord,
    PositionRecord,
    Record,
    TradeRecord,
)

GENERATIONS_KEPT = 3


class Tables:
    """Rows by their unique keys. One value is one committed state; a transaction works on a copy."""

    def __init__(self) -> None:
        self.markets: dict[str, MarketRecord] = {}
        self.intents: dict[str, IntentRecord] = {}
        self.orders: dict[str, OrderRecord] = {}
        self.fills: dict[tuple[str, str, str], FillRecord] = {}
        self.positions: dict[tuple[str, str, str], PositionRecord] = {}
        self.trades: dict[str, TradeRecord] = {}
        self.checkpoints: dict[tuple[str, str], dict[int, CheckpointRecord]] = {}
        self.notes: set[Record] = set()

    def copy(self) -> "Tables":
        """Return a state to work on, which shares nothing that changes."""
        other = Tables()
        other.markets, other.intents, other.orders = self.markets.copy(), self.intents.copy(), self.orders.copy()
        other.fills, other.positions, other.trades = self.fills.copy(), self.positions.copy(), self.trades.copy()
        other.checkpoints = {key: generations.copy() for key, generations in self.checkpoints.items()}
        other.notes = self.notes  # only ever added to, and nothing depends on them
        return other

    def upsert(self, row: Record) -> None:
        """Write one row as the statements of `storage/writer.py` do."""
        match row:
            case MarketRecord():
                known = self.markets.get(row.condition_id)
                self.markets[row.condition_id] = row if known is None or row.winner is not None else known
            case IntentRecord():
                self.intents.setdefault(row.id, row)
            case OrderRecord():
                before = self.orders.get(row.id)
                if before is None or before.closed_at_ms is None or row.closed_at_ms is not None:
                    self.orders[row.id] = row
            case FillRecord():
                self.fills.setdefault((row.venue, row.trade_id, row.order_hash), row)
            case PositionRecord():
                key = row.asset, row.condition_id, row.side
                if row.shares == 0:
                    self.positions.pop(key, None)
                else:
                    self.positions[key] = row
            case TradeRecord():
                self.trades[row.id] = row
            case CheckpointRecord():
                generations = self.checkpoints.setdefault((row.kind, row.name), {})
                generations[row.generation] = row
                for old in sorted(generations)[:-GENERATIONS_KEPT]:
                    del generations[old]
            case HealthEventRecord() | AlertRecord():
                self.notes.add(row)
            case _:
                pass  # metrics and dead letters: nothing depends on them

    def broken(self, touched: Sequence[Record]) -> str | None:
        """Return the first constraint that the written rows break at the commit."""
        for row in touched:
            if isinstance(row, OrderRecord):
                if row.intent_id not in self.intents:
                    return f"order {row.id} has no intent"
                live = [o.id for o in self.orders.values() if o.intent_id == row.intent_id and o.closed_at_ms is None]
                if len(live) > 1:
                    return f"two live orders for intent {row.intent_id}: {live}"
            if isinstance(row, FillRecord) and row.order_id not in self.orders:
                return f"fill {row.id} has no order"
            if isinstance(row, PositionRecord) and row.shares < 0:
                return f"a position of {row.shares} shares"
        return None


class Database:
    """Holds what was committed; what a crash of the process leaves behind."""

    def __init__(self) -> None:
        self.tables = Tables()
        self.lease_epoch = 0

    def commit(self, rows: Sequence[Record], lease_epoch: int) -> None:
        """Write rows in one transaction.

        Raises:
            FatalError: the lease is another process's.
            RejectedError: a constraint is broken; nothing was written.
        """
        if lease_epoch != self.lease_epoch:
            raise FatalError(f"the lease of epoch {lease_epoch} is lost to {self.lease_epoch}")
        after = self.tables.copy()
        for row in rows:
            after.upsert(row)
        broken = after.broken(rows)
        if broken is not None:
            raise RejectedError(broken)
        self.tables = after

    def latest(self, name: str) -> CheckpointRecord | None:
        """Return the newest generation of an actor's checkpoint."""
        generations = self.tables.checkpoints.get(("actor", name), {})
        return generations[max(generations)] if generations else None
