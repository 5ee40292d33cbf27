"""The LearnerActor owns the policy's weights: it hands out evaluated, immutable versions and hears every transition."""

from collections import deque
from collections.abc import Callable

from core.messages import TransitionRecorded, WeightsPublished, WeightsRequested
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.context import Context
from core.runtime.message import WorkDone, WorkFailed
from core.status import LearnerStatus

TRAJECTORY_STEPS = 1800
"""Steps kept per asset: one window of 900 s on the 500 ms grid."""


class LearnerActor(Actor):
    """Loads the weights once and answers whoever asks; transitions are kept per asset, never interleaved."""

    def __init__(self, context: Context, load: Callable[[], object], source: str, readers: tuple[Address, ...]) -> None:
        super().__init__(context)
        self._load = load
        self._source = source
        self._weights: object | None = None
        self._version = 0
        self._heard = 0
        self._waiting: set[Address] = set(readers)
        self._trajectories: dict[str, deque[TransitionRecorded]] = {}

    def on_start(self) -> None:
        """Load the weights in a worker."""
        self.context.work("load", self._load, lane="learner")

    def receive(self, message: object) -> None:
        """Hand out weights; keep transitions."""
        match message:
            case WorkDone(key="load", value=weights):
                self._weights = weights
                self._version += 1
                for reader in sorted(self._waiting, key=str):
                    self.context.tell(reader, WeightsPublished(self._version, weights))
                self._waiting.clear()
                self._show()
            case WorkFailed(error=error):
                raise error
            case WeightsRequested(reply_to=reply_to):
                if self._weights is None:
                    self._waiting.add(reply_to)
                else:
                    self.context.tell(reply_to, WeightsPublished(self._version, self._weights))
            case TransitionRecorded():
                self._heard += 1
                kept = self._trajectories.setdefault(message.asset, deque(maxlen=TRAJECTORY_STEPS))
                kept.append(message)
                self._show()

    def _show(self) -> None:
        self.context.publish("learner", LearnerStatus(self._version, self._source, self._heard))
