"""What an actor may touch: its address, the clock, its random numbers, the gate, and effects that happen on return."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from core.runtime.address import Address
from core.runtime.clock import Clock
from core.runtime.gate import Gate
from core.runtime.stream import Stream


class Context(Protocol):
    """One incarnation's access to the world. All but the reads are effects, performed when the handler returns."""

    @property
    def address(self) -> Address:
        """The actor's own address."""
        ...

    @property
    def incarnation(self) -> int:
        """1 for the first start, one more for each restart."""
        ...

    @property
    def lease_epoch(self) -> int:
        """The epoch of the lease under which this process trades."""
        ...

    @property
    def clock(self) -> Clock:
        """The only source of time."""
        ...

    @property
    def rng(self) -> np.random.Generator:
        """Random numbers seeded by run, address and incarnation."""
        ...

    @property
    def gate(self) -> Gate:
        """The gate's cell, readable without a mailbox."""
        ...

    @property
    def saved(self) -> bytes | None:
        """The checkpoint that the incarnation before (of this process or an earlier one) saved last."""
        ...

    @property
    def receipt(self) -> int:
        """Number of the message being handled, in the order this address handles them; what `acknowledge` takes."""
        ...

    def tell(self, to: Address, message: object) -> None:
        """Send a message."""
        ...

    def timer(self, key: str, delay_s: float, message: object) -> None:
        """Send `message` to this actor after `delay_s`; a timer of the same key is replaced."""
        ...

    def timer_at(self, key: str, at_ms: int, message: object) -> None:
        """Send `message` to this actor at wall time `at_ms`; a timer of the same key is replaced."""
        ...

    def cancel_timer(self, key: str) -> None:
        """Forget the timer of this key, if there is one."""
        ...

    def work(self, key: str, job: Callable[[], object], lane: str = "io") -> None:
        """Run `job` in the lane's worker; `WorkDone` or `WorkFailed` comes back under `key`."""
        ...

    def open_stream(self, key: str, stream: Stream) -> None:
        """Run a stream; its items come back as `StreamItem` under `key`. One of the same key is closed first."""
        ...

    def close_stream(self, key: str) -> None:
        """Close a stream, if it is open; nothing it emits afterwards is delivered."""
        ...

    def save(self, state: bytes) -> int:
        """Declare `state` the actor's checkpoint and return its generation; covers every message handled so far."""
        ...

    def acknowledge(self, receipt: int) -> None:
        """Declare the money messages up to `receipt` as covered, without a checkpoint."""
        ...

    def publish(self, key: str, view: object) -> None:
        """Show `view` on the status board, where the command line reads it."""
        ...
