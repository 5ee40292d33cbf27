"""One asset's crash is one asset's trouble: the others decide on, and the asset resumes where it was."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from actors import addresses
from actors.feed_watch import FeedLimits
from actors.market import MarketRules
from actors.portfolio import Sizing
from actors.portfolio_state import PortfolioState
from actors.watchdog import WatchdogLimits
from cli.exchange import Exchange
from cli.live_venues import Patience, live_venues
from cli.wiring import Rules, Services, assemble, start_all, warm_policy
from core.messages import Tick
from core.records import Record
from core.runtime.cell import Cell
from core.runtime.clock import SystemClock
from core.runtime.message import WorkFailed
from core.runtime.threaded import ThreadedRuntime
from core.status import AssetStatus
from core.trading.ledger import Ledger, new_ledger
from core.trading.limits import OpenLimits
from models.checkpoint import fresh_weights

ASSETS = ("BTC", "ETH")
WINDOW_S = 20
STARTING_CASH_USD = 10_000_000_000


class Rows:
    """Collects what would be written."""

    def __init__(self) -> None:
        self.written: list[Record] = []

    def write(self, rows: Sequence[Record]) -> None:
        self.written.extend(rows)


class Decisions:
    """Reads how often each asset has decided, and waits for more."""

    def __init__(self, system: ThreadedRuntime) -> None:
        self._system = system

    def count(self, asset: str) -> int:
        shown = self._system.board.read(f"asset {asset}")
        return shown[0].decisions if shown is not None and isinstance(shown[0], AssetStatus) else 0

    def wait_until(self, ready: Callable[[], bool], within_s: float) -> None:
        deadline_s = time.monotonic() + within_s
        turn = threading.Event()
        while not ready():
            assert time.monotonic() < deadline_s, {asset: self.count(asset) for asset in ASSETS}
            turn.wait(0.02)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[ThreadedRuntime]:
    said: list[str] = []
    exchange = Exchange(
        seed=1, window_s=WINDOW_S, world="today", assets=ASSETS, log_file=tmp_path / "exchange.log", log=said.append
    )
    endpoints = exchange.start()
    clock = SystemClock()
    system = ThreadedRuntime(clock, seed=1)
    rules = Rules(
        assets=ASSETS,
        window_s=WINDOW_S,
        session_id=1,
        starting_cash_usd=STARTING_CASH_USD,
        sizing=Sizing(100_000_000, 2, "FAK", OpenLimits(max_book_age_s=30.0)),
        market=MarketRules(500, 2.0, 2.0, sample_actions=True),
        watchdog=WatchdogLimits(FeedLimits(2.0, 2.0)),
        paper_latency_ms=50,
        paper_book_age_ms=30_000,
    )
    weights = fresh_weights(1)
    services = Services(Rows().write, lambda: weights, "test", warm_policy, None, said.append)
    venues = live_venues(endpoints, ASSETS, Patience(10.0, 10.0), clock.now_ms, routed=False)
    assemble(system, rules, venues, services)
    start_all(system)
    yield system
    stuck = system.stop(5.0)
    exchange.stop()
    venues.close()
    assert stuck == [], said


def test_a_killed_market_actor_resumes_while_the_other_asset_misses_no_decision(system: ThreadedRuntime) -> None:
    decisions = Decisions(system)
    decisions.wait_until(lambda: min(decisions.count(asset) for asset in ASSETS) >= 4, within_s=40)
    before, began_s = {asset: decisions.count(asset) for asset in ASSETS}, time.monotonic()

    system.tell(addresses.market("BTC"), WorkFailed("test", RuntimeError("killed by the test")))
    cell = system.cells[addresses.market("BTC")]
    decisions.wait_until(lambda: cell.incarnation == 2 and decisions.count("BTC") >= before["BTC"] + 8, within_s=20)
    steps = (time.monotonic() - began_s) / 0.5

    assert cell.restarts == 1
    assert "killed by the test" in (cell.last_failure or "")
    assert decisions.count("ETH") - before["ETH"] >= int(steps) - 1
    assert system.cells[addresses.market("ETH")].incarnation == 1
    assert [letter.target for letter in system.dead_letters if "killed" in letter.reason] == ["market.BTC"]
    assert system.failure is None


def test_a_killed_portfolio_comes_back_with_its_ledger_and_trades_on(system: ThreadedRuntime) -> None:
    decisions = Decisions(system)
    cell = system.cells[addresses.PORTFOLIO]
    decisions.wait_until(lambda: ledger_of(cell).trade_count > 0, within_s=150)
    before = ledger_of(cell)

    system.tell(addresses.PORTFOLIO, Tick(None))  # type: ignore[arg-type]  # what its handler cannot bear
    decisions.wait_until(lambda: ledger_of(cell).trade_count > before.trade_count, within_s=150)
    after = ledger_of(cell)

    assert cell.incarnation == 2
    assert after.cash_usd == STARTING_CASH_USD + after.realised_usd - sum(p.cost_usd for p in after.positions.values())
    assert [letter.message_type for letter in system.dead_letters if letter.target == "portfolio"] == ["Tick"]


def ledger_of(cell: Cell) -> Ledger:
    if cell.saved is None:
        return new_ledger(STARTING_CASH_USD)
    return msgspec.msgpack.decode(cell.saved, type=PortfolioState).ledger
