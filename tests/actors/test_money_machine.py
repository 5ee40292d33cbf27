"""Whatever intents, books, crashes, outages and winners come in whatever order, the money adds up to the micro."""

from collections.abc import Iterable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors import addresses
from core.market.events import Level
from core.market.market import Market, Side
from core.runtime.address import Address
from core.trading.gate import GateLevel
from core.trading.ledger import confirmed_shares, free_cash
from core.trading.money import MICRO
from core.trading.orders import IntentAction, OrderType
from tests.actors.builders import START_USD, World, a_market
from tests.trading.builders import OPENS_S

WINDOW_S = 900
SIDES: tuple[Side, ...] = ("UP", "DOWN")
ACTIONS: tuple[IntentAction, ...] = ("OPEN", "CLOSE")
TYPES: tuple[OrderType, ...] = ("FAK", "FOK", "GTC")
Book = tuple[int, int, list[int], list[int]]
SIZES = st.lists(st.integers(100, 30_000), max_size=3)
BOOKS: st.SearchStrategy[Book] = st.tuples(st.integers(8, 92), st.integers(1, 4), SIZES, SIZES)
"""Middle and spread in cents, sizes of bids and asks in hundredths of a share."""


class Money(RuleBasedStateMachine):
    """Portfolio, executor and paper broker from window to window; a database that comes and goes."""

    @initialize(order_type=st.sampled_from(TYPES), seed=st.integers(0, 9))
    def start(self, order_type: OrderType, seed: int) -> None:
        """Begin in the first window."""
        self.world = World(
            order_type=order_type, trade_size_usd=400 * MICRO, start_ms=OPENS_S * 1000 + 1_000, seed=seed
        )
        self.number = 0
        self.epoch = 1
        self.winners: dict[str, Side] = {}
        self.markets = [self._market(0)]
        self.world.quote(self.markets[0])

    @rule(ms=st.sampled_from([1, 7, 60, 150, 400, 900, 1_500]))
    def time_passes(self, ms: int) -> None:
        """Let a moment pass without new books."""
        self.world.run_ms(ms)

    @rule(book=BOOKS, lost=st.sampled_from([0, 0, 0, 1]))
    def a_book_comes(self, book: Book, lost: int) -> None:
        """Show any book of the open window; `lost` begins another epoch."""
        self.epoch += lost
        mid, spread, bids, asks = book
        self.world.quote(
            self.markets[-1],
            bids=_levels((mid - level, size) for level, size in enumerate(bids, start=1)),
            asks=_levels((mid + spread + level, size) for level, size in enumerate(asks)),
            epoch=self.epoch,
        )

    @rule(
        book=BOOKS, side=st.sampled_from(SIDES), action=st.sampled_from(ACTIONS), then_ms=st.sampled_from([0, 60, 300])
    )
    def an_intent_comes(self, book: Book, side: Side, action: IntentAction, then_ms: int) -> None:
        """Propose on a fresh book, and perhaps let it fill."""
        self.a_book_comes(book, 0)
        self.world.propose(self.markets[-1], side, action)
        self.world.run_ms(then_ms)

    @rule(book=BOOKS)
    def a_position_is_held(self, book: Book) -> None:
        """Have all go well for once: an opening that fills, where the account and the book allow it."""
        self.world.commit_after(5)
        self.world.runtime.gate.release("BTC", "test")
        self.an_intent_comes(book, "UP", "OPEN", 300)

    @rule(book=BOOKS, then_ms=st.sampled_from([0, 60, 300]))
    def an_exit_is_forced(self, book: Book, then_ms: int) -> None:
        """Ask for the exit of everything."""
        self.a_book_comes(book, 0)
        for market in self.markets:
            self.world.force(market)
        self.world.run_ms(then_ms)

    @rule(address=st.sampled_from([addresses.PORTFOLIO, addresses.EXECUTOR]))
    def an_actor_crashes(self, address: Address) -> None:
        """Crash one at its next message but some."""
        self.world.poison(address)

    @rule(of=st.sampled_from(["portfolio", "executor"]), ahead=st.integers(1, 6))
    def a_message_crashes_its_reader(self, of: str, ahead: int) -> None:
        """Let a message soon to come crash its reader once, after it was handled and before its effects."""
        fuse = self.world.portfolio_fuse if of == "portfolio" else self.world.executor_fuse
        fuse.at = fuse.count + ahead

    @rule(delay_ms=st.sampled_from([0, 5, 40, 990, 1_010, None]))
    def the_database_changes(self, delay_ms: int | None) -> None:
        """Make the database fast, slow, or unreachable."""
        self.world.commit_after(delay_ms)

    @rule(level=st.sampled_from(list(GateLevel)))
    def the_gate_moves(self, level: GateLevel) -> None:
        """Set or lift a hold."""
        self.world.runtime.gate.hold("BTC", "test", level)

    @rule(winner=st.sampled_from(SIDES), early=st.booleans())
    def the_window_ends(self, winner: Side, early: bool) -> None:  # noqa: FBT001 -- drawn
        """Turn to the next window and name a winner of the last one, at once or a moment later."""
        over = self.markets[-1]
        self.world.run_ms(max(1, over.window.closes_at_s * 1000 - self.world.now_ms))
        self.winners[over.condition_id] = winner
        self.number += 1
        self.markets = [over, self._market(self.number)]
        if not early:
            self.world.run_ms(2_500)
        self.world.win(over, winner)

    # -- what always holds --------------------------------------------------------------------------------------

    @invariant()
    def cash_is_what_was_earned_and_not_spent(self) -> None:
        """Cash is the start plus closed trades less the cost of open positions."""
        if hasattr(self, "world"):
            self.world.assert_books_balance()
            assert self.world.runtime.failure is None

    @invariant()
    def reservations_are_covered(self) -> None:
        """Reserved cash is there, open sells never exceed confirmed inventory, one OPEN and one CLOSE at most."""
        if not hasattr(self, "world"):
            return
        ledger = self.world.state.ledger
        assert free_cash(ledger) >= 0
        kinds = [(r.condition_id, r.action) for r in ledger.reservations.values()]
        assert len(kinds) == len(set(kinds))
        for r in ledger.reservations.values():
            if r.action == "CLOSE":
                assert r.shares <= confirmed_shares(ledger, r.condition_id, r.side)

    @invariant()
    def an_intent_has_one_order_and_no_more_shares_than_that(self) -> None:
        """Neither the executor nor the broker ever works on two orders of one intent, nor fills beyond one."""
        if not hasattr(self, "world"):
            return
        executor = self.world.executor
        for working in (
            [w.order.intent_id for w in executor.working.values()],
            [p.order.intent_id for p in self.world.paper.orders.values()],
        ):
            assert len(working) == len(set(working))
        assert all(w.order.filled_shares <= w.order.shares for w in executor.working.values())

    def teardown(self) -> None:
        """Let everything come to rest: no order stays open, and the tables alone explain the cash."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.portfolio_fuse.at = world.executor_fuse.at = None
        world.commit_after(5)
        world.run_ms(5_000)
        last = self.markets[-1]
        world.run_ms(max(1, last.window.closes_at_s * 1000 - world.now_ms) + 1_000)
        for market in self.markets:
            winner = self.winners.setdefault(market.condition_id, "DOWN")
            world.win(market, winner)
        world.run_ms(2_000)
        assert world.state.orders == {}
        assert world.state.ledger.reservations == {}
        assert world.state.ledger.positions == {}
        assert world.state.ledger.fills == {}
        assert world.state.markets == {}
        assert world.executor.working == {}
        assert world.paper.orders == {}
        assert all(order.closed_at_ms is not None for order in world.orders())
        assert world.tables.positions == {}
        self._assert_tables_explain_the_cash()

    def _assert_tables_explain_the_cash(self) -> None:
        """Rebuild the account from fills and winners as an accountant would."""
        tables = self.world.tables
        cash, held = START_USD, dict[tuple[str, Side], int]()
        filled: dict[str, int] = {}
        for fill in tables.fills.values():
            order = tables.orders[fill.order_id]
            intent = tables.intents[order.intent_id]
            sign = 1 if order.side == "BUY" else -1
            key = (intent.condition_id, intent.side)
            held[key] = held.get(key, 0) + sign * fill.shares
            filled[order.id] = filled.get(order.id, 0) + fill.shares
            cash -= sign * ((2 * fill.shares * fill.price + MICRO) // (2 * MICRO)) + fill.fee_usd
        assert all(shares >= 0 for shares in held.values())
        assert all(shares <= tables.orders[order_id].shares for order_id, shares in filled.items())
        cash += sum(shares for (market, side), shares in held.items() if self.winners[market] == side)
        assert self.world.state.ledger.cash_usd == cash
        assert sum(trade.pnl_net_usd for trade in tables.trades.values()) == cash - START_USD

    def _market(self, number: int) -> Market:
        return a_market(opens_s=OPENS_S + number * WINDOW_S, length_s=WINDOW_S)


def _levels(pairs: Iterable[tuple[int, int]]) -> tuple[Level, ...]:
    """Build levels from cents and hundredths of a share, leaving out impossible prices."""
    return tuple((cents * MICRO // 100, size * MICRO // 100) for cents, size in pairs if 0 < cents < 100)


Money.TestCase.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_the_money_adds_up = Money.TestCase
