"""Whatever happens in whatever order, our books and the hostile exchange's ledger agree, and nothing is sent twice."""

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors import addresses
from core.runtime.address import Address
from core.trading.gate import GateLevel
from core.trading.ledger import free_cash, sellable_shares
from core.trading.orders import OrderType
from core.trading.sizing import LOT_SHARES
from tests.live_execution.engine_account import FUNDER, Trouble
from tests.live_execution.world import LiveWorld
from venues.sim.faults import default_plan

QUIET_S = 150


class Trading(RuleBasedStateMachine):
    """One window of a policy, a watchdog and an operator without judgement, on an exchange that fights back."""

    world: LiveWorld

    @initialize(
        seed=st.integers(0, 10_000),
        order_type=st.sampled_from(["FAK", "FOK", "GTC"]),
        unanswered=st.sampled_from([0.0, 0.1, 0.5]),
        listen=st.booleans(),
    )
    def begin(self, seed: int, order_type: OrderType, unanswered: float, listen: bool) -> None:  # noqa: FBT001
        trouble = Trouble(unsent=0.05, unanswered=unanswered, unreadable=0.05)
        self.world = LiveWorld(
            seed=seed, order_type=order_type, faults=default_plan(seed), trouble=trouble, listen=listen
        )
        self.closed_at: int | None = None

    @rule(side=st.sampled_from(["UP", "DOWN"]))
    def wish_to_open(self, side: str) -> None:
        self.world.propose(side)  # type: ignore[arg-type]

    @rule()
    def wish_to_close(self) -> None:
        self.world.propose("UP" if self.world.shares("UP") else "DOWN", "CLOSE")

    @rule()
    def force_an_exit(self) -> None:
        self.world.force()

    @rule()
    def recall(self) -> None:
        self.world.recall()

    @rule(duration_s=st.sampled_from([0.01, 0.05, 0.2, 1.0, 4.0, 15.0]))
    def wait(self, duration_s: float) -> None:
        self.world.run_s(duration_s)

    @rule(address=st.sampled_from([addresses.EXECUTOR, addresses.PORTFOLIO]))
    def restart(self, address: Address) -> None:
        self.world.crash(address)

    @rule()
    def reconnect(self) -> None:
        self.world.reconnect()

    @rule(delay_ms=st.sampled_from([5, 300, 2_000]))
    def slow_database(self, delay_ms: int) -> None:
        self.world.tables.delay_ms = delay_ms

    @rule()
    def close_the_gate(self) -> None:
        self.world.runtime.gate.hold(None, "halt", GateLevel.CLOSED)
        self.closed_at = self.world.runtime.gate.state.sequence

    @rule()
    def open_the_gate(self) -> None:
        self.world.runtime.gate.release(None, "halt")
        self.closed_at = None

    @invariant()
    def no_intent_is_sent_twice(self) -> None:
        hashes = [order_hash for _, order_hash in self.world.account.posted]
        assert len(hashes) == len(set(hashes))
        orders = Counter(order.intent_id for order in self.world.tables.orders.values())
        assert all(count == 1 for count in orders.values())

    @invariant()
    def nothing_is_sent_after_the_gate_has_closed(self) -> None:
        if self.closed_at is not None:
            assert all(sequence < self.closed_at for sequence, _ in self.world.account.posted)

    @invariant()
    def what_is_reserved_stays_within_what_there_is(self) -> None:
        ledger = self.world.state.ledger
        assert free_cash(ledger) >= 0
        for position in ledger.positions.values():
            assert position.shares >= 0
            assert sellable_shares(ledger, position.condition_id, position.side) >= 0

    @invariant()
    def the_venue_never_sells_what_we_do_not_have(self) -> None:
        assert all(amount >= 0 for amount in self.world.engine.audit(FUNDER).balances.values())

    def teardown(self) -> None:
        """Let everything come to rest: the ledgers agree, every order has ended, the window settles."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.tables.delay_ms = 5
        world.account.trouble = Trouble()
        world.runtime.gate.release(None, "halt")
        world.recall()
        world.run_s(QUIET_S)
        for _ in range(3):
            world.force()
            world.run_s(10)
        assert all(working.order.order_type == "GTC" for working in world.executor.working.values())
        world.assert_ledgers_agree()
        world.resolve()
        assert world.executor.working == {}
        assert world.state.orders == {}
        assert world.state.ledger.reservations == {}
        assert [p for p in world.state.ledger.positions.values() if p.shares >= LOT_SHARES] == []
        assert world.state.ledger.cash_usd == world.venue_cash()
        assert not any("ours" in text and "cash" in text for text in world.said), world.said


Trading.TestCase.settings = settings(
    max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
test_books_and_exchange_agree = Trading.TestCase
