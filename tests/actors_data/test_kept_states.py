"""What an actor has back in its next incarnation, in the same process or in another one."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from actors import addresses
from actors.discovery import DiscoveryActor
from actors.executor import ExecutorActor, ExecutorState
from actors.learner import LearnerActor
from actors.notifier import NotifierActor, Post
from actors.states import FORMATS, MARKET, state_of
from core.messages import Alert, Persist, StrikeKnown, TransitionRecorded, WeightsPublished
from core.records import AlertRecord
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.checkpoint import Inherited
from core.runtime.context import Context
from core.status import LearnerStatus
from models.checkpoint import fresh_weights
from tests.actors.builders import paper_client
from tests.actors_data.builders import KILL, OPENS_MS, OPENS_S, WINDOW_S, Calendar, Script, Stage, market_of
from tests.actors_data.builders import MARKET as BTC_MARKET
from tests.actors_data.test_discovery_windows import twap
from tests.alerts.channels import Heard
from tests.trading.builders import a_market, an_intent, an_order
from venues.paper.broker import PaperBroker, PaperState
from venues.paper.consumption import Consumption, Taken

Make = Callable[[Context], Actor]


def next_process(before: Stage, address: Address, make: Make, *, after_s: float = 5.0, work_ms: int = 0) -> Stage:
    """Return a stage that goes on from what an actor of an earlier one left."""
    stage = Stage(before.clock.now_ms() + round(after_s * 1000), work_ms=work_ms)
    stage.system.inherit({address.name: before.system.cells[address].left()})
    stage.listen(*before._heard)
    stage.play(address, make)
    return stage


def step(number: int) -> TransitionRecorded:
    state, history = np.zeros(18, np.float32), np.zeros((5, 18), np.float32)
    return TransitionRecorded("BTC", "0xc", number, state, history, 0, -1.0, 0.0, done=False)


def test_the_learner_goes_on_counting_and_other_weights_get_another_version() -> None:
    in_use = [fresh_weights(1)]
    stage = Stage()
    stage.listen(BTC_MARKET)

    def make(context: Context) -> Actor:
        return LearnerActor(context, lambda: in_use[0], "test", (BTC_MARKET,))

    stage.play(addresses.LEARNER, make)
    stage.run(1)
    stage.tell(addresses.LEARNER, step(1), step(2), KILL, step(3))
    stage.run(1)
    assert stage.shown("learner", LearnerStatus).transitions == 3
    in_use[0] = fresh_weights(2)
    stage.tell(addresses.LEARNER, KILL)
    stage.run(1)
    assert [said.version for said in stage.told(BTC_MARKET, WeightsPublished)] == [1, 1, 2]

    later = next_process(stage, addresses.LEARNER, make)
    later.tell(addresses.LEARNER, step(4))
    later.run(1)
    assert later.shown("learner", LearnerStatus).transitions == 4


@pytest.mark.parametrize("process", [False, True])
def test_an_alert_that_was_pending_is_delivered_by_whoever_comes_next(process: bool) -> None:  # noqa: FBT001
    channel = Heard()
    stage = Stage(work_ms=60_000)
    stage.listen(addresses.DB_WRITER)

    def make(context: Context) -> Actor:
        return NotifierActor(context, 7, Post((channel,)))

    stage.play(addresses.NOTIFIER, make)
    stage.tell(addresses.NOTIFIER, Alert("trade closed", "BTC"))
    stage.run(3)
    channel.sent.clear()
    if process:
        stage = next_process(stage, addresses.NOTIFIER, make)
    else:
        stage.system.restart(addresses.NOTIFIER)
    stage.run(65)

    assert channel.lines == ["trade closed: BTC (may have been sent before)"]
    rows = [row for said in stage.told(addresses.DB_WRITER, Persist) for row in said.rows]
    assert rows[-1] == AlertRecord(7, "trade closed", "BTC", "delivered", OPENS_MS)
    again = next_process(stage, addresses.NOTIFIER, make)
    again.run(65)
    assert len(channel.sent) == 1  # and not once more


def test_alerts_in_a_checkpoint_of_before_there_were_channels_are_delivered() -> None:
    before = msgspec.msgpack.encode({"pending": [{"kind": "start", "text": "session 7 runs", "at_ms": OPENS_MS}]})
    channel = Heard()
    layout = state_of(addresses.NOTIFIER)
    assert layout is not None
    stage = Stage()
    stage.listen(addresses.DB_WRITER)
    stage.system.inherit({addresses.NOTIFIER.name: Inherited(4, layout.read(1, before), 4)})
    stage.play(addresses.NOTIFIER, lambda context: NotifierActor(context, 7, Post((channel,))))
    stage.run(3)

    assert channel.lines == ["start: session 7 runs (may have been sent before)"]


@pytest.mark.parametrize("process", [False, True])
def test_a_strike_that_was_told_once_outlasts_who_heard_it(process: bool) -> None:  # noqa: FBT001
    ticks = [twap(OPENS_S, 65_000.0)]
    stage = Stage(OPENS_MS - 1_000, work_ms=20)
    stage.listen(addresses.PORTFOLIO, addresses.WATCHDOG, addresses.DB_WRITER, BTC_MARKET, addresses.book_feed("BTC"))

    def make(context: Context) -> Actor:
        now_ms = context.clock.now_ms()
        script = Script([tick for tick in ticks if tick[0] >= now_ms])
        return DiscoveryActor(context, ("BTC",), WINDOW_S, Calendar(stage.clock), lambda: script, stage.said.append)

    stage.play(addresses.DISCOVERY, make)
    stage.run(5)
    assert len(stage.told(BTC_MARKET, StrikeKnown)) == 1
    if process:
        stage = next_process(stage, addresses.DISCOVERY, make, work_ms=20)
    else:
        stage._heard[BTC_MARKET].clear()
        stage.tell(addresses.DISCOVERY, KILL)
    stage.run(2)

    assert stage.told(BTC_MARKET, StrikeKnown) == [StrikeKnown(market_of().condition_id, "BTC", 65_000.0)]


def test_the_executor_of_another_process_keeps_what_was_taken_and_works_no_old_order() -> None:
    """The portfolio knows what is open; a checkpoint that is seconds old does not."""
    taken = {"0xc": Consumption("0xc", 1, (Taken("UP", "BUY", 510_000, 100, 40),))}
    broker = PaperBroker(50, 30_000)
    broker.submit(an_order(), a_market(), None, OPENS_MS)
    working = {"o1": {"order": an_order(), "intent": an_intent(), "market": a_market()}}
    paper = PaperState(broker.state.orders, taken)
    left = msgspec.convert(
        {"working": msgspec.to_builtins(working), "client": msgspec.msgpack.encode(paper)}, type=ExecutorState
    )
    stage = Stage()
    stage.listen(addresses.DB_WRITER, addresses.PORTFOLIO)
    stage.system.inherit({addresses.EXECUTOR.name: Inherited(4, msgspec.msgpack.encode(left), 4)})
    cell = stage.play(addresses.EXECUTOR, lambda context: ExecutorActor(context, paper_client, stage.said.append))
    stage.run(10)
    (alive,) = (host.actor for of, host in stage.system._alive.items() if of is cell)
    assert isinstance(alive, ExecutorActor)

    assert msgspec.msgpack.decode(alive._client.dump(), type=PaperState) == PaperState(consumption=taken)
    assert alive.working == {}
    assert stage.told(addresses.PORTFOLIO, object) == []


def test_every_actor_with_a_checkpoint_has_a_layout() -> None:
    """One that saves without a layout would be kept for its own restarts only."""
    names = {address.name for address in FORMATS}
    paper = {"portfolio.paper", "executor.paper"}
    assert names == {"portfolio", "executor", "learner", "notifier", "discovery"} | paper
    assert state_of(addresses.market("BTC")) is MARKET
    assert state_of(addresses.book_feed("BTC")) is None
