"""What trips the kill switch of a live account alone: a ledger unlike the venue's, and orders that keep failing."""

from collections.abc import Iterator

import pytest

from actors import addresses
from actors.kill_switch import Trips
from actors.portfolio_venue import HOLDINGS_EVERY_S
from core.errors import FuseboxError, TransientError
from core.trading.gate import GateLevel, Hold
from core.trading.lasting_holds import LASTING, MISMATCH, ORDER_FAILURES
from core.trading.money import MICRO
from tests.live_execution.world import LiveWorld
from venues.polymarket.connection import HandOver
from venues.polymarket.live_account import Holdings
from venues.polymarket.order_client import Accepted
from venues.polymarket.order_errors import OrderRejectedError, OrderTransientError, OrderUnknownError, Reason
from venues.polymarket.signing import SignedOrder

REFUSED = OrderRejectedError(Reason.OTHER, "the market is not ready", 1)
UNCLEAR = OrderUnknownError(Reason.UNCLEAR, "HTTP 500", None, 1)
KILLED = OrderRejectedError(Reason.FAK_UNMATCHED, "no orders found to match with fak order", 1)
WAIT = OrderTransientError(Reason.RESTARTING, "HTTP 425", 0.0, 1)
LIMITED = OrderTransientError(Reason.RATE_LIMITED, "HTTP 429", 0.0, 1)


def hold_of(world: LiveWorld, reason: str) -> Hold | None:
    return next((hold for hold in world.runtime.gate.state.holds if hold.reason == reason), None)


# -- the venue's ledger -----------------------------------------------------------------------------------------------


def off_by(world: LiveWorld, usd: int, shares: int = 0) -> None:
    """Have the venue state another balance from now on."""
    state = world.account.holdings

    def holdings(tokens: tuple[str, ...]) -> Holdings:
        true = state(tokens)
        return Holdings(true.cash_usd + usd, {token: held + shares for token, held in true.shares.items()})

    world.account.holdings = holdings  # type: ignore[method-assign]


@pytest.mark.parametrize("usd", [1_000_001, -1_000_001])
def test_a_ledger_further_off_than_is_tolerated_trips_at_the_second_look(usd: int) -> None:
    world = LiveWorld(trips=Trips(tolerance_usd=MICRO))
    off_by(world, usd)
    world.run_s(HOLDINGS_EVERY_S + 5)
    assert hold_of(world, MISMATCH) is None
    world.run_s(HOLDINGS_EVERY_S)
    hold = hold_of(world, MISMATCH)
    assert hold is not None
    assert (hold.scope, hold.level, hold.detail) == (
        "",
        GateLevel.REDUCE_ONLY,
        "the venue's ledger and ours differed by 1.00",
    )
    assert MISMATCH in LASTING
    world.propose("UP")
    world.run_s(5)
    assert world.account.posted == []


@pytest.mark.parametrize(
    ("trips", "usd"), [(Trips(tolerance_usd=MICRO), MICRO), (Trips(tolerance_usd=None), 50 * MICRO), (Trips(), 1)]
)
def test_a_difference_within_the_tolerance_is_repaired_and_trips_nothing(trips: Trips, usd: int) -> None:
    world = LiveWorld(trips=trips)
    off_by(world, usd)
    world.run_s(3 * HOLDINGS_EVERY_S)
    assert hold_of(world, MISMATCH) is None
    assert world.state.ledger.cash_usd == world.cash_usd + usd


def test_without_any_tolerance_a_micro_dollar_trips() -> None:
    world = LiveWorld(trips=Trips(tolerance_usd=0))
    off_by(world, -1)
    world.run_s(3 * HOLDINGS_EVERY_S)
    assert hold_of(world, MISMATCH) is not None


def test_shares_that_the_venue_does_not_have_count_a_dollar_each() -> None:
    world = LiveWorld(trips=Trips(tolerance_usd=3 * MICRO))
    world.propose("UP")
    world.run_s(70)
    held = world.shares("UP")
    off_by(world, 0, -4 * MICRO)
    world.run_s(3 * HOLDINGS_EVERY_S)
    hold = hold_of(world, MISMATCH)
    assert hold is not None
    assert hold.detail == "the venue's ledger and ours differed by 4.00"
    assert world.shares("UP") == held - 4 * MICRO


def test_once_resumed_a_ledger_that_was_repaired_does_not_trip_again() -> None:
    world = LiveWorld(trips=Trips(tolerance_usd=MICRO))
    off_by(world, -5 * MICRO)
    world.run_s(3 * HOLDINGS_EVERY_S)
    assert world.runtime.gate.release(None, MISMATCH)
    world.run_s(3 * HOLDINGS_EVERY_S)
    assert hold_of(world, MISMATCH) is None


# -- orders that fail -------------------------------------------------------------------------------------------------


class Answers:
    """The venue's answers to the next posts, one each; None takes the order as the engine does."""

    def __init__(self, world: LiveWorld, *answers: FuseboxError | None) -> None:
        self._post = world.account.post
        self._answers: Iterator[FuseboxError | None] = iter(answers)
        self.posts = 0
        world.account.post = self.post  # type: ignore[method-assign]

    def post(self, signed: SignedOrder, hand_over: HandOver) -> Accepted:
        self.posts += 1
        error = next(self._answers, None)
        if error is None:
            return self._post(signed, hand_over)
        if hand_over(lambda _: None) is None:
            raise AssertionError("the gate refused")
        raise error


def try_orders(world: LiveWorld, count: int) -> None:
    """Wish for something again and again, past the pauses the venue asks for; what was bought is sold."""
    for _ in range(count):
        world.propose("UP", "CLOSE" if world.shares("UP") else "OPEN")
        world.run_s(12)


def test_so_many_failed_orders_in_a_row_trip_it_and_the_last_one_is_told() -> None:
    world = LiveWorld(max_failures=3)
    Answers(world, *[REFUSED] * 9)
    try_orders(world, 2)
    assert hold_of(world, ORDER_FAILURES) is None
    try_orders(world, 1)
    hold = hold_of(world, ORDER_FAILURES)
    assert hold is not None
    assert (hold.scope, hold.level) == ("", GateLevel.REDUCE_ONLY)
    assert hold.detail == "3 in a row, the last: the market is not ready"
    assert ORDER_FAILURES in LASTING


def test_behind_it_nothing_is_opened_and_after_resume_failures_count_anew() -> None:
    world = LiveWorld(max_failures=2)
    answers = Answers(world, *[REFUSED] * 9)
    try_orders(world, 4)
    assert answers.posts == 2
    world.runtime.gate.release(None, ORDER_FAILURES)
    try_orders(world, 1)
    assert hold_of(world, ORDER_FAILURES) is None
    try_orders(world, 1)
    assert hold_of(world, ORDER_FAILURES) is not None
    assert answers.posts == 4


@pytest.mark.parametrize("between", [None, KILLED])
def test_an_order_that_the_venue_took_ends_the_row(between: FuseboxError | None) -> None:
    world = LiveWorld(max_failures=3)
    answers = Answers(world, REFUSED, REFUSED, between, REFUSED, REFUSED)
    try_orders(world, 5)
    assert answers.posts == 5
    assert hold_of(world, ORDER_FAILURES) is None


@pytest.mark.parametrize("between", [WAIT, LIMITED, TransientError("connection reset")])
def test_what_only_has_to_wait_neither_counts_nor_ends_the_row(between: FuseboxError) -> None:
    world = LiveWorld(max_failures=3)
    answers = Answers(world, REFUSED, REFUSED, between, between, between, REFUSED)
    try_orders(world, 5)
    assert hold_of(world, ORDER_FAILURES) is None
    try_orders(world, 1)
    assert hold_of(world, ORDER_FAILURES) is not None
    assert answers.posts == 6


def test_an_order_whose_outcome_nobody_knows_has_failed() -> None:
    world = LiveWorld(max_failures=1)
    Answers(world, UNCLEAR)
    try_orders(world, 1)
    hold = hold_of(world, ORDER_FAILURES)
    assert hold is not None
    assert hold.detail == "1 in a row, the last: HTTP 500"


def test_without_such_a_limit_orders_may_fail_for_ever() -> None:
    world = LiveWorld()
    answers = Answers(world, *[REFUSED] * 8)
    try_orders(world, 8)
    assert answers.posts == 8
    assert hold_of(world, ORDER_FAILURES) is None


def test_what_the_gate_kept_back_is_no_failure_of_the_venue() -> None:
    world = LiveWorld(max_failures=1)
    world.tables.delay_ms = 400
    world.propose("UP")
    world.run_s(0.2)
    world.runtime.gate.hold(None, "test", GateLevel.REDUCE_ONLY)
    world.run_s(5)
    assert [str(order.last_error) for order in world.tables.orders.values()] == ["not sent: the gate is REDUCE_ONLY"]
    assert hold_of(world, ORDER_FAILURES) is None
    assert world.runtime.cells[addresses.EXECUTOR].restarts == 0
