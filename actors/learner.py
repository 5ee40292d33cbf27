"""The LearnerActor owns the policy's weights: it hands out evaluated, immutable versions and hears every transition."""

import hashlib
from collections import deque
from collections.abc import Callable

import msgspec

from core.messages import TransitionRecorded, WeightsPublished, WeightsRequested
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.context import Context
from core.runtime.message import WorkDone, WorkFailed
from core.status import LearnerStatus
from models.weights import Weights

TRAJECTORY_STEPS = 1800
"""Steps kept per asset: one window of 900 s on the 500 ms grid."""


class LearnerState(msgspec.Struct, frozen=True):
    """The checkpoint: how many transitions were heard, and which weights the last version number stood for."""

    version: int = 0
    weights_sha256: str = ""
    heard: int = 0


class LearnerActor(Actor):
    """Loads the weights once and answers whoever asks; transitions are kept per asset, never interleaved.

    Other weights than those of the incarnation before get a version of their own, or nobody would take them.
    """

    def __init__(self, context: Context, load: Callable[[], object], source: str, readers: tuple[Address, ...]) -> None:
        super().__init__(context)
        self._load = load
        self._source = source
        self._weights: object | None = None
        saved = LearnerState() if context.saved is None else msgspec.msgpack.decode(context.saved, type=LearnerState)
        self._version = saved.version
        self._sha256 = saved.weights_sha256
        self._heard = saved.heard
        self._waiting: set[Address] = set(readers)
        self._trajectories: dict[str, deque[TransitionRecorded]] = {}

    def on_start(self) -> None:
        """Load the weights in a worker."""
        self.context.work("load", self._load, lane="learner")

    def receive(self, message: object) -> None:
        """Hand out weights; keep transitions."""
        match message:
            case WorkDone(key="load", value=weights):
                self._take(weights)
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
                self._save()
                self._show()

    def _take(self, weights: object) -> None:
        self._weights = weights
        sha256 = hashlib.sha256(weights.to_bytes()).hexdigest() if isinstance(weights, Weights) else ""
        if self._version == 0 or sha256 != self._sha256:
            self._version += 1
        self._sha256 = sha256
        self._save()

    def _save(self) -> None:
        self.context.save(msgspec.msgpack.encode(LearnerState(self._version, self._sha256, self._heard)))

    def _show(self) -> None:
        self.context.publish("learner", LearnerStatus(self._version, self._source, self._heard))
