"""The limits on an order, as pure rules: what exceeds one is refused and named, what does not passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.market.market import Side
from core.trading.ledger import Ledger, Reservation, new_ledger
from core.trading.money import MICRO, micros
from core.trading.order_limits import (
    MINUTE_MS,
    Exposure,
    OrderLimits,
    exposure_of,
    fits,
    order_refusal,
    recent,
    slippage_refusal,
    worst_price,
)
from core.trading.orders import Intent, Order
from core.trading.positions import Position
from tests.trading.builders import NOW_MS, an_intent, an_order

OPEN, CLOSE = an_intent(), an_intent("i2", action="CLOSE")
BUY, SELL = an_order(), an_order("o2", intent_id="i2", side="SELL")
"""Ten shares at 0.55: 5.50 dollars."""
NOTHING = Exposure()
DOLLARS = st.integers(0, 1_000 * MICRO)


def refused(
    limits: OrderLimits,
    *,
    exposure: Exposure = NOTHING,
    opened_ms: tuple[int, ...] = (),
    order: Order = BUY,
    intent: Intent = OPEN,
) -> str | None:
    return order_refusal(order, intent, exposure, opened_ms, NOW_MS, limits)


def decided_at(price: str, intent: Intent = OPEN) -> Intent:
    return replace(intent, decision_price=micros(price))


def test_without_limits_everything_passes() -> None:
    crowded = Exposure(10**15, 10**15, 10**15, 10**6)
    assert refused(OrderLimits(), exposure=crowded, opened_ms=(NOW_MS,) * 1_000, intent=decided_at("0.01")) is None


@pytest.mark.parametrize(
    ("limits", "exposure", "text"),
    [
        (OrderLimits(trade_usd=5_500_000), Exposure(), "trade size 5.50 USD, 5.50 allowed"),
        (OrderLimits(position_usd=7 * MICRO), Exposure(market_usd=7 * MICRO), "position size 7.00 USD, 7.00 allowed"),
        (OrderLimits(asset_usd=8 * MICRO), Exposure(asset_usd=8 * MICRO), "BTC exposure 8.00 USD, 8.00 allowed"),
        (OrderLimits(total_usd=9 * MICRO), Exposure(total_usd=9 * MICRO), "total exposure 9.00 USD, 9.00 allowed"),
    ],
)
def test_dollars_up_to_a_limit_pass_and_a_micro_dollar_more_is_refused_by_name(
    limits: OrderLimits, exposure: Exposure, text: str
) -> None:
    assert refused(limits, exposure=exposure) is None
    less = OrderLimits(*(None if field is None else field - 1 for field in dollars_of(limits)))
    assert refused(less, exposure=exposure) == text
    assert refused(less, exposure=exposure, order=SELL, intent=CLOSE) is None


def dollars_of(limits: OrderLimits) -> tuple[int | None, ...]:
    return limits.trade_usd, limits.position_usd, limits.asset_usd, limits.total_usd


def test_a_position_too_many_is_refused() -> None:
    limits = OrderLimits(positions=3)
    assert refused(limits, exposure=Exposure(markets=3)) is None
    assert refused(limits, exposure=Exposure(markets=4)) == "4 positions, 3 allowed"
    assert refused(limits, exposure=Exposure(markets=4), order=SELL, intent=CLOSE) is None


def test_the_order_that_would_be_one_too_many_in_a_minute_is_refused() -> None:
    limits = OrderLimits(per_minute=2)
    within = (NOW_MS - MINUTE_MS + 1, NOW_MS)
    assert refused(limits, opened_ms=within) == "2 orders opened within a minute, no more allowed"
    assert refused(limits, opened_ms=(NOW_MS - MINUTE_MS, NOW_MS)) is None
    assert refused(limits, opened_ms=within, order=SELL, intent=CLOSE) is None


def test_a_clock_that_was_set_back_forgets_no_order() -> None:
    assert recent((NOW_MS - MINUTE_MS, NOW_MS - 1, NOW_MS + 3_600_000), NOW_MS) == (NOW_MS - 1, NOW_MS + 3_600_000)


def test_the_first_limit_that_is_exceeded_is_told() -> None:
    limits = OrderLimits(*(1,) * 6, slippage=0)
    crowded = Exposure(10, 10, 10, 10)
    assert str(refused(limits, exposure=crowded)).startswith("trade size")
    assert str(refused(replace(limits, trade_usd=None), exposure=crowded)).startswith("position size")


# -- slippage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "intent", "passes", "refuses"),
    [(BUY, OPEN, "0.50", "0.49"), (SELL, CLOSE, "0.60", "0.61")],
)
def test_a_limit_far_from_the_decisions_price_is_refused_on_either_side(
    order: Order, intent: Intent, passes: str, refuses: str
) -> None:
    limits = OrderLimits(slippage=50_000)
    assert refused(limits, order=order, intent=decided_at(passes, intent)) is None
    text = "price 0.060000 worse than decided at, 0.050000 allowed"
    assert refused(limits, order=order, intent=decided_at(refuses, intent)) == text


def test_a_better_price_is_never_too_far() -> None:
    limits = OrderLimits(slippage=0)
    assert slippage_refusal(BUY, decided_at("0.99"), limits) is None
    assert slippage_refusal(SELL, decided_at("0.01", CLOSE), limits) is None


@pytest.mark.parametrize("intent", [CLOSE, replace(decided_at("0.99", CLOSE), forced=True)])
def test_neither_a_forced_exit_nor_a_decision_without_a_price_is_bound(intent: Intent) -> None:
    limits = OrderLimits(slippage=0)
    assert slippage_refusal(SELL, intent, limits) is None
    assert worst_price(intent, limits) is None


def test_without_a_limit_on_slippage_no_price_is_the_worst() -> None:
    assert worst_price(decided_at("0.50"), OrderLimits()) is None


@given(decided=st.integers(1, MICRO - 1), slippage=st.integers(0, MICRO), opens=st.booleans())
def test_the_worst_price_is_the_last_one_that_is_not_refused(decided: int, slippage: int, opens: bool) -> None:  # noqa: FBT001
    order, intent = (BUY, OPEN) if opens else (SELL, CLOSE)
    intent, limits = replace(intent, decision_price=decided), OrderLimits(slippage=slippage)
    worst = worst_price(intent, limits)
    assert worst is not None
    assert slippage_refusal(replace(order, limit_price=worst), intent, limits) is None
    beyond = worst + 1 if opens else worst - 1
    assert slippage_refusal(replace(order, limit_price=beyond), intent, limits) is not None


# -- exposure ---------------------------------------------------------------------------------------------------------


def holding(asset: str, condition_id: str, cost_usd: int, shares: int = MICRO, side: Side = "UP") -> Position:
    return Position(1, asset, condition_id, side, "i", NOW_MS, NOW_MS, shares, cost_usd)


def a_ledger(positions: tuple[Position, ...], reservations: tuple[Reservation, ...] = ()) -> Ledger:
    return replace(
        new_ledger(1_000 * MICRO),
        positions={f"{each.condition_id}/{each.side}": each for each in positions},
        reservations={str(number): each for number, each in enumerate(reservations)},
    )


def reserved(asset: str, condition_id: str, usd: int, *, opens: bool = True) -> Reservation:
    return Reservation("i", asset, condition_id, "UP", "OPEN" if opens else "CLOSE", usd=usd, shares=MICRO)


def test_exposure_is_what_is_held_at_cost_and_what_is_reserved_to_open() -> None:
    ledger = a_ledger(
        (holding("BTC", "a", 10), holding("BTC", "b", 20), holding("ETH", "c", 40), holding("ETH", "d", 0, shares=0)),
        (reserved("BTC", "a", 100), reserved("SOL", "e", 200), reserved("ETH", "c", 400, opens=False)),
    )
    assert exposure_of(ledger, "BTC", "a") == Exposure(market_usd=110, asset_usd=130, total_usd=370, markets=4)
    assert exposure_of(ledger, "XRP", "f") == Exposure(market_usd=0, asset_usd=0, total_usd=370, markets=4)


def test_a_position_that_has_returned_more_than_it_cost_makes_no_room_for_others() -> None:
    ledger = a_ledger((holding("BTC", "a", -50), holding("BTC", "b", 20)))
    assert exposure_of(ledger, "BTC", "a") == Exposure(market_usd=0, asset_usd=20, total_usd=20, markets=2)


def test_an_empty_account_is_exposed_to_nothing() -> None:
    assert exposure_of(new_ledger(MICRO), "BTC", "a") == Exposure(0, 0, 0, 0)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), DOLLARS), max_size=8))
def test_a_market_is_part_of_its_asset_and_that_of_all(stakes: list[tuple[str, str, int]]) -> None:
    ledger = a_ledger((), tuple(reserved(asset, asset + market, usd) for asset, market, usd in stakes))
    seen = exposure_of(ledger, "a", "ax")
    assert 0 <= seen.market_usd <= seen.asset_usd <= seen.total_usd == sum(usd for *_, usd in stakes)
    assert seen.markets == len({(asset, market) for asset, market, _ in stakes})


@given(DOLLARS, DOLLARS, DOLLARS, st.lists(st.none() | DOLLARS, min_size=3, max_size=3), DOLLARS)
def test_what_fits_is_just_what_would_not_be_refused(
    market: int, asset: int, total: int, bounds: list[int | None], usd: int
) -> None:
    limits = OrderLimits(position_usd=bounds[0], asset_usd=bounds[1], total_usd=bounds[2])
    room = fits(limits, Exposure(market, asset, total))
    if room is None:
        assert bounds == [None, None, None]
        return
    assert room >= 0
    after = Exposure(market + usd, asset + usd, total + usd)
    if usd > 0:
        assert (refused(limits, exposure=after) is None) == (usd <= room)
