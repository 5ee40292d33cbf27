"""The complete system over a venue in memory: every actor, real rules; for either runtime, without a database."""

from collections.abc import Callable, Sequence

from actors.feed_watch import FeedLimits
from actors.market import MarketRules, Policy
from actors.portfolio import Sizing
from actors.watchdog import WatchdogLimits
from bench.measure.calm_venue import CalmVenue
from cli.wiring import Rules, Services, Venues, assemble
from core.market.book import LocalBook
from core.market.window import REFERENCE_LENGTH_S
from core.records import Record
from core.runtime.system import ActorSystem
from core.trading.limits import OpenLimits
from core.trading.money import MICRO

STALE_S = 30.0
KNOWN = ("BTC", "ETH", "SOL", "XRP")


def asset_names(count: int) -> tuple[str, ...]:
    """Return that many tickers: the real ones first, then made-up ones."""
    return (*KNOWN, *(f"A{number:03}" for number in range(len(KNOWN), count)))[:count]


def market_rules(grid_ms: int) -> MarketRules:
    """Return how market actors decide: as with the shipped settings at W = 900, but for the grid."""
    return MarketRules(grid_ms=grid_ms, book_stale_s=STALE_S, flow_stale_s=STALE_S, sample_actions=True)


def assemble_calm(
    system: ActorSystem,
    assets: tuple[str, ...],
    *,
    seed: int,
    every_ms: int,
    market: MarketRules,
    load_weights: Callable[[], object],
    make_policy: Callable[[object], Policy],
    write: Callable[[Sequence[Record]], None],
) -> None:
    """Add every actor, as the command line does; a book and a trade of each asset come every `every_ms`."""
    venue = CalmVenue(system.clock, assets, seed, every_ms)
    venues = Venues(
        book_stream=venue.book_stream,
        make_book=lambda listed, epoch: LocalBook(listed, continuous_snapshots=True, epoch=epoch),
        flow_streams=venue.flow_streams,
        candles=None,
        calendar=venue,
        prices=venue.prices,
    )
    services = Services(
        write=write,
        load_weights=load_weights,
        weights_source="benchmark",
        make_policy=make_policy,
        post=None,
        log=lambda _text: None,
    )
    rules = Rules(
        assets=assets,
        window_s=REFERENCE_LENGTH_S,
        session_id=1,
        starting_cash_usd=1_000_000_000 * MICRO,
        sizing=Sizing(
            trade_size_usd=100 * MICRO, slippage_ticks=2, order_type="FAK", limits=OpenLimits(max_book_age_s=STALE_S)
        ),
        market=market,
        watchdog=WatchdogLimits(FeedLimits(book_stale_s=STALE_S, flow_stale_s=STALE_S)),
        paper_latency_ms=50,
        paper_book_age_ms=round(STALE_S * 1000),
    )
    assemble(system, rules, venues, services)
