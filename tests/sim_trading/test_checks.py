"""Orders are refused for the venue's reasons, in the venue's words."""

import re

import pytest
from msgspec.structs import replace

from tests.sim_trading.conftest import ALICE, MakeTrader, Trader, owner_of
from venues.sim.trading.amounts import limit_price, taker_fee
from venues.sim.trading.values import NewOrder, TradingRules, VenueError


def refused(trader: Trader, order: NewOrder) -> VenueError:
    with pytest.raises(VenueError) as caught:
        trader.place(order)
    return caught.value


def test_an_unknown_token_has_no_book(trader: Trader) -> None:
    refusal = refused(trader, replace(trader.order("BUY", 10, 50), token_id=trader.market.up_token + "1"))
    assert (refusal.status, refusal.text) == (404, "No orderbook exists for the requested token id")


def test_a_closed_market_takes_no_orders_and_a_resolved_one_has_no_book(trader: Trader) -> None:
    trader.at_close(0)
    refusal = refused(trader, trader.order("BUY", 10, 50))
    assert (refusal.status, refusal.text) == (400, "the market is not yet ready to process new orders")
    trader.at_close(60)
    assert refused(trader, trader.order("BUY", 10, 50)).status == 404


def test_the_refusal_for_want_of_balance_states_every_sum(trader: Trader) -> None:
    trader.place(trader.order("BUY", 10_000, trader.bid()))
    resting = round(10_000 * trader.bid() * 10_000)
    cents = trader.bid()
    refusal = refused(trader, trader.order("BUY", 20_000, cents))
    amount = round(20_000 * cents * 10_000)
    assert refusal.status == 400
    assert refusal.text == (
        f"not enough balance / allowance: the balance is not enough -> balance: 10000000000, sum of active orders: "
        f"{resting}, sum of matched orders: 0, order amount (inc. fees): {amount}"
    )


def test_a_buy_that_takes_must_cover_the_fee_too(make_trader: MakeTrader) -> None:
    poor = make_trader(rules=TradingRules(deposit=10_000_000))
    cents = poor.ask()
    order = poor.order("BUY", 10 / cents * 100, cents, "FAK")
    with pytest.raises(VenueError) as caught:
        poor.engine.place(order, poor.now_ms)
    refusal = caught.value
    stated = int(re.findall(r"inc. fees\): (\d+)", refusal.text)[0])
    charged = taker_fee(order.maker_amount * 100 // int(cents), int(cents) * 10_000, 70_000)
    assert stated == order.maker_amount + charged > 10_000_000 - 1_000_000


def test_shares_bought_a_moment_ago_cannot_be_sold_until_they_are_mined(trader: Trader) -> None:
    trader.place(trader.order("BUY", 20, trader.ask()))
    refusal = refused(trader, trader.order("SELL", 20, trader.bid()))
    assert refusal.text.startswith("not enough balance / allowance: the balance is not enough -> balance: 0, ")
    trader.after(60)
    assert trader.place(trader.order("SELL", 20, trader.bid())).status == "matched"


def test_the_allowance_is_checked_for_dollars_and_for_shares(trader: Trader) -> None:
    trader.bought(20)
    spender = trader.engine.rules.spenders[0]
    trader.engine.approve(ALICE, None, spender, 1_000_000)
    trader.engine.approve(ALICE, trader.market.up_token, spender, 0)
    for side, cents, allowed in (("BUY", trader.bid(), 1_000_000), ("SELL", trader.ask(), 0)):
        refusal = refused(trader, trader.order(side, 10, cents))  # type: ignore[arg-type]
        assert refusal.text == (
            f"not enough balance / allowance: the allowance is not enough -> spender: {spender}, allowance: {allowed}"
        )


def test_a_price_between_two_ticks_breaks_the_tick_size_rule(trader: Trader) -> None:
    order = trader.order("BUY", 10, 30.5)
    assert (
        refused(trader, order).text
        == f"order {order.order_id} is invalid. Price (0.305) breaks minimum tick size rule: 0.01"
    )


@pytest.mark.parametrize("cents", [0, 100])
def test_a_price_of_nothing_or_of_a_whole_dollar_is_no_price(trader: Trader, cents: float) -> None:
    assert refused(trader, trader.order("SELL", 10, cents)).status == 400


def test_dollars_that_do_not_match_price_and_size_are_named(trader: Trader) -> None:
    order = replace(trader.order("SELL", 19.69, 22), taker_amount=4_330_000)
    assert refused(trader, order).text == (
        "invalid amounts, the taker amount for a $0.22 order of size 19.69 should be '4.3318' "
        "but the value submited is '4.33'"
    )


def test_a_limit_order_of_four_shares_is_too_small(trader: Trader) -> None:
    order = trader.order("BUY", 4, 30)
    assert refused(trader, order).text == f"order {order.order_id} is invalid. Size (4) lower than the minimum: 5"


@pytest.mark.parametrize("order_type", ["FOK", "FAK", "GTC"])
def test_a_buy_that_takes_for_less_than_a_dollar_is_refused(make_trader: MakeTrader, order_type: str) -> None:
    trader = make_trader()
    if order_type == "GTC":
        while trader.book().mirrored().asks[0][0] >= 190_000:
            trader.after(10)
        order = trader.order("BUY", 5, trader.book().mirrored().asks[0][0] / 10_000, outcome="Down")
    else:
        order = trader.order("BUY", 99.9 / trader.ask(), trader.ask(), order_type)  # type: ignore[arg-type]
    refusal = refused(trader, order)
    assert refusal.text == f"invalid amount for a marketable BUY order (${order.maker_amount / 1e6:g}), min size: $1"


def test_a_market_buy_with_too_many_decimals_is_refused(trader: Trader) -> None:
    order = replace(trader.order("BUY", 10, trader.ask(), "FOK"), maker_amount=5_001_000)
    assert refused(trader, order).text == (
        "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals, "
        "taker amount a max of 4 decimals"
    )


def test_a_limit_buy_of_shares_with_three_decimals_is_refused(trader: Trader) -> None:
    order = replace(trader.order("BUY", 10, 50), taker_amount=10_001_000)
    assert refused(trader, order).text == (
        "invalid amounts, the buy orders maker amount supports a max accuracy of 4 decimals, "
        "taker amount a max of 2 decimals"
    )


def test_what_the_vendors_client_signs_for_five_dollars_is_a_price_of_52_cents(trader: Trader) -> None:
    order = replace(trader.order("BUY", 10, 50, "FOK"), maker_amount=5_000_000, taker_amount=9_615_300)
    assert limit_price(order, 10_000) == 520_000


def test_an_order_good_till_a_date_needs_a_minute_and_is_cancelled_a_minute_early(trader: Trader) -> None:
    now_s, cents = trader.now_ms // 1000, trader.bid() - 20
    assert refused(trader, trader.order("BUY", 10, cents, "GTD", expiration_s=now_s + 59)).text == "invalid expiration"
    assert refused(trader, trader.order("BUY", 10, cents, "GTC", expiration_s=now_s + 90)).text == "invalid expiration"
    order = trader.order("BUY", 10, cents, "GTD", expiration_s=now_s + 90)
    assert trader.place(order).status == "live"
    trader.after(29)
    assert trader.engine.open_orders(owner_of(ALICE))
    trader.after(1)
    state = trader.engine.order(owner_of(ALICE), order.order_id)
    assert state is not None
    assert (state.status, state.reason) == ("CANCELED", "expired")


def test_a_post_only_order_that_crosses_is_refused_and_one_that_does_not_rests(trader: Trader) -> None:
    refusal = refused(trader, trader.order("BUY", 10, trader.ask(), post_only=True))
    assert refusal.text == "invalid post-only order: order crosses book"
    assert trader.place(trader.order("BUY", 10, trader.bid(), post_only=True)).status == "live"
    assert refused(trader, trader.order("BUY", 10, trader.ask(), "FAK", post_only=True)).status == 400


def test_the_same_order_twice_is_a_duplicate(trader: Trader) -> None:
    order = trader.order("BUY", 10, trader.bid())
    trader.place(order)
    assert refused(trader, order).text == f"order {order.order_id} is invalid. Duplicated."


def test_fill_or_kill_without_enough_on_offer_is_killed_whole(trader: Trader) -> None:
    offered = trader.book().asks[0][1] / 1_000_000
    with pytest.raises(VenueError) as caught:
        trader.engine.place(trader.order("BUY", offered + 5, trader.ask(), "FOK"), trader.now_ms)
    assert caught.value.text == "order couldn't be fully filled. FOK orders are fully filled or killed."
    assert not trader.engine.trades(owner_of(ALICE))


def test_fill_and_kill_without_any_offer_is_refused(trader: Trader) -> None:
    refusal = refused(trader, trader.order("BUY", 10, trader.bid(), "FAK"))
    assert refusal.text == (
        "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
    )
