"""The LearnerActor hands the weights to whoever asks; how it learns is in `tests/learning`."""

from actors import addresses
from actors.learner import LearnerActor
from core.messages import WeightsPublished, WeightsRequested
from core.runtime.address import Address
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
