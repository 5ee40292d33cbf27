"""The local book: what the wire says is what the view shows, and an epoch ends where continuity does."""

from pathlib import Path

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.market.book import LocalBook
from core.market.events import (
    BestBidAsk,
    BookSide,
    BookSnapshot,
    LastTrade,
    Level,
    LevelChange,
    PriceChange,
    TickSizeChange,
)
from core.market.market import Market
from core.market.window import Window
from venues.recordings import open_recording

CENT = 10_000
MARKET = Market(Window("BTC", 1_776_727_800, 900), "0xc0", "up", "down", CENT, 5_000_000, None, 150)


def snapshot(token: str, bids: tuple[Level, ...] = (), asks: tuple[Level, ...] = (), venue_ms: int = 1) -> BookSnapshot:
    return BookSnapshot(token, bids, asks, venue_ms)


def change(token: str, side: BookSide, price: int, size: int, venue_ms: int = 2) -> PriceChange:
    return PriceChange((LevelChange(token, side, price, size),), venue_ms)


def opened(book: LocalBook) -> LocalBook:
    book.apply(snapshot("up", ((48 * CENT, 10), (49 * CENT, 20)), ((52 * CENT, 30), (51 * CENT, 40))), 1_000)
    book.apply(snapshot("down", ((48 * CENT, 30), (49 * CENT, 40)), ((52 * CENT, 10), (51 * CENT, 20))), 1_000)
    return book


def test_there_is_no_view_until_both_tokens_have_a_snapshot(market: Market) -> None:
    book = LocalBook(market)
    assert book.view() is None
    book.apply(snapshot("up", ((48 * CENT, 10),)), 1_000)
    assert book.view() is None
    book.apply(snapshot("down"), 1_000)
    view = book.view()
    assert view is not None
    assert view.up.bids == ((48 * CENT, 10),)
    assert view.down.asks == ()


def test_levels_are_best_first_whatever_order_the_venue_sends(market: Market) -> None:
    view = opened(LocalBook(market)).view()
    assert view is not None
    assert view.up.bids == ((49 * CENT, 20), (48 * CENT, 10))
    assert view.up.asks == ((51 * CENT, 40), (52 * CENT, 30))
    assert (view.asset, view.condition_id, view.tick_size, view.received_ms) == ("BTC", "0xc0", CENT, 1_000)


def test_a_delta_sets_the_aggregate_size_and_zero_removes_the_level(market: Market) -> None:
    book = opened(LocalBook(market))
    assert book.apply(change("up", "BUY", 49 * CENT, 70), 2_000)
    assert book.apply(change("up", "SELL", 51 * CENT, 0), 2_001)
    assert not book.apply(change("up", "SELL", 51 * CENT, 0), 2_002)
    view = book.view()
    assert view is not None
    assert view.up.bids[0] == (49 * CENT, 70)
    assert view.up.best_ask == 52 * CENT
    assert view.received_ms == 2_002


def test_a_delta_with_an_older_stamp_is_applied_all_the_same(market: Market) -> None:
    book = opened(LocalBook(market))
    book.apply(change("up", "BUY", 50 * CENT, 5, venue_ms=900), 2_000)
    book.apply(change("up", "BUY", 50 * CENT, 7, venue_ms=800), 2_001)
    view = book.view()
    assert view is not None
    assert view.up.bids[0] == (50 * CENT, 7)
    assert view.venue_ms == 900


def test_a_side_that_did_not_change_keeps_its_very_tuple(market: Market) -> None:
    book = opened(LocalBook(market))
    before = book.view()
    book.apply(change("up", "BUY", 50 * CENT, 5), 2_000)
    after = book.view()
    assert before is not None
    assert after is not None
    assert after.up.asks is before.up.asks
    assert after.down is before.down
    assert after.up.bids is not before.up.bids


def test_a_delta_before_its_snapshot_is_dropped_and_counted(market: Market) -> None:
    book = LocalBook(market)
    assert not book.apply(change("up", "BUY", 50 * CENT, 5), 1_000)
    assert book.counters.before_snapshot == 1
    assert opened(book).view() is not None


def test_events_of_another_market_are_counted_and_ignored(market: Market) -> None:
    book = opened(LocalBook(market))
    assert not book.apply(change("other", "BUY", 50 * CENT, 5), 2_000)
    assert not book.apply(snapshot("other"), 2_000)
    assert book.counters.foreign == 2


def test_a_reconnect_voids_the_view_and_begins_an_epoch(market: Market) -> None:
    book = opened(LocalBook(market, epoch=7))
    before = book.view()
    assert before is not None
    assert before.continuity_epoch == 7
    book.restart_epoch()
    assert book.view() is None
    after = opened(book).view()
    assert after is not None
    assert after.continuity_epoch == 8


def test_a_tick_size_change_voids_the_token_until_its_next_snapshot(market: Market) -> None:
    book = opened(LocalBook(market))
    book.apply(TickSizeChange("up", 1_000, 5), 3_000)
    assert book.view() is None
    assert not book.apply(change("up", "BUY", 50 * CENT, 5), 3_001)
    book.apply(snapshot("up", ((965_000, 1),)), 3_002)
    view = book.view()
    assert view is not None
    assert (view.tick_size, view.continuity_epoch) == (1_000, 2)
    assert view.up.bids == ((965_000, 1),)


def test_a_repeated_snapshot_with_our_touch_keeps_the_epoch_and_another_touch_ends_it(market: Market) -> None:
    book = opened(LocalBook(market))
    book.apply(snapshot("up", ((49 * CENT, 20), (48 * CENT, 10)), ((51 * CENT, 40), (52 * CENT, 30))), 2_000)
    book.apply(snapshot("up", ((49 * CENT, 20), (47 * CENT, 10)), ((51 * CENT, 40),)), 2_001)
    assert book.epoch == 1
    assert book.counters.resnapshots == 2
    assert book.counters.resnapshots_off_depth == 1
    book.apply(snapshot("up", ((47 * CENT, 10),), ((51 * CENT, 40),)), 2_002)
    assert book.epoch == 2
    view = book.view()
    assert view is not None
    assert view.up.bids == ((47 * CENT, 10),)


def test_a_source_of_snapshots_alone_stays_in_one_epoch(market: Market) -> None:
    book = opened(LocalBook(market, continuous_snapshots=True, sized=False))
    book.apply(snapshot("up", ((40 * CENT, 10),), ((41 * CENT, 40),)), 2_000)
    view = book.view()
    assert view is not None
    assert (view.continuity_epoch, view.sized, view.up.best_bid) == (1, False, 40 * CENT)


def test_absurd_levels_are_left_out_and_counted(market: Market) -> None:
    book = opened(LocalBook(market))
    for price, size in ((0, 5), (1_000_000, 5), (-CENT, 5), (50 * CENT, -1)):
        assert not book.apply(change("up", "BUY", price, size), 2_000)
    assert book.counters.absurd_levels == 4
    book.apply(snapshot("up", ((49 * CENT, 20), (1_200_000, 9)), ((51 * CENT, 40),)), 2_001)
    view = book.view()
    assert view is not None
    assert view.up.bids == ((49 * CENT, 20),)
    assert book.counters.absurd_levels == 5


def test_a_crossed_snapshot_is_refused(market: Market) -> None:
    book = opened(LocalBook(market))
    assert not book.apply(snapshot("up", ((52 * CENT, 1),), ((51 * CENT, 1),)), 2_000)
    assert book.counters.crossed_snapshots == 1
    view = book.view()
    assert view is not None
    assert view.up.best_bid == 49 * CENT


def test_while_bid_and_ask_meet_the_view_waits_and_nothing_is_lost(market: Market) -> None:
    # as recorded: the new bid comes one frame before the removal of the ask it met
    book = opened(LocalBook(market))
    before = book.view()
    book.apply(change("up", "BUY", 51 * CENT, 22), 2_000)
    assert book.view() == before
    book.apply(change("up", "SELL", 51 * CENT, 0), 2_001)
    view = book.view()
    assert view is not None
    assert (view.up.bids[0], view.up.best_ask) == ((51 * CENT, 22), 52 * CENT)
    assert book.counters.crossed_updates == 1


def test_statements_of_the_touch_are_compared_with_the_book(market: Market) -> None:
    book = opened(LocalBook(market))
    book.apply(BestBidAsk("up", 49 * CENT, 51 * CENT, 3), 2_000)
    book.apply(BestBidAsk("up", 50 * CENT, 51 * CENT, 3), 2_001)
    assert (book.counters.touch_statements, book.counters.touch_disagreements) == (2, 1)


def test_the_last_trade_is_part_of_the_view(market: Market) -> None:
    book = opened(LocalBook(market))
    assert book.apply(LastTrade("up", 51 * CENT, 9, "BUY", 3), 2_000)
    view = book.view()
    assert view is not None
    assert view.last_trade_price == 51 * CENT


def test_replaying_the_raw_recording_reproduces_the_stated_touch(recordings: Path) -> None:
    recording = open_recording(recordings / "clob-raw-5m")
    books = {market.condition_id: LocalBook(market) for market in recording.markets}
    entries = disagreeing = 0
    for recorded in recording.events():
        event = recorded.event
        assert recorded.condition_id is not None
        book = books[recorded.condition_id]
        if not isinstance(event, PriceChange):
            book.apply(event, recorded.at_ms)  # type: ignore[arg-type]
            continue
        for entry in event.changes:
            before, off_before = book.counters.touch_statements, book.counters.touch_disagreements
            book.apply(msgspec.structs.replace(event, changes=(entry,)), recorded.at_ms)
            entries += book.counters.touch_statements - before
            disagreeing += book.counters.touch_disagreements - off_before
    assert entries == 10_361
    assert entries - disagreeing >= 10_357
    assert all(book.epoch == 1 for book in books.values())


class BookMachine(RuleBasedStateMachine):
    """The book against dictionaries that do the same without any cleverness."""

    def __init__(self) -> None:
        super().__init__()
        self.book = LocalBook(MARKET)
        self.model: dict[str, dict[BookSide, dict[int, int]]] = {}
        self.epoch = 1
        self.now_ms = 0

    @staticmethod
    def touch(sides: dict[BookSide, dict[int, int]]) -> tuple[int | None, int | None]:
        """Best bid and best ask of the model."""
        return max(sides["BUY"], default=None), min(sides["SELL"], default=None)

    @rule(
        token=st.sampled_from(["up", "down"]),
        side=st.sampled_from(["BUY", "SELL"]),
        cents=st.integers(-1, 101),
        size=st.integers(-1, 4),
    )
    def delta(self, token: str, side: BookSide, cents: int, size: int) -> None:
        """One level changes, or a delta is absurd."""
        self.now_ms += 1
        self.book.apply(change(token, side, cents * CENT, size), self.now_ms)
        sides = self.model.get(token)
        if sides is None or not 0 < cents < 100 or size < 0:
            return
        if size:
            sides[side][cents * CENT] = size
        else:
            sides[side].pop(cents * CENT, None)

    @rule(
        token=st.sampled_from(["up", "down"]),
        split=st.integers(1, 99),
        bids=st.dictionaries(st.integers(1, 99), st.integers(1, 4), max_size=5),
        asks=st.dictionaries(st.integers(1, 99), st.integers(1, 4), max_size=5),
    )
    def resnapshot(self, token: str, split: int, bids: dict[int, int], asks: dict[int, int]) -> None:
        """The venue sends a whole book."""
        self.now_ms += 1
        sides: dict[BookSide, dict[int, int]] = {
            "BUY": {cents * CENT: size for cents, size in bids.items() if cents < split},
            "SELL": {cents * CENT: size for cents, size in asks.items() if cents >= split},
        }
        self.book.apply(snapshot(token, tuple(sides["BUY"].items()), tuple(sides["SELL"].items())), self.now_ms)
        if token in self.model and self.touch(self.model[token]) != self.touch(sides):
            self.epoch += 1
        self.model[token] = sides

    @rule(token=st.sampled_from(["up", "down"]))
    def change_tick(self, token: str) -> None:
        """The tick changes."""
        self.now_ms += 1
        self.book.apply(TickSizeChange(token, 1_000, 1), self.now_ms)
        self.model.pop(token, None)
        self.epoch += 1

    @rule()
    def reconnect(self) -> None:
        """The connection is replaced."""
        self.book.restart_epoch()
        self.model.clear()
        self.epoch += 1

    @invariant()
    def view_is_the_model(self) -> None:
        """The view shows exactly the model, or nothing."""
        assert self.book.epoch == self.epoch
        view = self.book.view()
        if len(self.model) < 2:
            assert view is None
            return
        touches = [self.touch(sides) for sides in self.model.values()]
        if any(bid is not None and ask is not None and bid >= ask for bid, ask in touches):
            return
        assert view is not None
        assert view.continuity_epoch == self.epoch
        for book in (view.up, view.down):
            sides = self.model[book.token_id]
            assert book.bids == tuple(sorted(sides["BUY"].items(), reverse=True))
            assert book.asks == tuple(sorted(sides["SELL"].items()))


TestBookMachine = BookMachine.TestCase
TestBookMachine.settings = settings(deadline=None)
