"""Orders that take: when, from whom, at what price, and what is gone afterwards."""

import pytest

from tests.sim_trading.conftest import ALICE, BOB, WORLD, MakeTrader, Trader, fee, owner_of
from venues.sim.faults import FaultRule
from venues.sim.trading.engine import PENDING
from venues.sim.trading.values import Held, OrderEvent, TradingRules, VenueError


def test_a_taker_waits_out_the_delay_and_can_neither_be_cancelled_nor_repeated_meanwhile(trader: Trader) -> None:
    order = trader.order("BUY", 10, trader.ask())
    held = trader.engine.place(order, trader.now_ms)
    assert held == Held(order.order_id, trader.now_ms + 150)
    assert trader.engine.result(order.order_id, trader.now_ms + 149).status == "delayed"
    assert trader.engine.cancel(owner_of(ALICE), [order.order_id], trader.now_ms) == ([], {order.order_id: PENDING})
    with pytest.raises(VenueError, match="Duplicated"):
        trader.engine.place(order, trader.now_ms)
    assert trader.engine.result(order.order_id, trader.now_ms + 150).status == "matched"


def test_without_a_delay_the_answer_comes_at_once(make_trader: MakeTrader) -> None:
    trader = make_trader(rules=TradingRules(taker_delay_ms=0))
    answer = trader.engine.place(trader.order("BUY", 10, trader.ask()), trader.now_ms)
    assert not isinstance(answer, Held)
    assert answer.status == "matched"


def test_a_resting_order_is_not_delayed(trader: Trader) -> None:
    answer = trader.engine.place(trader.order("BUY", 10, trader.bid()), trader.now_ms)
    assert not isinstance(answer, Held)
    assert (answer.status, answer.making_amount, answer.trade_ids) == ("live", 0, ())


def test_a_taker_walks_the_levels_and_pays_each_its_price_and_its_fee(trader: Trader) -> None:
    (first, much), (second, _) = trader.book().asks[:2]
    shares = much / 1e6 + 10
    answer = trader.place(trader.order("BUY", shares, second / 10_000))
    trades = {trade.price: trade for trade in trader.engine.trades(owner_of(ALICE))}
    assert {price: trade.size for price, trade in trades.items()} == {first: much, second: 10_000_000}
    assert answer.taking_amount == much + 10_000_000
    assert answer.making_amount == (much * first + 10_000_000 * second) // 1_000_000
    assert answer.transactions_hashes == ()
    trader.after(60)
    paid = answer.making_amount + fee(much / 1e6, first / 10_000) + fee(10, second / 10_000)
    assert trader.cash() == 10_000_000_000 - paid
    assert trader.shares() == answer.taking_amount


def test_a_market_buy_spends_exactly_its_dollars(trader: Trader) -> None:
    order = trader.order("BUY", 10, trader.ask() + 5, "FAK")
    answer = trader.place(order)
    assert answer.making_amount == order.maker_amount
    assert answer.taking_amount > order.taker_amount


def test_a_sell_pays_its_fee_out_of_the_proceeds(trader: Trader) -> None:
    trader.bought(40)
    before, cents = trader.cash(), trader.bid() - 5
    answer = trader.place(trader.order("SELL", 40, cents, "FAK"))
    trader.after(60)
    assert answer.making_amount == 40_000_000
    assert trader.cash() == before + answer.taking_amount - sum(
        fee(trade.size / 1e6, trade.price / 10_000)
        for trade in trader.engine.trades(owner_of(ALICE))
        if trade.side == "SELL"
    )


@pytest.mark.parametrize(
    ("shares", "cents", "charged"), [(100, 50, 1_750_000), (1, 1, 690), (0.01, 1, 0), (8, 51, 139_940)]
)
def test_the_fee_is_that_of_the_schedule_cut_to_five_decimals(shares: float, cents: float, charged: int) -> None:
    assert fee(shares, cents) == charged


def test_what_was_taken_is_gone_until_the_world_changes_the_level(trader: Trader) -> None:
    price, shown = trader.book().asks[0]
    trader.place(trader.order("BUY", 10, price / 10_000))
    assert dict(trader.book().asks)[price] == shown - 10_000_000
    assert dict(trader.book().mirrored().bids)[1_000_000 - price] == shown - 10_000_000
    for _ in range(400):
        trader.after(0.2)
        now = WORLD.market_book(trader.market, trader.now_ms)
        if dict(now.asks).get(price) != shown:
            break
        assert dict(trader.book().asks)[price] == shown - 10_000_000
    assert trader.book() == now


def test_a_level_stays_taken_while_it_shows_the_same(trader: Trader) -> None:
    price, shown = trader.book().asks[8]
    trader.place(trader.order("BUY", sum(s for _, s in trader.book().asks[:8]) / 1e6 + 10, price / 10_000))
    kept = 0
    while dict(WORLD.market_book(trader.market, trader.now_ms).asks).get(price) == shown:
        assert dict(trader.book().asks)[price] == shown - 10_000_000
        trader.after(0.2)
        kept += 1
    assert kept > 5


def test_the_world_never_hears_of_our_trades(make_trader: MakeTrader) -> None:
    trader = make_trader()
    before = [WORLD.market_book(trader.market, trader.now_ms + k * 1000) for k in range(30)]
    trader.place(trader.order("BUY", 500, trader.ask() + 3, "FAK"))
    trader.after(30)
    assert before == [WORLD.market_book(trader.market, trader.now_ms - 30_150 + k * 1000) for k in range(30)]


def test_a_level_taken_through_one_token_is_gone_for_buyers_of_the_other(trader: Trader) -> None:
    price, shown = trader.book().bids[0]
    down_cents = (1_000_000 - price) / 10_000
    trader.place(trader.order("BUY", 20, down_cents, outcome="Down"))
    assert dict(trader.book().bids)[price] == shown - 20_000_000


def inside(make_trader: MakeTrader) -> tuple[Trader, float]:
    """Return a trader on a market whose tick a fault made fine, and a price in cents inside the world's spread."""
    trader = make_trader(FaultRule("tick_change", 1.0, duration_ms=10**9), seed=31)
    for _ in range(700):
        if trader.engine.tick(trader.market, trader.now_ms) == 1_000:
            break
        trader.after(1)
    assert trader.ask() - trader.bid() > 0.5
    return trader, trader.bid() + 0.3


def test_two_accounts_trade_with_each_other_inside_the_spread(make_trader: MakeTrader) -> None:
    trader, cents = inside(make_trader)
    trader.bought(50)
    cents = trader.bid() + 0.3
    trader.place(trader.order("BUY", 10, cents, account=BOB))
    answer = trader.place(trader.order("SELL", 10, cents))
    assert (answer.status, answer.taking_amount) == ("matched", round(cents * 100_000))
    (trade,) = [trade for trade in trader.engine.trades(owner_of(ALICE)) if trade.side == "SELL"]
    assert [(maker.account, maker.matched_amount) for maker in trade.maker_orders] == [(BOB, 10_000_000)]
    (seen,) = trader.engine.trades(owner_of(BOB))
    assert (seen.trader_side, seen.trade_id) == ("MAKER", trade.trade_id)
    trader.after(60)
    assert trader.shares(BOB) == 10_000_000
    assert trader.cash(BOB) == 10_000_000_000 - round(cents * 100_000)


def test_buyers_of_opposite_tokens_mint_a_pair_and_sellers_redeem_one(make_trader: MakeTrader) -> None:
    trader, cents = inside(make_trader)
    trader.place(trader.order("BUY", 10, cents, account=BOB))
    answer = trader.place(trader.order("BUY", 10, 100 - cents, outcome="Down"))
    assert answer.status == "matched"
    trader.after(60)
    assert (trader.shares(BOB, "Up"), trader.shares(ALICE, "Down")) == (10_000_000, 10_000_000)
    charged = fee(10, 100 - cents)
    assert trader.cash(BOB) + trader.cash(ALICE) == 20_000_000_000 - 10_000_000 - charged
    cents = trader.bid() + 0.3
    trader.place(trader.order("SELL", 10, cents, account=BOB, post_only=True))
    answer = trader.place(trader.order("SELL", 10, 100 - cents, outcome="Down"))
    assert answer.taking_amount == round((100 - cents) * 100_000)
    trader.after(60)
    rows = trader.engine.ledger_rows()
    assert sum(row.amount for row in rows if (row.account, row.asset) == ("collateral", "USD")) == 0
    assert trader.shares(BOB, "Up") == trader.shares(ALICE, "Down") == 0


def test_the_better_price_trades_first_then_the_earlier_order(make_trader: MakeTrader) -> None:
    trader, cents = inside(make_trader)
    trader.bought(60)
    cents = trader.bid() + 0.3
    orders = [
        trader.order("BUY", 10, cents, account=BOB),
        trader.order("BUY", 10, cents + 0.1, account=BOB),
        trader.order("BUY", 10, cents + 0.1, account=BOB),
    ]
    for order in orders:
        assert trader.place(order).status == "live"
    trader.place(trader.order("SELL", 15, cents, "FAK"))
    matched = [trader.engine.order(owner_of(BOB), order.order_id) for order in orders]
    assert [state.size_matched for state in matched if state] == [0, 10_000_000, 5_000_000]


def test_the_user_channel_hears_placement_update_and_every_stage(trader: Trader) -> None:
    trader.place(trader.order("BUY", 10, trader.ask()))
    trader.after(60)
    events, cursor = trader.engine.events(0)
    heard = [event.kind if isinstance(event, OrderEvent) else event.trade.status for event in events]
    assert heard == ["PLACEMENT", "UPDATE", "MATCHED", "MINED", "CONFIRMED"]
    assert {event.owner for event in events} == {owner_of(ALICE)}
    assert trader.engine.events(cursor) == ([], cursor)
    assert cursor == trader.engine.latest()


def test_cancelling_says_what_was_cancelled_and_what_was_not(trader: Trader) -> None:
    mine, other = trader.order("BUY", 10, trader.bid()), trader.order("BUY", 10, trader.bid(), account=BOB)
    trader.place(mine)
    trader.place(other)
    engine, owner = trader.engine, owner_of(ALICE)
    gone = "already canceled or matched"
    assert engine.cancel(owner, [mine.order_id, other.order_id, "0x0"], trader.now_ms) == (
        [mine.order_id],
        {other.order_id: gone, "0x0": gone},
    )
    assert engine.cancel(owner, [mine.order_id], trader.now_ms) == ([], {mine.order_id: gone})
    down = trader.order("BUY", 10, 20, outcome="Down")
    up = trader.order("BUY", 10, 20)
    trader.place(down)
    trader.place(up)
    assert engine.cancel_market(owner, None, trader.market.down_token, trader.now_ms)[0] == [down.order_id]
    assert engine.cancel_market(owner, "0xother", None, trader.now_ms)[0] == []
    assert engine.cancel_all(owner, trader.now_ms)[0] == [up.order_id]
    assert [state.order_id for state in engine.open_orders(owner_of(BOB))] == [other.order_id]
