"""Live orders from wish to end: what the executor does with everything that can become of them."""

import pytest

from actors import addresses
from actors.account import sold_cost
from actors.live_looks import GRACE_S
from actors.venue_holds import MISSED, NOT_RECONCILED, PAUSED
from core.errors import TransientError
from core.messages import PositionPublished
from core.trading.gate import GateLevel, OrderKind, permits
from core.trading.orders import OrderState
from core.trading.sizing import LOT_SHARES
from tests.live_execution.engine_account import FUNDER, OWNER, Trouble
from tests.live_execution.world import START_MS, LiveWorld
from venues.polymarket.live_account import Look, VenueReport
from venues.sim.faults import FaultPlan, FaultRule
from venues.sim.trading.values import NewOrder, TradingRules


@pytest.fixture
def world() -> LiveWorld:
    return LiveWorld()


def states(world: LiveWorld) -> list[str]:
    return [order.state for order in world.tables.orders.values()]


def blind(world: LiveWorld) -> None:
    """Have the venue show no order and no trade, as it may for a while."""

    def report(after_s: int) -> VenueReport:
        return VenueReport((), (), ())

    def look(order_hash: str, condition_id: str, after_s: int) -> Look:
        return Look(order_hash, None, listed=False, trades=())

    world.account.report = report  # type: ignore[method-assign]
    world.account.look = look  # type: ignore[method-assign]
    world.listen = False


def seeing(world: LiveWorld) -> None:
    """Have the venue show everything again."""
    del world.account.report, world.account.look


def with_faults(*rules: FaultRule) -> LiveWorld:
    return LiveWorld(faults=FaultPlan(1, rules))


def test_a_wish_becomes_a_position_and_both_ledgers_agree(world: LiveWorld) -> None:
    world.propose("UP")
    world.run_s(3)

    assert world.shares("UP") > 0
    assert states(world) == ["FILLED"]
    world.assert_ledgers_agree()


def test_the_hash_is_committed_with_the_intent_before_an_opening_order_is_sent(world: LiveWorld) -> None:
    world.tables.delay_ms = 400
    world.propose("UP")
    world.run_s(0.3)
    assert world.account.posted == []
    world.run_s(3)

    ((_, order_hash),) = world.account.posted
    assert [order.order_hash for order in world.tables.orders.values()] == [order_hash]


def test_an_exit_is_sent_although_its_hash_cannot_be_committed(world: LiveWorld) -> None:
    world.propose("UP")
    world.run_s(60)
    world.tables.delay_ms = None
    world.force()
    world.run_s(5)

    assert len(world.account.posted) == 2
    assert world.venue_shares("UP") < LOT_SHARES


def test_a_fill_is_provisional_until_the_venue_confirms_it(world: LiveWorld) -> None:
    world.propose("UP")
    world.run_s(1.5)
    assert {fill.state for fill in world.tables.fills.values()} == {"MATCHED"}
    world.run_s(70)

    assert {fill.state for fill in world.tables.fills.values()} == {"CONFIRMED"}


def test_a_fill_that_fails_to_settle_never_happened() -> None:
    world = with_faults(FaultRule(kind="settlement_fails", probability=1.0))
    world.propose("UP")
    world.run_s(2)
    assert world.shares("UP") > 0
    world.run_s(120)

    assert world.shares("UP") == 0
    assert world.state.ledger.cash_usd == world.cash_usd
    world.assert_ledgers_agree()


def test_a_request_that_timed_out_is_looked_for_and_its_fill_taken_in() -> None:
    world = LiveWorld(trouble=Trouble(unanswered=1.0))
    world.propose("UP")
    world.run_s(5)

    assert len(world.account.posted) == 1
    assert world.shares("UP") > 0
    world.assert_ledgers_agree()


def test_not_being_found_never_frees_an_order_whose_outcome_is_unknown() -> None:
    world = LiveWorld(trouble=Trouble(unanswered=1.0), order_type="GTC")
    blind(world)
    world.propose("UP")
    world.run_s(30)
    for side in ("UP", "DOWN"):
        world.propose(side)
        world.force()
        world.run_s(10)

    assert len(world.account.posted) == 1
    assert states(world)[0] == OrderState.UNKNOWN
    assert world.state.ledger.reservations


def test_an_unknown_order_ends_after_its_window_and_a_late_fill_is_taken_in_all_the_same() -> None:
    world = LiveWorld(trouble=Trouble(unanswered=1.0))
    blind(world)
    world.propose("UP")
    world.run_s(world.listing.closes_at_s + GRACE_S + 10 - world.now_ms / 1000)
    assert states(world) == [OrderState.FAILED]
    assert world.state.ledger.reservations == {}

    seeing(world)
    world.run_s(60)
    assert world.shares("UP") > 0
    world.resolve()
    world.assert_ledgers_agree()


def test_nothing_is_sent_once_the_gate_is_shut(world: LiveWorld) -> None:
    world.tables.delay_ms = 300
    world.propose("UP")
    world.run_s(0.2)
    world.runtime.gate.hold(None, "halt", GateLevel.CLOSED)
    world.run_s(3)

    assert world.account.posted == []
    assert states(world) == ["FAILED"]


def test_each_order_that_was_sent_carries_the_gates_sequence_number(world: LiveWorld) -> None:
    before = world.runtime.gate.state.sequence
    world.propose("UP")
    world.run_s(3)

    assert [sequence for sequence, _ in world.account.posted] == [before]


def test_a_resting_opening_order_is_taken_back_when_the_gate_shuts() -> None:
    world = LiveWorld(order_type="GTC", faults=FaultPlan(1, (FaultRule(kind="partial_fill", probability=1.0),)))
    world.propose("UP")
    world.run_s(1.5)
    assert world.executor.working
    world.runtime.gate.hold("BTC", "test", GateLevel.REDUCE_ONLY)
    world.run_s(10)

    assert world.executor.working == {}
    assert world.engine.open_orders(OWNER) == []
    world.assert_ledgers_agree()


@pytest.mark.parametrize("listen", [True, False])
def test_the_end_of_an_order_is_found_with_and_without_the_user_channel(listen: bool) -> None:  # noqa: FBT001
    world = LiveWorld(listen=listen)
    world.propose("UP")
    world.run_s(80)

    assert {fill.state for fill in world.tables.fills.values()} == {"CONFIRMED"}
    world.assert_ledgers_agree()


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.04, 0.1, 0.2, 0.5])
def test_an_executor_that_restarts_at_any_moment_finds_its_order_again(world: LiveWorld, after_s: float) -> None:
    world.propose("UP")
    world.run_s(after_s)
    world.crash(addresses.EXECUTOR)
    world.run_s(30)

    assert len(world.account.posted) <= 1
    assert world.executor.working == {}
    assert world.state.orders == {}
    world.assert_ledgers_agree()


def test_a_delayed_order_stays_open_until_it_matches() -> None:
    world = with_faults(FaultRule(kind="delayed", probability=1.0, duration_ms=1_000))
    world.propose("UP")
    world.run_s(0.5)
    assert [w.order.state for w in world.executor.working.values()] == [OrderState.DELAYED]
    world.run_s(10)

    assert world.shares("UP") > 0
    world.assert_ledgers_agree()


def test_an_order_answered_live_that_fills_afterwards_is_followed() -> None:
    world = with_faults(FaultRule(kind="late_fill", probability=1.0, duration_ms=1_000))
    world.propose("UP")
    world.run_s(15)

    assert world.shares("UP") > 0
    world.assert_ledgers_agree()


def test_a_sale_refused_because_the_balance_lags_is_repeated_until_it_is_sold() -> None:
    world = with_faults(FaultRule(kind="balance_lag", probability=1.0, duration_ms=20_000))
    world.propose("UP")
    world.run_s(60)
    for _ in range(15):
        world.force()
        world.run_s(2)

    assert world.venue_shares("UP") < LOT_SHARES
    world.assert_ledgers_agree()


def test_nothing_is_opened_while_the_venue_asks_to_wait() -> None:
    world = with_faults(FaultRule(kind="engine_restart", at_counts=(1,), duration_ms=20_000))
    world.propose("UP")
    world.run_s(2)
    assert not permits(world.runtime.gate.state, "BTC", OrderKind.OPEN_ORDER)
    assert any(PAUSED in text and "425" in text for text in world.said)
    world.run_s(40)
    assert permits(world.runtime.gate.state, "BTC", OrderKind.OPEN_ORDER)
    world.propose("UP")
    world.run_s(3)

    assert world.shares("UP") > 0


def test_a_missed_heartbeat_takes_the_gate_off_open_and_what_the_venue_cancelled_is_noticed() -> None:
    world = LiveWorld(order_type="GTC", faults=FaultPlan(1, (FaultRule(kind="partial_fill", probability=1.0),)))
    world.propose("UP")
    world.run_s(3)
    beat = world.account.beat

    def lost() -> None:
        raise TransientError("the venue could not be asked")

    world.account.beat = lost  # type: ignore[method-assign]
    world.run_s(15)
    assert any(hold.reason == MISSED for hold in world.runtime.gate.state.holds)
    world.account.beat = beat  # type: ignore[method-assign]
    world.run_s(20)

    assert not any(hold.reason == MISSED for hold in world.runtime.gate.state.holds)
    assert world.executor.working == {}
    world.assert_ledgers_agree()


def test_the_gate_does_not_open_before_the_account_was_reconciled() -> None:
    world = LiveWorld(trouble=Trouble(unreadable=1.0))
    world.run_s(10)
    assert any(hold.reason == NOT_RECONCILED for hold in world.runtime.gate.state.holds)
    world.account.trouble.unreadable = 0.0
    world.run_s(5)

    assert world.runtime.gate.state.holds == ()


def stray(world: LiveWorld, *, order_type: str, price: int, shares: int) -> None:
    """Place an order on our account that no process of ours knows of."""
    dollars = price * shares // 1_000_000
    world.engine.place(
        NewOrder(
            "0x" + "5" * 64, OWNER, FUNDER, FUNDER, world.market.up_token, "BUY", dollars, shares, 0,
            order_type, post_only=False, defer_exec=False,  # type: ignore[arg-type]
        ),
        world.now_ms,
    )  # fmt: skip


def test_an_order_that_only_the_venue_knows_is_cancelled(world: LiveWorld) -> None:
    stray(world, order_type="GTC", price=50_000, shares=10_000_000)
    assert world.engine.open_orders(OWNER)
    world.reconnect()
    world.run_s(2)

    assert world.engine.open_orders(OWNER) == []
    assert any("stray order" in text for text in world.said)


def test_a_position_that_only_the_venue_knows_is_taken_in_and_handed_to_the_watchdog(world: LiveWorld) -> None:
    stray(world, order_type="FAK", price=900_000, shares=10_000_000)
    world.run_s(35)

    assert world.shares("UP") == world.venue_shares("UP") > 0
    told = [m for m in world.heard[addresses.WATCHDOG.name] if isinstance(m, PositionPublished)]
    assert told[-1].side == "UP"
    world.assert_ledgers_agree()


def test_rows_explain_the_cash_also_while_the_sale_of_everything_is_not_confirmed() -> None:
    world = LiveWorld(order_type="GTC")  # in whole hundredths of a share: nothing is left over
    world.propose("UP")
    world.run_s(70)
    world.propose("UP", "CLOSE")
    world.run_s(1.5)
    (sold,) = world.state.ledger.positions.values()
    assert (sold.shares, world.tables.positions) == (0, {})
    assert sold_cost(world.state.ledger) == sold.cost_usd != 0
    assert world.state.ledger.cash_usd == world.cash_usd - sold_cost(world.state.ledger)
    world.run_s(70)

    assert sold_cost(world.state.ledger) == 0
    assert world.state.ledger.cash_usd == world.cash_usd + world.state.ledger.realised_usd


def test_what_was_traded_before_the_session_is_not_taken_in() -> None:
    world = LiveWorld(since_s=START_MS // 1000 + 30)
    stray(world, order_type="FAK", price=900_000, shares=10_000_000)
    world.run_s(90)

    assert world.venue_shares("UP") > 0
    assert world.state.ledger.positions == {}


def test_a_deposit_is_noticed_once_two_reports_agree(world: LiveWorld) -> None:
    world.run_s(1)
    holdings = world.account.holdings

    def richer(tokens: tuple[str, ...]) -> object:
        found = holdings(tokens)
        return type(found)(found.cash_usd + 5_000_000, found.shares)

    world.account.holdings = richer  # type: ignore[method-assign,assignment]
    world.run_s(35)
    assert world.state.ledger.cash_usd == world.cash_usd
    world.run_s(40)

    ledger = world.state.ledger
    assert (ledger.cash_usd, ledger.realised_usd) == (world.cash_usd + 5_000_000, 0)
    assert any("cash: ours" in text for text in world.said)


def test_winnings_cannot_be_spent_before_they_are_redeemed() -> None:
    world = LiveWorld(rules=TradingRules(auto_redeem=False))
    for side in ("UP", "DOWN"):
        world.propose(side)
        world.run_s(3)
        if world.shares(side):
            break
    winner = world.resolve()
    owed = sum(claim.shares for claim in world.state.claims.values())
    assert bool(owed) == (winner == "UP")
    assert world.state.ledger.cash_usd - owed == world.venue_cash()
    world.engine.redeem(FUNDER, world.market.condition_id, world.now_ms)
    world.run_s(130)

    assert world.state.claims == {}
    assert world.state.ledger.cash_usd == world.venue_cash()
