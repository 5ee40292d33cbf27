"""A BookFeedActor keeps the books of its asset's markets and says honestly how fresh they are."""

import pytest

from actors import addresses
from actors.book_feed import LINGER_S, BookFeedActor
from core.market.book import LocalBook
from core.market.events import MarketResolved
from core.market.market import Market
from core.messages import BookPublished, CalendarRequested, FeedPulse, MarketListed, ResolutionSeen, ViewsRequested
from core.runtime.message import StreamEnded
from core.trading.money import micros
from tests.actors_data.builders import (
    BOOK_FEED,
    MARKET,
    OPENS_MS,
    OPENS_S,
    WINDOW_S,
    Script,
    Stage,
    bid_of_up,
    frame,
    market_of,
    snapshots,
)
from venues.transport import BadFrame, StreamClosed, StreamOpened, UnknownEvent

NOW, NEXT = market_of(), market_of(opens_s=OPENS_S + WINDOW_S)
NEXT_MS = NEXT.window.opens_at_s * 1000
READERS = (addresses.EXECUTOR, addresses.PORTFOLIO, MARKET)
LINGER = LINGER_S * WINDOW_S / 900
CRASH = StreamEnded("test", RuntimeError("killed by the test"))


class Venue:
    """Scripts by market; notes which were opened."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.opened: list[str] = []

    def open(self, market: Market) -> Script:
        self.opened.append(market.condition_id)
        return self.scripts.get(market.condition_id, Script())


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def venue(stage: Stage) -> Venue:
    """The feed among its neighbours, with nothing listed yet."""
    venue = Venue()
    stage.listen(addresses.DISCOVERY, addresses.WATCHDOG, *READERS)
    stage.play(
        BOOK_FEED,
        lambda context: BookFeedActor(
            context, "BTC", venue.open, lambda market, epoch: LocalBook(market, epoch=epoch), stage.said.append
        ),
        "BTC",
    )
    return venue


def pulse(stage: Stage) -> FeedPulse:
    return stage.told(addresses.WATCHDOG, FeedPulse)[-1]


def books(stage: Stage, market: Market = NOW) -> list[BookPublished]:
    return [said for said in stage.told(MARKET, BookPublished) if said.view.condition_id == market.condition_id]


def test_deltas_are_applied_in_order_and_every_reader_hears_each_view(stage: Stage, venue: Venue) -> None:
    sizes = (5, 7, 0, 3)
    deltas = [bid_of_up(NOW, OPENS_MS + 200 + n, "0.50", size) for n, size in enumerate(sizes)]
    venue.scripts[NOW.condition_id] = Script([snapshots(NOW, OPENS_MS + 100), *deltas])
    stage.tell(BOOK_FEED, MarketListed(NOW))
    stage.run(1)

    seen = [said.view.up.bids[0] for said in books(stage)]
    assert seen == [
        (micros("0.49"), micros(100)),
        (micros("0.50"), micros(5)),
        (micros("0.50"), micros(7)),
        (micros("0.49"), micros(100)),
        (micros("0.50"), micros(3)),
    ]
    assert len({said.view.continuity_epoch for said in books(stage)}) == 1
    for reader in READERS:
        assert stage.told(reader, BookPublished) == books(stage)


def test_a_reader_that_has_just_started_gets_the_last_view_at_once(stage: Stage, venue: Venue) -> None:
    venue.scripts[NOW.condition_id] = Script([snapshots(NOW, OPENS_MS + 100)])
    stage.tell(BOOK_FEED, MarketListed(NOW))
    stage.run(1)
    stage.tell(BOOK_FEED, ViewsRequested(MARKET))
    stage.run()

    first, again = books(stage)
    assert again == first
    assert len(stage.told(addresses.EXECUTOR, BookPublished)) == 1


def test_the_next_windows_first_book_is_there_before_it_opens(stage: Stage, venue: Venue) -> None:
    venue.scripts[NOW.condition_id] = Script([snapshots(NOW, OPENS_MS + n * 500) for n in range(200)])
    venue.scripts[NEXT.condition_id] = Script([snapshots(NEXT, OPENS_MS + 31_000)])
    stage.tell(BOOK_FEED, MarketListed(NOW))
    stage.run(30)
    stage.tell(BOOK_FEED, MarketListed(NEXT))
    stage.run(29.9)

    assert venue.opened == [NOW.condition_id, NEXT.condition_id]
    assert books(stage, NEXT)[0].view.received_ms == OPENS_MS + 31_000
    assert pulse(stage).age_s <= 0.5  # of the window that is open

    stage.run(0.6)
    assert pulse(stage).connected
    assert pulse(stage).has_data
    assert pulse(stage).age_s == pytest.approx((NEXT_MS - OPENS_MS - 31_000) / 1000, abs=0.6)


def test_the_epoch_grows_with_a_reconnect_and_nothing_is_known_until_the_next_snapshot(
    stage: Stage, venue: Venue
) -> None:
    venue.scripts[NOW.condition_id] = Script(
        [
            snapshots(NOW, OPENS_MS + 100),
            (OPENS_MS + 200, StreamClosed("reset by peer", OPENS_MS + 200)),
            (OPENS_MS + 300, StreamOpened(OPENS_MS + 300)),
            bid_of_up(NOW, OPENS_MS + 400, "0.50", 5),
            snapshots(NOW, OPENS_MS + 500, "0.40", "0.42"),
        ]
    )
    stage.tell(BOOK_FEED, MarketListed(NOW))
    stage.run(1)

    first, second = (said.view for said in books(stage))
    assert (first.received_ms, second.received_ms) == (OPENS_MS + 100, OPENS_MS + 500)
    assert second.continuity_epoch > first.continuity_epoch
    assert pulse(stage).reconnects == 1
    assert stage.said == [f"{BOOK_FEED} disconnected: reset by peer; reconnecting"]


def test_a_restarted_feed_asks_the_calendar_and_goes_on_above_every_epoch_before(stage: Stage, venue: Venue) -> None:
    drops = [(OPENS_MS + 100 + n, StreamOpened(OPENS_MS + 100 + n)) for n in range(50)]
    venue.scripts[NOW.condition_id] = Script([*drops, *(snapshots(NOW, OPENS_MS + n * 1000) for n in range(1, 20))])
    stage.tell(BOOK_FEED, MarketListed(NOW))
    stage.run(2)
    before = books(stage)[-1].view.continuity_epoch
    stage.tell(BOOK_FEED, CRASH)
    stage.run(2)

    assert stage.told(addresses.DISCOVERY, CalendarRequested) == [CalendarRequested("BTC", BOOK_FEED)] * 2
    assert not pulse(stage).connected
    stage.tell(BOOK_FEED, MarketListed(NOW))  # the calendar's answer
    stage.run(2)
    assert books(stage)[-1].view.continuity_epoch > before
    assert pulse(stage).connected


def test_age_is_measured_on_data_not_on_the_connection(stage: Stage, venue: Venue) -> None:
    chatter = [(OPENS_MS + n * 1000, UnknownEvent("pong")) for n in range(4, 20)]
    venue.scripts[NOW.condition_id] = Script([snapshots(NOW, OPENS_MS + 3000), *chatter])
    stage.tell(BOOK_FEED, MarketListed(NOW))
    stage.run(2)
    assert (pulse(stage).connected, pulse(stage).has_data) == (True, False)

    stage.run(8)
    assert pulse(stage).has_data
    assert pulse(stage).age_s == pytest.approx(7.0, abs=0.5)


def test_garbage_costs_a_counter_and_one_line_and_an_unknown_type_one_line(stage: Stage, venue: Venue) -> None:
    noise: list[tuple[int, object]] = [(OPENS_MS + 200 + n, BadFrame(f"garbage {n}", n)) for n in range(5)]
    noise += [(OPENS_MS + 300 + n, UnknownEvent(kind)) for n, kind in enumerate(("new_market", "new_market", "hello"))]
    venue.scripts[NOW.condition_id] = Script(
        [snapshots(NOW, OPENS_MS + 100), *noise, bid_of_up(NOW, OPENS_MS + 400, "0.50", 5)]
    )
    stage.tell(BOOK_FEED, MarketListed(NOW))
    stage.run(1)

    assert pulse(stage).bad_frames == 5
    assert pulse(stage).frames == 2
    assert books(stage)[-1].view.up.bids[0] == (micros("0.50"), micros(5))
    assert stage.said == [
        f"{BOOK_FEED} skips a frame it cannot read: garbage 0",
        f"{BOOK_FEED} skips events of an unknown type: new_market",
        f"{BOOK_FEED} skips events of an unknown type: hello",
    ]


def test_a_closed_markets_stream_is_closed_after_its_linger(stage: Stage, venue: Venue) -> None:
    late = [snapshots(NOW, OPENS_MS + n * 1000) for n in range(1, 120)]
    venue.scripts[NOW.condition_id] = Script(late)
    stage.tell(BOOK_FEED, MarketListed(NOW))
    stage.run(WINDOW_S + LINGER + 10)

    assert pulse(stage).frames == pytest.approx(WINDOW_S + LINGER, abs=1)
    assert not pulse(stage).connected
    assert pulse(stage).detail == "no market is open"


def test_a_resolution_in_the_linger_is_told_to_the_discovery(stage: Stage, venue: Venue) -> None:
    at_ms = NEXT_MS + 2000
    resolved = MarketResolved(NOW.condition_id, NOW.up_token, at_ms)
    venue.scripts[NOW.condition_id] = Script([frame(at_ms, resolved)])
    stage.tell(BOOK_FEED, MarketListed(NOW))
    stage.run(WINDOW_S + 3)

    assert stage.told(addresses.DISCOVERY, ResolutionSeen) == [ResolutionSeen(NOW.condition_id, NOW.up_token)]


def test_a_market_listed_late_does_not_take_the_place_of_the_one_that_is_open(stage: Stage, venue: Venue) -> None:
    venue.scripts[NEXT.condition_id] = Script([snapshots(NEXT, NEXT_MS + n * 100) for n in range(100)])
    venue.scripts[NOW.condition_id] = Script(connects=False)
    stage.run(WINDOW_S + 1)
    stage.tell(BOOK_FEED, MarketListed(NEXT), MarketListed(NOW))
    stage.run(2)

    assert pulse(stage).connected
    assert pulse(stage).age_s <= 0.5


def test_the_pulse_names_the_trouble_of_the_open_market_not_of_the_next(stage: Stage, venue: Venue) -> None:
    venue.scripts[NOW.condition_id] = Script([(OPENS_MS + 2000, StreamClosed("reset by peer", OPENS_MS + 2000))])
    venue.scripts[NEXT.condition_id] = Script([(OPENS_MS + 3000, StreamClosed("refused", 0))], connects=False)
    stage.tell(BOOK_FEED, MarketListed(NOW), MarketListed(NEXT))
    stage.run(4)
    assert pulse(stage).detail == "reset by peer"

    stage.run(WINDOW_S)
    assert (pulse(stage).connected, pulse(stage).detail) == (False, "refused")
