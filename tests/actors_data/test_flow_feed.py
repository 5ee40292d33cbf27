"""A FlowFeedActor reduces the fast venue's streams to one flow, warm from the start and never behind by a lull."""

from collections.abc import Callable, Sequence

import pytest

from actors import addresses
from actors.flow_feed import PUBLISH_EVERY_MS, SEED_RETRY_S, FlowFeedActor
from core.errors import TransientError
from core.market.events import Kline
from core.messages import FeedPulse, FlowPublished, ViewsRequested
from tests.actors_data.builders import FLOW_FEED, KILL, MARKET, OPENS_MS, WINDOW_S, Script, Stage, trade
from venues.transport import StreamClosed, StreamOpened

MINUTE_MS = 60_000


def candles() -> tuple[Kline, ...]:
    """An hour of candles that rises by a dollar a minute, up to the window's opening."""
    return tuple(
        Kline("BTCUSDT", at, at + MINUTE_MS - 1, p, p + 1, p, p + 1, 10.0, 6.0, closed=True, venue_ms=at + MINUTE_MS)
        for n in range(60)
        for at, p in ((OPENS_MS - (60 - n) * MINUTE_MS, 64_940.0 + n),)
    )


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.listen(addresses.WATCHDOG, MARKET)
    return stage


def play(stage: Stage, streams: Sequence[Script], seed: Callable[[], tuple[Kline, ...]] | None = None) -> None:
    stage.play(
        FLOW_FEED,
        lambda context: FlowFeedActor(
            context, "BTC", lambda: streams, seed, window_scale=WINDOW_S / 900, log=stage.said.append
        ),
        "BTC",
    )


def flows(stage: Stage) -> list[FlowPublished]:
    return stage.told(MARKET, FlowPublished)


def pulse(stage: Stage) -> FeedPulse:
    return stage.told(addresses.WATCHDOG, FeedPulse)[-1]


def test_past_candles_make_the_first_view_warm(stage: Stage) -> None:
    play(stage, [Script([trade(OPENS_MS + 1000)])], candles)
    cold = Stage()
    cold.listen(addresses.WATCHDOG, MARKET)
    play(cold, [Script([trade(OPENS_MS + 1000)])])
    for each in (stage, cold):
        each.run(1.2)

    assert flows(stage)[0].view.warm
    assert flows(stage)[0].view.returns_1m > 0
    assert not flows(cold)[0].view.warm


def test_candles_that_cannot_be_had_are_asked_for_again_and_complained_of_once(stage: Stage) -> None:
    asked: list[int] = []

    def seed() -> tuple[Kline, ...]:
        asked.append(stage.clock.now_ms())
        if len(asked) < 4:
            raise TransientError(f"HTTP 503, attempt {len(asked)}")
        return candles()

    play(stage, [Script([trade(OPENS_MS + n * 1000) for n in range(1, 60)])], seed)
    stage.run(50)

    every_ms = round(SEED_RETRY_S * 1000)
    assert asked == [OPENS_MS + n * every_ms for n in range(4)]
    assert stage.said == [f"{FLOW_FEED} starts without past candles: HTTP 503, attempt 1; trying again"]
    assert stage.system.cells[FLOW_FEED].restarts == 0


def test_a_burst_is_throttled_and_its_last_frame_is_not_lost(stage: Stage) -> None:
    burst = [trade(OPENS_MS + 1010 + n, 65_000.0 + n) for n in range(400)]
    play(stage, [Script(burst)])
    stage.run(2)

    at_ms = stage.told_at(MARKET, FlowPublished)
    in_burst = [at for at in at_ms if OPENS_MS + 1010 <= at < OPENS_MS + 1410]
    assert len(in_burst) == 400 / PUBLISH_EVERY_MS
    assert flows(stage)[-1].view.spot == 65_399.0
    assert flows(stage)[-1].view.received_ms == OPENS_MS + 1409


def test_a_reader_that_has_just_started_gets_the_flow_at_once_if_there_is_any(stage: Stage) -> None:
    play(stage, [Script([trade(OPENS_MS + 110)])])
    stage.run(0.05)
    stage.tell(FLOW_FEED, ViewsRequested(MARKET))
    stage.run()
    assert flows(stage) == []

    stage.run(0.1)
    published = len(flows(stage))
    stage.tell(FLOW_FEED, ViewsRequested(MARKET))
    stage.run()
    assert len(flows(stage)) == published + 1
    assert flows(stage)[-1].view.received_ms == OPENS_MS + 110


def test_in_a_lull_the_flow_decays_while_its_age_grows(stage: Stage) -> None:
    play(stage, [Script([trade(OPENS_MS + n * 20) for n in range(1, 200)])], candles)
    stage.run(4)
    busy = flows(stage)[-1].view
    stage.run(6)
    quiet = flows(stage)[-1].view

    assert busy.trade_intensity > 0
    assert quiet.trade_intensity == 0
    assert quiet.received_ms == busy.received_ms == OPENS_MS + 199 * 20
    assert pulse(stage).age_s == pytest.approx(6.0, abs=0.6)


def test_two_routed_streams_make_one_flow_that_is_connected_when_both_are(stage: Stage) -> None:
    lost = (OPENS_MS + 5000, StreamClosed("reset by peer", OPENS_MS + 5000))
    back = (OPENS_MS + 8000, StreamOpened(OPENS_MS + 8000))
    first = Script([trade(OPENS_MS + 1000, 65_000.0), lost, back])
    second = Script([trade(OPENS_MS + n * 100, 65_001.0) for n in range(20, 200)])
    play(stage, [first, second])
    stage.run(4)
    assert [said.view.spot for said in flows(stage)][:: len(flows(stage)) - 1] == [65_000.0, 65_001.0]
    assert pulse(stage).connected

    stage.run(2)
    assert (pulse(stage).connected, pulse(stage).detail) == (False, "reset by peer")
    assert pulse(stage).age_s <= 0.5
    stage.run(3)
    assert (pulse(stage).connected, pulse(stage).detail) == (True, "connected")
    assert flows(stage)[-1].view.continuity_epoch > flows(stage)[0].view.continuity_epoch


def test_a_restarted_feed_seeds_again_and_goes_on_in_a_later_epoch(stage: Stage) -> None:
    asked: list[int] = []

    def seed() -> tuple[Kline, ...]:
        asked.append(stage.clock.now_ms())
        return candles()

    play(stage, [Script([trade(OPENS_MS + n * 1000) for n in range(1, 20)])], seed)
    stage.run(3)
    before = flows(stage)[-1].view.continuity_epoch
    stage.tell(FLOW_FEED, KILL)
    stage.run(3)

    assert len(asked) == 2
    assert flows(stage)[-1].view.continuity_epoch > before + 1000
    assert flows(stage)[-1].view.warm
