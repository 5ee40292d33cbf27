"""Heartbeats: once begun they must go on, or everything is cancelled."""

from pathlib import Path

import pytest

from tests.sim_trading.conftest import ALICE, BOB, WORLD, MakeTrader, Trader, owner_of
from venues.sim.directory import Directory
from venues.sim.faults import FaultPlan
from venues.sim.trading.engine import Engine
from venues.sim.trading.ledger_file import LedgerFile
from venues.sim.trading.values import TradingRules, VenueError

OWNER = owner_of(ALICE)


def test_silence_of_ten_seconds_cancels_the_owners_orders_and_nobody_elses(trader: Trader) -> None:
    trader.place(trader.order("BUY", 10, 20))
    trader.place(trader.order("BUY", 10, 20, account=BOB))
    beat = trader.engine.heartbeat(OWNER, "", trader.now_ms)
    for _ in range(3):
        trader.after(9)
        beat = trader.engine.heartbeat(OWNER, beat, trader.now_ms)
        assert trader.engine.open_orders(OWNER)
    trader.after(10)
    assert not trader.engine.open_orders(OWNER)
    assert trader.engine.open_orders(owner_of(BOB))


def test_without_a_first_heartbeat_nothing_is_cancelled(trader: Trader) -> None:
    trader.place(trader.order("BUY", 10, 20))
    trader.after(60)
    assert trader.engine.open_orders(OWNER)


def test_a_stale_id_is_refused_with_the_right_one(trader: Trader) -> None:
    first = trader.engine.heartbeat(OWNER, None, trader.now_ms)
    trader.after(1)
    second = trader.engine.heartbeat(OWNER, first, trader.now_ms)
    for stale in (first, "", "nonsense"):
        with pytest.raises(VenueError) as caught:
            trader.engine.heartbeat(OWNER, stale, trader.now_ms)
        refusal = caught.value
        assert (refusal.status, refusal.text, refusal.heartbeat_id) == (400, "Invalid Heartbeat ID", second)
    assert trader.engine.heartbeat(OWNER, second, trader.now_ms)


def test_after_the_switch_struck_an_empty_id_begins_anew(trader: Trader) -> None:
    trader.engine.heartbeat(OWNER, "", trader.now_ms)
    trader.after(11)
    assert trader.engine.heartbeat(OWNER, "", trader.now_ms)


def test_the_switch_stays_armed_over_a_restart(make_trader: MakeTrader, tmp_path: Path) -> None:
    trader = make_trader(file="ledger")
    trader.place(trader.order("BUY", 10, 20))
    trader.engine.heartbeat(OWNER, "", trader.now_ms)
    engine = Engine(Directory(WORLD, ("BTC",)), TradingRules(), FaultPlan(), LedgerFile(tmp_path / "ledger"))
    engine.advance(trader.now_ms + 30_000)
    assert engine.open_orders(OWNER), "its silence counts from when the exchange is back"
    engine.advance(trader.now_ms + 40_000)
    assert not engine.open_orders(OWNER)


def test_an_order_held_when_the_switch_strikes_does_not_outlive_it(trader: Trader) -> None:
    trader.engine.heartbeat(OWNER, "", trader.now_ms)
    trader.after(9.9)
    trader.engine.place(trader.order("BUY", 3_000, trader.ask() + 2), trader.now_ms)
    trader.after(1)
    assert not trader.engine.open_orders(OWNER)
    assert trader.engine.trades(OWNER)
