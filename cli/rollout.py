"""One episode: some windows of the embedded world through the whole actor system in virtual time, with one policy."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from actors import addresses
from actors.collector import CollectorActor
from actors.execution import ExecutionClient
from actors.execution_passive import PassivePaperClient
from actors.feed_watch import FeedLimits
from actors.market import MarketRules, Policy
from actors.portfolio import Sizing
from actors.watchdog import WatchdogLimits
from cli.stage import Stage
from cli.wiring import Rules, Services, Trading, assemble, start_all
from core.errors import FatalError
from core.market.market import Side
from core.messages import IntentProposed, TrajectoryEnded, TransitionRecorded
from core.records import FillRecord, OrderRecord, PositionRecord, Record, TradeRecord
from core.runtime.clock import VirtualClock
from core.runtime.context import Context
from core.runtime.message import Envelope
from core.runtime.stepped import SteppedRuntime
from core.runtime.supervision import DeadLetter, SystemEvent
from core.trading.forced_exits import ForcedExitRules
from core.trading.limits import OpenLimits
from core.trading.money import MICRO
from venues.paper.broker import VENUE

SESSION_ID = 0
BOOK_STALE_S = 30.0
PAPER_BOOK_AGE_MS = 30_000
STALE_FLOOR_S = 2.0
GRID_MS = 500


class Terms(msgspec.Struct, frozen=True):
    """How is traded; dollars in 1e-6. `exit_before_s` is None where positions are held to settlement."""

    trade_size_usd: int = 100 * MICRO
    starting_cash_usd: int = 10_000 * MICRO
    latency_ms: int = 50
    slippage_ticks: int = 2
    exit_before_s: float | None = 120.0
    min_left_s: float = 180.0
    sample: bool = False
    passive: bool = False
    """Whether openings rest at the bid instead of taking the offer."""


class EpisodeResult(msgspec.Struct, frozen=True):
    """What came of one episode: what the learner would have heard, the rows, who won; `proposed` counts wishes."""

    stage: str
    transitions: tuple[TransitionRecorded, ...]
    ended: tuple[TrajectoryEnded, ...]
    trades: tuple[TradeRecord, ...]
    fills: tuple[FillRecord, ...]
    winners: dict[str, Side | None]
    unsettled: int
    """Positions still open at the end: nobody told who won."""
    proposed: int
    orders: int
    orders_unfilled: int


class _Kept:
    """Collects what an episode tells: the learner's messages, and the rows that a database would get."""

    def __init__(self) -> None:
        self.transitions: list[TransitionRecorded] = []
        self.ended: list[TrajectoryEnded] = []
        self.trades: dict[str, TradeRecord] = {}
        self.fills: dict[str, FillRecord] = {}
        self.orders: dict[str, OrderRecord] = {}
        self.open: dict[tuple[str, Side], int] = {}
        self.proposed = 0

    def learn(self, message: object) -> None:
        if isinstance(message, TransitionRecorded):
            self.transitions.append(message)
        elif isinstance(message, TrajectoryEnded):
            self.ended.append(message)

    def write(self, rows: Sequence[Record]) -> None:
        for row in rows:
            if isinstance(row, TradeRecord):
                self.trades[row.id] = row
            elif isinstance(row, FillRecord):
                self.fills[row.id] = row
            elif isinstance(row, OrderRecord):
                self.orders[row.id] = row
            elif isinstance(row, PositionRecord):
                self.open[row.condition_id, row.side] = row.shares

    def trace(self, _at_ms: int, _address: str, envelope: Envelope) -> None:
        if type(envelope.message) is IntentProposed:
            self.proposed += 1


def run_episode(
    stage: Stage, make_policy: Callable[[], Policy], terms: Terms, *, version: int = 1, draw: int = 0
) -> EpisodeResult:
    """Run an episode to its last settlement and return what came of it; same arguments, same result.

    Args:
        stage: the windows.
        make_policy: makes what decides, once for each asset.
        terms: how is traded.
        version: of the policy's weights, written into every transition.
        draw: another one draws other actions on the same windows.

    Raises:
        FatalError: an actor crashed, which is a defect.
    """
    kept, clock = _Kept(), VirtualClock(stage.starts_ms)
    system = SteppedRuntime(clock, seed=stage.seed + (draw << 48), trace=kept.trace)
    system.observers.append(_stop_at_defect)
    readers = tuple(addresses.market(asset) for asset in stage.assets)

    def learner(context: Context) -> CollectorActor:
        return CollectorActor(context, None, version, readers, kept.learn)

    services = Services(
        write=kept.write,
        load_weights=lambda: None,
        weights_source="episode",
        make_policy=lambda _weights: make_policy(),
        post=None,
        log=lambda _text: None,
        learner=learner,
        trading=Trading(VENUE, _passive_client(terms)) if terms.passive else None,
    )
    with _without_collections():
        assemble(system, rules_of(stage, terms), stage.venues(clock), services)
        start_all(system)
        system.run_until(stage.ends_ms)
        system.stop()
    return EpisodeResult(
        stage=stage.name,
        transitions=tuple(kept.transitions),
        ended=tuple(kept.ended),
        trades=tuple(kept.trades.values()),
        fills=tuple(kept.fills.values()),
        winners={market.condition_id: stage.winner(market) for market in stage.played},
        unsettled=sum(shares > 0 for shares in kept.open.values()),
        proposed=kept.proposed,
        orders=len(kept.orders),
        orders_unfilled=sum(o.state not in ("FILLED", "PARTIALLY_FILLED") for o in kept.orders.values()),
    )


def rules_of(stage: Stage, terms: Terms) -> Rules:
    """Return the rules of a run on these terms: those of `run` with its settings as they come."""
    stale_s = max(STALE_FLOOR_S, BOOK_STALE_S * stage.window_s / 900)
    flow_stale_s = stale_s if stage.has_flow else None
    limits = OpenLimits(min_left_s=terms.min_left_s, max_book_age_s=BOOK_STALE_S)
    return Rules(
        assets=stage.assets,
        window_s=stage.window_s,
        session_id=SESSION_ID,
        starting_cash_usd=terms.starting_cash_usd,
        sizing=Sizing(
            trade_size_usd=terms.trade_size_usd,
            slippage_ticks=terms.slippage_ticks,
            order_type="FAK",
            limits=limits,
        ),
        market=MarketRules(
            grid_ms=GRID_MS,
            book_stale_s=stale_s,
            flow_stale_s=flow_stale_s,
            sample_actions=terms.sample,
            limits=limits,
        ),
        watchdog=WatchdogLimits(
            FeedLimits(stale_s, flow_stale_s), ForcedExitRules(exit_before_s=terms.exit_before_s, max_age_s=None)
        ),
        paper_latency_ms=terms.latency_ms,
        paper_book_age_ms=PAPER_BOOK_AGE_MS,
    )


def _passive_client(terms: Terms) -> Callable[[bytes, bool], ExecutionClient]:
    def client(saved: bytes, of_this_process: bool) -> ExecutionClient:  # noqa: FBT001 -- the executor's hook
        return PassivePaperClient(terms.latency_ms, PAPER_BOOK_AGE_MS, saved, of_this_process=of_this_process)

    return client


@contextmanager
def _without_collections() -> Iterator[None]:
    """Let nothing look for garbage meanwhile: an episode makes millions of short-lived values and hardly a cycle."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _stop_at_defect(event: SystemEvent | DeadLetter) -> None:
    if isinstance(event, SystemEvent) and event.kind in ("crashed", "failed"):
        raise FatalError(f"episode: {event.address} crashed: {event.detail}")
