"""The ledger's file brings everything back: accounts, open orders, trades under way."""

import copy
from pathlib import Path

import pytest

from tests.sim_trading.conftest import ALICE, OPENS_S, WORLD, MakeTrader, Trader, owner_of
from tests.sim_trading.test_properties import snapshot
from venues.sim.directory import Directory
from venues.sim.faults import FaultPlan
from venues.sim.trading.engine import Engine
from venues.sim.trading.ledger_file import LedgerFile, LedgerFileError
from venues.sim.trading.values import TradingRules
from venues.sim.world import World


def reopened(path: Path, world: World = WORLD) -> Engine:
    return Engine(Directory(world, ("BTC",)), TradingRules(), FaultPlan(), LedgerFile(path))


def busy(trader: Trader) -> None:
    trader.place(trader.order("BUY", 10, trader.bid()))
    trader.place(trader.order("BUY", 10, trader.ask()))


def test_a_restart_brings_back_orders_trades_and_balances(make_trader: MakeTrader, tmp_path: Path) -> None:
    trader = make_trader(file="ledger")
    busy(trader)
    again = reopened(tmp_path / "ledger")
    assert snapshot(again) == snapshot(trader.engine)
    assert len(again.open_orders(owner_of(ALICE))) == 1
    assert again.audit(ALICE).pending
    again.advance(trader.now_ms + 60_000)
    assert again.audit(ALICE).balances[trader.market.up_token] >= 10_000_000
    again.advance((OPENS_S + 960) * 1000)
    assert set(again.audit(ALICE).balances) == {"USD"}


def test_a_batch_cut_short_by_a_crash_never_happened(make_trader: MakeTrader, tmp_path: Path) -> None:
    trader = make_trader(file="ledger")
    trader.place(trader.order("BUY", 10, trader.bid()))
    kept = copy.deepcopy(snapshot(trader.engine))
    whole = (tmp_path / "ledger").stat().st_size
    trader.engine.cancel_all(owner_of(ALICE), trader.now_ms)
    text = (tmp_path / "ledger").read_bytes()
    for end in (whole + 1, len(text) - 1):
        (tmp_path / "torn").write_bytes(text[:end])
        again = reopened(tmp_path / "torn")
        assert snapshot(again) == kept
        again.cancel_all(owner_of(ALICE), trader.now_ms)
        assert snapshot(reopened(tmp_path / "torn")) == snapshot(again)


def test_a_damaged_line_in_the_midst_is_named(make_trader: MakeTrader, tmp_path: Path) -> None:
    busy(make_trader(file="ledger"))
    lines = (tmp_path / "ledger").read_bytes().splitlines(keepends=True)
    (tmp_path / "bad").write_bytes(b"".join([*lines[:2], b"[oops]\n", *lines[2:]]))
    with pytest.raises(LedgerFileError, match="bad, line 3 is damaged"):
        reopened(tmp_path / "bad")


def test_a_ledger_of_another_world_is_refused(make_trader: MakeTrader, tmp_path: Path) -> None:
    busy(make_trader(file="ledger"))
    with pytest.raises(
        LedgerFileError, match="is of world today, seed 5, windows of 900 s, not of world today, seed 6"
    ):
        reopened(tmp_path / "ledger", World(6, "today", 900))


def test_an_order_held_when_the_exchange_fell_is_matched_when_it_is_back(
    make_trader: MakeTrader, tmp_path: Path
) -> None:
    trader = make_trader(file="ledger")
    order = trader.order("BUY", 10, trader.ask())
    trader.engine.place(order, trader.now_ms)
    again = reopened(tmp_path / "ledger")
    again.advance(trader.now_ms + 10_000)
    state = again.order(owner_of(ALICE), order.order_id)
    assert state is not None
    assert state.trade_ids


def test_the_file_is_private(make_trader: MakeTrader, tmp_path: Path) -> None:
    make_trader(file="ledger")
    assert (tmp_path / "ledger").stat().st_mode & 0o077 == 0
