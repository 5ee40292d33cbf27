"""A mailbox belongs to an address, not to an actor: it outlives every incarnation and loses nothing between two.

Three lanes. Control overtakes. Ordered messages stay in order. A view waits in the ordered lane too, but there is at
most one per sender, type and conflation key: a newer one takes the unread one's place.
"""

import threading
from collections import deque
from collections.abc import Hashable, Iterable
from itertools import islice

from core.runtime.address import RUNTIME
from core.runtime.message import Control, Envelope, Latest


class _Slot:
    """A place in the ordered lane, whose envelope a newer view may replace."""

    __slots__ = ("envelope", "key")

    def __init__(self, envelope: Envelope, key: Hashable | None) -> None:
        self.envelope = envelope
        self.key = key


class Mailbox:
    """Thread-safe; any number of writers, one reader at a time."""

    def __init__(self) -> None:
        self._condition = threading.Condition(threading.Lock())
        self._control: deque[Envelope] = deque()
        self._ordered: deque[_Slot] = deque()
        self._latest: dict[Hashable, _Slot] = {}
        self._closed = False

    def put(self, envelope: Envelope) -> bool:
        """Add an envelope to the lane that its message's kind asks for; False, and nothing, when nobody will read it.

        The answer and the closing are under one lock: what was taken in is read or returned by `close`, never neither.
        """
        message = envelope.message
        with self._condition:
            if self._closed:
                return False
            if isinstance(message, Latest):
                key = (envelope.sender.name, type(message), message.conflation_key())
                waiting = self._latest.get(key)
                if waiting is not None:
                    waiting.envelope = envelope
                    return True
                slot = self._latest[key] = _Slot(envelope, key)
                self._ordered.append(slot)
            elif isinstance(message, Control):
                self._control.append(envelope)
            else:
                self._ordered.append(_Slot(envelope, None))
            self._condition.notify()
            return True

    def put_back(self, envelopes: Iterable[Envelope]) -> None:
        """Put envelopes that must be delivered again ahead of everything ordered, keeping their own order."""
        with self._condition:
            self._ordered.extendleft(_Slot(envelope, None) for envelope in reversed(list(envelopes)))
            self._condition.notify()

    def take(self, timeout_s: float | None = 0.0) -> Envelope | None:
        """Remove and return the next envelope; None when there is none within `timeout_s` (None waits for ever)."""
        with self._condition:
            if not self._control and not self._ordered and timeout_s != 0.0:
                self._condition.wait(timeout_s)
            if self._control:
                return self._control.popleft()
            if not self._ordered:
                return None
            slot = self._ordered.popleft()
            if slot.key is not None:
                del self._latest[slot.key]
            return slot.envelope

    def close(self) -> list[Envelope]:
        """Take nothing in any more and return all that was unread, in the order in which it would have been read."""
        with self._condition:
            self._closed = True
            left = [*self._control, *(slot.envelope for slot in self._ordered)]
            self._control.clear()
            self._ordered.clear()
            self._latest.clear()
            return left

    def open(self) -> None:
        """Take messages in again: there will be a reader."""
        with self._condition:
            self._closed = False

    def first(self, most: int) -> list[Envelope]:
        """Return up to `most` unread envelopes in the order in which they will be read, without taking them."""
        with self._condition:
            waiting = [*islice(self._control, most), *(slot.envelope for slot in islice(self._ordered, most))]
            return waiting[:most]

    def wake(self) -> None:
        """Let a waiting reader look again, although nothing was put."""
        with self._condition:
            self._condition.notify_all()

    def drop_for_restart(self) -> int:
        """Drop what is of no use to the next incarnation and return how much.

        That is unread market data, for a stale view is worse than none, and the runtime's own messages: timers, work
        results and stream items belong to the incarnation that asked for them.
        """
        with self._condition:
            before = len(self._ordered)
            self._ordered = deque(
                slot for slot in self._ordered if slot.key is None and slot.envelope.sender != RUNTIME
            )
            self._latest.clear()
            return before - len(self._ordered)

    def __len__(self) -> int:
        return len(self._control) + len(self._ordered)
