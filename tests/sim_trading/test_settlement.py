"""From MATCHED to the chain, and from the resolution to the winners' dollars."""

import pytest

from tests.sim_trading.conftest import ALICE, BOB, WORLD, MakeTrader, Trader, owner_of
from venues.sim.faults import FaultRule
from venues.sim.trading.ledger import Ledger
from venues.sim.trading.records import Leg
from venues.sim.trading.values import TradeEvent, TradingRules, VenueError, scaled_rules


def stages(trader: Trader) -> list[tuple[str, int]]:
    events, _ = trader.engine.events(0)
    return [(event.trade.status, event.at_ms) for event in events if isinstance(event, TradeEvent)]


def test_a_trade_is_mined_after_two_to_fifty_seconds_and_has_a_hash_only_then(trader: Trader) -> None:
    answer = trader.place(trader.order("BUY", 10, trader.ask()))
    (trade,) = trader.engine.trades(owner_of(ALICE), trade_id=answer.trade_ids[0])
    assert (trade.status, trade.transaction_hash) == ("MATCHED", "")
    assert trader.cash() == 10_000_000_000
    trader.after(60)
    (trade,) = trader.engine.trades(owner_of(ALICE))
    assert trade.status == "CONFIRMED"
    assert len(trade.transaction_hash) == 66
    (_, matched_ms), (mined, mined_ms), (confirmed, confirmed_ms) = stages(trader)
    assert (mined, confirmed) == ("MINED", "CONFIRMED")
    assert 2_000 <= mined_ms - matched_ms <= 50_000
    assert confirmed_ms - mined_ms == 4_000


def test_short_windows_settle_faster() -> None:
    rules = scaled_rules(60)
    assert (rules.settle_low_ms, rules.settle_high_ms) == (133, 3_333)
    assert scaled_rules(900) == TradingRules()


def test_a_failed_trade_never_happened(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("settlement_fails", 1.0))
    trader.place(trader.order("BUY", 10, trader.ask()))
    assert trader.engine.audit(ALICE).pending
    trader.after(110)
    assert [status for status, _ in stages(trader)] == ["MATCHED", "RETRYING", "FAILED"]
    audit = trader.engine.audit(ALICE)
    assert (dict(audit.balances), dict(audit.pending)) == ({"USD": 10_000_000_000}, {})
    assert trader.place(trader.order("BUY", 9_600 / trader.ask() * 100, trader.ask(), "FAK")).status == "matched"


def test_a_retried_trade_settles_in_the_end(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("settlement_retries", 1.0))
    trader.place(trader.order("BUY", 10, trader.ask()))
    trader.after(110)
    assert [status for status, _ in stages(trader)] == ["MATCHED", "RETRYING", "MINED", "CONFIRMED"]
    assert trader.shares() == 10_000_000


def test_a_slow_trade_takes_that_much_longer(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("settlement_slow", 1.0, duration_ms=100_000))
    trader.place(trader.order("BUY", 10, trader.ask()))
    trader.after(101)
    assert trader.shares() == 0
    trader.after(60)
    assert trader.shares() == 10_000_000


def test_a_lagging_balance_hides_mined_shares_until_it_is_refreshed(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("balance_lag", 1.0, duration_ms=500_000))
    trader.place(trader.order("BUY", 10, trader.ask()))
    trader.after(60)
    token = trader.market.up_token
    assert trader.shares() == 10_000_000
    assert trader.engine.balance(ALICE, token, trader.now_ms).balance == 0
    with pytest.raises(VenueError, match="balance: 0, sum of active orders: 0"):
        trader.place(trader.order("SELL", 10, trader.bid()))
    trader.engine.refresh_balance(ALICE, token, trader.now_ms)
    assert trader.engine.balance(ALICE, token, trader.now_ms).balance == 10_000_000
    assert trader.place(trader.order("SELL", 10, trader.bid())).status == "matched"


def test_a_lagging_balance_catches_up_by_itself(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("balance_lag", 1.0, duration_ms=100_000))
    trader.place(trader.order("BUY", 10, trader.ask()))
    trader.after(155)
    assert trader.engine.balance(ALICE, trader.market.up_token, trader.now_ms).balance == 10_000_000


def test_the_sum_of_matched_orders_can_stay_stuck(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("matched_sum_stuck", 1.0, duration_ms=300_000))
    answer = trader.place(trader.order("BUY", 10, trader.ask()))
    trader.after(60)
    with pytest.raises(VenueError, match=r"sum of matched orders: [1-9]"):
        trader.place(trader.order("BUY", 20_000, trader.bid() - 1))
    assert answer.status == "matched"


def held_pair(trader: Trader) -> None:
    """Hold ten Up and twenty Down."""
    trader.place(trader.order("BUY", 10, trader.ask()))
    trader.place(trader.order("BUY", 20, 100 - trader.bid(), outcome="Down"))
    trader.after(60)


def test_winners_get_a_dollar_a_share_a_minute_after_the_close(trader: Trader) -> None:
    held_pair(trader)
    before = trader.cash()
    won = 10_000_000 if WORLD.winner("BTC", trader.market.opens_at_s) == "Up" else 20_000_000
    trader.at_close(59.9)
    assert trader.cash() == before
    trader.at_close(60)
    assert trader.cash() == before + won
    assert set(trader.engine.audit(ALICE).balances) == {"USD"}
    assert {row.reason for row in trader.engine.audit(ALICE).movements} == {"deposit", "trade", "fee", "payout"}


def test_winnings_wait_for_their_owner_where_nothing_redeems_them(make_trader: MakeTrader) -> None:
    trader = make_trader(rules=TradingRules(auto_redeem=False))
    held_pair(trader)
    assert trader.engine.redeem(ALICE, trader.market.condition_id, trader.now_ms) == 0
    before = trader.cash()
    trader.at_close(60)
    (claim,) = trader.engine.claimable(ALICE)
    assert (trader.cash(), claim.condition_id) == (before, trader.market.condition_id)
    assert trader.engine.redeem(ALICE, claim.condition_id, trader.now_ms) == claim.shares
    assert trader.cash() == before + claim.shares
    assert trader.engine.claimable(ALICE) == []
    assert trader.engine.redeem(ALICE, claim.condition_id, trader.now_ms) == 0


def test_a_late_resolution_pays_late(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("late_resolution", 1.0, duration_ms=120_000), FaultRule("no_market_resolved", 1.0))
    held_pair(trader)
    before = trader.cash()
    assert trader.engine.resolves_at_ms(trader.market) == (trader.market.closes_at_s + 180) * 1000
    assert not trader.engine.announces_resolution(trader.market)
    trader.at_close(179)
    assert trader.cash() == before
    trader.at_close(180)
    assert trader.cash() > before


def test_a_trade_mined_after_the_resolution_is_paid_out_too(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("settlement_slow", 1.0, duration_ms=1_000_000))
    trader.place(trader.order("BUY", 10, trader.ask()))
    trader.place(trader.order("BUY", 10, 100 - trader.bid(), outcome="Down"))
    trader.at_close(60)
    assert trader.cash() == 10_000_000_000
    trader.at_close(1_100)
    audit = trader.engine.audit(ALICE)
    assert set(audit.balances) == {"USD"}
    assert sum(row.amount for row in audit.movements if row.reason == "payout" and row.asset == "USD") == 10_000_000


def test_shares_sold_but_not_yet_delivered_are_not_paid_out(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("settlement_slow", at_counts=(3, 4), duration_ms=1_000_000))
    held_pair(trader)
    trader.place(trader.order("SELL", 10, trader.bid()))
    trader.place(trader.order("SELL", 20, 100 - trader.ask(), outcome="Down"))
    before = trader.cash()
    trader.at_close(60)
    assert trader.cash() == before
    trader.at_close(1_100)
    assert set(trader.engine.audit(ALICE).balances) == {"USD"}
    assert trader.cash() > before
    assert not [row for row in trader.engine.audit(ALICE).movements if row.reason == "payout"]


def test_movements_of_all_accounts_sum_to_zero(trader: Trader) -> None:
    held_pair(trader)
    trader.place(trader.order("BUY", 30, trader.ask(), account=BOB))
    trader.at_close(120)
    sums: dict[str, int] = {}
    for row in trader.engine.ledger_rows():
        sums[row.asset] = sums.get(row.asset, 0) + row.amount
    assert set(sums.values()) == {0}
    for account in (ALICE, BOB):
        audit = trader.engine.audit(account)
        assert sum(row.amount for row in audit.movements if row.asset == "USD") == audit.balances["USD"]


def test_a_posting_that_does_not_balance_or_overdraws_is_refused() -> None:
    ledger = Ledger()
    with pytest.raises(ValueError, match="does not balance"):
        ledger.post((Leg("world", "USD", -1, "trade"), Leg("0xa", "USD", 2, "trade")), "t", 0)
    with pytest.raises(ValueError, match="overdraws USD of 0xa"):
        ledger.post((Leg("world", "USD", 1, "trade"), Leg("0xa", "USD", -1, "trade")), "t", 0)
    assert ledger.movements == []
