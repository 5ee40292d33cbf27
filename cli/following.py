"""Follows orders from beside: what is told and written goes through a queue to one thread; nobody waits for it."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from loguru import logger

from cli.trade_story import HEARD, Step, TradeStory
from core.records import Record
from core.runtime.address import Address
from core.runtime.clock import Clock

END_WITHIN_S = 0.5

Heard = Callable[[Step], None]


class Follower:
    """Its `told` and `wrote` are called by actors and workers: they put into a queue and return.

    Args:
        story: makes steps of it.
        clock: says when a message was sent.
        hears: are called with each step, on the follower's own thread.
    """

    def __init__(self, story: TradeStory, clock: Clock, *hears: Heard) -> None:
        self._story = story
        self._clock = clock
        self._hears = hears
        self._queue: queue.SimpleQueue[Callable[[], Iterator[Step]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def told(self, _to: Address, message: object) -> None:
        """Note a message between actors, if it is about an order."""
        if type(message) in HEARD:  # every message comes by here, and isinstance takes twenty times as long
            now_ms = self._clock.now_ms()
            self._queue.put(lambda: self._story.told(message, now_ms))

    def wrote(self, rows: Sequence[Record]) -> None:
        """Note rows that are committed."""
        if rows:
            self._queue.put(lambda: self._story.wrote(rows))

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def stop(self) -> None:
        """Tell what has been heard so far, and end; half a second is enough for that or it goes untold."""
        self._queue.put(None)
        self._thread.join(END_WITHIN_S)

    def drain(self) -> None:
        """Tell what has been heard so far in the calling thread, of a follower that was not started."""
        self._queue.put(None)
        self._run()

    def _run(self) -> None:
        while (steps := self._queue.get()) is not None:
            try:
                for step in steps():
                    for hear in self._hears:
                        hear(step)
            except Exception as error:  # noqa: BLE001 -- who only watches must not end, and nobody depends on it
                logger.opt(exception=error).warning("an order's step could not be told; trading is not concerned")


class TimedWrite:
    """Stands before what writes rows: times each commit, and shows what is committed."""

    def __init__(
        self,
        write: Callable[[Sequence[Record]], None],
        committed: Callable[[float], None],
        wrote: Callable[[Sequence[Record]], None],
        monotonic_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._write = write
        self._committed = committed
        self._wrote = wrote
        self._monotonic_s = monotonic_s

    def __call__(self, rows: Sequence[Record]) -> None:
        """Write; what it raises is its caller's. An empty batch is a sign of life and is not timed."""
        began_s = self._monotonic_s()
        self._write(rows)
        if rows:
            self._committed(self._monotonic_s() - began_s)
            self._wrote(rows)


def log_step(step: Step) -> None:
    """Write a step to the log file, at DEBUG; what has no text is for the metrics alone."""
    if step.text and step.stage != "proposed":
        fields = {**step.fields, **{f"{name}_s": seconds for name, seconds in step.seconds.items()}}
        logger.bind(stage=step.stage, account=step.account, asset=step.asset, **fields).debug("{}", step.text)
