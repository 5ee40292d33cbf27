"""One episode: some windows of the embedded world through the whole actor system in virtual time, with one policy."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
import numpy as np

from actors import addresses
from actors.collector import CollectorActor
from actors.market import MarketRules, Policy
from actors.portfolio import Sizing
from actors.watchdog import WatchdogLimits
from cli.simulated import SimulatedCalendar, SimulatedVenue
from cli.wiring import Rules, Services, Venues, assemble, start_all
from core.errors import FatalError
from core.market.book import LocalBook
from core.market.market import Side
from core.messages import IntentProposed, TransitionRecorded
from core.records import FillRecord, OrderRecord, Record, TradeRecord
from core.runtime.clock import VirtualClock
from core.runtime.context import Context
from core.runtime.message import Envelope
from core.runtime.stepped import SteppedRuntime
from core.runtime.supervision import DeadLetter, SystemEvent
from core.trading.limits import OpenLimits
from core.trading.money import MICRO

SESSION_ID = 0
BOOK_STALE_S = 30.0
FIRST_DAY, DAYS = 20_000, 720
"""Days since 1970 that episodes are taken from."""
DAY_S = 86_400
LEAD_S = 3_600
"""No episode begins in a day's first hour: the trades that warm it up would need the day before."""


class Terms(msgspec.Struct, frozen=True):
    """How is traded; dollars in 1e-6. `exit_before_s` is None where positions are held to settlement."""

    trade_size_usd: int = 100 * MICRO
    starting_cash_usd: int = 10_000 * MICRO
    latency_ms: int = 50
    slippage_ticks: int = 2
    exit_before_s: float | None = 120.0
    min_left_s: float = 180.0
    sample: bool = False


class Episode(msgspec.Struct, frozen=True):
    """Consecutive windows of a world: `windows` of them per asset, the first one opens at `first_opens_s`."""

    world: str
    seed: int
    window_s: int
    assets: tuple[str, ...]
    first_opens_s: int
    windows: int = 1


class EpisodeResult(msgspec.Struct, frozen=True):
    """What came of one episode: what the learner would have heard in order, the rows, and who won each market."""

    episode: Episode
    transitions: tuple[TransitionRecorded, ...]
    trades: tuple[TradeRecord, ...]
    fills: tuple[FillRecord, ...]
    winners: dict[str, Side]
    proposed: int
    orders: int
    orders_unfilled: int

    @property
    def markets(self) -> int:
        """Markets that were shown: windows times assets."""
        return len(self.winners)


def episode_of(world: str, seed: int, number: int, window_s: int, assets: Sequence[str], windows: int = 1) -> Episode:
    """Return episode `number` of a seed: windows from an hour of a day that both numbers decide, within that day."""
    rng = np.random.Generator(np.random.PCG64([seed, number]))
    day = FIRST_DAY + int(rng.integers(DAYS))
    first = -(-LEAD_S // window_s)
    last = (DAY_S - 1) // window_s - windows
    opens_s = day * DAY_S + int(rng.integers(first, last + 1)) * window_s
    return Episode(world, seed, window_s, tuple(assets), opens_s - opens_s % window_s, windows)


class _Kept:
    """Collects what an episode tells: the learner's messages, and the rows that a database would get."""

    def __init__(self) -> None:
        self.transitions: list[TransitionRecorded] = []
        self.trades: dict[str, TradeRecord] = {}
        self.fills: dict[str, FillRecord] = {}
        self.orders: dict[str, OrderRecord] = {}
        self.proposed = 0

    def learn(self, message: object) -> None:
        if isinstance(message, TransitionRecorded):
            self.transitions.append(message)

    def write(self, rows: Sequence[Record]) -> None:
        for row in rows:
            if isinstance(row, TradeRecord):
                self.trades[row.id] = row
            elif isinstance(row, FillRecord):
                self.fills[row.id] = row
            elif isinstance(row, OrderRecord):
                self.orders[row.id] = row

    def trace(self, _at_ms: int, _address: str, envelope: Envelope) -> None:
        if type(envelope.message) is IntentProposed:
            self.proposed += 1


def run_episode(
    episode: Episode, venue: SimulatedVenue, policy: Policy, terms: Terms, *, version: int = 1
) -> EpisodeResult:
    """Run an episode to its last settlement and return what came of it; same arguments, same result.

    Raises:
        FatalError: an actor crashed, which is a defect.
    """
    kept, clock = _Kept(), VirtualClock(venue.starts_ms)
    seed = episode.seed * 1_000_003 + episode.first_opens_s
    system = SteppedRuntime(clock, seed=seed, trace=kept.trace)
    system.observers.append(_stop_at_defect)
    readers = tuple(addresses.market(asset) for asset in episode.assets)

    def learner(context: Context) -> CollectorActor:
        return CollectorActor(context, policy, version, readers, kept.learn)

    services = Services(
        write=kept.write,
        load_weights=lambda: policy,
        weights_source="episode",
        make_policy=lambda _weights: policy,
        post=None,
        log=lambda _text: None,
        learner=learner,
    )
    venues = Venues(
        book_stream=venue.book_stream,
        make_book=lambda market, epoch: LocalBook(market, continuous_snapshots=True, epoch=epoch),
        flow_streams=venue.flow_streams,
        candles=None,
        calendar=SimulatedCalendar(venue, clock),
        prices=venue.prices,
    )
    with _without_collections():
        assemble(system, rules_of(episode, terms), venues, services)
        start_all(system)
        system.run_until(venue.ends_ms)
        system.stop()
    return EpisodeResult(
        episode=episode,
        transitions=tuple(kept.transitions),
        trades=tuple(kept.trades.values()),
        fills=tuple(kept.fills.values()),
        winners={market.condition_id: venue.winner(market) for market in venue.markets.values()},
        proposed=kept.proposed,
        orders=len(kept.orders),
        orders_unfilled=sum(o.state not in ("FILLED", "PARTIALLY_FILLED") for o in kept.orders.values()),
    )


def rules_of(episode: Episode, terms: Terms) -> Rules:
    """Return the rules of a run on these terms: those of `run` with its settings as they come."""
    scale = episode.window_s / 900
    return Rules(
        assets=episode.assets,
        window_s=episode.window_s,
        session_id=SESSION_ID,
        starting_cash_usd=terms.starting_cash_usd,
        sizing=Sizing(
            trade_size_usd=terms.trade_size_usd,
            slippage_ticks=terms.slippage_ticks,
            order_type="FAK",
            limits=OpenLimits(min_left_s=terms.min_left_s, max_book_age_s=BOOK_STALE_S),
        ),
        market=MarketRules(
            grid_ms=500,
            book_stale_s=max(2.0, BOOK_STALE_S * scale),
            flow_stale_s=max(2.0, BOOK_STALE_S * scale),
            sample_actions=terms.sample,
        ),
        watchdog=WatchdogLimits(
            book_stale_s=max(2.0, BOOK_STALE_S * scale),
            flow_stale_s=max(2.0, BOOK_STALE_S * scale),
            exit_before_s=terms.exit_before_s,
        ),
        paper_latency_ms=terms.latency_ms,
        paper_book_age_ms=round(BOOK_STALE_S * 1000),
    )


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
