"""The account: reservations, fills once each, settlement, and what a round trip earned."""

import msgspec
import pytest

from core.errors import RejectedError
from core.market.market import FeeSchedule
from core.trading.booking import (
    REMEMBERED_MARKETS,
    Applied,
    apply_fill,
    settle,
    with_venue_cash,
    with_venue_shares,
)
from core.trading.ledger import (
    Ledger,
    confirmed_shares,
    free_cash,
    position_key,
    release,
    reserve,
    sellable_shares,
)
from core.trading.lifecycle import IllegalTransitionError
from core.trading.money import MICRO, micros
from core.trading.orders import FillState
from core.trading.positions import ClosedTrade, mark_to_bid, settled
from core.trading.sizing import Sized
from tests.trading.accounts import BUY, CLOSE, LATER_MS, OPEN, SELL, TEN_SHARES, bought, sold
from tests.trading.builders import NOW_MS, a_fill, an_intent, an_order


def test_a_reservation_takes_free_cash_and_its_release_returns_it(empty: Ledger) -> None:
    reserved = reserve(empty, OPEN, TEN_SHARES)

    assert (reserved.cash_usd, free_cash(reserved)) == (100 * MICRO, 94 * MICRO)
    assert free_cash(release(reserved, "i1")) == 100 * MICRO
    assert release(empty, "i1") is empty


def test_a_fill_uses_its_reservation(empty: Ledger) -> None:
    after = bought(reserve(empty, OPEN, TEN_SHARES)).ledger

    assert after.cash_usd == micros("94.825")
    assert free_cash(after) == 94 * MICRO
    assert free_cash(release(after, "i1")) == micros("94.825")


def test_cash_cannot_be_reserved_twice(empty: Ledger) -> None:
    reserved = reserve(empty, OPEN, Sized(150 * MICRO, micros("0.55"), 90 * MICRO))

    with pytest.raises(RejectedError, match="free"):
        reserve(reserved, an_intent("i9", condition_id="0xd"), Sized(20 * MICRO, micros("0.55"), 11 * MICRO))


def test_one_open_order_per_position(empty: Ledger) -> None:
    with pytest.raises(RejectedError, match="OPEN of UP is already open"):
        reserve(reserve(empty, OPEN, TEN_SHARES), an_intent("i9"), TEN_SHARES)


def test_one_close_per_position(holding: Ledger) -> None:
    closing = reserve(holding, CLOSE, Sized(5 * MICRO, micros("0.4"), 0))

    with pytest.raises(RejectedError, match="CLOSE of UP is already open"):
        reserve(closing, an_intent("i9", action="CLOSE"), Sized(5 * MICRO, micros("0.4"), 0))


def test_less_than_can_be_sold_does_not_keep_the_other_side_from_being_opened(holding: Ledger) -> None:
    key, position = next(iter(holding.positions.items()))
    dust = msgspec.structs.replace(holding, positions={key: msgspec.structs.replace(position, shares=9_999)})

    assert "i9" in reserve(dust, an_intent("i9", "DOWN"), TEN_SHARES).reservations


def test_the_other_side_is_not_opened_while_one_is_held_or_being_opened(empty: Ledger, holding: Ledger) -> None:
    other = an_intent("i9", "DOWN")
    for ledger in (holding, reserve(empty, OPEN, TEN_SHARES)):
        with pytest.raises(RejectedError, match="other side"):
            reserve(ledger, other, TEN_SHARES)


def test_only_confirmed_shares_can_be_sold(empty: Ledger) -> None:
    matched = bought(empty, "MATCHED").ledger

    assert confirmed_shares(matched, "0xc", "UP") == 0
    with pytest.raises(RejectedError, match="0 free"):
        reserve(matched, CLOSE, TEN_SHARES)
    assert sellable_shares(bought(matched).ledger, "0xc", "UP") == 10 * MICRO


def test_shares_in_an_open_sell_are_not_free(holding: Ledger) -> None:
    closing = reserve(holding, CLOSE, Sized(6 * MICRO, micros("0.4"), 0))

    assert sellable_shares(closing, "0xc", "UP") == 4 * MICRO
    assert sellable_shares(release(closing, "i2"), "0xc", "UP") == 10 * MICRO


def test_a_round_trip_earns_its_cash_flows_net_of_both_fees(holding: Ledger) -> None:
    applied = sold(holding)
    trade = applied.closed_trade

    assert trade is not None
    # ten shares earn 0.10 each, less fees of 0.175 and 0.168
    assert trade.pnl_net_usd == micros("0.657")
    assert (trade.entry_price, trade.exit_price, trade.shares) == (micros("0.5"), micros("0.6"), 10 * MICRO)
    assert (trade.opened_ms, trade.closed_ms, trade.fees_usd) == (NOW_MS, LATER_MS, 343_000)
    assert (trade.exit_reason, trade.force_closed) == ("policy", False)
    assert applied.ledger.cash_usd == micros("100.657")
    assert applied.ledger.positions == {}


def test_a_forced_exit_says_so(holding: Ledger) -> None:
    forced = msgspec.structs.replace(CLOSE, reason="T-2", forced=True)
    trade = apply_fill(holding, a_fill(SELL), SELL, forced).closed_trade

    assert trade is not None
    assert (trade.force_closed, trade.force_close_reason, trade.exit_reason) == (True, "T-2", "T-2")


def test_a_part_sold_keeps_the_position_and_its_cost(holding: Ledger) -> None:
    applied = sold(holding, shares=4)
    position = applied.ledger.positions[position_key("0xc", "UP")]

    assert applied.closed_trade is None
    assert (position.shares, position.cost_usd) == (6 * MICRO, micros("2.943"))


@pytest.mark.parametrize("state", ["MATCHED", "CONFIRMED", "FAILED"])
def test_a_fill_reported_again_changes_nothing(empty: Ledger, state: FillState) -> None:
    once = bought(empty, state).ledger

    assert bought(once, state).ledger is once


def test_a_round_trip_reported_again_is_not_closed_twice(holding: Ledger) -> None:
    once = sold(holding).ledger

    assert sold(once) == Applied(once)


def test_a_confirmation_moves_no_money(empty: Ledger) -> None:
    matched = bought(empty, "MATCHED").ledger
    confirmed = bought(matched).ledger

    assert confirmed.cash_usd == matched.cash_usd
    assert confirmed.positions == matched.positions


def test_a_failed_purchase_is_undone_to_the_micro(empty: Ledger) -> None:
    applied = bought(bought(reserve(empty, OPEN, TEN_SHARES), "MATCHED").ledger, "FAILED")

    assert applied.closed_trade is None
    assert (applied.ledger.cash_usd, free_cash(applied.ledger)) == (100 * MICRO, 94 * MICRO)
    assert applied.ledger.positions == {}


def test_a_failed_sale_brings_the_shares_back(holding: Ledger) -> None:
    pending = sold(holding, state="MATCHED")
    undone = sold(pending.ledger, state="FAILED")

    assert pending.closed_trade is None, "a round trip ends when its last fill is confirmed"
    assert undone.ledger.cash_usd == holding.cash_usd
    assert sellable_shares(undone.ledger, "0xc", "UP") == 10 * MICRO


def test_unconfirmed_proceeds_cannot_be_spent(holding: Ledger) -> None:
    pending = sold(holding, state="MATCHED").ledger

    assert free_cash(pending) == free_cash(holding)
    assert free_cash(sold(pending).ledger) == micros("100.657")


def test_nothing_is_opened_until_the_last_sale_is_confirmed(holding: Ledger) -> None:
    pending = sold(holding, state="MATCHED").ledger

    with pytest.raises(RejectedError, match="not confirmed"):
        reserve(pending, an_intent("i9"), TEN_SHARES)
    reserve(sold(pending).ledger, an_intent("i9"), TEN_SHARES)


def test_the_sale_is_closed_by_its_confirmation(holding: Ledger) -> None:
    trade = sold(sold(holding, state="MATCHED").ledger).closed_trade

    assert trade is not None
    assert trade.pnl_net_usd == micros("0.657")


def test_a_venue_that_takes_back_a_confirmed_fill_is_not_believed(holding: Ledger) -> None:
    with pytest.raises(IllegalTransitionError):
        bought(holding, "FAILED")


def test_more_cannot_be_sold_than_is_held(holding: Ledger) -> None:
    with pytest.raises(RejectedError, match="reconcile"):
        sold(holding, shares=10.01)


def test_a_fill_of_another_order_is_refused(empty: Ledger) -> None:
    with pytest.raises(RejectedError, match="not one of order"):
        apply_fill(empty, a_fill(BUY), SELL, CLOSE)


@pytest.mark.parametrize(("winner", "pnl"), [("UP", "4.825"), ("DOWN", "-5.175")])
def test_settlement_pays_one_or_nothing(holding: Ledger, winner: str, pnl: str) -> None:
    ledger, trades = settle(holding, "0xc", "UP" if winner == "UP" else "DOWN", LATER_MS)

    assert [trade.pnl_net_usd for trade in trades] == [micros(pnl)]
    assert trades[0].exit_price == (MICRO if winner == "UP" else 0)
    assert (trades[0].exit_reason, trades[0].closed_ms) == ("settlement", LATER_MS)
    assert ledger.cash_usd == 100 * MICRO + micros(pnl)
    assert ledger.realised_usd == micros(pnl)


def test_settlement_pays_for_dust_and_averages_the_exit(holding: Ledger) -> None:
    _, trades = settle(sold(holding, shares=5).ledger, "0xc", "DOWN", LATER_MS)

    # half sold at 0.60, half worthless
    assert trades[0].exit_price == micros("0.30")
    assert trades[0].exit_reason == "settlement"


def test_settlement_waits_for_confirmation(empty: Ledger) -> None:
    with pytest.raises(RejectedError, match="not confirmed"):
        settle(bought(empty, "MATCHED").ledger, "0xc", "UP", LATER_MS)


def test_settlement_ends_reservations_and_forgets_fills(holding: Ledger) -> None:
    ledger, _ = settle(reserve(holding, CLOSE, TEN_SHARES), "0xc", "UP", LATER_MS)

    assert (ledger.reservations, ledger.fills, ledger.positions) == ({}, {}, {})


def test_a_settled_market_is_settled_once(holding: Ledger) -> None:
    once, _ = settle(holding, "0xc", "UP", LATER_MS)

    assert settle(once, "0xc", "UP", LATER_MS) == (once, [])
    with pytest.raises(RejectedError, match="settled for UP"):
        settle(once, "0xc", "DOWN", LATER_MS)
    with pytest.raises(RejectedError, match="settled"):
        reserve(once, an_intent("i9"), TEN_SHARES)


def test_a_fill_redelivered_after_settlement_does_not_count_again(holding: Ledger) -> None:
    once, _ = settle(holding, "0xc", "UP", LATER_MS)

    assert bought(once) == Applied(once)


def test_a_fill_that_comes_to_light_after_settlement_is_settled_at_once(empty: Ledger) -> None:
    ledger, _ = settle(empty, "0xc", "UP", LATER_MS)
    applied = bought(ledger)

    assert applied.closed_trade is not None
    assert applied.closed_trade.pnl_net_usd == micros("4.825")
    assert applied.ledger.cash_usd == micros("104.825")
    assert bought(applied.ledger) == Applied(applied.ledger)


def test_a_late_match_waits_for_its_confirmation_and_may_fail(empty: Ledger) -> None:
    paid, _ = settle(empty, "0xc", "UP", LATER_MS)
    matched = bought(paid, "MATCHED")

    assert matched.closed_trade is None
    assert bought(matched.ledger).ledger.cash_usd == micros("104.825")
    failed = bought(matched.ledger, "FAILED")
    assert failed.closed_trade is None
    assert (failed.ledger.cash_usd, failed.ledger.positions) == (100 * MICRO, {})


def test_memory_stays_bounded_over_many_markets(empty: Ledger) -> None:
    ledger = empty
    for n in range(REMEMBERED_MARKETS + 10):
        order = an_order(f"o{n}", condition_id=f"0x{n}")
        ledger = apply_fill(ledger, a_fill(order, shares=1), order, an_intent(condition_id=f"0x{n}")).ledger
        ledger, _ = settle(ledger, f"0x{n}", "UP", LATER_MS)

    assert len(ledger.settled) == REMEMBERED_MARKETS
    assert (ledger.fills, ledger.positions) == ({}, {})


def test_trade_ids_differ_and_repeat_with_the_same_history(holding: Ledger) -> None:
    first = sold(holding)
    again = sold(holding)
    order = an_order("o3")
    second = settle(apply_fill(first.ledger, a_fill(order), order, OPEN).ledger, "0xc", "UP", LATER_MS)[1][0]

    assert first.closed_trade == again.closed_trade
    assert first.closed_trade is not None
    assert first.closed_trade.id != second.id


def test_the_mark_is_net_of_both_fees(holding: Ledger) -> None:
    position = holding.positions[position_key("0xc", "UP")]

    # proceeds of 6.00 less a fee of 0.168 less the 5.175 paid
    assert mark_to_bid(position, micros("0.60"), FeeSchedule(0.07)) == micros("0.657")
    assert mark_to_bid(position, None, FeeSchedule(0.07)) is None
    assert mark_to_bid(position, micros("0.60"), None) is None


def test_the_ledger_survives_its_checkpoint(holding: Ledger) -> None:
    busy = reserve(sold(holding, shares=3, state="MATCHED").ledger, CLOSE, Sized(5 * MICRO, micros("0.4"), 0))
    paid, _ = settle(holding, "0xc", "UP", LATER_MS)
    for ledger in (busy, paid):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(ledger), type=Ledger) == ledger


def test_undoing_takes_back_exactly_what_was_booked(empty: Ledger) -> None:
    matched = bought(empty, "MATCHED").ledger
    otherwise = a_fill(BUY, shares=9, price="0.40", fee_usd=1, state="FAILED")

    assert apply_fill(matched, otherwise, BUY, OPEN).ledger.cash_usd == 100 * MICRO


def test_an_older_fill_does_not_turn_back_the_clock(holding: Ledger) -> None:
    earlier = a_fill(BUY, 1, shares=1, at_ms=NOW_MS - 5000)
    position = apply_fill(holding, earlier, BUY, OPEN).ledger.positions[position_key("0xc", "UP")]

    assert position.updated_ms == NOW_MS


# -- a round trip in full ---------------------------------------------------------------------------------------------


def test_a_round_trip_tells_everything_of_what_it_was(holding: Ledger) -> None:
    assert sold(holding).closed_trade == ClosedTrade(
        id="i1.0",
        session_id=1,
        asset="BTC",
        condition_id="0xc",
        side="UP",
        entry_intent_id="i1",
        opened_ms=NOW_MS,
        closed_ms=LATER_MS,
        shares=10 * MICRO,
        entry_price=micros("0.50"),
        exit_price=micros("0.60"),
        fees_usd=343_000,
        pnl_net_usd=657_000,
        exit_reason="policy",
        force_closed=False,
        force_close_reason=None,
    )
    assert sold(holding).ledger.trade_count == 1


def test_what_was_sold_by_force_before_the_settlement_is_no_forced_round_trip(holding: Ledger) -> None:
    forced = msgspec.structs.replace(CLOSE, forced=True, reason="T-2")
    fill = a_fill(SELL, shares=4, price="0.60")
    ledger = apply_fill(holding, fill, SELL, forced).ledger
    (trade,) = settle(ledger, "0xc", "UP", LATER_MS)[1]

    assert (trade.exit_reason, trade.force_closed, trade.force_close_reason) == ("settlement", False, None)


def test_a_sale_by_force_that_settlement_only_confirms_keeps_its_reason(holding: Ledger) -> None:
    position = holding.positions[position_key("0xc", "UP")]
    gone = msgspec.structs.replace(position, shares=0, exit_reason="T-2", force_close_reason="T-2")
    after = settled(gone, "UP", LATER_MS)

    assert (after.shares, after.exit_reason, after.force_close_reason) == (0, "T-2", "T-2")
    assert settled(position, "UP", LATER_MS).shares == 0


@pytest.mark.parametrize(
    ("left", "sold_shares", "reason"),
    [(9_999, 1, "T-2"), (10_000, 1, None), (9_999, 0, None), (0, 1, "T-2")],
)
def test_a_forced_exit_stays_one_where_it_left_less_than_can_be_sold(
    holding: Ledger, left: int, sold_shares: int, reason: str | None
) -> None:
    position = msgspec.structs.replace(
        holding.positions["0xc/UP"],
        shares=left,
        sold_shares=sold_shares,
        exit_reason="T-2",
        force_close_reason="T-2",
    )

    assert settled(position, "UP", LATER_MS).force_close_reason == reason


# -- the venue's word -------------------------------------------------------------------------------------------------


def test_shares_that_the_venue_has_are_taken_at_the_cost_we_know(holding: Ledger) -> None:
    key = position_key("0xc", "UP")
    applied = with_venue_shares(holding, key, 7 * MICRO, LATER_MS)
    before, after = holding.positions[key], applied.ledger.positions[key]

    assert applied.closed_trade is None
    assert (after.shares, after.cost_usd, after.updated_ms) == (7 * MICRO, before.cost_usd, LATER_MS)
    assert msgspec.structs.replace(applied.ledger, positions={}) == msgspec.structs.replace(holding, positions={})


def test_other_positions_are_nobodys_business_then(holding: Ledger) -> None:
    order = an_order("o9", condition_id="0xd")
    both = apply_fill(holding, a_fill(order), order, an_intent(condition_id="0xd")).ledger
    applied = with_venue_shares(both, "0xc/UP", 7 * MICRO, LATER_MS)

    assert applied.ledger.positions["0xd/UP"] == both.positions["0xd/UP"]


@pytest.mark.parametrize("shares", [0, 1])
def test_a_position_that_the_venue_does_not_have_ends_as_a_loss_of_all_it_cost(holding: Ledger, shares: int) -> None:
    applied = with_venue_shares(holding, position_key("0xc", "UP"), shares, LATER_MS)
    if shares:
        assert applied.closed_trade is None
        return
    trade = applied.closed_trade
    assert trade is not None
    assert (trade.exit_reason, trade.pnl_net_usd, trade.closed_ms) == ("reconciled", -micros("5.175"), LATER_MS)
    assert applied.ledger.positions == {}
    assert (applied.ledger.realised_usd, applied.ledger.trade_count) == (-micros("5.175"), 1)


@pytest.mark.parametrize("cash", ["80", "120"])
def test_the_venues_cash_is_a_deposit_or_a_withdrawal_and_no_result(holding: Ledger, cash: str) -> None:
    after = with_venue_cash(holding, micros(cash))

    assert after.cash_usd == micros(cash)
    assert after.start_usd - holding.start_usd == after.cash_usd - holding.cash_usd
    assert (after.realised_usd, after.positions) == (holding.realised_usd, holding.positions)
