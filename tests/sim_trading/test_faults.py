"""The fault plan strikes where its seed says, and what it does to orders is what it is called."""

import pytest

from tests.sim_trading.conftest import ALICE, MakeTrader, owner_of
from venues.sim.faults import EngineKind, FaultPlan, FaultRule, Faults, TransportKind, decode_plan, default_plan
from venues.sim.trading.values import Placed, VenueError


def test_a_plan_strikes_the_same_occasions_in_any_order() -> None:
    plan = FaultPlan(5, (FaultRule("delayed", 0.3),))
    keys = [f"order {n}" for n in range(400)]
    one, other = Faults(plan), Faults(plan)
    struck = {key for key in keys if one.strike("delayed", key)}
    assert struck == {key for key in reversed(keys) if other.strike("delayed", key)}
    assert 80 < len(struck) < 160
    assert struck != {key for key in keys if Faults(FaultPlan(6, plan.rules)).strike("delayed", key)}
    assert not one.strike("late_fill", "order 1")


def test_a_rule_can_name_occasions_a_scope_and_a_limit() -> None:
    faults = Faults(FaultPlan(1, (FaultRule("forbidden", at_counts=(2, 4)),)))
    assert [bool(faults.strike("forbidden", "")) for _ in range(5)] == [False, True, False, True, False]
    faults = Faults(FaultPlan(1, (FaultRule("forbidden", 1.0, scope="/order", limit=2),)))
    assert [bool(faults.strike("forbidden", "", path)) for path in ("/time", "/order", "/orders", "/order")] == [
        False,
        True,
        True,
        False,
    ]
    assert faults.standing("forbidden", "", "/order")


def test_a_plan_is_read_from_json_and_what_is_wrong_with_one_is_said() -> None:
    plan = decode_plan('{"seed": 4, "rules": [{"kind": "delayed", "probability": 0.5, "duration_ms": 10}]}')
    assert plan == FaultPlan(4, (FaultRule("delayed", 0.5, duration_ms=10),))
    for text in (
        "",
        '{"rules": [{"kind": "unheard_of"}]}',
        '{"rules": [{"kind": "delayed", "probability": 2}]}',
        '{"rules": [{"kind": "delayed", "probabilty": 0.5}]}',
    ):
        with pytest.raises(ValueError, match=r"^fault plan: .*"):
            decode_plan(text)


def test_the_default_plan_has_something_of_everything_but_a_skewed_clock() -> None:
    kinds = {rule.kind for rule in default_plan(1).rules}
    known = {*EngineKind.__args__, *TransportKind.__args__}  # type: ignore[attr-defined]
    assert known - kinds == {"clock_skew"}


def test_a_delayed_order_is_matched_later_and_cannot_be_cancelled_before(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("delayed", 1.0, duration_ms=5_000))
    order = trader.order("BUY", 10, trader.ask())
    assert trader.place(order) == Placed(order.order_id, "delayed")
    assert trader.engine.cancel(owner_of(ALICE), [order.order_id], trader.now_ms)[1]
    trader.after(4.9)
    assert not trader.engine.trades(owner_of(ALICE))
    trader.after(0.2)
    assert trader.engine.trades(owner_of(ALICE)) or trader.engine.open_orders(owner_of(ALICE))


def test_a_late_fill_answers_live_with_nothing_matched_and_fills_then(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("late_fill", 1.0, duration_ms=2_000))
    answer = trader.place(trader.order("BUY", 10, trader.ask() + 5, "FAK"))
    assert (answer.status, answer.taking_amount, answer.trade_ids) == ("live", 0, ())
    trader.after(2)
    (trade,) = trader.engine.trades(owner_of(ALICE))
    assert trade.taker_order_id == answer.order_id


def test_a_partial_fill_leaves_a_rest_that_fills_later(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("partial_fill", at_counts=(1,), duration_ms=3_000))
    answer = trader.place(trader.order("BUY", 40, trader.ask() + 5))
    assert 0 < answer.taking_amount < 40_000_000
    trader.after(3)
    state = trader.engine.order(owner_of(ALICE), answer.order_id)
    assert state is not None
    assert (state.status, state.size_matched) == ("MATCHED", 40_000_000)


def test_a_partial_fill_of_an_order_that_is_killed_stays_partial(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("partial_fill", 1.0))
    order = trader.order("BUY", 40, trader.ask(), "FAK")
    answer = trader.place(order)
    assert 0 < answer.making_amount < order.maker_amount
    state = trader.engine.order(owner_of(ALICE), order.order_id)
    assert state is not None
    assert state.status == "CANCELED"


def test_one_order_can_make_many_trades(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("many_trades", 1.0))
    answer = trader.place(trader.order("BUY", 40, trader.ask()))
    trades = trader.engine.trades(owner_of(ALICE))
    assert len(trades) == len(answer.trade_ids) > 1
    assert sum(trade.size for trade in trades) == answer.taking_amount == 40_000_000


def test_a_restart_refuses_everything_then_takes_post_only_orders(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("engine_restart", at_counts=(2,), duration_ms=90_000, post_only_ms=120_000))
    resting = trader.order("BUY", 10, 20)
    trader.place(resting)
    for attempt in (
        lambda: trader.place(trader.order("BUY", 10, 20)),
        lambda: trader.place(trader.order("BUY", 10, 20, post_only=True)),
        lambda: trader.engine.cancel(owner_of(ALICE), [resting.order_id], trader.now_ms),
        lambda: trader.engine.cancel_all(owner_of(ALICE), trader.now_ms),
    ):
        with pytest.raises(VenueError) as caught:
            attempt()
        assert (caught.value.status, caught.value.retry_after_s) == (425, 90)
    trader.after(90)
    with pytest.raises(VenueError) as caught:
        trader.place(trader.order("BUY", 10, 20))
    assert (caught.value.status, caught.value.code, caught.value.retry_after_s) == (503, "post_only_mode", 120)
    assert trader.place(trader.order("BUY", 10, 20, post_only=True)).status == "live"
    assert trader.engine.cancel(owner_of(ALICE), [resting.order_id], trader.now_ms)[0] == [resting.order_id]
    trader.after(120)
    assert trader.place(trader.order("BUY", 10, 20)).status == "live"


def test_a_changed_tick_lets_finer_prices_in_for_a_while(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("tick_change", 1.0, duration_ms=30_000), seed=31)
    opens_ms = trader.market.opens_at_s * 1000
    ticks = [trader.engine.tick(trader.market, opens_ms + second * 1000) for second in range(300)]
    assert ticks.count(1_000) == 30
    begins = ticks.index(1_000)
    trader.after(begins - 100 + 1)
    assert trader.book().tick == 1_000
    assert trader.place(trader.order("BUY", 10, 20.5)).status == "live"
    trader.after(30)
    with pytest.raises(VenueError, match=r"minimum tick size rule: 0\.01"):
        trader.place(trader.order("BUY", 10, 20.5))


def test_clearing_the_plan_ends_the_misbehaviour(make_trader: MakeTrader) -> None:
    trader = make_trader(FaultRule("delayed", 1.0), FaultRule("late_resolution", 1.0, duration_ms=10**6))
    assert trader.place(trader.order("BUY", 10, trader.ask())).status == "delayed"
    trader.after(5)
    trader.engine.set_faults(FaultPlan())
    assert trader.place(trader.order("BUY", 10, trader.ask())).status == "matched"
    trader.at_close(60)
    assert set(trader.engine.audit(ALICE).balances) == {"USD"}
