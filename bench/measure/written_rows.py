"""What the actors write, kept in memory as the tables would have it, ready to be held against a venue's ledger."""

from collections import Counter, defaultdict

from actors.portfolio_state import PortfolioState
from bench.measure.two_ledgers import Rows, by_trade
from core.market.market import Side
from core.records import (
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
from core.trading.orders import Fill
from storage.account_rows import OrderRows, UnconfirmedRows


class Tables:
    """What is written, by its unique keys; `rows` says it as `two_ledgers` compares it."""

    def __init__(self) -> None:
        self.markets: dict[str, MarketRecord] = {}
        self.intents: dict[str, IntentRecord] = {}
        self.orders: dict[str, OrderRecord] = {}
        self.fills: dict[str, FillRecord] = {}
        self.positions: dict[tuple[str, Side], PositionRecord] = {}
        self.trades: dict[str, TradeRecord] = {}
        self.events: list[HealthEventRecord] = []
        self.checkpoint: CheckpointRecord | None = None
        """The portfolio's newest: nobody else's are written along with rows."""

    def write(self, rows: tuple[Record, ...]) -> None:
        """Write rows as `storage.writer` does."""
        for row in rows:
            match row:
                case MarketRecord():
                    self.markets[row.condition_id] = row
                case IntentRecord():
                    self.intents.setdefault(row.id, row)
                case OrderRecord():
                    known = self.orders.get(row.id)
                    if known is None or known.closed_at_ms is None or row.closed_at_ms is not None:
                        self.orders[row.id] = row
                case FillRecord():
                    self.fills[row.id] = row
                case PositionRecord(shares=0):
                    self.positions.pop((row.condition_id, row.side), None)
                case PositionRecord():
                    self.positions[row.condition_id, row.side] = row
                case TradeRecord():
                    self.trades[row.id] = row
                case HealthEventRecord():
                    self.events.append(row)
                case CheckpointRecord():
                    self.checkpoint = row

    def unconfirmed(self) -> UnconfirmedRows:
        """Return the closed orders whose fills are not all final."""
        fills: defaultdict[str, list[FillRecord]] = defaultdict(list)
        for fill in self.fills.values():
            fills[fill.order_id].append(fill)
        orders = tuple(
            OrderRows(order, self.intents[order.intent_id], tuple(fills[order.id]))
            for order in self.orders.values()
            if order.closed_at_ms is not None and any(fill.state == "MATCHED" for fill in fills[order.id])
        )
        traded = {each.intent.condition_id for each in orders}
        return UnconfirmedRows(orders, tuple(self.markets[condition_id] for condition_id in sorted(traded)))

    def rows(self, state: PortfolioState) -> Rows:
        """Return our side of the comparison."""
        fills = []
        tokens: dict[tuple[str, Side], str] = {}
        for order in self.orders.values():
            intent = self.intents[order.intent_id]
            tokens[intent.condition_id, intent.side] = order.token_id
        for row in self.fills.values():
            order = self.orders[row.order_id]
            fill = Fill(
                row.id, row.order_id, row.venue, row.trade_id, row.order_hash, order.token_id, order.side, row.price,
                row.shares, row.fee_usd, row.liquidity, row.state, row.filled_at_ms,  # type: ignore[arg-type]
            )  # fmt: skip
            fills.append((fill, self.intents[order.intent_id].condition_id))
        return Rows(
            state.ledger.cash_usd,
            state.ledger.start_usd,
            by_trade(fills),
            frozenset(trade.condition_id for trade in self.trades.values() if trade.exit_reason == "settlement"),
            {tokens[key]: row.shares for key, row in self.positions.items()},
            tuple(row.id for row in self.orders.values() if row.closed_at_ms is None),
            frozenset(row.order_hash for row in self.orders.values() if row.order_hash is not None),
            tuple(event.detail for event in self.events if event.status == "reconciled"),
            Counter(row.state for row in self.orders.values()),
        )
