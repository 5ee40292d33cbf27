"""What the user channel has to tell, in order, for as many readers as there are; old events are forgotten."""

from collections import deque
from itertools import islice

from venues.sim.trading.values import UserEvent

KEPT = 20_000


class UserLog:
    """Events with a running number. A reader keeps the number after the last one it read."""

    def __init__(self) -> None:
        self._events: deque[UserEvent] = deque(maxlen=KEPT)
        self.end = 0

    def add(self, event: UserEvent) -> None:
        """Append one event."""
        self._events.append(event)
        self.end += 1

    def after(self, cursor: int) -> tuple[list[UserEvent], int]:
        """Return the events from number `cursor` on that are still kept, and the cursor for the next call."""
        skipped = max(0, cursor - (self.end - len(self._events)))
        return list(islice(self._events, skipped, None)), self.end
