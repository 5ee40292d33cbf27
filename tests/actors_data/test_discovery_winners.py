"""The DiscoveryActor tells a winner when the venue's record names it, and never gives up on what is held."""

import pytest

from actors import addresses
from actors.discovery import FORGET_S, WINNER_EVERY_S, WINNER_GIVE_UP_S, DiscoveryActor
from core.errors import RejectedError, TransientError
from core.messages import AwaitWinner, MarketListed, Persist, ResolutionSeen, StrikeKnown, WinnerKnown
from core.records import MarketRecord
from tests.actors_data.builders import (
    KILL,
    MARKET,
    OPENS_MS,
    OPENS_S,
    WINDOW_S,
    Calendar,
    Record,
    Stage,
    market_of,
)

NOW = market_of()
CLOSES_S = OPENS_S + WINDOW_S
CLOSES_MS = CLOSES_S * 1000
SLUG = NOW.window.slug


@pytest.fixture
def stage() -> Stage:
    return Stage(OPENS_MS + 5_000, work_ms=20)


@pytest.fixture
def calendar(stage: Stage) -> Calendar:
    """The discovery of one asset among its neighbours."""
    calendar = Calendar(stage.clock)
    stage.listen(addresses.PORTFOLIO, addresses.WATCHDOG, addresses.DB_WRITER, MARKET, addresses.book_feed("BTC"))
    stage.play(
        addresses.DISCOVERY,
        lambda context: DiscoveryActor(context, ("BTC",), WINDOW_S, calendar, None, stage.said.append),
    )
    return calendar


def winners(stage: Stage) -> list[tuple[str, str]]:
    return [(said.condition_id, said.winner) for said in stage.told(addresses.PORTFOLIO, WinnerKnown)]


def polls(calendar: Calendar, slug: str = SLUG) -> list[int]:
    return [at_ms for at_ms, asked in calendar.polled if asked == slug]


def rows(stage: Stage) -> list[MarketRecord]:
    written = [row for said in stage.told(addresses.DB_WRITER, Persist) for row in said.rows]
    return [row for row in written if isinstance(row, MarketRecord) and row.condition_id == NOW.condition_id]


def await_winner(slug: str = SLUG, closes_at_s: int = CLOSES_S) -> AwaitWinner:
    return AwaitWinner("BTC", NOW.condition_id, slug, closes_at_s)


def test_the_record_is_polled_from_the_close_until_it_names_the_winner(stage: Stage, calendar: Calendar) -> None:
    stage.run(WINDOW_S + 5)
    assert winners(stage) == []
    asked = polls(calendar)
    assert asked[0] == CLOSES_MS + WINNER_EVERY_S * 1000
    assert len(asked) >= 3

    calendar.records[SLUG] = Record("DOWN", 64_990.5)
    stage.run(5)
    count = len(polls(calendar))
    stage.run(20)
    assert winners(stage) == [(NOW.condition_id, "DOWN")]
    assert len(polls(calendar)) == count
    assert (rows(stage)[-1].winner, rows(stage)[-1].strike) == ("DOWN", 64_990.5)
    assert stage.told(MARKET, StrikeKnown) == [StrikeKnown(NOW.condition_id, "BTC", 64_990.5)]
    assert stage.said.count(f"{SLUG} resolved DOWN") == 1


def test_an_announcement_makes_the_record_be_asked_and_is_itself_no_proof(stage: Stage, calendar: Calendar) -> None:
    stage.run(WINDOW_S - 4)  # one second after the close, before the first poll
    stage.tell(addresses.DISCOVERY, ResolutionSeen(NOW.condition_id, NOW.up_token))
    stage.run(0.1)
    assert polls(calendar) == [CLOSES_MS + 1000]
    assert winners(stage) == []

    calendar.records[SLUG] = Record("DOWN")
    stage.tell(addresses.DISCOVERY, ResolutionSeen(NOW.condition_id, NOW.up_token))
    stage.run(0.1)
    assert winners(stage) == [(NOW.condition_id, "DOWN")]


def test_an_announcement_before_the_close_does_not_start_polling(stage: Stage, calendar: Calendar) -> None:
    stage.run(1)
    stage.tell(addresses.DISCOVERY, ResolutionSeen(NOW.condition_id, NOW.up_token))
    stage.tell(addresses.DISCOVERY, ResolutionSeen("0xunknown", "token"))
    stage.run(WINDOW_S - 7)

    assert len(calendar.polled) == 1
    assert winners(stage) == []


def test_nobody_asks_for_ever_about_a_market_in_which_nothing_is_held(stage: Stage, calendar: Calendar) -> None:
    stage.run(WINDOW_S + WINNER_GIVE_UP_S + 10)
    count = len(polls(calendar))
    stage.run(WINNER_GIVE_UP_S)

    assert count > 100
    assert len(polls(calendar)) == count


def test_what_is_held_is_asked_about_however_long_it_takes(stage: Stage, calendar: Calendar) -> None:
    stage.run(1)
    stage.tell(addresses.DISCOVERY, await_winner())
    stage.run(FORGET_S + 2 * WINNER_GIVE_UP_S)
    assert stage.clock.now_ms() - polls(calendar)[-1] < 60_000

    calendar.records[SLUG] = Record("UP")
    stage.run(60)
    assert winners(stage) == [(NOW.condition_id, "UP")]


def test_after_a_restart_a_market_of_yesterday_is_settled_and_its_row_completed(
    stage: Stage, calendar: Calendar
) -> None:
    old = market_of(opens_s=OPENS_S - 86_400)
    wish = AwaitWinner("BTC", old.condition_id, old.window.slug, old.window.closes_at_s)
    calendar.records[old.window.slug] = Record("UP")
    stage.tell(addresses.DISCOVERY, wish)
    stage.run(5)

    written = [row for said in stage.told(addresses.DB_WRITER, Persist) for row in said.rows]
    won = [row for row in written if isinstance(row, MarketRecord) and row.condition_id == old.condition_id]
    assert winners(stage) == [(old.condition_id, "UP")]
    assert [row.winner for row in won][-1] == "UP"
    assert MarketListed(old) not in stage.told(MARKET, MarketListed)


def test_who_asks_again_is_told_again(stage: Stage, calendar: Calendar) -> None:
    calendar.records[SLUG] = Record("UP")
    stage.run(WINDOW_S + 5)
    stage.tell(addresses.DISCOVERY, await_winner())
    stage.run(1)

    assert winners(stage) == [(NOW.condition_id, "UP")] * 2


def test_a_killed_discovery_is_asked_again_and_answers(stage: Stage, calendar: Calendar) -> None:
    stage.run(WINDOW_S + 5)
    stage.tell(addresses.DISCOVERY, KILL)
    stage.run(1)
    stage.tell(addresses.DISCOVERY, await_winner())
    calendar.records[SLUG] = Record("DOWN")
    stage.run(5)

    assert stage.system.cells[addresses.DISCOVERY].incarnation == 2
    assert winners(stage) == [(NOW.condition_id, "DOWN")]


@pytest.mark.parametrize("error", [TransientError("HTTP 503"), RejectedError("HTTP 403")])
def test_a_venue_that_cannot_be_asked_is_asked_on_and_complained_of_once(
    stage: Stage, calendar: Calendar, error: TransientError | RejectedError
) -> None:
    stage.run(WINDOW_S - 10)
    stage.tell(addresses.DISCOVERY, await_winner())
    calendar.failures[SLUG] = error
    stage.run(300)
    assert winners(stage) == []
    assert len(polls(calendar)) > 100
    assert [line for line in stage.said if "cannot ask" in line] == stage.said[:1]
    assert SLUG in stage.said[0]

    calendar.failures.clear()
    calendar.records[SLUG] = Record("UP")
    stage.run(5)
    assert winners(stage) == [(NOW.condition_id, "UP")]


def test_a_market_found_only_after_its_close_is_recorded_and_settled_but_not_offered() -> None:
    stage = Stage(CLOSES_MS - 1_000, work_ms=1_500)  # the answer comes when the window is over
    calendar = Calendar(stage.clock)
    stage.listen(addresses.PORTFOLIO, addresses.WATCHDOG, addresses.DB_WRITER, MARKET, addresses.book_feed("BTC"))
    stage.play(
        addresses.DISCOVERY,
        lambda context: DiscoveryActor(context, ("BTC",), WINDOW_S, calendar, None, stage.said.append),
    )
    calendar.records[SLUG] = Record("UP")
    stage.run(10)

    assert MarketListed(NOW) not in stage.told(MARKET, MarketListed)
    assert [row.winner for row in rows(stage)] == [None, "UP"]
    assert winners(stage) == [(NOW.condition_id, "UP")]
