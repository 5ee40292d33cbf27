"""Resting orders fill from the world's trades and offers, behind what was displayed before them, as makers."""

import msgspec

from tests.sim_trading.conftest import ALICE, BOB, WORLD, MakeTrader, Trader, owner_of
from venues.sim.faults import FaultRule
from venues.sim.trading.matching import reached
from venues.sim.trading.state import Order
from venues.sim.trading.values import TradeState
from venues.sim.world.quotes import QUOTE_MS


def resting(trader: Trader, shares: float, cents: float, ahead: float) -> Order:
    return Order(
        trader.order("BUY", shares, cents),
        "slug",
        "Up",
        round(cents * 10_000),
        0,
        "",
        0,
        0,
        "LIVE",
        resting=True,
        ahead=round(ahead * 1e6),
    )


def test_the_world_uses_up_what_is_ahead_before_it_reaches_an_order(trader: Trader) -> None:
    first, second = resting(trader, 10, 50, 30), resting(trader, 10, 50, 45)
    fills, ahead = reached([first, second], 500_000, 25_000_000)
    assert fills == []
    assert list(ahead.values()) == [5_000_000, 20_000_000]
    fills, ahead = reached([first, second], 500_000, 47_000_000)
    assert [(order.new.order_id, shares) for order, shares in fills] == [(first.new.order_id, 10_000_000)]
    assert list(ahead.values()) == [0, 8_000_000]
    fills, _ = reached([first, second], 500_000, 60_000_000)
    assert [shares for _, shares in fills] == [10_000_000, 5_000_000]


def test_a_trade_at_a_worse_price_reaches_an_order_whatever_was_ahead(trader: Trader) -> None:
    better = resting(trader, 10, 51, 1_000)
    assert reached([better], 500_000, 4_000_000) == ([(better, 4_000_000)], {})


def first_fill(trader: Trader, seconds: int) -> TradeState | None:
    for _ in range(seconds * 5):
        trader.after(0.2)
        trades = trader.engine.trades(owner_of(ALICE))
        if trades:
            return trades[0]
    return None


def test_a_bid_at_the_touch_fills_at_its_price_without_a_fee(trader: Trader) -> None:
    cents = trader.bid()
    trader.place(trader.order("BUY", 20, cents))
    trade = first_fill(trader, 300)
    assert trade is not None
    assert (trade.trader_side, trade.side, trade.fee) == ("MAKER", "SELL", 0)
    assert {maker.price for maker in trade.maker_orders} == {round(cents * 10_000)}
    trader.after(60)
    spent = sum(maker.matched_amount for t in trader.engine.trades(owner_of(ALICE)) for maker in t.maker_orders)
    assert trader.cash() == 10_000_000_000 - spent * round(cents * 10_000) // 1_000_000
    assert trader.shares() == spent


def test_a_bid_fills_no_sooner_than_trades_used_up_its_queue_or_an_offer_came_down_to_it(trader: Trader) -> None:
    price, ahead = trader.book().bids[0]
    placed_ms = trader.now_ms
    trader.place(trader.order("BUY", 20, price / 10_000))
    trade = first_fill(trader, 300)
    assert trade is not None
    left = ahead
    for t_ms in range(placed_ms - placed_ms % QUOTE_MS + QUOTE_MS, trade.match_time_ms + 1, QUOTE_MS):
        book = WORLD.market_book(trader.market, t_ms)
        sold = sum(
            made.shares
            for made in WORLD.slow_trades(trader.market, t_ms, t_ms + QUOTE_MS)
            if (made.outcome == "Up") != (made.side == "BUY")
            and (made.price if made.outcome == "Up" else 1_000_000 - made.price) <= price
        )
        offered = book.asks[0][0] <= price
        left = left - sold if price in dict(book.bids) else 0
        if t_ms < trade.match_time_ms:
            assert not offered, "an offer at our limit must fill us"
    assert offered or left < 0


def test_an_offer_at_our_limit_fills_us_and_is_consumed(trader: Trader) -> None:
    trader.place(trader.order("BUY", 3_000, trader.bid()))
    price = round(trader.engine.open_orders(owner_of(ALICE))[0].price)
    for _ in range(3_000):
        trader.after(0.2)
        asks = dict(WORLD.market_book(trader.market, trader.now_ms).asks)
        if min(asks) <= price:
            break
    offered = sum(shares for level, shares in asks.items() if level <= price)
    left = 3_000_000_000 - trader.engine.open_orders(owner_of(ALICE))[0].size_matched
    assert left < 3_000_000_000
    assert all(level > price for level, _ in trader.book().asks)
    assert offered <= 3_000_000_000 - left
    assert trader.book().bids[0] == (price, left)


def test_a_fault_makes_one_trade_of_several_resting_orders(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("shared_trade", 1.0))
    cents = trader.bid()
    for account, edge in ((ALICE, 0), (ALICE, 0), (BOB, 0)):
        trader.place(trader.order("BUY", 20, cents + edge, account=account))
    trade = first_fill(trader, 300)
    assert trade is not None
    assert [maker.account for maker in trade.maker_orders] == [ALICE, ALICE, BOB]
    assert trade.size == 60_000_000
    trader.after(60)
    assert (trader.shares(ALICE), trader.shares(BOB)) == (40_000_000, 20_000_000)


def test_resting_orders_show_in_the_book_of_both_tokens(trader: Trader) -> None:
    price, shown = trader.book().bids[1]
    trader.place(trader.order("BUY", 20, price / 10_000))
    trader.place(
        trader.order("SELL", 30, 100 - price / 10_000, outcome="Down", account=BOB)
        if trader.shares(BOB, "Down")
        else trader.order("BUY", 5, price / 10_000)
    )
    assert dict(trader.book().bids)[price] == shown + 25_000_000
    assert dict(trader.book().mirrored().asks)[1_000_000 - price] == shown + 25_000_000


def test_an_order_in_a_queue_that_used_to_be_long_fills_from_a_trade_without_any_offer_at_its_limit(
    trader: Trader,
) -> None:
    from_trades = 0
    for _ in range(12):
        order = trader.order("BUY", 5, trader.bid())
        trader.place(order)
        for _ in range(200):
            trader.after(0.2)
            state = trader.engine.order(owner_of(ALICE), order.order_id)
            assert state is not None
            if state.trade_ids:
                asks = WORLD.market_book(trader.market, trader.now_ms).asks
                from_trades += asks[0][0] > state.price
                break
        trader.engine.cancel_all(owner_of(ALICE), trader.now_ms)
    assert from_trades


def test_nobody_is_ahead_any_more_once_the_level_has_vanished(trader: Trader) -> None:
    for _ in range(3_000):
        if not trader.engine.open_orders(owner_of(ALICE)):
            order = trader.order("BUY", 5, trader.bid())
            trader.place(order)
        trader.after(0.2)
        kept = trader.engine._state.orders[order.order_id]
        if kept.is_open and kept.price not in dict(WORLD.market_book(trader.market, trader.now_ms).bids):
            break
    assert kept.is_open, "the spread never widened above a resting order"
    assert kept.ahead == 0


def test_the_close_cancels_what_rests(trader: Trader) -> None:
    order = trader.order("BUY", 10, 1)
    trader.place(order)
    trader.at_close(0)
    state = trader.engine.order(owner_of(ALICE), order.order_id)
    assert state is not None
    assert msgspec.structs.replace(state, created_at_ms=0).status == "CANCELED"
    assert state.reason == "market closed"
