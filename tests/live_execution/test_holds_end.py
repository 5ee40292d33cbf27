"""What the venue made us hold the gate for ends, also when the executor was restarted meanwhile or nothing is held."""

import pytest

from actors import addresses
from actors.live_posts import REFUSED_S
from actors.venue_holds import REFUSES
from core.trading.gate import OrderKind, permits
from tests.live_execution.world import LiveWorld
from venues.polymarket.connection import HandOver
from venues.polymarket.order_client import Accepted
from venues.polymarket.order_errors import OrderRejectedError, Reason
from venues.polymarket.signing import SignedOrder
from venues.sim.faults import FaultPlan, FaultRule


def opens(world: LiveWorld) -> bool:
    return permits(world.runtime.gate.state, "BTC", OrderKind.OPEN_ORDER)


def test_a_pause_ends_although_the_executor_was_restarted_during_it() -> None:
    world = LiveWorld(faults=FaultPlan(1, (FaultRule(kind="engine_restart", at_counts=(1,), duration_ms=20_000),)))
    world.propose("UP")
    world.run_s(2)
    assert not opens(world)
    world.crash(addresses.EXECUTOR)
    world.run_s(40)

    assert opens(world)
    world.propose("UP")
    world.run_s(3)
    assert world.shares("UP") > 0


@pytest.mark.parametrize("restarted", [False, True])
def test_a_refusal_without_anything_held_is_tried_again_after_a_while(*, restarted: bool) -> None:
    world = LiveWorld()

    post = world.account.post

    def refused(signed: SignedOrder, hand_over: HandOver) -> Accepted:
        hand_over(lambda _: None)
        raise OrderRejectedError(Reason.BLOCKED, "HTTP 403", 1)

    world.account.post = refused  # type: ignore[method-assign]
    world.propose("UP")
    world.run_s(2)
    assert not opens(world)
    assert sum(REFUSES in text for text in world.said) == 1
    world.account.post = post  # type: ignore[method-assign]
    if restarted:
        world.crash(addresses.EXECUTOR)
    world.run_s(REFUSED_S - 60)
    assert not opens(world)
    world.run_s(70)

    assert opens(world)
    world.propose("UP")
    world.run_s(3)
    assert world.shares("UP") > 0
