"""The LearnerActor learns from what it is told, once, whatever kills it, and says what came of it."""

from collections.abc import Callable

import numpy as np
import pytest

from actors import addresses
from actors.learner import LearnerActor, Learning
from actors.learning import Loaded, opened
from core.messages import Alert, Persist, TrajectoryEnded, TransitionRecorded, WeightsPublished
from core.records import CheckpointRecord, MetricRecord
from core.runtime.context import Context
from core.runtime.faults import Failure, WorkFault
from core.runtime.message import Envelope
from core.status import LearnerStatus
from models.checkpoint import MODEL, fresh_weights, model_payload
from models.ppo.hyper import Hyperparameters
from models.ppo.state import TrainingState
from models.weights import Weights
from tests.actors_data.builders import KILL, MARKET, Stage

HYPER = Hyperparameters(buffer=16, batch=8, epochs=2, target_kl=1e6, lr_actor=1e-2, lr_critic=1e-2)
SESSION = 7


class Line:
    """The line of models in memory."""

    def __init__(self, weights: Weights) -> None:
        self.rows = [CheckpointRecord("model", "m", 1, MODEL.version, model_payload(weights, source="given"), 0)]

    def loaded(self) -> Loaded:
        return Loaded(self.rows[-1].generation, self.rows[-1].payload)

    def store(self, payload: bytes, now_ms: int) -> CheckpointRecord:
        row = CheckpointRecord("model", "m", self.rows[-1].generation + 1, MODEL.version, payload, now_ms)
        self.rows.append(row)
        return row

    @property
    def training(self) -> TrainingState:
        return opened(self.rows[-1].payload, HYPER).training


class Scene:
    """A learner on its stage, with a line of models."""

    def __init__(self, *, hyper: Hyperparameters = HYPER, work_ms: int = 1_000, line: Line | None = None) -> None:
        self.line = line or Line(fresh_weights(3))
        self.stage = Stage(work_ms=work_ms)
        self.stage.listen(MARKET, addresses.DB_WRITER, addresses.NOTIFIER)
        self.said: list[str] = []
        self.stage.play(addresses.LEARNER, self._make(hyper))
        self.stage.run(2)

    def _make(self, hyper: Hyperparameters) -> Callable[[Context], LearnerActor]:
        learning = Learning(hyper, self.line.store, SESSION)
        return lambda context: LearnerActor(context, self.line.loaded, "given", (MARKET,), learning, self.said.append)

    def tell(self, *messages: object) -> None:
        self.stage.tell(addresses.LEARNER, *messages)

    @property
    def status(self) -> LearnerStatus:
        return self.stage.shown("learner", LearnerStatus)

    @property
    def published(self) -> list[WeightsPublished]:
        return self.stage.told(MARKET, WeightsPublished)

    def rows(self, kind: type) -> list[object]:
        told = self.stage.told(addresses.DB_WRITER, Persist)
        return [row for message in told for row in message.rows if isinstance(row, kind)]


def step(number: int, version: int = 1, *, done: bool = False, held: bool = False) -> TransitionRecorded:
    rng = np.random.default_rng(number)
    features, history = (rng.uniform(-1, 1, shape).astype(np.float32) for shape in (18, (5, 18)))
    history[-1] = features
    return TransitionRecorded(
        "BTC", "0xc", 500 * number, features, history, number % 3, -1.1, 0.0, done=done,
        version=version, equity_usd=int(rng.integers(-10**6, 10**6)), held=held,
    )  # fmt: skip


def test_a_full_buffer_is_learnt_from_and_the_new_weights_are_published_stored_and_told_in_numbers() -> None:
    scene = Scene()
    scene.tell(*(step(number) for number in range(17)))
    scene.stage.run(3)

    assert [said.version for said in scene.published] == [1, 2]
    published = scene.published[-1].weights
    assert isinstance(published, Weights)
    assert published.to_bytes() == scene.line.training.weights.to_bytes()
    assert published.to_bytes() != fresh_weights(3).to_bytes()
    assert scene.rows(CheckpointRecord) == scene.line.rows[1:]
    metrics = [row for row in scene.rows(MetricRecord) if isinstance(row, MetricRecord)]
    assert {"learner.entropy", "learner.kl", "learner.explained_variance"} <= {row.name for row in metrics}
    assert {row.session_id for row in metrics} == {SESSION}
    assert (scene.status.updates, scene.status.transitions, scene.status.waiting) == (1, 17, 0)


def test_no_update_before_the_buffer_is_full() -> None:
    scene = Scene()
    scene.tell(*(step(number) for number in range(16)))  # what the last of them earned is not known yet
    scene.stage.run(3)

    assert scene.status.updates == 0
    assert scene.status.waiting == 15


@pytest.mark.parametrize("killed_after", [3, 17, 24])
def test_a_learner_killed_at_any_moment_comes_to_the_same_bits(killed_after: int) -> None:
    lines = []
    for killed in (False, True):
        scene = Scene()
        for number in range(40):
            scene.tell(step(number))
            if killed and number == killed_after:  # at 17 and 24 an update is under way
                scene.stage.run(0.1)
                scene.tell(KILL)
                scene.stage.run(0.2)
        scene.stage.run(10)
        assert scene.status.updates == 2
        lines.append((scene.line.training.to_bytes(), scene.line.training.weights.to_bytes(), scene.status.waiting))

    assert lines[0] == lines[1]


def test_what_arrives_during_an_update_makes_the_next_batch() -> None:
    scene = Scene(work_ms=60_000)
    scene.stage.run(60)
    scene.tell(*(step(number) for number in range(40)))
    scene.stage.run(61)
    assert scene.status.updates == 1
    scene.stage.run(60)

    assert scene.status.updates == 2
    assert scene.status.waiting == 7


def test_another_process_goes_on_from_the_line_with_moments_and_buffer() -> None:
    whole = Scene()
    whole.tell(*(step(number) for number in range(40)))
    whole.stage.run(10)

    first = Scene()
    first.tell(*(step(number) for number in range(25)))
    first.stage.run(5)
    first.stage.system.stop()
    second = Scene(line=first.line)
    second.tell(*(step(number) for number in range(25, 40)))
    second.stage.run(10)

    assert second.line.training.weights.version == 2
    assert second.status.waiting == whole.status.waiting


def test_a_stop_during_an_update_gives_its_transitions_back() -> None:
    scene = Scene(work_ms=60_000)
    scene.stage.run(60)
    scene.tell(*(step(number) for number in range(20)))
    scene.stage.run(1)
    scene.stage.system.stop()

    kept = opened(scene.line.rows[-1].payload, HYPER)
    assert kept.training.updates == 0
    assert kept.trajectories.ready == 19


def test_a_rolled_back_model_is_taken_up_by_a_restarted_learner() -> None:
    scene = Scene()
    scene.tell(*(step(number) for number in range(17)))
    scene.stage.run(3)
    scene.line.store(scene.line.rows[0].payload, 0)  # an operator takes the first one back into use
    scene.tell(KILL)
    scene.stage.run(3)

    newest = scene.published[-1]
    assert newest.version == 3
    assert isinstance(newest.weights, Weights)
    assert newest.weights.to_bytes() == fresh_weights(3).to_bytes()


def test_an_update_that_collapses_is_undone_and_a_person_hears_of_it() -> None:
    scene = Scene(hyper=Hyperparameters(buffer=16, batch=8, epochs=2, min_entropy=1.09))
    scene.tell(*(step(number) for number in range(17)))
    scene.stage.run(3)

    assert [said.version for said in scene.published] == [1]
    assert ["undone" in alert.text for alert in scene.stage.told(addresses.NOTIFIER, Alert)][-1]
    assert scene.status.rolled_back is not None


def test_transitions_that_do_not_match_their_states_are_an_alarm() -> None:
    scene = Scene()  # the log-probability of `step` is nobody's
    scene.tell(*(step(number) for number in range(17)))
    scene.stage.run(3)

    (alert,) = scene.stage.told(addresses.NOTIFIER, Alert)
    assert "do not match their states" in alert.text


def test_a_poisoned_transition_is_left_out_and_said_once() -> None:
    scene = Scene()
    bad = step(5)
    bad.features[3] = np.nan
    worse = step(6)
    worse.features[3] = np.inf
    scene.tell(step(1), bad, worse, *(step(number) for number in range(7, 23)))
    scene.stage.run(3)

    assert scene.status.refused == 2
    assert scene.status.updates == 1
    assert ["left out" in said for said in scene.said].count(True) == 1


class UpdatesFail:
    """Lets the first update fail."""

    def __init__(self) -> None:
        self.left = 1

    def on_message(self, _address: str, _envelope: Envelope) -> None:
        return None

    def on_work(self, _address: str, key: str) -> WorkFault | None:
        if key != "update" or not self.left:
            return None
        self.left -= 1
        return Failure(ValueError("no memory"), ran=False)

    def on_item(self, _address: str, _key: str) -> None:
        return None

    def on_start(self, _address: str, _incarnation: int) -> bool:
        return False


def test_an_update_that_cannot_be_made_costs_its_batch_and_is_kept_and_said() -> None:
    scene = Scene()
    scene.stage.system._faults = UpdatesFail()
    scene.tell(*(step(number) for number in range(20)))
    scene.stage.run(3)

    assert scene.status.updates == 0
    assert len(scene.line.rows) == 2
    assert opened(scene.line.rows[-1].payload, HYPER).trajectories.ready == 3
    (alert,) = scene.stage.told(addresses.NOTIFIER, Alert)
    assert alert.text == "an update failed, 16 transitions are not learnt from: ValueError: no memory"

    scene.tell(*(step(number) for number in range(20, 33)))
    scene.stage.run(3)
    assert scene.status.updates == 1


def test_a_window_that_ends_held_waits_for_its_result() -> None:
    scene = Scene()
    scene.tell(*(step(number) for number in range(15)), step(15, done=True, held=True))
    scene.stage.run(3)
    assert scene.status.updates == 0
    assert scene.status.waiting == 0

    scene.tell(TrajectoryEnded("BTC", "0xc", 5_000_000))
    scene.stage.run(3)
    assert scene.status.updates == 1
