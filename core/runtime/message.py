"""Kinds of messages and the envelope they travel in. The kind decides the lane of the mailbox, nothing else does."""

from collections.abc import Hashable

import msgspec

from core.runtime.address import Address


class Message(msgspec.Struct, frozen=True):
    """An ordinary message: kept in order, delivered at most once, dead-lettered if it crashes its reader."""


class Latest(msgspec.Struct, frozen=True):
    """Market data and other views: an unread older one with the same conflation key is replaced in place."""

    def conflation_key(self) -> Hashable:
        """Return what makes two views of this kind interchangeable; one stream per kind unless overridden."""
        return None


class Money(msgspec.Struct, frozen=True):
    """A money message: delivered again until the reader's checkpoint covers it; never dead-lettered on first crash."""


class Control(msgspec.Struct, frozen=True):
    """Overtakes everything else in a mailbox."""


class Stop(Control, frozen=True):
    """Drain what is queued, run `on_stop`, end."""


class Restart(Control, frozen=True):
    """End this incarnation between two messages and start the next one: nothing is lost and nobody is blamed."""


class Ping(Control, frozen=True):
    """Answered with the incarnation number without entering the actor's own code."""


class WorkDone(Message, frozen=True):
    """A worker finished the job that was started under `key`."""

    key: str
    value: object


class WorkFailed(Message, frozen=True):
    """A worker's job raised; `error` is the exception."""

    key: str
    error: BaseException


class StreamItem(Message, frozen=True):
    """One item that the stream opened under `key` emitted."""

    key: str
    item: object


class StreamEnded(Message, frozen=True):
    """The stream under `key` returned (error None) or raised."""

    key: str
    error: BaseException | None


class Envelope(msgspec.Struct, frozen=True):
    """A message in flight. `sequence` orders all envelopes of a run; `sent_ms` is monotonic time."""

    message: object
    sender: Address
    sender_incarnation: int
    lease_epoch: int
    sequence: int
    sent_ms: int
    reply: object | None = None
    redelivered: bool = False
