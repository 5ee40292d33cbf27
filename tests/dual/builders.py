"""The assembled system of a dual run in virtual time: two accounts, one venue of scripts, rows in a list."""

from collections.abc import Callable, Sequence

import msgspec

from actors import addresses
from actors.addresses import paper_beside
from actors.execution import ExecutionClient, Working
from actors.execution_paper import PaperExecutionClient
from actors.feed_watch import FeedLimits
from actors.market import MarketRules
from actors.portfolio import Sizing
from actors.portfolio_state import PortfolioState
from actors.watchdog import WatchdogLimits
from cli.wiring import Beside, Rules, Services, Trading, Venues, assemble, start_all
from core.market.book import LocalBook
from core.market.market import Market
from core.records import Record
from core.runtime.address import Address
from core.runtime.clock import VirtualClock
from core.runtime.stepped import SteppedRuntime
from core.trading import lifecycle
from core.trading.limits import OpenLimits
from core.trading.money import MICRO
from core.trading.order_limits import OrderLimits
from tests.actors_data.builders import (
    OPENS_MS,
    WINDOW_S,
    Calendar,
    Chooser,
    Script,
    as_policy,
    market_of,
    snapshots,
)

LIVE, PAPER = 1, 2
START_USD = 1_000 * MICRO
MARKET = market_of()


class Refuses(PaperExecutionClient):
    """A venue that takes no order of ours."""

    def submit(self, working: Working) -> None:
        """Fail every order at the hand-over."""
        self._host.happened(working.order.id, lifecycle.Failed(self._host.context.clock.now_ms(), "refused"))


class Dual:
    """A live account, which is a client of `live` here, and a paper one beside it; their rows are in `rows`."""

    def __init__(self, policy: Chooser, live: type[PaperExecutionClient] = PaperExecutionClient) -> None:
        self.clock = VirtualClock(OPENS_MS - 5_000)
        self.heard: list[tuple[str, object]] = []
        self.system = SteppedRuntime(
            self.clock, seed=1, trace=lambda _at_ms, address, envelope: self.heard.append((address, envelope.message))
        )
        self.calendar = Calendar(self.clock)
        self.rows: list[Record] = []
        self.said: list[str] = []
        self.policy = policy

        def client(saved: bytes, of_this_process: bool) -> ExecutionClient:  # noqa: FBT001 -- the executor's hook
            return live(40, 5_000, saved, of_this_process=of_this_process)

        self.services = Services(
            write=self._write,
            load_weights=lambda: policy,
            weights_source="test",
            make_policy=as_policy,
            post=None,
            log=self.said.append,
            trading=Trading("sim", client),
        )
        assemble(self.system, RULES, self._venues(), self.services)
        start_all(self.system)

    def _write(self, rows: Sequence[Record]) -> None:
        self.rows.extend(rows)

    def _venues(self) -> Venues:
        def book_stream(market: Market) -> Script:
            opens_ms = market.window.opens_at_s * 1000
            return Script([snapshots(market, opens_ms - 5_000 + 250 * n) for n in range(4 * (WINDOW_S + 5))])

        make_book: Callable[[Market, int], LocalBook] = lambda market, epoch: LocalBook(market, epoch=epoch)  # noqa: E731
        return Venues(book_stream, make_book, lambda _asset: (), None, self.calendar, None)

    def run_to(self, second: float) -> None:
        """Let time pass until `second` of the first window."""
        self.system.run_until(OPENS_MS + round(second * 1000))

    def state(self, portfolio: Address) -> PortfolioState:
        """Return what a portfolio has saved."""
        saved = self.system.cells[portfolio].saved
        return PortfolioState.new(START_USD) if saved is None else msgspec.msgpack.decode(saved, type=PortfolioState)

    def held(self, portfolio: Address) -> list[str]:
        """Return the sides that a portfolio holds."""
        return [each.side for each in self.state(portfolio).ledger.positions.values() if each.shares]

    def wrote(self, kind: type[Record]) -> list[Record]:
        """Return the rows of one kind."""
        return [row for row in self.rows if isinstance(row, kind)]


RULES = Rules(
    assets=("BTC",),
    window_s=WINDOW_S,
    session_id=LIVE,
    starting_cash_usd=START_USD,
    sizing=Sizing(50 * MICRO, 2, "FAK", OpenLimits(), order_limits=OrderLimits(total_usd=5_000 * MICRO)),
    market=MarketRules(grid_ms=500, book_stale_s=5.0, flow_stale_s=None, sample_actions=False),
    watchdog=WatchdogLimits(FeedLimits(book_stale_s=5.0, flow_stale_s=None)),
    paper_latency_ms=50,
    paper_book_age_ms=30_000,
    beside=Beside(paper_beside(PAPER), START_USD),
)
PORTFOLIOS = (addresses.PORTFOLIO, addresses.PAPER_PORTFOLIO)
