"""A quiet book is compared with the venue's: an equal one is known to be right again, another one is replaced."""

from collections.abc import Iterator

import pytest

from actors import addresses
from actors.book_check import WORK, Verdict, verdict
from actors.book_check import Answer as Compared
from actors.book_feed import BookFeedActor
from core.errors import TransientError
from core.market.book import LocalBook
from core.market.events import BookSnapshot
from core.market.market import Market
from core.messages import BookPublished, FeedPulse, MarketListed
from core.runtime.message import WorkDone
from core.trading.money import MICRO, micros
from tests.actors_data.builders import (
    BOOK_FEED,
    MARKET,
    OPENS_MS,
    OPENS_S,
    WINDOW_S,
    Script,
    Stage,
    book_view,
    market_of,
    snapshots,
)

NOW = market_of()
READERS = (addresses.EXECUTOR, addresses.PORTFOLIO, MARKET)
STALE_S = 2.0


class Exchange:
    """The venue beside its socket: answers with a book of its own, or with an error; counts questions and sockets."""

    def __init__(self, *frames: tuple[int, object]) -> None:
        self.bid = "0.49"
        self.error: Exception | None = None
        self.connects = True
        self.asked = 0
        self.sockets = 0
        self._frames: Iterator[tuple[tuple[int, object], ...]] = iter([frames])

    def open(self, market: Market) -> Script:
        self.sockets += 1
        return Script(next(self._frames, ()), connects=self.connects)

    def fetch(self, market: Market) -> tuple[BookSnapshot, BookSnapshot]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        _, received = snapshots(market, OPENS_MS, self.bid)
        up, down = received.events
        assert isinstance(up, BookSnapshot)
        assert isinstance(down, BookSnapshot)
        return up, down


def quiet(*frames: tuple[int, object], work_ms: int = 0) -> tuple[Stage, Exchange]:
    """Return a feed that got its first book at once and nothing afterwards but `frames`."""
    stage, exchange = Stage(work_ms=work_ms), Exchange(snapshots(NOW, OPENS_MS + 100), *frames)
    stage.listen(addresses.DISCOVERY, addresses.WATCHDOG, *READERS)
    stage.play(
        BOOK_FEED,
        lambda context: BookFeedActor(
            context,
            "BTC",
            exchange.open,
            lambda market, epoch: LocalBook(market, epoch=epoch),
            stage.said.append,
            check=(exchange.fetch, STALE_S),
        ),
        "BTC",
    )
    stage.tell(BOOK_FEED, MarketListed(NOW))
    return stage, exchange


def pulse(stage: Stage) -> FeedPulse:
    return stage.told(addresses.WATCHDOG, FeedPulse)[-1]


def views(stage: Stage) -> list[BookPublished]:
    return stage.told(MARKET, BookPublished)


def test_a_book_that_is_not_old_is_nobodys_question() -> None:
    stage, exchange = quiet()
    stage.run(STALE_S)
    assert exchange.asked == 0


def test_an_equal_book_is_as_fresh_as_if_it_had_come_and_goes_on_in_its_epoch() -> None:
    stage, exchange = quiet()
    stage.run(10)
    assert exchange.asked == 4  # whenever it is two seconds old
    assert pulse(stage).age_s <= STALE_S + 0.5
    assert pulse(stage).connected
    assert exchange.sockets == 1
    assert len({said.view.continuity_epoch for said in views(stage)}) == 1
    assert views(stage)[-1].view.received_ms > OPENS_MS + 8_000
    for reader in READERS:
        assert stage.told(reader, BookPublished) == views(stage)


def test_another_book_is_taken_at_once_in_a_new_epoch_and_the_socket_is_replaced() -> None:
    stage, exchange = quiet()
    stage.run(1)
    exchange.bid = "0.47"
    stage.run(2)
    assert exchange.sockets == 2
    last = views(stage)[-1].view
    assert last.up.best_bid == micros("0.47")
    assert last.down.best_ask == MICRO - micros("0.47")
    assert last.continuity_epoch > views(stage)[0].view.continuity_epoch
    assert any("was quiet and its book is not the venue's: the socket is replaced" in text for text in stage.said)
    assert pulse(stage).connected  # the new socket has opened


def test_while_the_new_socket_does_not_open_the_feed_is_not_connected_and_says_why() -> None:
    stage, exchange = quiet()
    stage.run(1)
    exchange.bid = "0.47"
    exchange.connects = False
    stage.run(3)
    assert not pulse(stage).connected
    assert pulse(stage).detail == "its book was not the venue's"


def test_a_venue_that_cannot_be_asked_leaves_the_book_stale_and_is_told_once() -> None:
    stage, exchange = quiet()
    exchange.error = TransientError("GET /books: 503")
    stage.run(10)
    assert exchange.asked == 4  # every other second from the third on
    assert pulse(stage).age_s > 9
    assert sum("GET /books: 503" in text for text in stage.said) == 1
    assert exchange.sockets == 1
    exchange.error = None
    stage.run(3)
    assert pulse(stage).age_s <= STALE_S + 0.5
    exchange.error = TransientError("GET /books: 503")
    stage.run(10)
    assert sum("GET /books: 503" in text for text in stage.said) == 2


def test_a_mistake_of_ours_in_asking_is_a_crash() -> None:
    stage, exchange = quiet()
    exchange.error = KeyError("asks")
    stage.run(3)
    assert stage.system.cells[BOOK_FEED].restarts == 1


def test_what_came_while_the_venue_was_asked_counts_more_than_its_answer() -> None:
    came = snapshots(NOW, OPENS_MS + 2_900, "0.50")
    stage, exchange = quiet(came, work_ms=600)
    exchange.bid = "0.47"
    stage.run(4)
    assert exchange.asked == 1
    assert exchange.sockets == 1
    assert views(stage)[-1].view.up.best_bid == micros("0.50")


def test_an_answer_about_a_market_that_is_not_open_any_more_is_dropped() -> None:
    stage, _ = quiet()
    following = market_of(opens_s=OPENS_S + WINDOW_S)
    stage.run(WINDOW_S - 5)
    stage.tell(BOOK_FEED, MarketListed(following))
    stage.run(6)
    before = len(views(stage))
    stage.tell(BOOK_FEED, WorkDone(WORK, answer("0.40", stage.clock.now_ms())))
    stage.run(0.1)
    assert len(views(stage)) == before


def test_a_feed_without_such_a_check_asks_nobody() -> None:
    stage = Stage()
    stage.listen(addresses.DISCOVERY, addresses.WATCHDOG, *READERS)
    stage.play(
        BOOK_FEED,
        lambda context: BookFeedActor(
            context,
            "BTC",
            lambda _: Script([snapshots(NOW, OPENS_MS + 100)]),
            lambda market, epoch: LocalBook(market, epoch=epoch),
            stage.said.append,
        ),
        "BTC",
    )
    stage.tell(BOOK_FEED, MarketListed(NOW))
    stage.run(10)
    assert pulse(stage).age_s > 9


# -- the comparison ---------------------------------------------------------------------------------------------------


def answer(bid: str = "0.49", asked_ms: int = OPENS_MS) -> Compared:
    _, received = snapshots(NOW, asked_ms, bid)
    up, down = (event for event in received.events if isinstance(event, BookSnapshot))
    return Compared(NOW.condition_id, asked_ms, up, down)


@pytest.mark.parametrize(
    ("asked_ms", "bid", "found"),
    [
        (OPENS_MS, "0.49", Verdict.EQUAL),
        (OPENS_MS, "0.48", Verdict.DIFFERENT),
        (OPENS_MS - 1, "0.48", Verdict.OVERTAKEN),
        (OPENS_MS - 1, "0.49", Verdict.OVERTAKEN),
    ],
)
def test_a_verdict_needs_a_book_that_is_not_newer_than_the_question(asked_ms: int, bid: str, found: Verdict) -> None:
    assert verdict(answer(bid, asked_ms), book_view(NOW, OPENS_MS)) is found


def test_where_we_have_no_book_the_venues_is_another_one() -> None:
    assert verdict(answer(), None) is Verdict.DIFFERENT


def test_levels_without_shares_are_no_levels() -> None:
    given = answer()
    padded = BookSnapshot(given.up.token_id, (*given.up.bids, (micros("0.10"), 0)), given.up.asks, OPENS_MS)
    assert verdict(Compared(NOW.condition_id, OPENS_MS, padded, given.down), book_view(NOW, OPENS_MS)) is Verdict.EQUAL


def test_the_down_tokens_book_counts_as_well() -> None:
    given, other = answer(), answer("0.48")
    mixed = Compared(NOW.condition_id, OPENS_MS, given.up, other.down)
    assert verdict(mixed, book_view(NOW, OPENS_MS)) is Verdict.DIFFERENT
