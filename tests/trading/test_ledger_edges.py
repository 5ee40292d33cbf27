"""The account at its edges: dust, fills and reservations to the micro, sales that may still be undone."""

import msgspec
import pytest

from core.errors import RejectedError
from core.trading.booking import (
    apply_fill,
    settle,
)
from core.trading.ledger import (
    Ledger,
    confirmed_shares,
    free_cash,
    is_dust,
    reserve,
    sellable_shares,
    unconfirmed_sales,
)
from core.trading.money import MICRO, micros
from core.trading.order_limits import Exposure, exposure_of
from core.trading.orders import Fill, Intent, Order
from core.trading.positions import average_price, with_fill
from core.trading.sizing import Sized
from tests.trading.accounts import BUY, CLOSE, LATER_MS, OPEN, TEN_SHARES, bought, sold
from tests.trading.builders import a_fill, an_intent, an_order

# -- dust -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shares", "dust"), [(0, False), (1, True), (9_999, True), (10_000, False)])
def test_dust_is_less_than_can_be_sold(holding: Ledger, shares: int, *, dust: bool) -> None:
    position = msgspec.structs.replace(holding.positions["0xc/UP"], shares=shares)

    assert is_dust(holding, position) == dust


def test_what_a_fill_may_still_bring_back_is_no_dust(empty: Ledger) -> None:
    ledger = bought(empty, "MATCHED").ledger
    position = msgspec.structs.replace(ledger.positions["0xc/UP"], shares=1)

    assert not is_dust(ledger, position)
    assert is_dust(ledger, msgspec.structs.replace(position, side="DOWN"))
    assert is_dust(ledger, msgspec.structs.replace(position, condition_id="0xd"))


def test_what_is_being_bought_takes_nothing_from_what_can_be_sold(holding: Ledger) -> None:
    buying = reserve(holding, an_intent("i3"), TEN_SHARES)

    assert sellable_shares(buying, "0xc", "UP") == 10 * MICRO


def test_who_holds_nothing_can_sell_nothing(empty: Ledger) -> None:
    assert confirmed_shares(empty, "0xc", "UP") == 0
    assert sellable_shares(empty, "0xc", "UP") == 0


# -- fills and reservations, to the micro -----------------------------------------------------------------------------


def test_a_fill_that_is_first_heard_of_as_failed_moves_nothing_and_never_will(empty: Ledger) -> None:
    failed = bought(empty, "FAILED").ledger

    assert (failed.cash_usd, failed.positions) == (empty.cash_usd, {})
    assert bought(failed, "MATCHED").ledger == failed


@pytest.mark.parametrize(
    ("fill", "order", "intent"),
    [
        (a_fill(BUY), BUY, an_intent("i9")),
        (a_fill(an_order("o9")), BUY, OPEN),
        (msgspec.structs.replace(a_fill(BUY), side="SELL"), BUY, OPEN),
    ],
)
def test_fill_order_and_intent_have_to_belong_together(empty: Ledger, fill: Fill, order: Order, intent: Intent) -> None:
    with pytest.raises(RejectedError, match="is not one of order o1 for intent"):
        apply_fill(empty, fill, order, intent)


def test_what_is_sold_after_all_in_a_settled_market_is_taken_back_from_the_payout(holding: Ledger) -> None:
    paid, _ = settle(holding, "0xc", "UP", LATER_MS)
    applied = sold(paid)

    assert applied.closed_trade is not None
    assert applied.closed_trade.pnl_net_usd == micros("5.832") - 10 * MICRO
    assert applied.ledger.cash_usd == sold(holding).ledger.cash_usd


def test_a_purchase_is_no_exit(holding: Ledger) -> None:
    position = holding.positions["0xc/UP"]

    assert (position.exit_reason, position.force_close_reason) == (None, None)


def test_a_sale_holds_shares_and_no_cash_until_they_are_sold_or_come_back(holding: Ledger) -> None:
    ledger = reserve(holding, CLOSE, Sized(10 * MICRO, micros("0.40"), 7))
    assert (ledger.reservations["i2"].usd, ledger.reservations["i2"].shares) == (0, 10 * MICRO)
    ledger = sold(ledger, shares=4, state="MATCHED").ledger
    assert (ledger.reservations["i2"].usd, ledger.reservations["i2"].shares) == (0, 6 * MICRO)
    ledger = sold(ledger, shares=4, state="FAILED").ledger
    assert (ledger.reservations["i2"].usd, ledger.reservations["i2"].shares) == (0, 10 * MICRO)
    ledger = sold(ledger, 1).ledger
    assert (ledger.reservations["i2"].usd, ledger.reservations["i2"].shares) == (0, 0)


def test_a_purchase_uses_up_its_reservation_and_no_more(empty: Ledger) -> None:
    ledger = reserve(empty, OPEN, Sized(10 * MICRO, micros("0.55"), micros("5.175")))
    used = bought(ledger).ledger.reservations["i1"]

    assert (used.usd, used.shares) == (0, 0)
    cheap = reserve(empty, OPEN, Sized(10 * MICRO, micros("0.55"), MICRO))
    assert bought(cheap).ledger.reservations["i1"].usd == 0


def test_no_shares_have_no_average_price_and_a_fill_counts_once(holding: Ledger) -> None:
    position = holding.positions["0xc/UP"]

    assert average_price(5, 0) == 0
    assert with_fill(position, a_fill(BUY, 1, shares=3)).shares == 13 * MICRO


@pytest.mark.parametrize(
    ("shares", "refused"), [(0, True), (1, False), (10 * MICRO, False), (10 * MICRO + 1, True), (-1, True)]
)
def test_from_the_first_micro_share_to_all_of_them_can_be_sold(holding: Ledger, shares: int, *, refused: bool) -> None:
    sized = Sized(shares, micros("0.40"), 0)
    if not refused:
        assert reserve(holding, CLOSE, sized).reservations["i2"].shares == shares
        return
    with pytest.raises(RejectedError, match=f"^intent i2: {shares} shares to sell, 10000000 free$"):
        reserve(holding, CLOSE, sized)


@pytest.mark.parametrize(("usd", "refused"), [(0, True), (1, False), (100 * MICRO, False), (100 * MICRO + 1, True)])
def test_from_the_first_micro_dollar_to_all_of_them_can_be_reserved(empty: Ledger, usd: int, *, refused: bool) -> None:
    sized = Sized(MICRO, micros("0.40"), usd)
    if not refused:
        assert free_cash(reserve(empty, OPEN, sized)) == 100 * MICRO - usd
        return
    with pytest.raises(RejectedError, match=f"^intent i1: {usd} to reserve, 100000000 free"):
        reserve(empty, OPEN, sized)


def test_a_refused_reservation_says_why(empty: Ledger, holding: Ledger) -> None:
    paid, _ = settle(holding, "0xc", "UP", LATER_MS)
    unconfirmed = sold(holding, state="MATCHED").ledger
    down = an_intent("i9", "DOWN")
    for ledger, intent, why in (
        (paid, an_intent("i9"), "the market is settled"),
        (holding, down, "the other side of the market is held or being opened"),
        (reserve(empty, OPEN, TEN_SHARES), down, "the other side of the market is held or being opened"),
        (unconfirmed, an_intent("i9"), "the sale of the previous position is not confirmed"),
        (reserve(empty, OPEN, TEN_SHARES), an_intent("i9"), "an OPEN of UP is already open"),
    ):
        with pytest.raises(RejectedError, match=f"^intent i9: {why}$"):
            reserve(ledger, intent, TEN_SHARES)


# -- sales that may still be undone -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shares", [4, 10])
def test_nothing_is_opened_beside_a_sale_that_may_still_be_undone(holding: Ledger, shares: int) -> None:
    ledger = sold(holding, shares=shares, state="MATCHED").ledger
    (sale,) = unconfirmed_sales(ledger, "0xc")

    assert (sale.side, sale.shares) == ("SELL", shares * MICRO)
    assert unconfirmed_sales(ledger, "0xd") == ()
    with pytest.raises(RejectedError, match="the sale of the previous position is not confirmed"):
        reserve(ledger, an_intent("i9"), TEN_SHARES)


def test_a_purchase_that_may_still_be_undone_is_no_sale(empty: Ledger) -> None:
    assert unconfirmed_sales(bought(empty, "MATCHED").ledger, "0xc") == ()


def test_nothing_is_opened_where_all_is_sold_and_the_purchase_itself_is_not_confirmed(empty: Ledger) -> None:
    ledger = sold(bought(empty, "MATCHED").ledger).ledger
    assert ledger.positions["0xc/UP"].shares == 0

    with pytest.raises(RejectedError, match="the sale of the previous position is not confirmed"):
        reserve(ledger, an_intent("i9"), TEN_SHARES)


@pytest.mark.parametrize("shares", [0, 4, 10])
def test_what_a_sale_brought_that_may_still_be_undone_makes_no_room(holding: Ledger, shares: int) -> None:
    order = an_order("o9", intent_id="i9", outcome="DOWN", condition_id="0xd")
    other = an_intent("i9", "DOWN", condition_id="0xd")
    ledger = apply_fill(holding, a_fill(order, state="MATCHED"), order, other).ledger
    if shares:
        ledger = sold(ledger, shares=shares, state="MATCHED").ledger

    stake = Exposure(micros("5.175"), micros("10.175"), micros("10.175"), 2)
    assert exposure_of(ledger, "BTC", "0xc") == stake
    assert exposure_of(ledger, "BTC", "0xd").market_usd == 5 * MICRO


def test_a_confirmed_sale_makes_room(holding: Ledger) -> None:
    assert exposure_of(sold(holding, shares=4).ledger, "BTC", "0xc").market_usd == micros("5.175") - micros("2.232")
    assert exposure_of(sold(holding).ledger, "BTC", "0xc") == Exposure()
