"""The engine's memory: orders, trades, consumption, accounts. It changes by applying records and in no other way."""

from collections import defaultdict

import msgspec

from venues.sim.trading import records as r
from venues.sim.trading.amounts import maker_cash, spends_budget
from venues.sim.trading.ledger import Ledger
from venues.sim.trading.records import USD, BookSide, Leg, Record
from venues.sim.trading.values import ENDLESS, UNIT, NewOrder, OrderStatus, Outcome, TradeStatus

DUST = 100
"""A remainder below a ten-thousandth of a share counts as filled: cuts of amounts leave such."""

LevelKey = tuple[BookSide, int]


class Order(msgspec.Struct):
    """One accepted order. `given` and `taken` count what matched, in the units of its maker and taker amounts."""

    new: NewOrder
    slug: str
    outcome: Outcome
    price: int
    fee_reserve: int
    waiting: r.Waiting
    execute_at_ms: int
    created_at_ms: int
    status: OrderStatus = "LIVE"
    reason: str = ""
    given: int = 0
    taken: int = 0
    resting: bool = False
    ahead: int = 0
    number: int = 0
    trade_ids: list[str] = msgspec.field(default_factory=list)

    @property
    def is_bid(self) -> bool:
        """Whether it buys Up, or sells Down, which is the same offer."""
        return (self.new.side == "BUY") == (self.outcome == "Up")

    @property
    def up_price(self) -> int:
        """The limit as a price of Up."""
        return self.price if self.outcome == "Up" else UNIT - self.price

    @property
    def asset(self) -> str:
        """What it gives: dollars or a token."""
        return USD if self.new.side == "BUY" else self.new.token_id

    @property
    def matched(self) -> int:
        """Shares matched so far."""
        return self.taken if self.new.side == "BUY" else self.given

    @property
    def size(self) -> int:
        """Shares ordered; of a market BUY what its dollars buy at the limit, it may get more."""
        return self.new.taker_amount if self.new.side == "BUY" else self.new.maker_amount

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.status in {"LIVE", "DELAYED"}

    def remaining(self, price: int) -> int:
        """Return the shares it can still match at `price`, a price of its own token; never beyond its amounts."""
        if self.new.side == "SELL":
            return self.new.maker_amount - self.given
        affordable = (self.new.maker_amount - self.given) * UNIT // price
        return affordable if spends_budget(self.new) else min(self.new.taker_amount - self.taken, affordable)

    @property
    def is_filled(self) -> bool:
        """Whether nothing worth a trade is left."""
        return self.remaining(self.price) < DUST

    @property
    def reserved(self) -> int:
        """What is set aside of `asset` for it."""
        if not self.is_open:
            return 0
        if self.new.side == "SELL":
            return self.new.maker_amount - self.given
        return self.new.maker_amount - self.given + (0 if self.resting else self.fee_reserve)


class Settling(msgspec.Struct):
    """One trade and how far its settlement got."""

    made: r.Traded
    status: TradeStatus
    updated_ms: int
    transaction_hash: str = ""

    @property
    def is_pending(self) -> bool:
        """Whether its legs are still to be posted, or dropped."""
        return self.status in {"MATCHED", "RETRYING"}

    def net(self) -> dict[tuple[str, str], int]:
        """Return what it changes, by (account, asset)."""
        sums: defaultdict[tuple[str, str], int] = defaultdict(int)
        for leg in self.made.legs:
            sums[leg.account, leg.asset] += leg.amount
        return dict(sums)


class Late(msgspec.Struct):
    """An amount of an account that the venue's own books do not show rightly until a moment."""

    asset: str
    amount: int
    until_ms: int


class State:
    """Everything the engine remembers; `apply` is the only way to change it."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.orders: dict[str, Order] = {}
        self.trades: dict[str, Settling] = {}
        self.open: dict[str, Order] = {}
        self.by_account: defaultdict[str, dict[str, Order]] = defaultdict(dict)
        self.by_market: defaultdict[str, dict[str, Order]] = defaultdict(dict)
        self.trades_of: defaultdict[str, list[str]] = defaultdict(list)
        self.pending: dict[str, Settling] = {}
        self.pending_of: defaultdict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.locked_of: defaultdict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.taken: defaultdict[str, dict[LevelKey, tuple[int, int]]] = defaultdict(dict)
        self.unseen: defaultdict[str, list[Late]] = defaultdict(list)
        self.stuck: defaultdict[str, list[Late]] = defaultdict(list)
        self.allowances: dict[tuple[str, str, str], int] = {}
        self.accounts: set[str] = set()
        self.armed: list[str] = []
        self.markets: dict[str, str] = {}
        self.winners: dict[str, Outcome] = {}
        self.resolved_ms: dict[str, int] = {}
        self.rested = 0

    def apply(self, record: Record) -> None:
        """Change what the record says. Raises ValueError where the ledger refuses."""
        match record:
            case r.Traded():
                self._trade(record)
            case r.Staged():
                self._stage(record)
            case r.Opened():
                self.accounts.add(record.account)
                legs = (
                    Leg(r.OUTSIDE, USD, -record.dollars, "deposit"),
                    Leg(record.account, USD, record.dollars, "deposit"),
                )
                self.ledger.post(legs, "deposit", record.at_ms)
            case r.Approved():
                self.allowances[record.account, record.asset, record.spender] = record.amount
            case r.Restored():
                levels = self.taken[record.condition_id]
                for level in record.levels:
                    levels.pop(level, None)
                if not levels:
                    del self.taken[record.condition_id]
            case r.Resolved():
                self.winners[record.condition_id] = record.winner
                self.resolved_ms[record.condition_id] = record.at_ms
            case r.Redeemed():
                self.ledger.post(record.legs, record.condition_id, record.at_ms)
            case r.Refreshed():
                late = self.unseen[record.account]
                late[:] = [one for one in late if one.asset != record.asset]
            case r.Armed():
                self.armed.append(record.owner)
            case _:
                self._order(record)

    def _order(self, record: r.Accepted | r.Executed | r.Deferred | r.Rested | r.Advanced | r.Ended) -> None:
        if isinstance(record, r.Accepted):
            self._accept(record)
            return
        order = self.orders[record.order_id]
        match record:
            case r.Executed():
                order.waiting, order.status = "", "LIVE"
            case r.Rested():
                order.resting, order.ahead, order.number = True, record.ahead, record.number
                self.rested = record.number
            case r.Deferred():
                order.waiting, order.execute_at_ms = "late", record.execute_at_ms
            case r.Advanced():
                order.ahead = record.ahead
            case r.Ended():
                order.status, order.reason, order.waiting, order.resting = record.status, record.reason, "", False
                self.open.pop(record.order_id, None)
                self.by_account[order.new.account].pop(record.order_id, None)
                self.by_market[order.slug].pop(record.order_id, None)
                if not self.by_market[order.slug]:
                    del self.by_market[order.slug]

    def _accept(self, record: r.Accepted) -> None:
        new = record.order
        order = Order(
            new,
            record.slug,
            record.outcome,
            record.price,
            record.fee_reserve,
            record.waiting,
            record.execute_at_ms,
            record.at_ms,
            "DELAYED" if record.waiting in {"held", "delayed"} else "LIVE",
        )
        self.orders[new.order_id] = self.open[new.order_id] = order
        self.by_account[new.account][new.order_id] = self.by_market[record.slug][new.order_id] = order

    def _trade(self, made: r.Traded) -> None:
        settling = Settling(made, "MATCHED", made.at_ms)
        self.trades[made.trade_id] = self.pending[made.trade_id] = settling
        self.markets[made.condition_id] = made.slug
        taker = self.orders.get(made.taker_order_id)
        if taker is not None:
            _match(taker, made.shares, made.taker_cash, made.trade_id)
        for maker in made.makers:
            order = self.orders.get(maker.order_id)
            if order is not None:
                cash = maker_cash(maker.side, maker.matched_amount, maker.price)
                _match(order, maker.matched_amount, cash, made.trade_id)
        for owner in dict.fromkeys((made.taker_owner, *(maker.owner for maker in made.makers))):
            self.trades_of[owner].append(made.trade_id)
        self._count(settling, 1)
        levels = self.taken[made.condition_id]
        for take in made.takes:
            before = levels.get((take.side, take.price), (take.shown, 0))[1]
            levels[take.side, take.price] = (take.shown, before + take.shares)

    def _stage(self, record: r.Staged) -> None:
        settling = self.trades[record.trade_id]
        was_pending = settling.is_pending
        settling.status, settling.updated_ms = record.status, record.at_ms
        settling.transaction_hash = record.transaction_hash or settling.transaction_hash
        if settling.is_pending or not was_pending:
            return
        del self.pending[record.trade_id]
        self._count(settling, -1)
        if record.status == "FAILED":
            return
        made = settling.made
        self.ledger.post(made.legs, made.trade_id, record.at_ms)
        for (account, asset), amount in settling.net().items():
            if account not in self.accounts:
                continue
            if amount > 0 and made.unseen_ms:
                self.unseen[account].append(Late(asset, amount, record.at_ms + made.unseen_ms))
            if amount < 0 and made.stuck_ms:
                self.stuck[account].append(Late(asset, -amount, record.at_ms + made.stuck_ms))

    def _count(self, settling: Settling, sign: int) -> None:
        """Add a trade to what is pending, or take it out again."""
        for (account, asset), amount in settling.net().items():
            self.pending_of[account][asset] += sign * amount
            if amount < 0:
                self.locked_of[account][asset] -= sign * amount


def _match(order: Order, shares: int, cash: int, trade_id: str) -> None:
    buys = order.new.side == "BUY"
    order.given += cash if buys else shares
    order.taken += shares if buys else cash
    order.trade_ids.append(trade_id)


def allowance(state: State, account: str, asset: str, spender: str) -> int:
    """Return what a spender may take of an account's asset: everything, unless it was changed."""
    return state.allowances.get((account, asset, spender), ENDLESS)
