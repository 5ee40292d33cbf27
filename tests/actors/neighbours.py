"""Who the money actors talk to in these tests: recorders, a database in memory, and the actors with a fuse."""

from actors.executor import ExecutorActor
from actors.portfolio import PortfolioActor
from core.messages import Persist, Persisted, Tick
from core.records import (
    CheckpointRecord,
    FillRecord,
    IntentRecord,
    OrderRecord,
    PositionRecord,
    Record,
    TradeRecord,
)
from core.runtime.actor import Actor
from core.runtime.context import Context


class Recording(Actor):
    """Notes what it is told and answers nothing."""

    def __init__(self, context: Context, heard: list[object]) -> None:
        super().__init__(context)
        self._heard = heard

    def receive(self, message: object) -> None:
        self._heard.append(message)


class Tables:
    """What a database holds of the money: refuses what its foreign keys would refuse, at the commit of a batch."""

    def __init__(self) -> None:
        self.delay_ms: int | None = 5
        self.waiting: list[tuple[Persist, int]] = []
        self.log: list[Record] = []
        self.intents: dict[str, IntentRecord] = {}
        self.orders: dict[str, OrderRecord] = {}
        self.fills: dict[tuple[str, str, str], FillRecord] = {}
        self.positions: dict[tuple[str, str], PositionRecord] = {}
        self.trades: dict[str, TradeRecord] = {}
        self.saved: dict[str, tuple[int, bytes]] = {}

    def commit(self, rows: tuple[Record, ...]) -> None:
        for row in rows:
            self.log.append(row)
            match row:
                case IntentRecord():
                    self.intents.setdefault(row.id, row)
                case OrderRecord():
                    known = self.orders.get(row.id)
                    if known is None or known.closed_at_ms is None or row.closed_at_ms is not None:
                        self.orders[row.id] = row
                case FillRecord():
                    self.fills[row.venue, row.trade_id, row.order_hash] = row
                case PositionRecord(shares=0):
                    self.positions.pop((row.condition_id, row.side), None)
                case PositionRecord():
                    self.positions[row.condition_id, row.side] = row
                case TradeRecord():
                    self.trades[row.id] = row
                case CheckpointRecord():
                    self.saved[row.name.split("/")[1]] = (row.generation, row.payload)
        live = [order.intent_id for order in self.orders.values() if order.closed_at_ms is None]
        assert len(live) == len(set(live)), "two live orders for one intent"
        assert all(order.intent_id in self.intents for order in self.orders.values()), "an order without its intent"
        assert all(fill.order_id in self.orders for fill in self.fills.values()), "a fill without its order"


class Database(Actor):
    """Commits in order, `delay_ms` after the request; None keeps everything waiting until a delay is set again."""

    def __init__(self, context: Context, tables: Tables) -> None:
        super().__init__(context)
        self._tables = tables

    def receive(self, message: object) -> None:
        tables, now_ms = self._tables, self.context.clock.now_ms()
        if isinstance(message, Persist):
            tables.waiting.append((message, now_ms))
        delay_ms = tables.delay_ms
        if delay_ms is None:
            return
        while tables.waiting and now_ms - tables.waiting[0][1] >= delay_ms:
            persist, _ = tables.waiting.pop(0)
            tables.commit(persist.rows)
            if persist.ack_to is not None:
                self.context.tell(persist.ack_to, Persisted(persist.ack_key))
        if tables.waiting:
            self.context.timer_at("commit", tables.waiting[0][1] + delay_ms, Tick("commit"))

    def on_stop(self) -> None:
        for persist, _ in self._tables.waiting:
            self._tables.commit(persist.rows)


class Fuse:
    """Burns once: at the n-th message that one of its actors has handled, effects not yet performed."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.count = 0

    def burn(self, message: object) -> None:
        self.count += 1
        if self.count == self.at:
            raise RuntimeError(f"crashed on purpose by {type(message).__name__}")


class FusedPortfolio(PortfolioActor):
    """The portfolio, with a fuse."""

    fuse = Fuse()

    def receive(self, message: object) -> None:
        super().receive(message)
        self.fuse.burn(message)


class FusedExecutor(ExecutorActor):
    """The executor, with a fuse."""

    fuse = Fuse()

    def receive(self, message: object) -> None:
        super().receive(message)
        self.fuse.burn(message)
