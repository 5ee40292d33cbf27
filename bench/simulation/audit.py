"""The invariants: checked at each change of the account, at each commit, at each submit, and exactly at rest."""

from collections.abc import Mapping, Sequence

import msgspec

from actors import addresses
from actors.executor import ExecutorState
from actors.portfolio_state import PortfolioState
from bench.simulation.books import VenueBooks, booked_fills, settled_markets
from bench.simulation.database import Database
from bench.simulation.scenario import SESSION_ID
from core.market.market import Side
from core.messages import OrderReported, Persist
from core.records import CheckpointRecord, FillRecord, Record
from core.trading.gate import GateState, OrderKind, permits
from core.trading.ledger import Ledger, confirmed_shares
from core.trading.orders import Order, OrderState
from storage.queries import checkpoint_name

PORTFOLIO_CHECKPOINT = checkpoint_name(SESSION_ID, addresses.PORTFOLIO.name)


class InvariantError(BaseException):
    """Raised at the step that broke a promise; the text begins with the promise's name.

    Not an `Exception`, so that nothing in the system takes it for an error of its own and goes on.
    """


class Auditor:
    """Sees every message, commit, checkpoint and gate change of all lives of the process."""

    def __init__(self, database: Database, start_usd: int, winners: Mapping[str, Side]) -> None:
        self._database = database
        self._winners = winners
        self.books = VenueBooks(start_usd, winners)
        self._declared: dict[int, bytes] = {}
        self._acknowledged = 0
        self._state: PortfolioState | None = None
        self._submitted: dict[str, tuple[int | None, int]] = {}
        self._order_of_intent: dict[str, str] = {}
        self._reported_here: set[str] = set()
        self._gates: dict[int, GateState] = {}
        self._gate = GateState()
        self.submits = 0

    # -- lives of the process -----------------------------------------------------------------------------------

    def process_starts(self, gate: GateState, restored: tuple[int, bytes] | None) -> None:
        """Check what a new process resumes from: nothing that was acknowledged may be missing."""
        generation, payload = restored or (0, None)
        if generation < self._acknowledged:
            raise InvariantError(f"restored checkpoint: generation {generation}, {self._acknowledged} was acknowledged")
        if payload is not None and payload != self._declared[generation]:
            raise InvariantError(f"restored checkpoint: generation {generation} is not what was declared")
        self._state = None if payload is None else msgspec.msgpack.decode(payload, type=PortfolioState)
        booked: set[str] = set() if self._state is None else booked_fills(self._state)
        self._reported_here = self.books.keep(
            booked
        )  # what the last process had filled and not committed never happened
        orders = () if self._state is None else self._state.orders.values()
        self._submitted = {order.id: _hand_over(order) for order in orders if order.submitted_ms is not None}
        self._gates = {gate.sequence: gate}
        self._gate = gate

    def gate_changed(self, state: GateState) -> None:
        """Note a value of the gate."""
        self._gates[state.sequence] = self._gate = state

    # -- messages -----------------------------------------------------------------------------------------------

    def sent(self, message: object, sender: str) -> None:
        """Check a message at the moment it takes effect."""
        if isinstance(message, OrderReported) and sender == addresses.EXECUTOR.name:
            for fill in message.fills:
                wrong = self.books.report(fill)
                if wrong is not None:
                    raise InvariantError(f"unique fills: {wrong}")
                self._reported_here.add(fill.key)
            if message.order.submitted_ms is not None:
                self._check_submit(message.order)
        elif isinstance(message, Persist) and sender == addresses.PORTFOLIO.name:
            for row in message.rows:
                if isinstance(row, CheckpointRecord):
                    self._declared[row.generation] = row.payload

    def _check_submit(self, order: Order) -> None:
        known = self._submitted.get(order.id)
        if known is not None:
            if known != _hand_over(order):
                raise InvariantError(f"two live orders: {order.id} was handed over twice")
            return
        self._submitted[order.id] = _hand_over(order)
        self.submits += 1
        if self._order_of_intent.setdefault(order.intent_id, order.id) != order.id:
            raise InvariantError(f"two live orders: intent {order.intent_id} has a second order {order.id}")
        kind = OrderKind.OPEN_ORDER if order.side == "BUY" else OrderKind.REDUCE
        at = self._gates.get(order.gate_sequence)
        if at is None or not permits(at, order.asset, kind) or not permits(self._gate, order.asset, kind):
            raise InvariantError(
                f"gate: {order.id} was handed over at sequence {order.gate_sequence}, gate {self._gate}"
            )
        tables = self._database.tables
        if order.side == "BUY" and (order.intent_id not in tables.intents or order.id not in tables.orders):
            raise InvariantError(f"durable intent: {order.id} was handed over before its commit")
        if order.side == "SELL" and self._state is not None:
            held = self.books.shares(booked_fills(self._state), order.token_id)
            if order.shares > held:
                raise InvariantError(f"inventory: {order.id} sells {order.shares} of {held} shares")

    # -- the account --------------------------------------------------------------------------------------------

    def portfolio_saved(self, payload: bytes) -> None:
        """Check the account after a change."""
        state = self._state = msgspec.msgpack.decode(payload, type=PortfolioState)
        ledger = state.ledger
        cost = sum(position.cost_usd for position in ledger.positions.values())
        if ledger.cash_usd != ledger.start_usd + ledger.realised_usd - cost:
            raise InvariantError(f"cash identity: {ledger.cash_usd} of {ledger.start_usd + ledger.realised_usd - cost}")
        booked = booked_fills(state)
        unknown = booked - self.books.fills.keys()
        if unknown:
            raise InvariantError(f"unique fills: booked but never reported: {sorted(unknown)}")
        owed = self.books.cash_usd(booked, settled_markets(state))
        if ledger.cash_usd != owed:
            raise InvariantError(f"the venue's ledger: cash is {ledger.cash_usd}, fills and winners make it {owed}")
        _check_inventory(state, ledger)

    def executor_saved(self, payload: bytes) -> None:
        """Check the orders at work after a change."""
        state = msgspec.msgpack.decode(payload, type=ExecutorState)
        intents = [working.intent.id for working in state.working.values()]
        if len(intents) != len(set(intents)):
            raise InvariantError(f"two live orders for one intent: {intents}")

    # -- the database -------------------------------------------------------------------------------------------

    def refused(self, error: Exception) -> None:
        """Fail: the database refused what the actors wrote."""
        raise InvariantError(f"database: {error}")

    def committed(self, rows: Sequence[Record]) -> None:
        """Check a commit that was acknowledged, or may have happened: it is there, and fits together."""
        for row in rows:
            if isinstance(row, CheckpointRecord) and row.name == PORTFOLIO_CHECKPOINT:
                latest = self._database.latest(row.name)
                if latest is None or latest.generation < row.generation:
                    raise InvariantError(f"durability: generation {row.generation} was acknowledged and is not there")
                self._acknowledged = max(self._acknowledged, row.generation)
                if self._declared.get(latest.generation) != latest.payload:
                    raise InvariantError(f"durability: generation {latest.generation} is not what was declared")
            if isinstance(row, FillRecord) and (row.venue, row.trade_id, row.order_hash) not in (
                self._database.tables.fills
            ):
                raise InvariantError(f"durability: fill {row.id} was acknowledged and is not there")
        self._check_rows()

    def committed_state(self) -> PortfolioState | None:
        """Return the account as the database has it."""
        latest = self._database.latest(PORTFOLIO_CHECKPOINT)
        return None if latest is None else msgspec.msgpack.decode(latest.payload, type=PortfolioState)

    def _check_rows(self) -> None:
        state, tables = self.committed_state(), self._database.tables
        if state is None:
            return
        ledger = state.ledger
        rows = {f"{p.condition_id}/{p.side}": (p.shares, p.cost_usd) for p in tables.positions.values()}
        held = {key: (p.shares, p.cost_usd) for key, p in ledger.positions.items() if p.shares}
        if rows != held:
            raise InvariantError(f"rows: positions are {rows} in the table and {held} in the checkpoint")
        realised = sum(trade.pnl_net_usd for trade in tables.trades.values())
        if realised != ledger.realised_usd or len(tables.trades) != ledger.trade_count:
            raise InvariantError(
                f"rows: {len(tables.trades)} trades make {realised}, the checkpoint has {ledger.trade_count} "
                f"and {ledger.realised_usd}"
            )
        keys = {"\x1f".join(key) for key in tables.fills}
        booked = booked_fills(state)
        if keys != booked:
            raise InvariantError(f"rows: fills only here or there: {sorted(keys ^ booked)}")
        cost = sum(p.cost_usd for p in tables.positions.values())
        if all(p.shares for p in ledger.positions.values()) and ledger.cash_usd != ledger.start_usd + realised - cost:
            raise InvariantError(f"rows: cash {ledger.cash_usd} is not start + {realised} - {cost}")

    # -- at rest ------------------------------------------------------------------------------------------------

    def unrest(self, portfolio: bytes | None, executor: bytes | None) -> str | None:
        """Return why the run is not at rest yet, None when every promise holds exactly."""
        latest = self._database.latest(PORTFOLIO_CHECKPOINT)
        if portfolio is not None and (latest is None or latest.payload != portfolio):
            return "durability: the last checkpoint is not committed"
        live = [o.id for o in self._database.tables.orders.values() if o.closed_at_ms is None]
        if live:
            return f"orders: not terminal in the database: {live}"
        if executor is not None and msgspec.msgpack.decode(executor, type=ExecutorState).working:
            return "orders: the executor still works on one"
        state = self.committed_state()
        if state is None:
            return None
        if state.orders or state.ledger.reservations:
            return f"orders: open {sorted(state.orders)}, reserved {sorted(state.ledger.reservations)}"
        unbooked = self._reported_here - booked_fills(state)
        if unbooked:
            return f"every fill booked: missing {sorted(unbooked)}"
        unsettled = [key for key, p in state.ledger.positions.items() if p.condition_id in self._winners]
        return f"settlement: still held: {unsettled}" if unsettled else None


def _hand_over(order: Order) -> tuple[int | None, int]:
    return order.submitted_ms, order.gate_sequence


def _check_inventory(state: PortfolioState, ledger: Ledger) -> None:
    for position in ledger.positions.values():
        held = confirmed_shares(ledger, position.condition_id, position.side)
        selling = sum(
            order.shares - order.filled_shares
            for order in state.orders.values()
            if order.side == "SELL" and (order.condition_id, order.outcome) == (position.condition_id, position.side)
        )
        if selling > held:
            raise InvariantError(f"inventory: {selling} shares of {position.condition_id} on sale, {held} held")
    live = [order.intent_id for order in state.orders.values() if order.state is not OrderState.UNKNOWN]
    if len(live) != len(set(live)):
        raise InvariantError(f"two live orders for one intent: {live}")
