"""Whatever happens to intents, orders and fills, the account adds up to the micro."""

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.errors import RejectedError
from core.market.market import Side
from core.trading.booking import Applied, apply_fill, settle
from core.trading.fees import taker_fee
from core.trading.ledger import (
    Ledger,
    confirmed_shares,
    free_cash,
    new_ledger,
    release,
    reserve,
    sellable_shares,
    unconfirmed_fills,
)
from core.trading.money import MICRO
from core.trading.orders import Fill, FillState, Intent, Order
from core.trading.positions import ClosedTrade
from core.trading.sizing import Sized, reserve_usd
from tests.trading.builders import CRYPTO_FEES, NOW_MS, a_fill, an_intent, an_order

START_USD = 100 * MICRO
MARKETS = ("0xa", "0xb")
SIDES: tuple[Side, ...] = ("UP", "DOWN")


class Open(msgspec.Struct):
    """An order whose intent is reserved, with what may still fill."""

    intent: Intent
    order: Order
    left: int


class Account(RuleBasedStateMachine):
    """Intents open and close, fills come partly, twice, late, provisionally; markets settle."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger: Ledger = new_ledger(START_USD)
        self.open: dict[str, Open] = {}
        self.reported: dict[str, tuple[Fill, Order, Intent]] = {}
        self.final: dict[str, FillState] = {}
        self.trades: list[ClosedTrade] = []
        self.count = 0
        self.round = dict.fromkeys(MARKETS, 0)

    @rule(
        market=st.sampled_from(MARKETS), side=st.sampled_from(SIDES), lots=st.integers(1, 9000), tick=st.integers(1, 99)
    )
    def open_position(self, market: str, side: Side, lots: int, tick: int) -> None:
        """Reserve cash for a BUY, where the account allows it."""
        self.count += 1
        shares, limit = lots * 10_000, tick * 10_000
        intent = an_intent(f"i{self.count}", side, "OPEN", condition_id=self._id(market))
        order = an_order(
            f"o{self.count}",
            intent_id=intent.id,
            outcome=side,
            shares=shares / MICRO,
            limit=str(limit / MICRO),
            condition_id=intent.condition_id,
        )
        needed = reserve_usd(shares, limit, 10_000, CRYPTO_FEES)
        try:
            self.ledger = reserve(self.ledger, intent, Sized(shares, limit, needed))
        except RejectedError:
            return
        self.open[intent.id] = Open(intent, order, shares)

    @rule(market=st.sampled_from(MARKETS), side=st.sampled_from(SIDES), part=st.integers(1, 100))
    def close_position(self, market: str, side: Side, part: int) -> None:
        """Reserve a part of what is sellable for a SELL."""
        self.count += 1
        shares = sellable_shares(self.ledger, self._id(market), side) * part // 100
        intent = an_intent(f"i{self.count}", side, "CLOSE", condition_id=self._id(market))
        order = an_order(
            f"o{self.count}",
            intent_id=intent.id,
            side="SELL",
            outcome=side,
            shares=shares / MICRO,
            limit="0.01",
            condition_id=intent.condition_id,
        )
        try:
            self.ledger = reserve(self.ledger, intent, Sized(shares, 10_000, 0))
        except RejectedError:
            return
        self.open[intent.id] = Open(intent, order, shares)

    @precondition(lambda self: self.open)
    @rule(
        data=st.data(),
        part=st.integers(1, 100),
        state=st.sampled_from(["MATCHED", "CONFIRMED"]),
        better=st.integers(0, 98),
    )
    def fill(self, data: st.DataObject, part: int, state: FillState, better: int) -> None:
        """Fill a part of an open order at its limit or better."""
        one = self.open[data.draw(st.sampled_from(sorted(self.open)))]
        shares = one.left * part // 100
        if shares == 0:
            return
        limit = one.order.limit_price
        price = max(10_000, limit - better * 10_000) if one.order.side == "BUY" else limit + better * 10_000
        fill = a_fill(one.order, self.count, shares=shares / MICRO, price=str(price / MICRO), state=state)
        fill = msgspec.structs.replace(fill, fee_usd=taker_fee(shares, price, CRYPTO_FEES))
        if fill.key in self.reported:
            return
        self.count += 1
        one.left -= shares
        self.reported[fill.key] = (fill, one.order, one.intent)
        self.final[fill.key] = state
        self._apply(fill, one.order, one.intent)

    @precondition(lambda self: self.reported)
    @rule(data=st.data(), state=st.sampled_from(["MATCHED", "CONFIRMED", "FAILED"]))
    def report_again(self, data: st.DataObject, state: FillState) -> None:
        """Repeat a report, or confirm or undo a fill."""
        key = data.draw(st.sampled_from(sorted(self.reported)))
        fill, order, intent = self.reported[key]
        if {self.final[key], state} == {"CONFIRMED", "FAILED"}:
            return
        if state != "MATCHED":
            self.final[key] = state
        self._apply(msgspec.structs.replace(fill, state=state), order, intent)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def end_order(self, data: st.DataObject) -> None:
        """End an order: its reservation is released."""
        intent_id = data.draw(st.sampled_from(sorted(self.open)))
        del self.open[intent_id]
        self.ledger = release(self.ledger, intent_id)

    @rule(market=st.sampled_from(MARKETS), winner=st.sampled_from(SIDES))
    def settle_market(self, market: str, winner: Side) -> None:
        """Name the winner; the next window of the market begins."""
        condition_id = self._id(market)
        if unconfirmed_fills(self.ledger, condition_id):
            return
        self.ledger, trades = settle(self.ledger, condition_id, winner, NOW_MS)
        self.trades += trades
        self.open = {k: o for k, o in self.open.items() if o.intent.condition_id != condition_id}
        self.round[market] += 1

    @rule()
    def restart(self) -> None:
        """Go on from a checkpoint."""
        self.ledger = msgspec.msgpack.decode(msgspec.msgpack.encode(self.ledger), type=Ledger)

    @invariant()
    def cash_is_what_was_earned_and_not_spent(self) -> None:
        """Cash is the start plus closed trades less the cost of open positions."""
        earned = sum(trade.pnl_net_usd for trade in self.trades)
        held = sum(position.cost_usd for position in self.ledger.positions.values())

        assert self.ledger.cash_usd == START_USD + earned - held
        assert self.ledger.realised_usd == earned

    @invariant()
    def reservations_never_exceed_cash(self) -> None:
        """What is reserved is there."""
        assert free_cash(self.ledger) >= 0
        assert self.ledger.cash_usd >= sum(r.usd for r in self.ledger.reservations.values())

    @invariant()
    def inventory_is_the_sum_of_the_fills(self) -> None:
        """Shares are the sum of the fills that happened, and never negative."""
        held: dict[tuple[str, Side], int] = {}
        for fill, order, _ in self.reported.values():
            if self.final[fill.key] != "FAILED" and self._is_current(order.condition_id):
                signed = fill.shares if fill.side == "BUY" else -fill.shares
                at = (order.condition_id, order.outcome)
                held[at] = held.get(at, 0) + signed
        assert all(shares >= 0 for shares in held.values())
        assert {at: shares for at, shares in held.items() if shares} == {
            (p.condition_id, p.side): p.shares for p in self.ledger.positions.values() if p.shares
        }

    @invariant()
    def open_sells_are_covered_by_shares(self) -> None:
        """Open sells never exceed confirmed inventory."""
        for r in self.ledger.reservations.values():
            if r.action == "CLOSE":
                assert r.shares <= confirmed_shares(self.ledger, r.condition_id, r.side)

    def _apply(self, fill: Fill, order: Order, intent: Intent) -> None:
        applied: Applied = apply_fill(self.ledger, fill, order, intent)
        self.ledger = applied.ledger
        if applied.closed_trade is not None:
            self.trades.append(applied.closed_trade)

    def _id(self, market: str) -> str:
        return f"{market}.{self.round[market]}"

    def _is_current(self, condition_id: str) -> bool:
        return any(condition_id == self._id(market) for market in MARKETS)


Account.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_the_account_adds_up = Account.TestCase
