"""What every connection to a venue shares: what it tells its feed, and how a bad frame fails."""

from typing import Protocol

import msgspec

from core.errors import RejectedError
from core.market.events import MarketEvent


class BadFrameError(RejectedError):
    """Raised for a frame or an answer that cannot be read: not JSON, a field missing, a number that is none."""


class StreamOpened(msgspec.Struct, frozen=True):
    """A connection stands and its subscriptions are sent; everything received before belongs to the past."""

    at_ms: int


class StreamReceived(msgspec.Struct, frozen=True):
    """The events of one frame, in the frame's order."""

    events: tuple[MarketEvent, ...]
    received_ms: int


class StreamClosed(msgspec.Struct, frozen=True):
    """The connection is gone or could not be made; told once for each new reason, not once for each attempt."""

    reason: str
    at_ms: int


class BadFrame(msgspec.Struct, frozen=True):
    """A frame that could not be read; `count` is how many there were so far in this run."""

    reason: str
    count: int = 1


class UnknownEvent(msgspec.Struct, frozen=True):
    """A kind of event that no decoder knows, told the first time it is seen."""

    kind: str


StreamMessage = StreamOpened | StreamReceived | StreamClosed | BadFrame | UnknownEvent


class DecodedFrame(Protocol):
    """What a decoder makes of one frame: its events, and the kinds it did not know."""

    @property
    def events(self) -> tuple[MarketEvent, ...]:
        """The frame's events in order; empty for acknowledgements and for events nobody needs."""
        ...

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the event types that the decoder did not know."""
        ...


class Decoded(msgspec.Struct, frozen=True):
    """The plain `DecodedFrame` that the decoders return."""

    events: tuple[MarketEvent, ...] = ()
    unknown: tuple[str, ...] = ()
