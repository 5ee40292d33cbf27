"""The layout of an actor's checkpoint: its version, what reads it, and what is done when it cannot be read."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from core.errors import FatalError

Fallback = Literal["older", "fresh", "never"]
"""What an actor starts from when its newest checkpoint is of no use: the one before, nothing, or it does not start."""

Upgrade = Callable[[bytes], bytes]
"""Turns a payload of one schema version into one of the next."""


class UnreadableStateError(FatalError):
    """Raised when a checkpoint has a layout that this program does not know, or does not decode."""


class StateFormat(msgspec.Struct, frozen=True):
    """How one kind of actor writes its checkpoint: MessagePack of `type`, in schema `version`.

    `upgrades` is keyed by the version that is upgraded. `transactional` states are stored by their actor, in one
    transaction with the rows they belong to; all others by the checkpoint keeper.
    """

    version: int
    type: Any
    upgrades: Mapping[int, Upgrade] = {}
    fallback: Fallback = "older"
    transactional: bool = False

    def read(self, version: int, payload: bytes) -> bytes:
        """Return `payload` of schema `version` in the layout of today.

        Raises:
            UnreadableStateError: the version is unknown, or the content does not fit its layout.
        """
        if version > self.version:
            raise UnreadableStateError(f"schema version {version} is newer than {self.version}: update this program")
        steps = range(version, self.version)
        if any(step not in self.upgrades for step in steps):
            raise UnreadableStateError(f"schema version {version} is unknown, this program reads {self.known}")
        try:
            for step in steps:
                payload = self.upgrades[step](payload)
            msgspec.msgpack.decode(payload, type=self.type)
        except Exception as error:  # whatever an upgrade trips over says the same: it is of no use
            raise UnreadableStateError(f"schema version {version} cannot be read: {_line(error)}") from error
        return payload

    @property
    def known(self) -> str:
        """The versions that can be read, for people."""
        return ", ".join(str(number) for number in sorted({*self.upgrades, self.version}))


class OlderState(msgspec.Struct, frozen=True):
    """A checkpoint before the newest one."""

    generation: int
    state: bytes


class Inherited(msgspec.Struct, frozen=True):
    """What an earlier process left for one address.

    `generation` is the highest number ever given out, so that none is used twice; `state`, of generation `of`, is
    None for a fresh start, and `stored` tells whether it lies where it is kept for good.
    """

    generation: int
    state: bytes | None
    of: int = 0
    stored: bool = True
    older: tuple[OlderState, ...] = ()


class Offer:
    """A state that an operator wants an actor to start from; the next incarnation takes it, or says why it cannot."""

    def __init__(self, state: bytes) -> None:
        self.state = state
        self.generation: int | None = None
        self.error: str | None = None


class Quarantined(msgspec.Struct, frozen=True):
    """A generation from which an actor could not be made, and why."""

    generation: int
    reason: str


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
