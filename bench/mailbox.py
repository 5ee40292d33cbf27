"""Messages a second from a sender through an `Address` into a handler: threaded and stepped, beside bare pykka.

    python -m bench.mailbox [MESSAGES]

Each way sends from one thread and stops the clock when the last message was handled. The ways take turns, so that a
busy moment of the machine falls on all.
"""

import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping

import pykka

from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.cell import Spec
from core.runtime.clock import VirtualClock
from core.runtime.context import Context
from core.runtime.message import Latest, Message
from core.runtime.stepped import SteppedRuntime
from core.runtime.threaded import ThreadedRuntime

ROUNDS = 5
WITHIN_S = 120.0
READER = Address("reader")


class Number(Message, frozen=True):
    """An ordinary message: each one is handled."""

    value: int


class View(Latest, frozen=True):
    """Market data: an unread older one is replaced."""

    value: int


class Reader(Actor):
    """Sets `done` at the last number."""

    def __init__(self, context: Context, last: int, done: threading.Event) -> None:
        super().__init__(context)
        self._last = last
        self._done = done

    def receive(self, message: object) -> None:
        """Compare and return."""
        if isinstance(message, Number | View) and message.value == self._last:
            self._done.set()


class PykkaReader(pykka.ThreadingActor):
    """The same reader on bare pykka."""

    def __init__(self, last: int, done: threading.Event) -> None:
        super().__init__()
        self._last = last
        self._done = done

    def on_receive(self, message: object) -> None:
        """Compare and return."""
        if isinstance(message, Number) and message.value == self._last:
            self._done.set()


def main(messages: int = 50_000) -> None:
    """Print best and median of each way in messages a second, and its median beside bare pykka's."""
    ways: Mapping[str, Callable[[int], float]] = {
        "bare pykka": _pykka,
        "threaded": lambda count: _threaded(count, Number),
        "threaded, conflated": lambda count: _threaded(count, View),
        "stepped": _stepped,
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            rates[name].append(messages / way(messages))
    base = statistics.median(rates["bare pykka"])
    for name, measured in rates.items():
        median = statistics.median(measured)
        print(f"{name:20s} best {max(measured):9,.0f}/s   median {median:9,.0f}/s   {median / base:4.2f} of bare pykka")


def _pykka(count: int) -> float:
    done = threading.Event()
    reader = PykkaReader.start(count - 1, done)
    began_s = time.perf_counter()
    for value in range(count):
        reader.tell(Number(value))
    _wait(done)
    took_s = time.perf_counter() - began_s
    reader.stop()
    return took_s


def _threaded(count: int, kind: type[Number | View]) -> float:
    done = threading.Event()
    runtime = ThreadedRuntime()
    runtime.add(Spec(READER, lambda context: Reader(context, count - 1, done)))
    runtime.start(READER)
    began_s = time.perf_counter()
    for value in range(count):
        runtime.tell(READER, kind(value))
    _wait(done)
    took_s = time.perf_counter() - began_s
    runtime.stop(WITHIN_S)
    return took_s


def _stepped(count: int) -> float:
    done = threading.Event()
    runtime = SteppedRuntime(VirtualClock())
    runtime.add(Spec(READER, lambda context: Reader(context, count - 1, done)))
    runtime.start(READER)
    began_s = time.perf_counter()
    for value in range(count):
        runtime.tell(READER, Number(value))
    runtime.run()
    took_s = time.perf_counter() - began_s
    _wait(done)
    return took_s


def _wait(done: threading.Event) -> None:
    if not done.wait(WITHIN_S):
        sys.exit("the last message was not handled: the measurement is void")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
