"""Forced exits escalate step by step, remember how far they are, and end in holding, written down."""

from msgspec.structs import replace

from actors import addresses
from actors.exits import HELD
from actors.venue_holds import PAUSED
from core.market.market import Market
from core.status import PortfolioStatus
from core.trading.gate import GateLevel
from core.trading.money import MICRO
from core.trading.orders import OrderState
from core.trading.positions import SETTLEMENT
from tests.actors.builders import BIDS, World, a_book, a_market
from tests.trading.builders import levels

MARKET = a_market()
PHANTOM = levels(("0.49", 0))
"""A bid that is shown and gives nothing."""


def held(*, order_type: str = "FAK") -> World:
    world = World(order_type=order_type)  # type: ignore[arg-type]
    world.opened(MARKET)
    return world


def ask(world: World, times: int = 1, reason: str = "T-2") -> None:
    """Ask for the exit as the watchdog does: every two seconds, until it is gone."""
    for _ in range(times):
        world.force(MARKET, reason)
        world.run_s(2)


def steps(world: World) -> list[tuple[str, str, str]]:
    """Return reason, type and price of each sell."""
    sells = world.orders("SELL")
    return [(world.tables.intents[o.intent_id].reason, o.order_type, f"{o.price / MICRO:.2f}") for o in sells]


def status(world: World) -> PortfolioStatus:
    shown = world.runtime.board.read("portfolio")
    assert shown is not None
    assert isinstance(shown[0], PortfolioStatus)
    return shown[0]


def test_each_attempt_takes_the_next_step_and_says_so_in_its_row() -> None:
    world = held()
    world.quote(MARKET, bids=PHANTOM)
    ask(world, 5)

    assert steps(world) == [
        ("T-2, touch", "FAK", "0.48"),
        ("T-2, deeper", "FAK", "0.44"),
        ("T-2, deepest", "FAK", "0.40"),
        ("T-2, resting", "GTC", "0.49"),
    ]
    assert world.orders("SELL")[-1].state == "LIVE"


def test_an_exit_is_taking_whatever_type_the_policys_orders_have() -> None:
    world = held(order_type="FOK")
    world.quote(MARKET, bids=levels(("0.49", 30)))
    ask(world)

    assert steps(world) == [("T-2, touch", "FAK", "0.48")]
    assert world.orders("SELL")[0].state == "PARTIALLY_FILLED"


def test_a_restart_goes_on_at_the_step_it_was() -> None:
    world = held()
    world.quote(MARKET, bids=PHANTOM)
    ask(world, 2)
    world.crash(addresses.PORTFOLIO)
    world.run_s(1)
    world.quote(MARKET, bids=PHANTOM)
    ask(world)

    assert steps(world)[-1] == ("T-2, deepest", "FAK", "0.40")


def test_what_a_deeper_step_sold_is_a_round_trip_with_the_watchdogs_reason() -> None:
    world = held()
    world.quote(MARKET, bids=PHANTOM)
    ask(world)
    world.quote(MARKET, bids=BIDS)
    ask(world)

    (trade,) = world.tables.trades.values()
    assert (trade.exit_reason, trade.force_closed, trade.force_close_reason) == ("T-2", True, "T-2")
    assert world.state.exits == {}
    assert not [row for row in world.events() if row.status == HELD]


def test_where_nobody_bids_it_rests_and_moves_with_the_book() -> None:
    world = held()
    world.quote(MARKET, bids=(), asks=levels(("0.51", 100)))
    ask(world, 3)
    assert steps(world) == [("T-2, resting", "GTC", "0.50")]

    world.quote(MARKET, bids=(), asks=levels(("0.41", 100)))
    ask(world, 2)
    assert [(o.price, o.state) for o in world.orders("SELL")] == [(500_000, "CANCELLED"), (400_000, "LIVE")]

    world.quote(MARKET, bids=levels(("0.40", 1_000)), asks=levels(("0.42", 100)))
    world.run_s(1)
    assert world.shares(MARKET) == 0
    assert next(iter(world.tables.trades.values())).force_close_reason == "T-2"


def test_a_bid_far_below_the_middle_of_the_book_is_not_taken() -> None:
    world = held()
    world.quote(MARKET, bids=levels(("0.10", 1_000)), asks=levels(("0.60", 100)))
    ask(world)

    assert steps(world) == [("T-2, resting", "GTC", "0.35")]


def test_while_the_venue_asks_to_wait_an_exit_rests_and_takes_nothing() -> None:
    world = held()
    world.runtime.gate.hold(None, PAUSED, GateLevel.REDUCE_ONLY)
    ask(world)

    assert steps(world) == [("T-2, resting", "GTC", "0.50")]
    assert next(iter(world.state.orders.values())).post_only


def test_what_nobody_bought_is_held_to_settlement_and_that_is_written_once() -> None:
    market = a_market(length_s=60)
    world = World(start_ms=market.window.opens_at_s * 1000 + 1_000)
    world.opened(market)
    world.quote(market, bids=(), asks=levels(("0.51", 100)))
    world.run_to(market.window.closes_at_s - 8)
    _ask_to_the_end(world, market)

    (event,) = [row for row in world.events() if row.status == HELD]
    assert event.subject == "exit BTC"
    assert "(T-2): the window ends; 1 attempts: resting 0.5" in event.detail
    assert world.state.orders == {}
    assert [(each.asset, each.side, each.reason) for each in status(world).held] == [("BTC", "UP", "the window ends")]

    world.win(market, "UP")
    world.run_s(1)
    (trade,) = world.tables.trades.values()
    assert (trade.exit_reason, trade.force_closed, trade.force_close_reason) == (SETTLEMENT, False, None)
    assert (world.state.exits, status(world).held) == ({}, ())


def _ask_to_the_end(world: World, market: Market) -> None:
    """Ask for the last time two seconds before the close: what follows is the portfolio's own doing."""
    while world.now_ms < market.window.closes_at_s * 1000 - 2_000:
        world.force(market)
        world.run_s(2)
    world.run_s(3)


def test_without_any_book_the_end_is_written_down_all_the_same() -> None:
    world = held()
    world.quote(MARKET, bids=(), asks=())
    ask(world)
    world.run_to(MARKET.window.closes_at_s + 1)

    (event,) = [row for row in world.events() if row.status == HELD]
    assert event.detail.endswith("(T-2): the window ends; no attempt")


def test_dust_is_shown_as_held_to_settlement() -> None:
    world = held()
    world.quote(MARKET, bids=levels(("0.49", world.shares(MARKET) / MICRO - 3)))
    ask(world, 4)

    (dust,) = status(world).held
    assert len([row for row in world.events() if row.status == HELD]) == 1
    assert (dust.shares, dust.reason) == (3 * MICRO, "dust")
    assert len(world.orders("SELL")) == 1


def test_while_an_outcome_is_unknown_nothing_more_is_sent_for_its_market() -> None:
    world = held()
    world.propose(MARKET, "UP", "CLOSE")
    world.run_ms(10)
    (order,) = world.state.orders.values()
    lost = replace(order, state=OrderState.UNKNOWN, unknown_since_ms=world.now_ms, last_error="no answer")
    world.report(MARKET, lost, ())
    world.run_ms(10)
    (shown,) = status(world).unknown
    assert (shown.order_id, shown.action, shown.error) == (order.id, "CLOSE", "no answer")
    assert shown.since_ms == world.now_ms - 10

    sent = len(world.told_of_orders())
    for side in ("UP", "DOWN"):
        for action in ("OPEN", "CLOSE"):
            world.propose(MARKET, side, action, view=a_book(MARKET, world.now_ms))
    world.force(MARKET)
    world.run_ms(40)
    assert len(world.told_of_orders()) == sent
    assert status(world).last_refusal is not None
    assert "outcome of an order in this market is not known" in (status(world).last_refusal or "")
