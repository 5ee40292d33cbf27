"""One incarnation of an actor: its context, and the effects of the running handler, performed when it returns."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from core.runtime.address import Address
from core.runtime.gate import FencedGate, Gate
from core.runtime.message import Control, Envelope

if TYPE_CHECKING:
    from core.runtime.actor import Actor
    from core.runtime.cell import Cell
    from core.runtime.clock import Clock
    from core.runtime.stream import Stream
    from core.runtime.system import ActorSystem


class Incarnation:
    """Implements `Context`. A fenced incarnation (a newer one took its place) has no effects at all."""

    def __init__(self, system: ActorSystem, cell: Cell) -> None:
        self._system = system
        self._cell = cell
        self._effects: list[Callable[[], None]] = []
        self._receipt = 0
        self._covered = 0
        self.incarnation = cell.incarnation
        self.address = cell.spec.address
        self.lease_epoch = system.lease_epoch
        self.clock: Clock = system.clock
        self.gate: Gate = FencedGate(system.gate, self._while_alive)
        self.saved = cell.saved
        self.rng = np.random.Generator(
            np.random.PCG64([system.seed, zlib.crc32(self.address.name.encode()), self.incarnation])
        )
        self._generation = cell.generation
        self.actor: Actor = cell.spec.make(self)

    @property
    def receipt(self) -> int:
        """Number of the message being handled, in the order this address handles them; 0 in `on_start`."""
        return self._receipt

    def tell(self, to: Address, message: object) -> None:
        """Send a message when the handler returns."""
        self._effects.append(lambda: self._system.send(to, message, self.address, self.incarnation))

    def timer(self, key: str, delay_s: float, message: object) -> None:
        """Set a timer when the handler returns; the delay counts from now."""
        self.timer_at(key, self.clock.now_ms() + round(delay_s * 1000), message)

    def timer_at(self, key: str, at_ms: int, message: object) -> None:
        """Set a timer for a wall time when the handler returns."""
        self._effects.append(lambda: self._system.set_timer(self._cell, self.incarnation, key, at_ms, message))

    def cancel_timer(self, key: str) -> None:
        """Forget a timer when the handler returns."""
        self._effects.append(lambda: self._system.cancel_timer(self._cell, key))

    def work(self, key: str, job: Callable[[], object], lane: str = "io") -> None:
        """Hand a job to a worker when the handler returns."""
        self._effects.append(lambda: self._system.start_work(self._cell, self.incarnation, key, job, lane))

    def open_stream(self, key: str, stream: Stream) -> None:
        """Open a stream when the handler returns."""
        self._effects.append(lambda: self._system.start_stream(self._cell, self.incarnation, key, stream))

    def close_stream(self, key: str) -> None:
        """Close a stream when the handler returns."""
        self._effects.append(lambda: self._system.stop_stream(self._cell, key))

    def save(self, state: bytes) -> int:
        """Save a checkpoint when the handler returns; the generation is known at once."""
        self._generation += 1
        generation, covered = self._generation, self._receipt
        self._effects.append(lambda: self._save(generation, state, covered))
        return generation

    def _save(self, generation: int, state: bytes, covered: int) -> None:
        self._cell.save(generation, state)
        self._covered = covered

    def acknowledge(self, receipt: int) -> None:
        """Cover money messages when the handler returns."""
        self._effects.append(lambda: self._cover(receipt))

    def _cover(self, receipt: int) -> None:
        self._covered = max(self._covered, receipt)

    def publish(self, key: str, view: object) -> None:
        """Show a view on the status board when the handler returns."""
        self._effects.append(lambda: self._system.board.publish(key, view, self.clock.monotonic_ms()))

    @contextmanager
    def _while_alive(self) -> Iterator[bool]:
        with self._cell.lock:
            yield self._cell.incarnation == self.incarnation

    def start(self) -> None:
        """Run `on_start` and its effects."""
        self.actor.on_start()
        self._perform()

    def handle(self, envelope: Envelope) -> object:
        """Run the actor on one message, then its effects, unless this incarnation was fenced meanwhile."""
        if isinstance(envelope.message, Control):
            return self.incarnation
        self._receipt = self._cell.receipt()
        result = self.actor.receive(envelope.message)
        self._perform(envelope)
        return result

    def finish(self) -> None:
        """Run `on_stop` and its effects."""
        self.actor.on_stop()
        self._perform()

    def discard(self) -> None:
        """Forget the effects of a handler that raised."""
        self._effects.clear()

    def _perform(self, envelope: Envelope | None = None) -> None:
        with self._cell.lock:
            effects, self._effects = self._effects, []
            if self._cell.incarnation != self.incarnation:
                self._system.fenced(self._cell, self.incarnation, len(effects))
                return
            if envelope is not None:
                self._cell.handled(envelope, self._receipt, acknowledges=self.actor.acknowledges)
            for effect in effects:
                effect()
            if self._covered:
                self._cell.cover(self._covered)
                self._covered = 0
            self._cell.busy_since_ms = self._cell.current = None  # in time: from here on it cannot be found hung
