"""Whatever is asked of the engine, in whatever order and with whatever faults, its books balance."""

import tempfile
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.sim_trading.conftest import owner_of
from venues.sim.directory import Directory
from venues.sim.faults import FaultPlan, FaultRule, default_plan
from venues.sim.trading import records
from venues.sim.trading.engine import Engine
from venues.sim.trading.funds import active, known, matched
from venues.sim.trading.ledger_file import LedgerFile
from venues.sim.trading.values import Held, NewOrder, OrderType, Side, TradingRules, VenueError, scaled_rules
from venues.sim.world import World

_WINDOW_S = 60
_WORLD = World(7, "today", _WINDOW_S)
_OPENS_S = 1_795_392_000 + 7_200
_ACCOUNTS = ("0x" + "a1" * 20, "0x" + "b0" * 20, "0x" + "c4" * 20)
_RULES = scaled_rules(_WINDOW_S, TradingRules(deposit=200_000_000))
_ENGINE_FAULTS = (
    "delayed",
    "late_fill",
    "partial_fill",
    "many_trades",
    "shared_trade",
    "settlement_fails",
    "settlement_retries",
    "settlement_slow",
    "balance_lag",
    "matched_sum_stuck",
    "tick_change",
    "late_resolution",
)


class Wish(msgspec.Struct, frozen=True):
    """An order relative to the book: `edge` ticks beyond the touch it would take from, negative to rest."""

    account: int
    side: Side
    up: bool
    edge: int
    hundredths: int
    order_type: OrderType
    post_only: bool


wishes = st.builds(
    Wish,
    st.integers(0, 2),
    st.sampled_from(("BUY", "SELL")),
    st.booleans(),
    st.integers(-3, 3),
    st.one_of(st.integers(500, 3_000), st.integers(1, 30_000)),
    st.sampled_from(("GTC", "GTC", "GTD", "FOK", "FAK")),
    st.integers(0, 9).map(lambda n: n == 0),
)
plans = st.one_of(
    st.just(FaultPlan()),
    st.integers(0, 50).map(lambda seed: default_plan(seed, _WINDOW_S / 900)),
    st.builds(
        FaultPlan,
        st.integers(0, 50),
        st.lists(
            st.builds(
                FaultRule,
                st.sampled_from(_ENGINE_FAULTS),
                st.sampled_from((0.3, 1.0)),
                duration_ms=st.sampled_from((0, 700, 4_000, 30_000)),
            ),
            max_size=5,
        ).map(tuple),
    ),
)


def order_for(engine: Engine, wish: Wish, number: int, now_ms: int) -> NewOrder:
    """Return the wish as an order at a sensible price; its amounts may still be what the venue refuses."""
    market = _WORLD.market("BTC", _OPENS_S)
    up_book = engine.book(market, now_ms)
    book = up_book if wish.up else up_book.mirrored()
    levels = book.asks if wish.side == "BUY" else book.bids
    touch = levels[0][0] if levels else 500_000
    price = min(
        max(touch + (wish.edge if wish.side == "BUY" else -wish.edge) * book.tick, book.tick), 1_000_000 - book.tick
    )
    shares = wish.hundredths * 10_000
    money = shares * price // 1_000_000
    if wish.order_type in {"FOK", "FAK"}:
        money = max(10_000, money // 10_000 * 10_000) if wish.side == "BUY" else money // 100 * 100
        shares = money * 1_000_000 // price // 100 * 100 if wish.side == "BUY" else shares
    account = _ACCOUNTS[wish.account]
    return NewOrder(
        order_id=f"0x{number:064x}",
        owner=owner_of(account),
        account=account,
        signer=account,
        token_id=market.up_token if wish.up else market.down_token,
        side=wish.side,
        maker_amount=money if wish.side == "BUY" else shares,
        taker_amount=shares if wish.side == "BUY" else money,
        expiration_s=now_ms // 1000 + 75 if wish.order_type == "GTD" else 0,
        order_type=wish.order_type,
        post_only=wish.post_only and wish.order_type in {"GTC", "GTD"},
        defer_exec=False,
    )


def snapshot(engine: Engine) -> dict[str, Any]:
    """Return everything the engine remembers, empty entries left out."""
    state = engine._state

    def full(table: dict[str, Any]) -> dict[str, Any]:
        kept = {
            key: {k: v for k, v in row.items() if v} if isinstance(row, dict) else row for key, row in table.items()
        }
        return {key: row for key, row in kept.items() if row}

    return {
        "orders": state.orders,
        "open": state.open,
        "trades": state.trades,
        "movements": state.ledger.movements,
        "taken": full(state.taken),
        "locked": full(state.locked_of),
        "pending": full(state.pending_of),
        "unseen": full(state.unseen),
        "stuck": full(state.stuck),
        "winners": state.winners,
        "accounts": state.accounts,
        "armed": state.armed,
    }


def check(engine: Engine, now_ms: int) -> None:
    """Assert what must hold at any moment."""
    state = engine._state
    sums: defaultdict[str, int] = defaultdict(int)
    for account in state.ledger.accounts():
        for asset, amount in state.ledger.holdings(account).items():
            sums[asset] += amount
            assert amount >= 0 or account in {records.WORLD, records.FEES, records.COLLATERAL, records.OUTSIDE}
    assert not any(sums.values())
    per_order: defaultdict[str, int] = defaultdict(int)
    for settling in state.trades.values():
        made = settling.made
        assert sum(maker.matched_amount for maker in made.makers) == made.shares > 0
        per_order[made.taker_order_id] += made.shares
        for maker in made.makers:
            per_order[maker.order_id] += maker.matched_amount
    for order_id, order in state.orders.items():
        assert order.given <= order.new.maker_amount
        if order.new.side == "SELL" or order.new.order_type in {"GTC", "GTD"}:
            assert order.matched <= order.size
        assert order.matched == per_order[order_id]
        if order.matched:  # never worse than the limit, but for the last micro-dollar
            money, shares = (order.given, order.taken) if order.new.side == "BUY" else (order.taken, order.given)
            over = money * 1_000_000 - shares * order.price
            slack = 1_000_000 * len(order.trade_ids)
            assert over <= slack if order.new.side == "BUY" else over >= -slack
    for levels in state.taken.values():
        assert all(0 < taken <= shown for shown, taken in levels.values())
    for account in state.accounts:
        for asset in {"USD", *state.ledger.holdings(account)}:
            late = sum(
                one.amount for one in state.stuck.get(account, ()) if one.asset == asset and one.until_ms > now_ms
            )
            spoken = active(state, account, asset) + matched(state, account, asset, now_ms) - late
            assert spoken <= state.ledger.balance(account, asset)
            assert 0 <= known(state, account, asset, now_ms) <= state.ledger.balance(account, asset)
    book = engine.book(_WORLD.market("BTC", _OPENS_S), now_ms)
    assert not book.bids or not book.asks or book.bids[0][0] < book.asks[0][0]


class TradingMachine(RuleBasedStateMachine):
    """Three accounts, one market of a minute, a ledger file, faults, and restarts."""

    @initialize(plan=plans, into_s=st.integers(1, 50))
    def begin(self, plan: FaultPlan, into_s: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.plan = plan
        self.now_ms = _OPENS_S * 1000 + into_s * 1000
        self.number = 0
        self.file: LedgerFile | None = None
        self.start()
        for account in range(3):  # shares of both tokens to sell
            for up in (True, False):
                self.place(wish=Wish(account, "BUY", up, 2, 2_000 + 1_000 * account, "GTC", post_only=False), wait=True)

    def start(self) -> None:
        if self.file is not None:
            self.file.close()
        self.file = LedgerFile(Path(self.folder.name) / "ledger")
        self.engine = Engine(Directory(_WORLD, ("BTC",)), _RULES, self.plan, self.file)

    @rule(wish=wishes, wait=st.booleans())
    def place(self, *, wish: Wish, wait: bool) -> None:
        self.number += 1
        order = order_for(self.engine, wish, self.number, self.now_ms)
        with suppress(VenueError):
            answer = self.engine.place(order, self.now_ms)
            if isinstance(answer, Held) and wait:
                self.now_ms = answer.until_ms
                self.engine.result(answer.order_id, self.now_ms)

    @rule(ms=st.one_of(st.integers(0, 500), st.integers(0, 8_000)))
    def wait(self, ms: int) -> None:
        self.now_ms += ms
        self.engine.advance(self.now_ms)

    @rule(number=st.integers(1, 30), account=st.integers(0, 2))
    def cancel(self, number: int, account: int) -> None:
        order_id = f"0x{number:064x}"
        with suppress(VenueError):
            canceled, kept = self.engine.cancel(owner_of(_ACCOUNTS[account]), [order_id], self.now_ms)
            assert canceled == [order_id] or set(kept) == {order_id}

    @rule(account=st.integers(0, 2), beat=st.booleans())
    def heartbeat(self, *, account: int, beat: bool) -> None:
        if beat:
            with suppress(VenueError):
                self.engine.heartbeat(owner_of(_ACCOUNTS[account]), "", self.now_ms)
        else:
            self.engine.refresh_balance(_ACCOUNTS[account], None, self.now_ms)

    @rule(plan=plans)
    def misbehave_otherwise(self, plan: FaultPlan) -> None:
        self.plan = plan
        self.engine.set_faults(plan)

    @rule()
    def crash_and_come_back(self) -> None:
        before = snapshot(self.engine)
        self.start()
        assert snapshot(self.engine) == before

    @precondition(lambda self: hasattr(self, "engine"))
    @invariant()
    def the_books_balance(self) -> None:
        check(self.engine, self.now_ms)

    def teardown(self) -> None:
        if not hasattr(self, "engine"):
            return
        self.engine.advance(self.now_ms + 600_000)
        check(self.engine, self.now_ms + 600_000)
        state = self.engine._state
        assert not state.open
        assert not state.pending
        assert all(trade.status in {"CONFIRMED", "FAILED"} for trade in state.trades.values())
        for account in state.accounts:
            assert set(state.ledger.holdings(account)) <= {"USD"}
        assert self.file is not None
        self.file.close()
        self.folder.cleanup()


TestTradingMachine = TradingMachine.TestCase
TestTradingMachine.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)

Step = tuple[Literal["place"], Wish] | tuple[Literal["wait"], int]
steps = st.lists(
    st.one_of(st.tuples(st.just("place"), wishes), st.tuples(st.just("wait"), st.integers(0, 5_000))), max_size=15
)


def run(script: list[Step], plan: FaultPlan, grain_ms: int) -> Engine:
    """Play a script, time passing in pieces of `grain_ms`."""
    engine = Engine(Directory(_WORLD, ("BTC",)), _RULES, plan, None)
    now_ms = _OPENS_S * 1000 + 20_000

    def wait(ms: int) -> None:
        nonlocal now_ms
        until_ms = now_ms + ms
        while now_ms < until_ms:
            now_ms = min(now_ms + grain_ms, until_ms)
            engine.advance(now_ms)

    for number, (_, what) in enumerate(script, 1):
        if isinstance(what, Wish):
            try:
                engine.place(order_for(engine, what, number, now_ms), now_ms)
            except VenueError:
                continue  # refused alike in both runs, or the snapshots differ
        else:
            wait(what)
    wait(120_000)
    return engine


@settings(max_examples=25, deadline=None)
@given(script=steps, plan=plans)
def test_the_same_calls_do_the_same_however_finely_time_passes(script: list[Step], plan: FaultPlan) -> None:
    coarse, fine = run(script, plan, 10**9), run(script, plan, 37)
    assert snapshot(coarse) == snapshot(fine)
    assert coarse.events(0) == fine.events(0)
