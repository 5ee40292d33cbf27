"""What waits for its commit, in order, and which of it goes into the next transaction."""

from collections import deque
from collections.abc import Iterator

from core.messages import Persist

BATCH_ROWS = 500


class Queued:
    """A message that waits for its commit; `sequence` is its place in the journal, once it is there."""

    __slots__ = ("at_ms", "persist", "receipt", "sequence")

    def __init__(self, persist: Persist, receipt: int, at_ms: float) -> None:
        self.persist = persist
        self.receipt = receipt
        self.at_ms = at_ms
        self.sequence: int | None = None


class WriteQueue:
    """Whole messages in, batches out.

    A batch whose outcome is unknown may be in the database. Written again whole it changes nothing, but its first part
    alone would undo what the rest of it did: so as long as that is possible, a refused message is looked for from the
    longest beginning of the batch downwards, of which the first that is accepted holds all that was ever committed.
    """

    def __init__(self) -> None:
        self._waiting: deque[Queued] = deque()
        self.in_flight: list[Queued] = []
        self._maybe_written = 0
        """How many messages at the front may be in the database already."""
        self._suspects = 0
        """How many messages at the front contain a refused one for sure."""

    def __len__(self) -> int:
        return len(self._waiting) + len(self.in_flight)

    def __iter__(self) -> Iterator[Queued]:
        yield from self.in_flight
        yield from self._waiting

    def __contains__(self, queued: object) -> bool:
        return queued in self.in_flight or queued in self._waiting

    @property
    def waiting(self) -> int:
        """How many messages are not in flight."""
        return len(self._waiting)

    def add(self, queued: Queued) -> None:
        """Put a message behind everything else."""
        self._waiting.append(queued)

    def take(self) -> list[Queued]:
        """Take the next transaction's messages into flight: as many as fit, fewer while a refused one is looked for."""
        size = self._fitting()
        if self._suspects:
            size = min(size, self._maybe_written or max(1, self._suspects // 2))
        self.in_flight = [self._waiting.popleft() for _ in range(size)]
        return self.in_flight

    def done(self) -> list[Queued]:
        """Let go of the batch in flight, which is committed or kept elsewhere, and return it."""
        batch, self.in_flight = self.in_flight, []
        self._maybe_written = max(0, self._maybe_written - len(batch))
        self._suspects = max(0, self._suspects - len(batch))
        return batch

    def unknown(self) -> None:
        """Put the batch in flight back: whether it was committed is not known."""
        self._maybe_written = max(self._maybe_written, len(self.in_flight))
        self._put_back()

    def refused(self) -> None:
        """Put the batch in flight back: nothing of it was written, now or ever as a whole."""
        self._suspects = len(self.in_flight)
        self._maybe_written = min(self._maybe_written, len(self.in_flight) - 1)
        self._put_back()

    def adopt(self) -> None:
        """Take what waits for messages that another incarnation may have had committed, in a batch from this front."""
        self._maybe_written = max(self._maybe_written, self._fitting())

    def _put_back(self) -> None:
        self._waiting.extendleft(reversed(self.in_flight))
        self.in_flight = []

    def _fitting(self) -> int:
        """How many messages fit into one transaction: at least one."""
        rows = 0
        for count, queued in enumerate(self._waiting):
            rows += len(queued.persist.rows)
            if count and rows > BATCH_ROWS:
                return count
        return len(self._waiting)
