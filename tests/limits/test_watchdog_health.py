"""The watchdog's word on feeds, clocks and stores: three levels, each turn once, holds that follow."""

import pytest

from actors import addresses
from actors.feed_watch import CLOCK, OF_LATE_MS, START_WITHIN_S, FeedLimits
from actors.watchdog import WatchdogLimits
from core.alerts.kinds import FEED_OUTAGE, FEED_RECOVERED, RECORDER_OUTAGE, RECORDER_RECOVERED
from core.messages import Alert, AssetAdded, AssetRemoved, RecorderPulse
from core.runtime.address import Address
from core.status import FeedStatus, WatchdogStatus
from core.trading.gate import GateLevel
from tests.actors.builders import SESSION, World
from tests.limits.watching import BOOKS, FEEDS, FLOW, holds, notes, pulse_for, watched

SKEWED = FeedLimits(book_stale_s=2.0, flow_stale_s=1.5, max_skew_ms=2_000)


def alerts(world: World) -> list[tuple[str, str]]:
    return [(told.kind, told.text) for told in world.told(addresses.NOTIFIER, Alert)]


def shown(world: World, feed: Address) -> FeedStatus:
    read = world.runtime.board.read(f"feed {feed.name}")
    assert read is not None
    assert isinstance(read[0], FeedStatus)
    return read[0]


def settle(world: World) -> None:
    """Let the watchdog look once."""
    world.run_ms(300)


# -- three levels -----------------------------------------------------------------------------------------------------


def test_a_feed_that_turns_critical_and_back_is_told_once_each_way() -> None:
    world = watched()
    assert (shown(world, BOOKS).health, notes(world, BOOKS.name)) == ("healthy", [])
    world.pulse(BOOKS, "BTC", connected=False)
    settle(world)
    hold = holds(world)[f"{BOOKS} stale"]
    assert (hold.scope, hold.level, hold.detail) == ("BTC", GateLevel.REDUCE_ONLY, "refused")
    pulse_for(world, 1, connected=False)
    assert notes(world, BOOKS.name) == [("critical", "refused")]
    assert (shown(world, BOOKS).health, shown(world, BOOKS).stale, shown(world, BOOKS).detail) == (
        "critical",
        True,
        "refused",
    )
    pulse_for(world, 2)
    assert notes(world, BOOKS.name) == [("critical", "refused"), ("recovered", "data flows")]
    assert alerts(world) == [
        (FEED_OUTAGE, "feed.polymarket BTC critical: refused"),
        (FEED_RECOVERED, "feed.polymarket BTC recovered: data flows"),
    ]
    assert holds(world) == {}


def test_frames_that_cannot_be_read_degrade_a_feed_until_they_are_a_minute_old() -> None:
    world = watched()
    pulse_for(world, 1, bad_frames=1)
    assert notes(world, BOOKS.name) == [("degraded", "1 frames of late could not be read")]
    assert (shown(world, BOOKS).health, shown(world, BOOKS).stale) == ("degraded", False)
    assert shown(world, BOOKS).detail == "1 frames of late could not be read"
    assert holds(world) == {}
    pulse_for(world, OF_LATE_MS / 1000 - 2, bad_frames=1)
    assert len(notes(world, BOOKS.name)) == 1
    pulse_for(world, 2, bad_frames=1)
    assert notes(world, BOOKS.name)[1:] == [("recovered", "data flows")]
    assert alerts(world) == []  # it worked all the time: nobody is woken


def test_reconnects_degrade_a_feed_from_the_third_within_a_minute() -> None:
    world = watched()
    pulse_for(world, 5, reconnects=1)
    pulse_for(world, 5, reconnects=2)
    assert notes(world, BOOKS.name) == []
    pulse_for(world, 1, reconnects=3)
    assert notes(world, BOOKS.name) == [("degraded", "reconnected 3 times of late")]
    pulse_for(world, OF_LATE_MS / 1000 - 8, reconnects=3)  # the first of them is forgotten
    assert notes(world, BOOKS.name)[1:] == [("recovered", "data flows")]


def test_attempts_that_are_refused_until_the_connection_is_back_are_one_loss() -> None:
    world = watched()
    pulse_for(world, 1, reconnects=4)
    world.pulse(FLOW, "BTC", connected=False, reconnects=4)
    for attempts in range(5, 9):
        world.pulse(FLOW, "BTC", connected=False, reconnects=attempts)
        world.run_ms(500)
    pulse_for(world, 1, reconnects=8)
    assert [status for status, _ in notes(world, FLOW.name)][-1] == "recovered"


def test_what_a_restarted_feed_counts_anew_is_no_fault_of_late() -> None:
    world = watched()
    pulse_for(world, 1, reconnects=2)
    pulse_for(world, 1, reconnects=0)
    pulse_for(world, 1, reconnects=0)
    assert notes(world, BOOKS.name) == []


def test_degraded_and_critical_are_two_turns() -> None:
    world = watched()
    pulse_for(world, 1, bad_frames=1)
    pulse_for(world, 1, bad_frames=1, connected=False)
    pulse_for(world, 1, bad_frames=1)
    assert [status for status, _ in notes(world, BOOKS.name)] == ["degraded", "critical", "degraded"]
    assert [kind for kind, _ in alerts(world)] == [FEED_OUTAGE, FEED_RECOVERED]


def test_feeds_of_one_venue_that_turn_together_are_one_line_and_one_alert() -> None:
    world = watched(assets=("BTC", "ETH"))
    for asset in ("BTC", "ETH"):
        world.pulse(addresses.book_feed(asset), asset, connected=False)
    settle(world)
    assert [text for text in world.said if "critical" in text] == ["feed.polymarket BTC ETH critical: refused"]
    assert alerts(world) == [(FEED_OUTAGE, "feed.polymarket BTC ETH critical: refused")]
    assert notes(world, "feed.polymarket.ETH") == [("critical", "refused")]


def test_each_feed_is_judged_by_its_own_limit() -> None:
    world = watched()
    world.pulse(BOOKS, "BTC", age_s=1.7)
    world.pulse(FLOW, "BTC", age_s=1.7)
    world.run_ms(260)
    assert set(holds(world)) == {f"{FLOW} stale"}


def test_where_the_flow_is_not_asked_about_the_book_alone_opens_the_gate() -> None:
    world = World(limits=WatchdogLimits(FeedLimits(book_stale_s=2.0, flow_stale_s=None)))
    world.pulse(BOOKS, "BTC")
    settle(world)
    assert holds(world) == {}
    assert world.runtime.gate.level("BTC") is GateLevel.OPEN


# -- starting ---------------------------------------------------------------------------------------------------------


def test_a_feed_that_starts_has_ten_seconds_before_its_silence_is_an_outage() -> None:
    world = World(limits=WatchdogLimits(FEEDS))
    for _ in range(int(START_WITHIN_S * 2)):
        world.pulse(FLOW, "BTC")
        world.run_ms(500)
    assert notes(world, BOOKS.name) == []
    assert set(holds(world)) - {"database does not record"} == {"starting"}
    world.pulse(FLOW, "BTC")
    world.run_ms(600)
    assert notes(world, BOOKS.name) == [("critical", "not heard yet")]
    assert holds(world)[f"{BOOKS} stale"].detail == "not heard yet"


def test_an_asset_that_is_added_is_held_until_its_own_feeds_are_fresh() -> None:
    world = watched()
    world.runtime.tell(addresses.WATCHDOG, AssetAdded("ETH"))
    pulse_for(world, 1)
    assert world.runtime.gate.level("ETH") is GateLevel.REDUCE_ONLY
    pulse_for(world, 1, ("BTC", "ETH"))
    assert world.runtime.gate.level("ETH") is GateLevel.OPEN


@pytest.mark.parametrize("heard", [BOOKS, FLOW])
def test_what_was_heard_before_an_asset_was_added_again_is_of_actors_that_are_gone(heard: Address) -> None:
    world = watched()
    world.runtime.tell(addresses.WATCHDOG, AssetAdded("BTC"))
    world.pulse(heard, "BTC")
    world.run_ms(600)
    assert set(holds(world)) == {"starting"}
    pulse_for(world, 0.5)
    assert holds(world) == {}


def test_what_is_written_down_says_of_which_session_and_when() -> None:
    world = watched()
    world.pulse(BOOKS, "BTC", connected=False)
    settle(world)
    (row,) = world.events()
    assert (row.session_id, row.subject, row.status) == (SESSION, BOOKS.name, "critical")
    assert 0 <= world.now_ms - row.at_ms <= 300


def test_an_asset_that_is_removed_is_not_watched_any_more() -> None:
    world = watched(assets=("BTC", "ETH"))
    world.runtime.tell(addresses.WATCHDOG, AssetRemoved("ETH"))
    pulse_for(world, 15)
    assert set(holds(world)) == set()
    assert notes(world, "feed.polymarket.ETH") == []


# -- clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("feed", "lag_ms", "detail"),
    [
        (BOOKS, -2_001, "the venue's clock is 2001 ms ahead of ours, 2000 allowed"),
        (FLOW, -2_001, "the venue's clock is 2001 ms ahead of ours, 2000 allowed"),
        (FLOW, 2_001, "our clock is 2001 ms ahead of the venue's, or its data comes that late; 2000 allowed"),
        (BOOKS, 60_000, None),
        (FLOW, 2_000, None),
    ],
)
def test_clocks_that_disagree_hold_their_asset_until_they_agree_again(
    feed: Address, lag_ms: int, detail: str | None
) -> None:
    world = watched(feeds=SKEWED, assets=("BTC", "ETH"))
    world.pulse(feed, "BTC", lag_ms=lag_ms)
    settle(world)
    if detail is None:
        assert holds(world) == {}
        return
    hold = holds(world)[CLOCK]
    assert (hold.scope, hold.level, hold.detail) == ("BTC", GateLevel.REDUCE_ONLY, detail)
    settle(world)
    assert notes(world, "clock BTC") == [("critical", detail)]
    pulse_for(world, 0.5, ("BTC", "ETH"))
    assert holds(world) == {}
    assert notes(world, "clock BTC")[1:] == [("recovered", "the clocks agree again")]
    assert [kind for kind, _ in alerts(world)] == ["feed outage", "feed recovered"]
    assert world.said[-1] == "clock BTC recovered: the clocks agree again"


def test_where_no_skew_is_asked_about_none_is_found() -> None:
    world = watched()
    world.pulse(FLOW, "BTC", lag_ms=10**6)
    settle(world)
    assert holds(world) == {}


def test_the_skew_is_shown_beside_what_is_allowed() -> None:
    world = watched(feeds=SKEWED)
    world.pulse(FLOW, "BTC", lag_ms=-340)
    world.run_ms(1_100)
    read = world.runtime.board.read("watchdog")
    assert read is not None
    assert isinstance(read[0], WatchdogStatus)
    (limit,) = read[0].limits
    assert (limit.name, limit.scope, limit.unit, limit.limit, limit.used) == ("clock skew", "BTC", "ms", 2_000, 340)


def test_nothing_is_shown_of_a_skew_that_is_not_asked_about() -> None:
    read = watched().runtime.board.read("watchdog")
    assert read is not None
    assert isinstance(read[0], WatchdogStatus)
    assert read[0].limits == ()


# -- stores -----------------------------------------------------------------------------------------------------------


def recorder(world: World, lag_s: float = 0.0, error: str | None = None, journal: str | None = None) -> None:
    world.pulse(BOOKS, "BTC")
    world.pulse(FLOW, "BTC")
    world.runtime.tell(addresses.WATCHDOG, RecorderPulse(lag_s, 0, error, journal))
    world.run_ms(10)


def test_a_database_that_is_behind_shuts_the_gate_at_once_and_its_return_is_told() -> None:
    world = watched()
    recorder(world, 0.75)
    assert holds(world) == {}
    recorder(world, 0.76)
    hold = holds(world)["database does not record"]
    assert (hold.scope, hold.level, hold.detail) == ("", GateLevel.REDUCE_ONLY, "0.8 s behind")
    recorder(world, 3.0)
    recorder(world)
    assert holds(world) == {}
    world.run_ms(10)
    assert notes(world, "database") == [("critical", "0.8 s behind"), ("recovered", "everything is recorded again")]
    assert alerts(world) == [
        (RECORDER_OUTAGE, "database critical: 0.8 s behind"),
        (RECORDER_RECOVERED, "database recovered: everything is recorded again"),
    ]


def test_why_the_database_is_behind_is_told_where_it_is_known() -> None:
    world = watched()
    recorder(world, 2.0, error="connection refused")
    assert holds(world)["database does not record"].detail == "connection refused"


def test_a_recorder_that_says_nothing_for_three_seconds_is_dead_whatever_it_said_last() -> None:
    world = watched()
    recorder(world)
    for _ in range(6):
        world.pulse(BOOKS, "BTC")
        world.pulse(FLOW, "BTC")
        world.run_ms(490)
    assert holds(world) == {}
    world.pulse(BOOKS, "BTC")
    world.pulse(FLOW, "BTC")
    world.run_ms(400)
    assert holds(world)["database does not record"].detail.endswith(" s behind")


def test_a_journal_that_cannot_be_written_is_a_hold_of_its_own() -> None:
    world = watched()
    recorder(world, journal="disk full")
    assert set(holds(world)) == {"journal not writable"}
    assert holds(world)["journal not writable"].detail == "disk full"
    recorder(world)
    world.run_ms(10)
    assert holds(world) == {}
    assert notes(world, "journal") == [("critical", "disk full"), ("recovered", "it can be written again")]
