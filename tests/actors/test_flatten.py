"""Halted, nothing is sold and what rests is taken back; to be flattened, the watchdog asks until nothing is held."""

from typing import TypeVar

from msgspec import structs

from actors import addresses
from core.messages import CancelRequested, ForcedExit
from core.trading.forced_exits import ForcedExitRules
from core.trading.gate import GateLevel
from core.trading.lasting_holds import flattened, halted, resumed
from tests.actors.builders import World
from tests.actors.test_watchdog import LIMITS, MARKET, asked_ms, holding, run_fresh
from tests.trading.builders import levels

M = TypeVar("M")


def halt(world: World) -> None:
    world.runtime.gate.change(lambda state: halted(state, "", "ada", world.now_ms))


def flatten(world: World, asset: str = "") -> None:
    world.runtime.gate.change(lambda state: flattened(state, asset, "ada", world.now_ms))


def heard(world: World, kind: type[M]) -> list[M]:
    return [message for _, _, message in world.traffic if isinstance(message, kind)]


def test_a_halted_position_is_neither_sold_nor_forgotten() -> None:
    world = holding()
    halt(world)
    world.force(MARKET)
    run_fresh(world, 3)

    assert world.shares(MARKET) > 0
    assert world.orders("SELL") == []
    assert any("the gate is CLOSED" in line for line in world.said)


def test_flatten_sells_what_is_held_and_nothing_is_opened_until_resume() -> None:
    world = holding()
    halt(world)
    flatten(world)
    run_fresh(world, 3)
    assert world.shares(MARKET) == 0
    assert next(iter(world.tables.trades.values())).force_close_reason == "flatten"

    world.propose(MARKET)
    run_fresh(world, 1)
    assert world.shares(MARKET) == 0
    world.runtime.gate.change(resumed)
    world.propose(MARKET)
    run_fresh(world, 1)
    assert world.shares(MARKET) > 0


def test_flatten_of_one_asset_leaves_the_others_alone() -> None:
    world = holding(assets=("BTC", "ETH"))
    flatten(world, "ETH")
    run_fresh(world, 3, ("BTC", "ETH"))

    assert world.shares(MARKET) > 0
    assert asked_ms(world) == []
    assert world.runtime.gate.level("BTC") is GateLevel.OPEN


def test_an_exit_that_finds_no_buyer_is_asked_for_until_it_does_by_a_watchdog_that_was_restarted_too() -> None:
    world = holding()
    world.quote(MARKET, bids=())
    flatten(world)
    run_fresh(world, 5)
    assert world.shares(MARKET) > 0
    assert len(asked_ms(world)) >= 2

    world.crash(addresses.WATCHDOG)
    run_fresh(world, 1)
    world.quote(MARKET)
    run_fresh(world, 6)  # what rests is taken back first
    assert world.shares(MARKET) == 0


def test_flatten_counts_for_what_is_held_to_settlement_otherwise() -> None:
    held = structs.replace(LIMITS, exits=ForcedExitRules(hold_to_settlement=("BTC",)))
    world = holding(limits=held)
    flatten(world)
    run_fresh(world, 3)

    assert world.shares(MARKET) == 0
    assert {wish.reason for wish in heard(world, ForcedExit)} == {"flatten"}


def test_what_rests_is_taken_back_when_the_gate_closes_though_no_book_comes() -> None:
    world = World(limits=LIMITS, order_type="GTC")
    run_fresh(world, 1)
    world.quote(MARKET, asks=levels(("0.51", 1)))
    world.propose(MARKET)
    world.run_ms(400)
    (order,) = world.state.orders.values()
    assert order.state == "LIVE"
    world.books.clear()  # the feed is silent from here on
    halt(world)
    run_fresh(world, 2)

    assert world.state.orders == {}
    assert heard(world, CancelRequested) == [CancelRequested(MARKET.condition_id)]


def test_nothing_is_taken_back_while_the_gate_is_only_reduced() -> None:
    world = holding(order_type="GTC")
    world.quote(MARKET, bids=levels(("0.49", 1)))
    flatten(world)
    run_fresh(world, 1)

    assert heard(world, CancelRequested) == []
