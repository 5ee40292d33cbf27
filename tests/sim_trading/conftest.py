"""A small market to trade on, an engine over it, and orders as the protocol half would hand them over."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from venues.sim.directory import Directory
from venues.sim.faults import FaultPlan, FaultRule
from venues.sim.trading.amounts import taker_fee
from venues.sim.trading.engine import Engine
from venues.sim.trading.ledger_file import LedgerFile
from venues.sim.trading.values import UNIT, Held, NewOrder, OrderType, Placed, Side, TradingRules
from venues.sim.world import Book, World
from venues.sim.world.listing import Listing

OPENS_S = 1_795_392_000 + 3_600
WORLD = World(5, "today", 900)
ALICE, BOB = "0x" + "a1" * 20, "0x" + "b0" * 20


def owner_of(account: str) -> str:
    return f"key of {account}"


class Trader:
    """One engine, one market, and a clock that only this moves; prices in cents, shares and dollars whole."""

    def __init__(self, engine: Engine, market: Listing, now_ms: int) -> None:
        self.engine, self.market, self.now_ms = engine, market, now_ms
        self._orders = 0

    def order(
        self,
        side: Side,
        shares: float,
        cents: float,
        order_type: OrderType = "GTC",
        *,
        account: str = ALICE,
        outcome: str = "Up",
        post_only: bool = False,
        expiration_s: int = 0,
    ) -> NewOrder:
        """Return a limit order, or one that is filled or killed up to that price (a BUY's dollars are whole cents)."""
        self._orders += 1
        size = round(shares * 100) * 10_000
        money = size * round(cents * 1000) // 100_000
        if side == "BUY" and order_type in {"FOK", "FAK"}:
            money = money // 10_000 * 10_000
            size = money * 100_000 // round(cents * 1000) // 100 * 100
        return NewOrder(
            order_id=f"0x{self._orders:064x}",
            owner=owner_of(account),
            account=account,
            signer=account,
            token_id=self.market.up_token if outcome == "Up" else self.market.down_token,
            side=side,
            maker_amount=money if side == "BUY" else size,
            taker_amount=size if side == "BUY" else money,
            expiration_s=expiration_s,
            order_type=order_type,
            post_only=post_only,
            defer_exec=False,
        )

    def place(self, order: NewOrder) -> Placed:
        """Place an order and wait out the taker delay."""
        answer = self.engine.place(order, self.now_ms)
        if isinstance(answer, Held):
            self.now_ms = answer.until_ms
            return self.engine.result(answer.order_id, self.now_ms)
        return answer

    def after(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ms += round(seconds * 1000)
        self.engine.advance(self.now_ms)

    def at_close(self, seconds: float) -> None:
        """Let time pass until so many seconds after the close."""
        self.now_ms = self.market.closes_at_s * 1000 + round(seconds * 1000)
        self.engine.advance(self.now_ms)

    def book(self) -> Book:
        """The Up token's book."""
        return self.engine.book(self.market, self.now_ms)

    def ask(self) -> float:
        """The best ask of Up, in cents."""
        return self.book().asks[0][0] / 10_000

    def bid(self) -> float:
        """The best bid of Up, in cents."""
        return self.book().bids[0][0] / 10_000

    def cash(self, account: str = ALICE) -> int:
        """Settled dollars, 1e-6."""
        return self.engine.audit(account).balances.get("USD", 0)

    def shares(self, account: str = ALICE, outcome: str = "Up") -> int:
        """Settled shares, 1e-6."""
        token = self.market.up_token if outcome == "Up" else self.market.down_token
        return self.engine.audit(account).balances.get(token, 0)

    def bought(self, shares: float, account: str = ALICE) -> None:
        """Hold so many settled Up shares, bought from the book."""
        self.place(self.order("BUY", shares, self.ask(), "GTC", account=account))
        self.after(120)
        assert self.shares(account) == round(shares * UNIT)


def fee(shares: float, cents: float) -> int:
    """The market's taker fee in 1e-6 dollars."""
    return taker_fee(round(shares * UNIT), round(cents * 10_000), 70_000)


MakeTrader = Callable[..., Trader]


@pytest.fixture
def make_trader(tmp_path: Path) -> Iterator[MakeTrader]:
    """Build a trader a hundred seconds into the window; faults and their seed, rules and a ledger file if wanted."""
    files: list[LedgerFile] = []

    def make(*faults: FaultRule, file: str | None = None, rules: TradingRules | None = None, seed: int = 3) -> Trader:
        ledger = LedgerFile(tmp_path / file) if file else None
        if ledger is not None:
            files.append(ledger)
        engine = Engine(Directory(WORLD, ("BTC",)), rules or TradingRules(), FaultPlan(seed, faults), ledger)
        return Trader(engine, WORLD.market("BTC", OPENS_S), OPENS_S * 1000 + 100_000)

    yield make
    for ledger in files:
        ledger.close()


@pytest.fixture
def trader(make_trader: MakeTrader) -> Trader:
    """A trader on an exchange that behaves."""
    return make_trader()
