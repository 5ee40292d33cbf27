"""The program trading live on the embedded exchange, in this process: real sockets, real database, real keys."""

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from eth_account import Account

from actors.feed_watch import FeedLimits
from actors.market import MarketRules, Policy
from actors.portfolio import Sizing
from actors.watchdog import WatchdogLimits
from actors.write_jobs import Write
from bench.measure.live_path import PathWatch
from cli.database import Database, SessionTerms, open_database
from cli.exchange import Exchange
from cli.live_trading import Live, open_live
from cli.live_venues import Patience, live_venues
from cli.rules import grid_phases
from cli.run import SWITCH_INTERVAL_S
from cli.wiring import Rules, Services, assemble, start_all, warm_policy
from config.load import load_settings
from config.settings import REAL_MONEY, Settings
from core.market.features import FeatureSchema
from core.market.market import Market
from core.market.state import MarketState
from core.runtime.clock import SystemClock
from core.runtime.gate import GateCell
from core.runtime.stream import Stream
from core.runtime.threaded import ThreadedRuntime
from core.trading.gate import GateLevel
from core.trading.limits import OpenLimits
from models.checkpoint import fresh_weights
from venues.polymarket.stream import market_stream

ODDS = (0.1, 0.45, 0.45)
PRIVATE_KEY = "0x" + "11" * 32
STOP_WITHIN_S = 5.0


class Eager:
    """Evaluates the real policy, then wishes for something nine times in ten: an untrained one mostly holds."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    @property
    def schema(self) -> FeatureSchema:
        """The features of the real policy."""
        return self._policy.schema

    def decide(self, state: MarketState) -> tuple[tuple[float, ...], float]:
        """Return fixed chances of HOLD, BUY and SELL, and the value of the state."""
        _, value = self._policy.decide(state)
        return ODDS, value


@contextlib.contextmanager
def live_trader(
    state_dir: Path, overrides: dict[str, object], watch: PathWatch, log: Callable[[str], None]
) -> Iterator[ThreadedRuntime]:
    """Yield the started system, whose orders `watch` notes; everything ends with the block.

    `overrides` are settings by name, as the command line would give them.
    """
    settings = load_settings(
        {
            "FUSEBOX_LIVE_OPT_IN": REAL_MONEY,
            "FUSEBOX_PRIVATE_KEY": PRIVATE_KEY,
            "FUSEBOX_FUNDER": Account.from_key(PRIVATE_KEY).address,
            "FUSEBOX_SIGNATURE_TYPE": "0",
            "FUSEBOX_STATE_DIR": str(state_dir),
        },
        {"mode": "live", "seed": 1, **overrides},
    )
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    now_ms = SystemClock().now_ms
    with contextlib.ExitStack() as ends:
        exchange = Exchange(
            seed=settings.seed,
            window_s=settings.window_s,
            world=settings.world,
            assets=settings.assets,
            log_file=state_dir / "exchange.log",
            log=log,
            ledger=state_dir / "exchange-ledger.jsonl",
        )
        ends.callback(exchange.stop)
        endpoints = exchange.start()
        live = open_live(settings, endpoints.clob, endpoints.user_ws, now_ms)
        ends.callback(live.close)
        watch.account(live.account)
        gate = GateCell(now_ms=now_ms)
        database = open_database(
            settings,
            new_session=True,
            ends=ends,
            gate=gate,
            on_lost=log,
            report=log,
            terms=lambda: SessionTerms("live", "benchmark", settings.public()),
        )

        def book_stream(market: Market) -> Stream:
            clock = watch.clock(market.condition_id)
            return market_stream(endpoints.clob_ws, market, clock, silence_s=settings.silence_s)

        venues = live_venues(
            endpoints, settings.assets, Patience(settings.silence_s, settings.silence_s), now_ms, routed=False
        )
        ends.callback(venues.close)
        system = ThreadedRuntime(
            SystemClock(), seed=1, lease_epoch=database.lease.epoch, gate=gate, lane_width={"rest": 4, "policy": 1}
        )
        services = _services(database, live, watch.database(database.write), log)
        rules = _rules(settings, live, database.session.id)
        assemble(system, rules, msgspec.structs.replace(venues, book_stream=book_stream), services)
        watch.actors(system)
        ends.callback(system.stop, STOP_WITHIN_S)
        ends.callback(gate.hold, None, "stopping", GateLevel.CLOSED)
        start_all(system)
        gc.freeze()
        yield system


def _services(database: Database, live: Live, write: Write, log: Callable[[str], None]) -> Services:
    session = database.session
    return Services(
        write=write,
        load_weights=lambda: fresh_weights(1),
        weights_source="benchmark",
        make_policy=lambda weights: Eager(warm_policy(weights)),
        post=None,
        log=log,
        journal=database.journal,
        trading=live.trading(session.id, session.started_at_ms // 1000, {}, log),
    )


def _rules(settings: Settings, live: Live, session_id: int) -> Rules:
    stale_s = settings.book_stale_after_s
    age_s = stale_s / settings.scale
    limits = OpenLimits(min_left_s=settings.min_seconds_left_to_open, max_book_age_s=age_s)
    return Rules(
        assets=settings.assets,
        window_s=settings.window_s,
        session_id=session_id,
        starting_cash_usd=live.cash_usd,
        sizing=Sizing(settings.trade_size, settings.max_slippage_ticks, settings.order_type, limits),
        market=MarketRules(
            settings.decision_grid_ms,
            stale_s,
            settings.flow_stale_after_s,
            sample_actions=True,
            phases_ms=grid_phases(settings.assets, settings.decision_grid_ms),
        ),
        watchdog=WatchdogLimits(FeedLimits(book_stale_s=stale_s, flow_stale_s=settings.flow_stale_after_s)),
        paper_latency_ms=settings.paper_latency_ms,
        paper_book_age_ms=round(age_s * 1000),
    )
