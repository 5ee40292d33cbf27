"""The LearnerActor owns the policy's weights: it hears every transition, learns from them, and hands out new versions.

What it has learnt is saved with the receipt of the messages it was learnt from, so that an incarnation that was killed
in the middle of an update is told those messages again, comes to the same batch, and so to the same bits.
"""

from collections.abc import Callable
from functools import partial

import msgspec

from actors import addresses
from actors.learning import Learnt, Loaded, opened, packed, rows_of, step_of
from core.errors import FatalError, RejectedError
from core.messages import (
    Alert,
    Persist,
    TrajectoryEnded,
    TransitionRecorded,
    WeightsPublished,
    WeightsRequested,
)
from core.records import CheckpointRecord
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.context import Context
from core.runtime.message import WorkDone, WorkFailed
from core.status import LearnerStatus
from models.ppo.hyper import Hyperparameters
from models.ppo.report import UpdateReport
from models.ppo.state import TrainingState, sha256_of
from models.ppo.step import Segment
from models.ppo.trajectory import Trajectories
from models.ppo.update import update, warm_up
from models.weights import Weights

UPDATE, LOAD, COMPILE = "update", "load", "compile"
MISPAIRED = 1e-3
"""Two ways to compute the log-probability of a step differ by rounding; by more where state and action do not match."""
OLDER = -1
"""Version of a step that other weights than the present ones decided."""


class LearnerState(msgspec.Struct, frozen=True):
    """The checkpoint.

    `version` is the number last given to weights, of checksum `weights_sha256`; `model` what was learnt, as a model's
    checkpoint holds it, made from or stored as generation `base` of the line of models.
    """

    version: int = 0
    weights_sha256: str = ""
    heard: int = 0
    base: int = 0
    model: bytes | None = None


class Learning(msgspec.Struct, frozen=True):
    """How is learnt, and what keeps it: `store` takes a model's payload and the unix ms, and returns its row."""

    hyper: Hyperparameters
    store: Callable[[bytes, int], CheckpointRecord]
    session_id: int
    compile_ahead: Callable[[Hyperparameters, int], None] | None = None
    """Has the gradient step compiled outside of this process for so many features, which takes some twenty seconds on a
    new host; None: it is compiled at the first update."""


class LearnerActor(Actor):
    """Loads a model, hands its weights to whoever asks, and learns where `learning` says how.

    `load` returns the model (`Loaded`), or weights that stay as they are. Other weights than those of the incarnation
    before get a version of their own, or nobody would take them.
    """

    acknowledges = True

    def __init__(
        self,
        context: Context,
        load: Callable[[], object],
        source: str,
        readers: tuple[Address, ...],
        learning: Learning | None = None,
        log: Callable[[str], None] = lambda _text: None,
    ) -> None:
        super().__init__(context)
        self._load = load
        self._source = source
        self._log = log
        self._learning = learning
        self._saved = (
            LearnerState() if context.saved is None else msgspec.msgpack.decode(context.saved, type=LearnerState)
        )
        self._readers = readers
        self._waiting: set[Address] = set()
        self._weights: object | None = None
        self._training: TrainingState | None = None
        self._trajectories = Trajectories(0)
        self._batches: list[list[Segment]] = []
        self._taken: Learnt | None = None
        self._since: list[TransitionRecorded | TrajectoryEnded] = []
        self._early: list[TransitionRecorded | TrajectoryEnded] = []
        self._refused = 0
        self._report: UpdateReport | None = None

    def on_start(self) -> None:
        """Load the weights in a worker."""
        self.context.work(LOAD, self._load, lane="learner")

    def receive(self, message: object) -> None:
        """Hand out weights; gather transitions; learn when there are enough."""
        match message:
            case WorkDone(key="load", value=loaded):
                self._take(loaded)
            case WorkDone(key="update", value=(TrainingState() as state, UpdateReport() as report)):
                self._updated(state, report)
            case WorkDone(key="compile"):
                pass
            case WorkFailed(key="update", error=error):
                self._failed(error)
            case WorkFailed(error=error):
                raise error
            case WeightsRequested(reply_to=reply_to):
                if self._weights is None:
                    self._waiting.add(reply_to)
                else:
                    self.context.tell(reply_to, WeightsPublished(self._saved.version, self._weights))
            case TransitionRecorded() | TrajectoryEnded():
                self._hear(message)

    def on_stop(self) -> None:
        """Keep what was learnt and what was not learnt from yet: those of an update under way go back."""
        if self._training is None or self._learning is None:
            return
        learnt = Learnt(self._training, self._trajectories)
        if self._taken is not None:
            learnt = self._taken
            for message in self._since:
                self._gather(learnt.trajectories, message, OLDER)
        self._keep(learnt)

    # -- weights ------------------------------------------------------------------------------------------------

    def _take(self, loaded: object) -> None:
        weights = loaded
        if isinstance(loaded, Loaded):
            saved = self._saved
            own = saved.model is not None and saved.base == loaded.generation
            learnt = opened(saved.model if own and saved.model is not None else loaded.payload, self._hyper)
            self._training, self._trajectories = learnt.training, learnt.trajectories
            weights = learnt.training.weights
            self._saved = msgspec.structs.replace(saved, base=loaded.generation, model=saved.model if own else None)
        elif self._learning is not None:
            raise FatalError(f"a {type(loaded).__name__} cannot learn: start with weights, or without learning")
        self._publish(weights, {*self._readers, *self._waiting})
        self._waiting.clear()
        early, self._early = self._early, []
        for message in early:
            self._learn_from(message)
        if self._learning is not None and self._learning.compile_ahead is not None and self._training is not None:
            job = partial(_compiled, self._learning.compile_ahead, self._training, self._hyper)
            self.context.work(COMPILE, job, lane="learner")
        self._show()

    def _publish(self, weights: object, readers: set[Address]) -> None:
        self._weights = weights
        sha256 = sha256_of(weights) if isinstance(weights, Weights) else ""
        version = self._saved.version
        if version == 0 or sha256 != self._saved.weights_sha256:
            version += 1
        self._saved = msgspec.structs.replace(self._saved, version=version, weights_sha256=sha256)
        if self._learning is None:
            self._save()
        for reader in sorted(readers, key=str):
            self.context.tell(reader, WeightsPublished(version, weights))

    # -- transitions --------------------------------------------------------------------------------------------

    def _hear(self, message: TransitionRecorded | TrajectoryEnded) -> None:
        if isinstance(message, TransitionRecorded):
            self._saved = msgspec.structs.replace(self._saved, heard=self._saved.heard + 1)
        if self._learning is None:
            self._save()
        elif self._training is None:
            self._early.append(message)
        else:
            self._learn_from(message)
        self._show()

    def _learn_from(self, message: TransitionRecorded | TrajectoryEnded) -> None:
        """Take one message in; a full buffer is a batch at once, whether or not an update is under way."""
        if self._training is None:
            return
        version = OLDER
        if isinstance(message, TransitionRecorded) and message.version == self._saved.version:
            version = self._training.version
        self._gather(self._trajectories, message, version)
        if self._taken is not None:
            self._since.append(message)
        for asset, condition_id in self._trajectories.given_up():
            self._log(f"learner: {asset} {condition_id} was never settled: its last steps are not learnt from")
        if self._trajectories.ready >= self._hyper.buffer:
            self._begin()

    def _gather(self, trajectories: Trajectories, message: TransitionRecorded | TrajectoryEnded, version: int) -> None:
        """Add a step, or the end of its window; one that no gradient may see is left out, and said once."""
        key = message.asset, message.condition_id
        if isinstance(message, TrajectoryEnded):
            trajectories.close(key, message.pnl_net_usd)
            return
        try:
            trajectories.add(key, step_of(message, version), done=message.done)
        except RejectedError as error:
            self._refused += 1
            if self._refused == 1:
                self._log(f"learner: a transition is of no use and left out: {error}")

    def _begin(self) -> None:
        if self._taken is None and self._training is not None:
            self._taken = Learnt(self._training, Trajectories.load(self._trajectories.dump()))
            self._since = []
        self._batches.append(self._trajectories.take())
        if len(self._batches) == 1:
            self._run()

    def _run(self) -> None:
        if self._training is not None:
            job = partial(update, self._training, self._batches[0], self._hyper)
            self.context.work(UPDATE, job, lane="learner")

    # -- updates ------------------------------------------------------------------------------------------------

    def _updated(self, state: TrainingState, report: UpdateReport) -> None:
        """Take what was learnt into use. It is saved once no batch is left: until then messages may come again."""
        learning = self._learning
        if learning is None:
            return
        self._training, self._report = state, report
        now_ms = self.context.clock.now_ms()
        self.context.tell(addresses.DB_WRITER, Persist(rows_of(report, learning.session_id, now_ms)))
        if report.log_prob_gap > MISPAIRED:
            self._alarm(f"transitions do not match their states: log-probabilities differ by {report.log_prob_gap:.2g}")
        if report.rolled_back is None:
            self._publish(state.weights, set(self._readers))
        else:
            self._alarm(
                f"update {state.updates + 1} was undone, the policy stays at v{state.version}: {report.rolled_back}"
            )
        self._next_batch()

    def _failed(self, error: BaseException) -> None:
        """Go on without the batch that no update could be made of; what was learnt before it is kept at once."""
        steps = sum(len(segment) for segment in self._batches[0])
        self._alarm(f"an update failed, {steps} transitions are not learnt from: {type(error).__name__}: {error}")
        self._next_batch()

    def _next_batch(self) -> None:
        self._batches.pop(0)
        if self._batches:
            self._run()
        elif self._training is not None:
            self._taken = None
            self._keep(Learnt(self._training, self._trajectories))
        self._show()

    # -- keeping ------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        self.context.save(msgspec.msgpack.encode(self._saved))

    def _keep(self, learnt: Learnt) -> None:
        """Give the line of models a new generation, and save the very same.

        A crash between the two is harmless: what is told again of a step that the buffer knows is left out there.
        """
        if self._learning is None:
            return
        payload = packed(learnt, self._source)
        row = self._learning.store(payload, self.context.clock.now_ms())
        self._saved = msgspec.structs.replace(self._saved, model=payload, base=row.generation)
        self._save()
        self.context.tell(addresses.DB_WRITER, Persist((row,)))

    def _alarm(self, text: str) -> None:
        self._log(f"learner: {text}")
        self.context.tell(addresses.NOTIFIER, Alert("learner", text))

    @property
    def _hyper(self) -> Hyperparameters:
        return Hyperparameters() if self._learning is None else self._learning.hyper

    def _show(self) -> None:
        report = self._report
        status = LearnerStatus(
            self._saved.version,
            self._source,
            self._saved.heard,
            learns=self._learning is not None,
            waiting=self._trajectories.ready,
            buffer=self._hyper.buffer,
            refused=self._refused,
        )
        if report is not None and self._training is not None:
            status = msgspec.structs.replace(
                status,
                updates=self._training.updates,
                entropy=report.entropy,
                kl=report.kl,
                explained_variance=report.explained_variance,
                reward_usd=report.reward_sum_usd,
                rolled_back=report.rolled_back,
            )
        self.context.publish("learner", status)


def _compiled(ahead: Callable[[Hyperparameters, int], None], training: TrainingState, hyper: Hyperparameters) -> None:
    """Compile elsewhere, then take up here what that left: a moment instead of seconds in which nobody decides."""
    ahead(hyper, training.weights.schema.size)
    warm_up(training, hyper)
