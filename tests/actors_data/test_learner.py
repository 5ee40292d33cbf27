"""The LearnerActor hands the weights to whoever asks and keeps no more than a window of steps per asset."""

import numpy as np

from actors import addresses
from actors.learner import TRAJECTORY_STEPS, LearnerActor
from core.messages import TransitionRecorded, WeightsPublished, WeightsRequested
from core.runtime.address import Address
from core.status import LearnerStatus
from tests.actors_data.builders import KILL, MARKET, OPENS_MS, Stage

GUEST = Address("guest")
WEIGHTS = object()


def play(work_ms: int = 1_000) -> Stage:
    stage = Stage(work_ms=work_ms)
    stage.listen(MARKET, GUEST)
    stage.play(addresses.LEARNER, lambda context: LearnerActor(context, lambda: WEIGHTS, "test", (MARKET,)))
    return stage


def test_readers_and_whoever_asked_too_early_hear_the_weights_when_they_are_loaded() -> None:
    stage = play()
    stage.tell(addresses.LEARNER, WeightsRequested(GUEST), WeightsRequested(MARKET))
    stage.run(0.5)
    assert stage.told(GUEST, WeightsPublished) == []
    stage.run(1)

    assert stage.told(GUEST, WeightsPublished) == [WeightsPublished(1, WEIGHTS)]
    assert stage.told(MARKET, WeightsPublished) == [WeightsPublished(1, WEIGHTS)]


def test_who_asks_later_is_answered_at_once() -> None:
    stage = play()
    stage.run(2)
    stage.tell(addresses.LEARNER, WeightsRequested(GUEST))
    stage.run()

    assert [said.weights is WEIGHTS for said in stage.told(GUEST, WeightsPublished)] == [True]
    assert stage.told_at(MARKET, WeightsPublished) == [OPENS_MS + 1000]


def test_a_restarted_learner_loads_and_tells_again() -> None:
    stage = play()
    stage.run(2)
    stage.tell(addresses.LEARNER, KILL)
    stage.run(2)

    assert stage.told(MARKET, WeightsPublished) == [WeightsPublished(1, WEIGHTS)] * 2


def test_steps_are_kept_by_asset_in_order_and_no_more_than_a_window_of_them() -> None:
    stage = play()
    state, history = np.zeros(18, np.float32), np.zeros((5, 18), np.float32)
    total = TRAJECTORY_STEPS + 200
    for number in range(total):
        asset = ("BTC", "ETH")[number % 7 == 0]
        step = TransitionRecorded(asset, "0xc", number, state, history, 0, -1.0, 0.0, done=False)
        stage.tell(addresses.LEARNER, step)
    for number in range(total, 2 * total):
        step = TransitionRecorded("BTC", "0xc", number, state, history, 0, -1.0, 0.0, done=False)
        stage.tell(addresses.LEARNER, step)
    stage.run(2)
    (alive,) = (a.actor for c, a in stage.system._alive.items() if c.spec.address == addresses.LEARNER)
    assert isinstance(alive, LearnerActor)
    kept = {asset: [step.at_ms for step in steps] for asset, steps in alive._trajectories.items()}

    assert kept["BTC"] == list(range(2 * total - TRAJECTORY_STEPS, 2 * total))
    assert kept["ETH"] == list(range(0, total, 7))
    assert stage.shown("learner", LearnerStatus).transitions == 2 * total
