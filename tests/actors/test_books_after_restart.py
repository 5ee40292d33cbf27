"""Who comes back knows the book again: an exit right after a restart does not wait for the venue's next frame."""

from collections.abc import Iterator

import pytest

from actors import addresses
from actors.book_feed import BookFeedActor
from core.market.book import LocalBook
from core.market.events import BookSnapshot
from core.market.market import Market
from core.messages import MarketListed
from core.runtime.cell import Spec
from tests.actors.builders import ASKS, BIDS, World, a_book, a_market
from tests.trading.builders import mirrored
from venues.transport import StreamOpened, StreamReceived

MARKET = a_market()


class OneFrame:
    """A venue that sends both books once and then is silent."""

    def items(self, from_ms: int) -> Iterator[tuple[int, object]]:
        books = (
            BookSnapshot(MARKET.up_token, BIDS, ASKS, from_ms),
            BookSnapshot(MARKET.down_token, mirrored(ASKS), mirrored(BIDS), from_ms),
        )
        yield from_ms, StreamOpened(from_ms)
        yield from_ms, StreamReceived(books, from_ms)


def make_book(market: Market, epoch: int) -> LocalBook:
    return LocalBook(market, continuous_snapshots=True, epoch=epoch)


@pytest.fixture
def holding() -> World:
    """A world with the real feed, which has published its one frame, and a position."""
    world = World()
    feed = addresses.book_feed("BTC")
    world.runtime.add(
        Spec(feed, lambda context: BookFeedActor(context, "BTC", lambda _market: OneFrame(), make_book, print), "BTC")
    )
    world.runtime.start(feed)
    world.runtime.tell(feed, MarketListed(MARKET))
    world.run_ms(10)
    world.books[MARKET.condition_id] = MARKET, a_book(MARKET, world.now_ms, epoch=world_epoch(world))
    world.propose(MARKET)
    world.run_ms(1_000)
    assert world.shares(MARKET) > 0, world.said
    return world


def world_epoch(world: World) -> int:
    """Return the epoch of the book that the feed published."""
    (view,) = {message.view for _, _, message in world.traffic if type(message).__name__ == "BookPublished"}  # type: ignore[attr-defined]
    epoch: int = view.continuity_epoch
    return epoch


def test_an_exit_right_after_the_executors_restart_is_filled_without_a_new_frame(holding: World) -> None:
    holding.crash(addresses.EXECUTOR)
    holding.force(MARKET)
    holding.run_ms(1_000)

    assert holding.shares(MARKET) == 0, holding.said


def test_an_exit_under_way_when_the_executor_dies_is_filled_without_a_new_frame(holding: World) -> None:
    holding.force(MARKET)
    holding.run_ms(100)
    holding.crash(addresses.EXECUTOR)
    holding.run_ms(1_000)

    assert [order.state for order in holding.orders("SELL")] == ["FILLED"]


def test_an_exit_right_after_the_portfolios_restart_is_sized_without_a_new_frame(holding: World) -> None:
    holding.crash(addresses.PORTFOLIO)
    holding.run_ms(50)
    holding.force(MARKET)
    holding.run_ms(1_000)

    assert holding.shares(MARKET) == 0, holding.said
