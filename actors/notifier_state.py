"""The notifier's checkpoint, in its layout of today and in the one before."""

import msgspec

from core.alerts.milestones import Marks
from core.alerts.outbox import Noted, Outbox


class NotifierState(msgspec.Struct, frozen=True):
    """The checkpoint: what waits in each channel, and what was told last. An alert may come twice, but not never."""

    outboxes: dict[str, Outbox] = {}
    results: dict[int, dict[str, str]] = {}
    """By alert and channel, while one of several channels has not answered yet."""
    number: int = 0
    marks: Marks | None = None
    day: int | None = None
    """The last UTC day of which there was a summary."""
    left: tuple[Noted, ...] = ()
    """Alerts of a time when there were no outboxes, for every channel."""


class PendingBefore(msgspec.Struct, frozen=True):
    """An alert in a checkpoint of schema version 1."""

    kind: str
    text: str
    at_ms: int


class StateBefore(msgspec.Struct, frozen=True):
    """The checkpoint in schema version 1."""

    pending: tuple[PendingBefore, ...] = ()


def from_version_1(payload: bytes) -> bytes:
    """Return a checkpoint of schema version 1 in the layout of 2."""
    before = msgspec.msgpack.decode(payload, type=StateBefore)
    left = tuple(Noted(n, p.kind, p.text, p.at_ms, unsure=True) for n, p in enumerate(before.pending, 1))
    return msgspec.msgpack.encode(NotifierState(number=len(left), left=left))
