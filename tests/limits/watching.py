"""A watchdog with something to watch: feeds that pulse with what is bid, and a position opened in a quiet book."""

from actors import addresses
from actors.feed_watch import FeedLimits
from actors.watchdog import WatchdogLimits
from core.market.market import Market
from core.messages import ForcedExit, RecorderPulse, Touch
from core.records import HealthEventRecord
from core.trading.forced_exits import ForcedExitRules
from core.trading.gate import Hold
from tests.actors.builders import World, a_market

MARKET = a_market(length_s=300)
"""Short, so that its end comes soon: what is said of W = 900 is a third here."""
LATE_S = 75
"""Seconds before its end at which the world begins: sixty are needed to open."""
FEEDS = FeedLimits(book_stale_s=2.0, flow_stale_s=1.5)
NEVER = ForcedExitRules(exit_before_s=None, max_age_s=None)
"""No rule sells anything; the base of tests of one rule."""
BOOKS, FLOW = addresses.book_feed("BTC"), addresses.flow_feed("BTC")


def watched(
    exits: ForcedExitRules = NEVER, feeds: FeedLimits = FEEDS, assets: tuple[str, ...] = ("BTC",), **rest: object
) -> World:
    """Return a world with a watchdog whose feeds have been heard."""
    late = {"start_ms": (MARKET.window.closes_at_s - LATE_S) * 1000, **rest}
    world = World(limits=WatchdogLimits(feeds, exits), assets=assets, **late)  # type: ignore[arg-type]
    pulse_for(world, 1, assets)
    return world


def holding(exits: ForcedExitRules = NEVER, market: Market = MARKET, **rest: object) -> World:
    """Return a watched world with about 96 shares of UP, bought at 0.51 and bid for at 0.49."""
    world = watched(exits, **rest)  # type: ignore[arg-type]
    world.opened(market)
    return world


def touch_of(world: World, asset: str) -> Touch | None:
    """Return what is bid in the asset's newest book."""
    views = [view for market, view in world.books.values() if market.asset == asset]
    return Touch(views[-1].condition_id, views[-1].up.best_bid, views[-1].down.best_bid) if views else None


def pulse_for(world: World, seconds: float, assets: tuple[str, ...] = ("BTC",), **book: object) -> None:
    """Let time pass while feeds and recorder pulse; `book` is what the book feeds say of themselves."""
    end_ms = world.now_ms + round(seconds * 1000)
    while world.now_ms < end_ms:
        for asset in assets:
            told = {"touch": touch_of(world, asset), **book}
            world.pulse(addresses.book_feed(asset), asset, **told)  # type: ignore[arg-type]
            world.pulse(addresses.flow_feed(asset), asset)
        world.runtime.tell(addresses.WATCHDOG, RecorderPulse(0.0, 0, None))
        world.run_s(min(0.5, (end_ms - world.now_ms) / 1000))


def pulse_to(world: World, at_s: float) -> None:
    """Let time pass until unix second `at_s`."""
    pulse_for(world, at_s - world.now_ms / 1000)


def holds(world: World) -> dict[str, Hold]:
    """Return what holds the gate, by reason."""
    return {hold.reason: hold for hold in world.runtime.gate.state.holds}


def asked_for(world: World) -> list[str]:
    """Return the reasons of the exits that the watchdog asked for, one each."""
    reasons = [message.reason for _, _, message in world.traffic if isinstance(message, ForcedExit)]
    return list(dict.fromkeys(reasons))


def notes(world: World, subject: str) -> list[tuple[str, str]]:
    """Return the status and the detail of what was written down about a subject."""
    rows = [row for row in world.tables.log if isinstance(row, HealthEventRecord)]
    return [(row.status, row.detail) for row in rows if row.subject == subject]
