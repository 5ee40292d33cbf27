"""The executor judges again what it is handed: a portfolio that lost its limits sends nothing beyond them."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from actors import addresses
from actors.send_limits import SendLimits
from core.market.market import Market
from core.messages import OrderReported, OrderRequested
from core.trading.limits import OpenLimits
from core.trading.money import MICRO, micros
from core.trading.order_limits import Exposure, OrderLimits
from core.trading.orders import Order
from core.trading.sizing import Refusal, Sized, size_open
from tests.actors.builders import SESSION, World, a_market
from tests.trading.builders import an_intent, an_order, levels

MARKET, ETH = a_market(), a_market("ETH")
STRICT = OrderLimits(
    trade_usd=60 * MICRO,
    position_usd=70 * MICRO,
    asset_usd=80 * MICRO,
    total_usd=90 * MICRO,
    positions=2,
    per_minute=3,
    slippage=50_000,
)
LIMITS = SendLimits(OpenLimits(), STRICT)
SMALL = Exposure(5 * MICRO, 5 * MICRO, 5 * MICRO, 1)


def strict(limits: SendLimits = LIMITS, **rest: object) -> World:
    """Return a world whose executor has limits and whose portfolio has none, with a book."""
    world = World(assets=("BTC", "ETH"), send=limits, **rest)  # type: ignore[arg-type]
    world.quote(MARKET)
    world.run_ms(1)
    return world


def hand(
    world: World,
    *,
    market: Market = MARKET,
    order: Callable[[Order], Order] = lambda order: order,
    exposure: Exposure = SMALL,
    decision_price: int | None = 510_000,
    number: int = 1,
) -> str:
    """Ask the executor for ten shares at 0.52, or what `order` makes of them; return the order's id."""
    intent = replace(
        an_intent(f"i{number}", condition_id=market.condition_id),
        session_id=SESSION,
        asset=market.asset,
        decided_ms=world.now_ms,
        decision_price=decision_price,
    )
    wanted = replace(
        an_order(f"o{number}", intent_id=intent.id, limit="0.52", condition_id=market.condition_id),
        asset=market.asset,
        token_id=market.up_token,
        created_ms=world.now_ms,
    )
    wanted = order(wanted)
    world.runtime.tell(addresses.EXECUTOR, OrderRequested(market, intent, wanted, exposure))
    return wanted.id


def end_of(world: World, order_id: str) -> tuple[str, str | None]:
    """Return the state and the last error of an order as the portfolio heard them last."""
    reports = [message.order for _, _, message in world.traffic if isinstance(message, OrderReported)]
    (*_, last) = (order for order in reports if order.id == order_id)
    return last.state.value, last.last_error


def limited_to(price: str) -> Callable[[Order], Order]:
    return lambda order: replace(order, limit_price=micros(price))


def of_shares(shares: int) -> Callable[[Order], Order]:
    return lambda order: replace(order, shares=shares * MICRO)


# -- handed over by a portfolio that checks nothing -------------------------------------------------------------------


def test_an_order_within_every_limit_is_sent() -> None:
    world = strict()
    order_id = hand(world)
    world.run_s(1)
    assert end_of(world, order_id) == ("FILLED", None)


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"order": of_shares(116)}, "trade size 60.32 USD, 60.00 allowed"),
        ({"exposure": Exposure(market_usd=70 * MICRO + 1)}, "position size 70.00 USD, 70.00 allowed"),
        ({"exposure": Exposure(asset_usd=80 * MICRO + 1)}, "BTC exposure 80.00 USD, 80.00 allowed"),
        ({"exposure": Exposure(total_usd=90 * MICRO + 1)}, "total exposure 90.00 USD, 90.00 allowed"),
        ({"exposure": Exposure(markets=3)}, "3 positions, 2 allowed"),
        ({"decision_price": 469_999}, "price 0.050001 worse than decided at, 0.050000 allowed"),
        ({"order": limited_to("0.96"), "decision_price": None}, "price 0.960000 outside 0.000000 to 0.950000"),
        ({"market": a_market(fees=None)}, "fee unknown"),
        ({"market": replace(MARKET, protocol_version="v2")}, "protocol v2 not supported"),
    ],
)
def test_an_order_beyond_a_limit_is_not_sent_and_says_why(how: dict[str, object], text: str) -> None:
    world = strict()
    order_id = hand(world, **how)  # type: ignore[arg-type]
    world.run_s(1)
    assert end_of(world, order_id) == ("FAILED", f"not sent: {text}")
    assert world.paper.orders == {}


def test_one_order_too_many_within_a_minute_is_not_sent_by_its_own_count() -> None:
    world = strict(SendLimits(OpenLimits(), replace(STRICT, positions=None)))
    sent = [hand(world, number=number) for number in range(3)]
    world.run_s(1)
    assert [end_of(world, order_id)[0] for order_id in sent] == ["FILLED"] * 3
    world.crash(addresses.EXECUTOR)
    world.run_s(1)
    late = hand(world, number=4)
    world.run_s(1)
    assert end_of(world, late) == ("FAILED", "not sent: 3 orders opened within a minute, no more allowed")
    world.run_s(58)
    again = hand(world, number=5)
    world.run_s(1)
    assert end_of(world, again)[0] == "FILLED"


def test_what_was_not_sent_does_not_count_as_an_order_of_the_minute() -> None:
    world = strict()
    for number in range(5):
        hand(world, number=number, exposure=Exposure(markets=3))
    world.run_s(1)
    order_id = hand(world, number=9)
    world.run_s(1)
    assert end_of(world, order_id)[0] == "FILLED"


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda world: world.run_ms(5_100), "book 5.1 s old, 5.0 allowed"),
        (lambda world: world.quote(MARKET, asks=()), "book one-sided"),
        (
            lambda world: world.quote(MARKET, bids=levels(("0.02", 9)), asks=levels(("0.04", 9))),
            "price 0.040000 outside",
        ),
        (lambda world: world.quote(MARKET, asks=levels(("0.96", 9))), "price 0.960000 outside"),
        (lambda world: world.run_to(MARKET.window.closes_at_s - 179), "179.0 s left, 180.0 needed"),
    ],
)
def test_its_own_book_and_clock_are_what_counts(spoil: Callable[[World], None], text: str) -> None:
    world = strict()
    spoil(world)
    order_id = hand(world)
    world.run_ms(20)
    state, error = end_of(world, order_id)
    assert state == "FAILED"
    assert str(error).startswith(f"not sent: {text}")


def test_without_a_book_of_the_market_nothing_is_opened() -> None:
    world = strict()
    order_id = hand(world, market=ETH)
    world.run_s(1)
    assert end_of(world, order_id) == ("FAILED", f"not sent: no book of {ETH.window.slug}")


def test_an_executor_without_limits_sends_what_it_is_handed() -> None:
    world = World()
    world.quote(MARKET)
    order_id = hand(world, exposure=Exposure(10**15, 10**15, 10**15, 10**6), decision_price=1)
    world.run_s(1)
    assert end_of(world, order_id)[0] == "FILLED"


# -- what the portfolio makes of it -----------------------------------------------------------------------------------


def test_a_refused_opening_frees_what_was_reserved_and_its_row_says_why() -> None:
    world = strict(SendLimits(OpenLimits(), OrderLimits(trade_usd=MICRO)))
    world.propose(MARKET)
    world.run_s(1)
    (row,) = world.orders()
    assert (row.state, str(row.last_error)[:29]) == ("FAILED", "not sent: trade size 49.92 US")
    assert world.state.ledger.reservations == {}
    assert world.state.orders == {}
    world.assert_books_balance()


def test_a_close_too_far_from_its_decision_is_not_sent_and_the_shares_can_be_sold_again() -> None:
    world = strict()
    world.opened(MARKET)
    world.quote(MARKET, bids=levels(("0.40", 500)), asks=levels(("0.42", 500)))
    world.propose(MARKET, "UP", "CLOSE", decision_price=micros("0.49"))
    world.run_s(1)
    (row,) = world.orders("SELL")
    assert (row.state, row.last_error) == (
        "FAILED",
        "not sent: price 0.100000 worse than decided at, 0.050000 allowed",
    )
    assert world.shares(MARKET) > 0
    world.force(MARKET)
    world.run_s(1)
    assert world.shares(MARKET) == 0


# -- neither side is the other ----------------------------------------------------------------------------------------


class Case(msgspec.Struct, frozen=True):
    """Something that one limit forbids: the limits, whether something is held elsewhere, how old the book is."""

    order: OrderLimits = OrderLimits()
    opening: OpenLimits = OpenLimits()
    holds_another: bool = False
    waits_ms: int = 0
    decision_price: int | None = None


CASES = {
    "trade size": Case(OrderLimits(trade_usd=49 * MICRO)),
    "position size": Case(OrderLimits(position_usd=MICRO)),
    "asset exposure": Case(OrderLimits(asset_usd=MICRO)),
    "total exposure": Case(OrderLimits(total_usd=53_390_000), holds_another=True),  # less is left than five shares cost
    "positions": Case(OrderLimits(positions=1), holds_another=True),
    "orders per minute": Case(OrderLimits(per_minute=1), holds_another=True),
    "slippage": Case(OrderLimits(slippage=5_000), decision_price=500_000),
    "time left": Case(opening=OpenLimits(min_left_s=895)),
    "age of the book": Case(opening=OpenLimits(max_book_age_s=1), waits_ms=1_500),
    "lowest price": Case(opening=OpenLimits(min_price=600_000)),
    "highest price": Case(opening=OpenLimits(max_price=400_000)),
}


def outcome(case: Case) -> str:
    """Propose an opening that a limit forbids; return who refused it: "portfolio", "executor" or "nobody"."""
    send = SendLimits(case.opening, case.order)
    world = World(assets=("BTC", "ETH"), order_limits=case.order, opening=case.opening, send=send)
    if case.holds_another:
        world.opened(ETH)
    world.quote(MARKET)
    world.run_ms(case.waits_ms)
    intent_id = world.propose(MARKET, decision_price=case.decision_price)
    world.run_ms(500)
    row = world.tables.orders.get(f"{intent_id}.o")
    if row is None:
        return "portfolio"
    return "executor" if str(row.last_error).startswith("not sent: ") else "nobody"


def nothing(*_: object, **__: object) -> None:
    return None


def unplug_portfolio(patch: pytest.MonkeyPatch) -> None:
    """Let the portfolio judge nothing, and size with nothing but the trade size in mind."""

    def sized(*given: Any, **rest: Any) -> Sized | Refusal:
        return size_open(*given, **{**rest, "worst_price": None})

    patch.setattr("actors.portfolio.order_refusal", nothing)
    patch.setattr("actors.portfolio_sizing.size_open", sized)
    for check in ("open_refusal", "fits", "worst_price"):
        patch.setattr(f"actors.portfolio_sizing.{check}", nothing)


def unplug_executor(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("actors.executor.send_refusal", nothing)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_each_limit_is_kept_by_two_and_missed_when_both_are_gone(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome(case) == "portfolio"
    with monkeypatch.context() as patch:
        unplug_executor(patch)
        assert outcome(case) == "portfolio"
    unplug_portfolio(monkeypatch)
    assert outcome(case) == "executor"
    unplug_executor(monkeypatch)
    assert outcome(case) == "nobody"
