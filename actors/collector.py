"""A CollectorActor stands at the learner's address in training and evaluation: it hands out one policy, keeps all."""

from collections.abc import Callable

from core.messages import TrajectoryEnded, TransitionRecorded, WeightsPublished, WeightsRequested
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.context import Context


class CollectorActor(Actor):
    """Answers whoever asks for weights, and passes what the learner would have heard to `keep`."""

    def __init__(
        self,
        context: Context,
        weights: object,
        version: int,
        readers: tuple[Address, ...],
        keep: Callable[[object], None],
    ) -> None:
        super().__init__(context)
        self._published = WeightsPublished(version, weights)
        self._readers = readers
        self._keep = keep

    def on_start(self) -> None:
        """Hand out the policy."""
        for reader in self._readers:
            self.context.tell(reader, self._published)

    def receive(self, message: object) -> None:
        """Hand out the policy to who comes late; keep what is told."""
        match message:
            case WeightsRequested(reply_to=reply_to):
                self.context.tell(reply_to, self._published)
            case TransitionRecorded() | TrajectoryEnded():
                self._keep(message)
