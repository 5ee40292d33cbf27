"""Each check of the gate bears load alone: take out the portfolio's or the hand-over's, and a test here fails."""

import pytest

from actors import addresses
from core.messages import OrderRequested
from core.trading.gate import GateLevel
from core.trading.orders import IntentAction, OrderState
from core.trading.sizing import LOT_SHARES
from tests.live_execution.world import LiveWorld
from venues.polymarket.connection import HandOver
from venues.polymarket.order_client import Accepted
from venues.polymarket.signing import SignedOrder

SHUT = [GateLevel.REDUCE_ONLY, GateLevel.CLOSED]
SETTLES_S = 60


@pytest.fixture
def world() -> LiveWorld:
    return LiveWorld()


@pytest.fixture
def holder() -> LiveWorld:
    """A world with a position whose shares are confirmed, and nothing open."""
    world = LiveWorld()
    world.propose("UP")
    world.run_s(SETTLES_S)
    assert world.shares("UP") > 0
    assert world.state.orders == {}
    world.account.posted.clear()
    return world


def shut(world: LiveWorld, level: GateLevel, scope: str | None = None) -> None:
    world.runtime.gate.hold(scope, "test", level)


def shut_at_the_hand_over(world: LiveWorld, level: GateLevel, scope: str | None = None) -> None:
    """Have the gate shut when request and connection are ready, a moment before the bytes would leave."""
    post = world.account.post

    def posting(signed: SignedOrder, hand_over: HandOver) -> Accepted:
        shut(world, level, scope)
        return post(signed, hand_over)

    world.account.post = posting  # type: ignore[method-assign]


def watch_reservations(world: LiveWorld) -> list[object]:
    """Return a list that gets every order the portfolio asks for."""
    asked: list[object] = []
    send = world.runtime.send

    def sending(to: object, message: object, *rest: object) -> None:
        if isinstance(message, OrderRequested):
            asked.append(message)
        send(to, message, *rest)  # type: ignore[arg-type]

    world.runtime.send = sending  # type: ignore[method-assign,assignment]
    return asked


@pytest.mark.parametrize("level", SHUT)
@pytest.mark.parametrize("scope", [None, "BTC"])
def test_an_opening_behind_a_shut_gate_is_not_even_reserved(
    world: LiveWorld, level: GateLevel, scope: str | None
) -> None:
    asked = watch_reservations(world)
    shut(world, level, scope)
    world.propose("UP")
    world.run_s(3)

    assert asked == []
    assert world.tables.intents == {}
    assert world.state.ledger.reservations == {}


@pytest.mark.parametrize("wish", ["signal", "forced"])
def test_an_exit_behind_a_closed_gate_is_not_even_reserved(holder: LiveWorld, wish: str) -> None:
    asked, known = watch_reservations(holder), set(holder.tables.intents)
    shut(holder, GateLevel.CLOSED)
    if wish == "forced":
        holder.force()
    else:
        holder.propose("UP", "CLOSE")
    holder.run_s(3)

    assert asked == []
    assert set(holder.tables.intents) == known
    assert holder.state.ledger.reservations == {}


@pytest.mark.parametrize("level", SHUT)
@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.03, 0.1, 0.3, 0.45])
def test_an_opening_reserved_before_the_gate_shut_is_not_handed_over(
    world: LiveWorld, level: GateLevel, after_s: float
) -> None:
    asked = watch_reservations(world)
    world.tables.delay_ms = 500
    world.propose("UP")
    world.runtime.run_until(world.now_ms + 1 + round(after_s * 1000))
    assert asked != []
    shut(world, level)
    world.run_s(3)

    assert world.account.posted == []
    assert [order.state for order in world.tables.orders.values()] == [OrderState.FAILED]
    assert world.state.ledger.reservations == {}


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.03, 0.1, 0.2])
def test_an_exit_reserved_before_the_gate_closed_is_not_handed_over(holder: LiveWorld, after_s: float) -> None:
    asked = watch_reservations(holder)
    holder.tables.delay_ms = 500
    holder.propose("UP", "CLOSE")
    holder.runtime.run_until(holder.now_ms + 1 + round(after_s * 1000))
    assert asked != []
    shut(holder, GateLevel.CLOSED)
    holder.run_s(3)

    assert holder.account.posted == []
    assert holder.shares("UP") > 0
    assert holder.state.ledger.reservations == {}


@pytest.mark.parametrize("level", SHUT)
@pytest.mark.parametrize("scope", [None, "BTC"])
def test_a_gate_that_shuts_a_moment_before_the_bytes_leave_stops_an_opening(
    world: LiveWorld, level: GateLevel, scope: str | None
) -> None:
    shut_at_the_hand_over(world, level, scope)
    world.propose("UP")
    world.run_s(3)

    assert world.account.posted == []
    (order,) = world.tables.orders.values()
    assert (order.state, order.submitted_at_ms) == (OrderState.FAILED, None)
    assert order.last_error == f"not sent: the gate is {level.name}"


def test_a_refusal_names_the_level_that_refused_although_the_gate_has_opened_since(world: LiveWorld) -> None:
    post = world.account.post

    def posting(signed: SignedOrder, hand_over: HandOver) -> Accepted:
        shut(world, GateLevel.REDUCE_ONLY)
        try:
            return post(signed, hand_over)
        finally:
            world.runtime.gate.release(None, "test")

    world.account.post = posting  # type: ignore[method-assign]
    world.propose("UP")
    world.run_s(3)

    (order,) = world.tables.orders.values()
    assert order.last_error == "not sent: the gate is REDUCE_ONLY"


def test_a_gate_that_closes_a_moment_before_the_bytes_leave_stops_an_exit(holder: LiveWorld) -> None:
    shut_at_the_hand_over(holder, GateLevel.CLOSED)
    holder.propose("UP", "CLOSE")
    holder.run_s(3)

    assert holder.account.posted == []
    assert holder.shares("UP") > 0


def test_an_exit_passes_both_checks_of_a_gate_that_is_reduce_only(holder: LiveWorld) -> None:
    shut(holder, GateLevel.REDUCE_ONLY)
    holder.propose("UP", "CLOSE")
    holder.run_s(SETTLES_S)

    assert len(holder.account.posted) == 1
    assert holder.shares("UP") < LOT_SHARES


def test_a_gate_shut_for_another_asset_stops_nothing(world: LiveWorld) -> None:
    shut(world, GateLevel.CLOSED, "ETH")
    world.propose("UP")
    world.run_s(3)

    assert len(world.account.posted) == 1
    assert world.shares("UP") > 0


def test_an_executor_that_was_replaced_hands_nothing_over_any_more(holder: LiveWorld) -> None:
    post, refused = holder.account.post, []

    def posting(signed: SignedOrder, hand_over: HandOver) -> Accepted:
        holder.account.post = post  # type: ignore[method-assign]
        holder.crash(addresses.EXECUTOR)
        holder.runtime.run_until(holder.now_ms + 1)
        refused.append(hand_over(lambda _: None))
        return post(signed, hand_over)

    holder.account.post = posting  # type: ignore[method-assign]
    holder.propose("UP", "CLOSE")
    holder.run_s(3)

    assert refused == [None]
    assert holder.account.posted == []


@pytest.mark.parametrize("action", ["OPEN", "CLOSE"])
def test_an_order_on_its_way_when_its_executor_restarts_is_looked_for_not_sent_again(
    holder: LiveWorld, action: IntentAction
) -> None:
    world = holder if action == "CLOSE" else LiveWorld()
    answered = world.account.post

    def posting(signed: SignedOrder, hand_over: HandOver) -> Accepted:
        accepted = answered(signed, hand_over)
        world.crash(addresses.EXECUTOR)
        return accepted

    world.account.post = posting  # type: ignore[method-assign]
    world.propose("UP", action)
    world.run_s(30)

    assert len(world.account.posted) == 1
    order = list(world.tables.orders.values())[-1]
    assert (order.state, order.last_error) == (OrderState.FILLED, "the executor restarted")
    world.assert_ledgers_agree()
