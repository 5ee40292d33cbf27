"""The DiscoveryActor knows every window before it opens, and its strike from nowhere but the settlement stream."""

import itertools
from collections.abc import Sequence

import pytest

from actors import addresses
from actors.discovery import FORGET_S, LOOKUP_RETRY_MAX_S, DiscoveryActor
from core.errors import FuseboxError, RejectedError, TransientError
from core.market.events import SettlementPrice
from core.market.market import Market
from core.messages import CalendarRequested, MarketListed, Persist, StrikeKnown, Tick
from core.records import MarketRecord
from tests.actors_data.builders import (
    MARKET,
    OPENS_MS,
    OPENS_S,
    WINDOW_S,
    Calendar,
    Record,
    Script,
    Stage,
    frame,
    market_of,
)
from venues.transport import BadFrameError, StreamClosed

ASSETS = ("BTC", "ETH")
READERS = tuple(reader(asset) for asset in ASSETS for reader in (addresses.market, addresses.book_feed))
LEAD_S = WINDOW_S / 2


def play(stage: Stage, prices: Sequence[tuple[int, object]] | None = None, assets: Sequence[str] = ASSETS) -> Calendar:
    calendar = Calendar(stage.clock)
    stage.listen(addresses.PORTFOLIO, addresses.WATCHDOG, addresses.DB_WRITER, *READERS)
    stage.play(
        addresses.DISCOVERY,
        lambda context: DiscoveryActor(
            context,
            tuple(assets),
            WINDOW_S,
            calendar,
            None if prices is None else lambda: Script(prices),
            stage.said.append,
        ),
    )
    return calendar


@pytest.fixture
def stage() -> Stage:
    return Stage(OPENS_MS + 5_000, work_ms=20)


def listed(stage: Stage, asset: str = "BTC") -> list[Market]:
    return [said.market for said in stage.told(addresses.market(asset), MarketListed)]


def rows(stage: Stage) -> list[MarketRecord]:
    written = [row for said in stage.told(addresses.DB_WRITER, Persist) for row in said.rows]
    return [row for row in written if isinstance(row, MarketRecord)]


def twap(at_s: float, price: float = 65_000.0, lookback_s: int | None = 60, asset: str = "BTC") -> tuple[int, object]:
    at_ms = round(at_s * 1000)
    return frame(at_ms, SettlementPrice(asset, price, at_ms, lookback_s))


def test_windows_are_looked_up_once_by_their_exact_name_one_ahead(stage: Stage) -> None:
    calendar = play(stage)
    stage.run(WINDOW_S * 3)

    for asset in ASSETS:
        opens = [OPENS_S + n * WINDOW_S for n in range(5)]
        asked = [(at, slug) for at, slug in calendar.looked_up if slug.startswith(asset.lower())]
        assert [slug for _, slug in asked] == [f"{asset.lower()}-updown-60s-{at}" for at in opens[: len(asked)]]
        assert [at for at, _ in asked] == [OPENS_MS + 5000, *(round((at - LEAD_S) * 1000) for at in opens[1:4])]
        told = [MarketListed(market_of(asset, at)) for at in opens[:4]]
        for reader in (addresses.market(asset), addresses.book_feed(asset)):
            assert stage.told(reader, MarketListed) == told


def test_a_window_that_is_not_listed_yet_is_asked_for_again_ever_less_often(stage: Stage) -> None:
    calendar = play(stage, assets=["BTC"])
    calendar.listed_s = -40.0
    stage.run(45)

    at_s = [at / 1000 for at, slug in calendar.looked_up if slug == market_of().window.slug]
    waits = [after - before for before, after in itertools.pairwise(at_s)]
    assert listed(stage) == [market_of()]
    assert 5 <= len(at_s) <= 9
    assert waits[-1] > waits[0]
    assert max(waits) <= LOOKUP_RETRY_MAX_S * 1.2 + 0.1
    assert stage.said == []


def test_tomorrows_market_is_not_mistaken_for_todays(stage: Stage) -> None:
    calendar = play(stage, assets=["BTC"])
    slug = market_of().window.slug
    calendar.instead[slug] = market_of(opens_s=OPENS_S + 86_400)
    stage.run(10)
    assert listed(stage) == []
    assert rows(stage) == []

    del calendar.instead[slug]
    stage.run(15)
    assert listed(stage) == [market_of()]


def test_after_the_clock_jumped_the_present_window_is_looked_up(stage: Stage) -> None:
    play(stage, assets=["BTC"])
    stage.run(5)
    stage.clock.advance_to(OPENS_MS + 10 * WINDOW_S * 1000 + 3_000)  # the machine slept
    stage.run(LEAD_S)

    assert market_of(opens_s=OPENS_S + 10 * WINDOW_S) in listed(stage)


@pytest.mark.parametrize("error", [TransientError("connection refused"), BadFrameError("no eventStartTime")])
def test_an_outage_is_told_in_one_line_for_all_assets_and_windows_and_ends_by_itself(
    stage: Stage, error: FuseboxError
) -> None:
    calendar = play(stage)
    calendar.failures[""] = error
    stage.run(WINDOW_S * 20)
    assert len(calendar.looked_up) > 100
    assert len(stage.said) == 1
    assert str(error) in stage.said[0]

    calendar.failures.clear()
    stage.run(WINDOW_S)
    for asset in ASSETS:
        assert listed(stage, asset)[-1].window.opens_at_s >= OPENS_S + 20 * WINDOW_S
    assert stage.system.cells[addresses.DISCOVERY].restarts == 0


def test_a_market_that_the_venues_answer_rules_out_is_not_asked_for_again_but_the_next_is(stage: Stage) -> None:
    calendar = play(stage)
    slug = market_of().window.slug
    calendar.failures[slug] = RejectedError("it is of protocol version 'v2'")
    stage.run(WINDOW_S)

    assert [asked for _, asked in calendar.looked_up].count(slug) == 1
    assert stage.said == [f"{slug} is not traded: GET /events/slug/{slug}: it is of protocol version 'v2'"]
    assert [market.window.opens_at_s for market in listed(stage)] == [OPENS_S + WINDOW_S]
    assert market_of("ETH") in listed(stage, "ETH")


def test_a_question_about_the_calendar_is_answered_with_what_is_not_over(stage: Stage) -> None:
    play(stage, [twap(OPENS_S + 60)])
    stage.run(WINDOW_S + 35)  # the second window is open, the third is known
    before = len(listed(stage))
    stage.tell(addresses.DISCOVERY, CalendarRequested("BTC", MARKET))
    stage.run()

    second = market_of(opens_s=OPENS_S + WINDOW_S)
    assert listed(stage)[before:] == [second, market_of(opens_s=OPENS_S + 2 * WINDOW_S)]
    assert stage.told(MARKET, StrikeKnown)[-1] == StrikeKnown(second.condition_id, "BTC", 65_000.0)


@pytest.mark.parametrize(
    ("tick", "strike"),
    [
        (twap(OPENS_S + 60, 65_000.0), 65_000.0),
        (twap(OPENS_S + 59, 65_000.0), None),
        (twap(OPENS_S + 61, 65_000.0), None),
        (twap(OPENS_S + 60.5, 65_000.0), None),
        (twap(OPENS_S + 60, 65_000.0, lookback_s=None), None),
        (twap(OPENS_S + 60, 65_000.0, asset="ETH"), None),
    ],
    ids=["at the open", "before", "after", "within its second", "spot", "another asset"],
)
def test_the_strike_is_the_twap_stamped_exactly_at_the_open_or_unknown(
    stage: Stage, tick: tuple[int, object], strike: float | None
) -> None:
    play(stage, [tick])
    stage.run(WINDOW_S + 5)

    second = market_of(opens_s=OPENS_S + WINDOW_S)
    heard = [said.strike for said in stage.told(MARKET, StrikeKnown) if said.condition_id == second.condition_id]
    written = [row.strike for row in rows(stage) if row.condition_id == second.condition_id]
    assert heard == ([] if strike is None else [strike])
    assert written == ([None] if strike is None else [None, strike])


def test_a_strike_that_came_before_the_listing_is_kept_for_it(stage: Stage) -> None:
    late = Stage(OPENS_MS - 1_000, work_ms=20)
    calendar = play(late, [twap(OPENS_S)], ["BTC"])
    calendar.listed_s = -20.0
    late.run(30)

    assert late.told(MARKET, StrikeKnown) == [StrikeKnown(market_of().condition_id, "BTC", 65_000.0)]


def test_a_price_stream_that_falls_silent_again_and_again_is_complained_of_once(stage: Stage) -> None:
    play(stage, [(OPENS_MS + n * 15_000, StreamClosed("no data for 15 s", 0)) for n in range(1, 100)])
    stage.run(1500)

    assert stage.said == ["settlement prices disconnected: no data for 15 s; strikes may stay unknown"]


def test_memory_stays_bounded_over_ten_thousand_windows() -> None:
    windows = 10_000
    stage = Stage()
    calendar = play(stage, assets=["BTC"])
    calendar.records = AllWon()
    actor = stage.system._alive
    for _ in range(20):
        stage.run(WINDOW_S * windows / 20)
        calendar.looked_up.clear()
        calendar.polled.clear()
    known = next(alive.actor for cell, alive in actor.items() if cell.spec.address == addresses.DISCOVERY)
    assert isinstance(known, DiscoveryActor)
    kept = {name: len(value) for name, value in vars(known).items() if isinstance(value, dict)}

    assert len(listed(stage)) >= windows
    assert max(kept.values()) <= FORGET_S / WINDOW_S + 5, kept


class AllWon(dict[str, Record]):
    """A record in which every market was won by UP."""

    def get(self, slug: str, default: object = None) -> Record:
        return Record("UP")


def test_an_unexpected_failure_is_a_crash_and_the_next_incarnation_lists_again(stage: Stage) -> None:
    play(stage)
    stage.run(1)
    stage.tell(addresses.DISCOVERY, Tick(None))  # type: ignore[arg-type]  # what its handler cannot bear
    stage.run(1)

    assert stage.system.cells[addresses.DISCOVERY].incarnation == 2
    assert listed(stage) == [market_of(), market_of()]
