"""What a way to reach a person has to be: a name, what it takes, and a call that delivers one text."""

from typing import Protocol

import msgspec

from core.errors import TransientError


class Rate(msgspec.Struct, frozen=True):
    """A token bucket: at most `burst` messages at once and `per_s` a second on average, so `burst + t * per_s` in t."""

    burst: int
    per_s: float


class RateLimitedError(TransientError):
    """Raised when the other side takes nothing for `retry_after_s` seconds; what was sent was not delivered."""

    def __init__(self, text: str, retry_after_s: float) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class Channel(Protocol):
    """One way to reach a person. `send` runs in a worker and may take its time."""

    @property
    def name(self) -> str:
        """How the alerts table and the log call it."""
        ...

    @property
    def longest(self) -> int:
        """The most characters of a message, at least 200."""
        ...

    @property
    def rate(self) -> Rate:
        """What the other side allows at the most."""
        ...

    def send(self, text: str) -> float:
        """Deliver one text and return for how many seconds the other side wants to be left alone, usually 0.

        No error's text holds a secret.

        Raises:
            RateLimitedError: not delivered; nothing is to be sent for a while.
            TransientError: not delivered; trying again may help.
            UnknownOutcomeError: it may have been delivered or not.
            RejectedError: not delivered, and the same text never will be.
        """
        ...
