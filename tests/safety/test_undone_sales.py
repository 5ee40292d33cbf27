"""A sale that may still be undone: nothing is opened in its market meanwhile, and what it brought makes no room."""

import pytest
from msgspec.structs import replace

from core.errors import RejectedError
from core.trading.booking import apply_fill, settle
from core.trading.ledger import Ledger, new_ledger, release, reserve
from core.trading.money import MICRO, micros
from core.trading.order_limits import exposure_of
from core.trading.orders import Fill
from core.trading.sizing import Sized
from tests.trading.builders import NOW_MS, a_fill, an_intent, an_order

BUY = an_order("o1", intent_id="i1")
SELL = an_order("o2", intent_id="i2", side="SELL", limit="0.45")
SOLD = a_fill(SELL, shares=9.995, price="0.60", state="MATCHED")
"""All but less than can be sold: whole hundredths of a share are sold, other fractions are bought."""
AGAIN = Sized(10 * MICRO, 550_000, 6 * MICRO)


def sold(fill: Fill = SOLD) -> Ledger:
    ledger = apply_fill(new_ledger(1_000 * MICRO), a_fill(BUY), BUY, an_intent("i1")).ledger
    ledger = reserve(ledger, an_intent("i2", action="CLOSE"), Sized(SELL.shares, SELL.limit_price, 0))
    return release(apply_fill(ledger, fill, SELL, an_intent("i2", action="CLOSE")).ledger, "i2")


def test_nothing_is_opened_in_a_market_until_a_sale_in_it_is_confirmed() -> None:
    wish = an_intent("i3")
    with pytest.raises(RejectedError, match="the sale of the previous position is not confirmed"):
        reserve(sold(), wish, AGAIN)

    confirmed = apply_fill(sold(), replace(SOLD, state="CONFIRMED"), SELL, an_intent("i2", action="CLOSE")).ledger
    assert "i3" in reserve(confirmed, wish, AGAIN).reservations


def test_the_other_side_waits_as_well() -> None:
    with pytest.raises(RejectedError):
        reserve(sold(), an_intent("i3", "DOWN"), AGAIN)


def test_a_sale_elsewhere_keeps_no_market_waiting() -> None:
    wish = an_intent("i3", condition_id="0xother")

    assert "i3" in reserve(sold(), wish, AGAIN).reservations


@pytest.mark.parametrize("shares", [9.995, 10])
def test_what_a_sale_brought_is_at_stake_until_it_is_confirmed(shares: float) -> None:
    fill = replace(SOLD, shares=int(shares * MICRO))
    before = exposure_of(sold(fill), "BTC", "0xc")
    final = replace(fill, state="CONFIRMED")
    after = exposure_of(apply_fill(sold(fill), final, SELL, an_intent("i2", action="CLOSE")).ledger, "BTC", "0xc")

    assert (before.market_usd, before.asset_usd, before.total_usd, before.markets) == (5 * MICRO,) * 3 + (1,)
    assert (after.market_usd, after.total_usd, after.markets) == (0, 0, 1 if shares < 10 else 0)


def test_a_sale_that_is_undone_leaves_the_exposure_it_had_all_along() -> None:
    undone = apply_fill(sold(), replace(SOLD, state="FAILED"), SELL, an_intent("i2", action="CLOSE")).ledger

    assert exposure_of(undone, "BTC", "0xc") == exposure_of(sold(), "BTC", "0xc")


@pytest.mark.parametrize(("left", "forced"), [("0.009", True), ("0.01", False)])
def test_a_forced_exit_that_left_less_than_can_be_sold_is_told_as_one_after_the_settlement(
    left: str,
    forced: bool,  # noqa: FBT001
) -> None:
    exits = replace(an_intent("i2", action="CLOSE"), reason="T-2", forced=True)
    fill = replace(SOLD, shares=10 * MICRO - micros(left), state="CONFIRMED")
    ledger = apply_fill(new_ledger(1_000 * MICRO), a_fill(BUY), BUY, an_intent("i1")).ledger
    _, (trade,) = settle(apply_fill(ledger, fill, SELL, exits).ledger, "0xc", "UP", NOW_MS)

    assert (trade.exit_reason, trade.force_closed) == ("settlement", forced)
    assert trade.force_close_reason == ("T-2" if forced else None)
