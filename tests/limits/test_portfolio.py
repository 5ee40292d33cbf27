"""The portfolio alone, beside an executor that only listens: each limit refuses what exceeds it, or makes it fit."""

import pytest
from msgspec.structs import replace

from actors import addresses
from core.market.market import Market
from core.messages import OrderRequested
from core.status import PortfolioStatus
from core.trading.gate import GateLevel
from core.trading.limits import OpenLimits
from core.trading.money import MICRO, micros
from core.trading.order_limits import OrderLimits
from core.trading.orders import Order, OrderState
from core.trading.weighting import Weighting
from tests.actors.builders import START_MS, World, a_market
from tests.trading.builders import levels

MARKET, NEXT = a_market(), a_market(opens_s=a_market().window.closes_at_s)
ETH, SOL = a_market("ETH"), a_market("SOL")
ASSETS = ("BTC", "ETH", "SOL")


def alone(order_limits: OrderLimits | None = None, **rest: object) -> World:
    return World(assets=ASSETS, order_limits=order_limits, executes=False, **rest)  # type: ignore[arg-type]


def wish(world: World, market: Market = MARKET, **how: object) -> OrderRequested | None:
    """Quote and propose; return the order that the executor was asked for, if it was."""
    if market.condition_id not in world.books:
        world.quote(market)
    before = len(world.told_of_orders())
    world.propose(market, **how)  # type: ignore[arg-type]
    world.run_ms(1)
    new = world.told_of_orders()[before:]
    return new[0] if new else None


def refusal(world: World) -> str:
    read = world.runtime.board.read("portfolio")
    assert read is not None
    assert isinstance(read[0], PortfolioStatus)
    return str(read[0].last_refusal).partition(" refused: ")[2]


def at_stake(world: World) -> int:
    ledger = world.state.ledger
    return sum(p.cost_usd for p in ledger.positions.values()) + sum(r.usd for r in ledger.reservations.values())


def nothing_came_of_it(world: World) -> bool:
    return world.state.ledger.reservations == {} and world.state.orders == {} and world.orders() == []


# -- dollars ----------------------------------------------------------------------------------------------------------


def test_within_every_limit_an_order_is_asked_for_with_what_is_at_stake() -> None:
    world = alone(OrderLimits(200 * MICRO, 300 * MICRO, 600 * MICRO, 10**9, 8, 60, 50_000))
    first, second = wish(world, decision_price=510_000), wish(world, ETH)
    assert first is not None
    assert second is not None
    assert (first.exposure.market_usd, first.exposure.asset_usd, first.exposure.markets) == (
        *(world.state.ledger.reservations[first.intent.id].usd,) * 2,
        1,
    )
    assert second.exposure.total_usd == at_stake(world)
    assert (second.exposure.asset_usd, second.exposure.markets) == (second.exposure.market_usd, 2)


def test_an_order_larger_than_a_trade_may_be_is_refused() -> None:
    world = alone(OrderLimits(trade_usd=49 * MICRO))  # at even odds it is for a quarter of 200 dollars
    assert wish(world) is None
    assert refusal(world).startswith("trade size 49.9")
    assert nothing_came_of_it(world)


@pytest.mark.parametrize(
    "limits",
    [OrderLimits(position_usd=20 * MICRO), OrderLimits(asset_usd=20 * MICRO), OrderLimits(total_usd=20 * MICRO)],
)
def test_an_order_is_shrunk_to_what_still_fits_fees_included(limits: OrderLimits) -> None:
    world = alone(limits)
    order = wish(world)
    assert order is not None
    assert 19 * MICRO < at_stake(world) <= 20 * MICRO


@pytest.mark.parametrize(
    ("limits", "market", "passes"),
    [
        (OrderLimits(asset_usd=40 * MICRO), NEXT, False),
        (OrderLimits(asset_usd=40 * MICRO), ETH, True),
        (OrderLimits(total_usd=40 * MICRO), ETH, False),
        (OrderLimits(position_usd=40 * MICRO), ETH, True),
    ],
)
def test_what_is_used_up_in_one_place_is_refused_there_and_open_elsewhere(
    limits: OrderLimits,
    market: Market,
    passes: bool,  # noqa: FBT001
) -> None:
    world = alone(limits, start_ms=START_MS)
    assert wish(world) is not None
    used = at_stake(world)
    if market is NEXT:
        world.run_ms(NEXT.window.opens_at_s * 1000 + 5_000 - world.now_ms)
    order = wish(world, market)
    assert (order is not None) == passes
    assert (at_stake(world) > used) == passes
    if not passes:
        assert "minimum" in refusal(world)  # what is left of forty dollars buys less than the venue sells


def test_with_nothing_left_at_all_it_says_so() -> None:
    world = alone(OrderLimits(total_usd=at_stake_of_one()))
    assert wish(world) is not None
    assert wish(world, ETH) is None
    assert refusal(world) == "the exposure allowed is used up"


def at_stake_of_one() -> int:
    world = alone()
    wish(world)
    return at_stake(world)


# -- numbers ----------------------------------------------------------------------------------------------------------


def test_a_position_too_many_is_refused() -> None:
    world = alone(OrderLimits(positions=2))
    assert wish(world) is not None
    assert wish(world, ETH) is not None
    assert wish(world, SOL) is None
    assert refusal(world) == "3 positions, 2 allowed"


def test_orders_beyond_those_of_a_minute_are_refused_until_it_is_over() -> None:
    world = alone(OrderLimits(per_minute=2))
    assert wish(world) is not None
    world.run_ms(30_000)
    world.quote(ETH)
    assert wish(world, ETH) is not None
    world.quote(SOL)
    assert wish(world, SOL) is None
    assert refusal(world) == "2 orders opened within a minute, no more allowed"
    world.run_ms(29_900)
    world.quote(SOL)
    assert wish(world, SOL) is None
    world.run_ms(1_200)  # the first may have been sent up to a second after it was sized
    assert wish(world, SOL) is not None


def test_the_orders_of_the_last_minute_outlast_a_crash() -> None:
    world = alone(OrderLimits(per_minute=1))
    assert wish(world) is not None
    world.crash(addresses.PORTFOLIO)
    world.run_ms(100)
    assert wish(world, ETH) is None
    assert "within a minute" in refusal(world)


# -- prices -----------------------------------------------------------------------------------------------------------


def test_a_market_that_ran_away_from_the_decision_is_not_followed() -> None:
    world = alone(OrderLimits(slippage=20_000))
    world.quote(MARKET, bids=levels(("0.52", 100)), asks=levels(("0.54", 500)))
    assert wish(world, decision_price=micros("0.51")) is None
    assert refusal(world) == "offered at 0.540000, 0.530000 allowed"
    order = wish(world, decision_price=micros("0.52"))
    assert order is not None
    assert order.order.limit_price == micros("0.54")  # rather than the tick beyond it


def test_without_a_price_at_the_decision_or_a_limit_the_touch_is_what_counts() -> None:
    world = alone(OrderLimits(slippage=0))
    order = wish(world)
    assert order is not None
    assert order.order.limit_price == micros("0.52")


@pytest.mark.parametrize(("ask", "limit"), [("0.94", "0.95"), ("0.95", "0.95"), ("0.96", None)])
def test_nothing_is_bought_above_the_highest_price_be_it_by_a_tick_of_slippage(ask: str, limit: str | None) -> None:
    world = alone()
    world.quote(MARKET, bids=levels(("0.90", 100)), asks=levels((ask, 500)))
    order = wish(world)
    assert (None if order is None else order.order.limit_price) == (None if limit is None else micros(limit))
    if limit is None:
        assert refusal(world) == "price 0.960000 outside 0.050000 to 0.950000"


def test_the_highest_price_counts_beside_a_slippage_that_would_allow_more() -> None:
    world = alone(OrderLimits(slippage=50_000), opening=OpenLimits(max_price=600_000))
    world.quote(MARKET, bids=levels(("0.58", 100)), asks=levels(("0.60", 500)))
    order = wish(world, decision_price=micros("0.60"))
    assert order is not None
    assert order.order.limit_price == micros("0.60")


def test_nothing_is_bought_below_the_lowest_price() -> None:
    world = alone()
    world.quote(MARKET, bids=levels(("0.02", 100)), asks=levels(("0.04", 500)))
    assert wish(world) is None
    assert refusal(world) == "price 0.040000 outside 0.050000 to 0.950000"


# -- what is closed ---------------------------------------------------------------------------------------------------


def holding(order_limits: OrderLimits) -> World:
    """Return a world that holds a position, quoted at 0.49 to 0.51."""
    world = World(order_limits=order_limits)
    world.opened(MARKET)
    return world


def test_a_close_by_the_policy_is_not_sent_far_below_its_decision() -> None:
    world = holding(OrderLimits(slippage=20_000))
    world.quote(MARKET, bids=levels(("0.45", 500)), asks=levels(("0.47", 100)))
    world.propose(MARKET, "UP", "CLOSE", decision_price=micros("0.49"))
    world.run_ms(1)
    assert refusal(world) == "bid for at 0.450000, 0.470000 allowed"
    world.propose(MARKET, "UP", "CLOSE", decision_price=micros("0.46"))
    world.run_s(1)
    (sold,) = world.orders("SELL")
    assert sold.price == micros("0.44")
    assert world.shares(MARKET) == 0


def test_a_forced_exit_is_bound_by_no_slippage() -> None:
    world = holding(OrderLimits(slippage=0))
    world.quote(MARKET, bids=levels(("0.20", 500)), asks=levels(("0.22", 100)))
    world.force(MARKET)
    world.run_s(1)
    assert world.shares(MARKET) == 0


def test_no_limit_on_what_is_opened_stands_in_the_way_of_a_close() -> None:
    world = holding(OrderLimits(per_minute=1, positions=1))
    world.propose(MARKET, "UP", "CLOSE")
    world.run_s(1)
    assert world.shares(MARKET) == 0


# -- the moment -------------------------------------------------------------------------------------------------------


def test_an_order_needs_time_left_a_known_fee_and_a_fresh_book() -> None:
    world = alone()
    assert wish(world, a_market("ETH", fees=None)) is None
    assert refusal(world) == "fee unknown"
    assert wish(world, replace(MARKET, protocol_version="v2")) is None
    assert refusal(world) == "protocol v2 not supported"
    world.quote(MARKET)
    world.run_ms(5_100)
    assert wish(world) is None
    assert refusal(world) == "book 5.1 s old, 5.0 allowed"
    world.run_ms(MARKET.window.closes_at_s * 1000 - 179_000 - world.now_ms)
    world.quote(MARKET)
    assert wish(world) is None
    assert refusal(world) == "179.0 s left, 180.0 needed"
    assert nothing_came_of_it(world)


@pytest.mark.parametrize("level", [GateLevel.REDUCE_ONLY, GateLevel.CLOSED])
def test_behind_a_shut_gate_nothing_is_asked_for(level: GateLevel) -> None:
    world = alone()
    world.runtime.gate.hold(None, "test", level)
    assert wish(world) is None
    assert refusal(world) == f"the gate is {level.name}"
    world.runtime.gate.release(None, "test")
    assert wish(world) is not None


def test_a_book_that_began_anew_since_the_decision_is_another_one() -> None:
    world = alone()
    world.quote(MARKET)
    decided_on = world.books[MARKET.condition_id][1]
    world.run_ms(10)
    world.quote(MARKET, epoch=2)
    assert wish(world, view=decided_on) is None
    assert refusal(world) == "the book it was decided on is gone"
    assert wish(world) is not None


def test_while_the_outcome_of_an_order_is_not_known_nothing_more_is_sent_in_its_market() -> None:
    world = alone()
    first = wish(world)
    assert first is not None
    unknown = world.state.orders[first.order.id]
    world.report(MARKET, in_doubt(unknown), ())
    world.run_ms(1)
    assert wish(world, action="CLOSE") is None
    assert refusal(world) == "the outcome of an order in this market is not known"
    assert wish(world, ETH) is not None


def in_doubt(order: Order) -> Order:
    return replace(order, state=OrderState.UNKNOWN, unknown_since_ms=START_MS)


# -- weighting --------------------------------------------------------------------------------------------------------


def test_an_asset_that_has_been_losing_is_traded_smaller_and_one_without_trades_as_the_common_weight() -> None:
    world = World(assets=ASSETS, weighting=Weighting())
    for _ in range(2):  # each time the book falls from 0.51 to 0.46 while it is held
        world.quote(MARKET)
        world.propose(MARKET)
        world.run_s(1)
        world.quote(MARKET, bids=levels(("0.46", 500)), asks=levels(("0.48", 500)))
        world.propose(MARKET, "UP", "CLOSE")
        world.run_s(1)
    tally = world.state.tallies["BTC"]
    assert (tally.trades, tally.wins) == (2, 0)
    full = 50 * MICRO / micros("0.52")
    weight = 1 + tally.pnl_net_usd / tally.trades / (200 * MICRO) / 0.05
    assert 0.25 < weight < 0.8
    for market in (MARKET, ETH):
        world.quote(market)
        world.propose(market)
        world.run_ms(1)
        order = world.told_of_orders()[-1].order
        assert order.asset == market.asset
        assert order.shares / MICRO == pytest.approx(full * weight, rel=0.02)
