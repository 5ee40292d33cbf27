"""What the benchmarks measure with measures what it says."""

import os
import threading
from collections import deque
from pathlib import Path

import pytest

from bench.measure.proc import own, usage
from bench.measure.reachable import sizes
from bench.measure.trend import percentile, trend


def test_a_straight_line_has_its_slope_and_no_error() -> None:
    line = trend([0.0, 1.0, 2.0, 4.0], [3.0, 5.0, 7.0, 11.0])

    assert line is not None
    assert (line.slope, line.error) == pytest.approx((2.0, 0.0))
    assert trend([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(n) for n in range(1, 101)]

    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([7.0], 0.99)) == (50.0, 99.0, 7.0)


def test_threads_and_files_of_this_process_are_counted() -> None:
    before, stop = own(), threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    with Path(os.devnull).open() as _:
        during = usage(os.getpid())
    stop.set()
    thread.join()

    assert (during.threads - before.threads, during.fds - before.fds) == (1, 1)


class Keeper:
    """Something that grows inside a slot, a closure and a container."""

    __slots__ = ("kept", "tell")

    def __init__(self, count: int) -> None:
        told = list(range(1000, 1000 + count))
        self.kept = {"a": deque(range(count), maxlen=count), "b": bytes(count)}
        self.tell = lambda: told


@pytest.mark.parametrize("count", [3, 5])
def test_containers_are_found_wherever_they_hide(count: int) -> None:
    found = sizes({"root": [Keeper(count), Keeper(count)]})

    assert found["root"] == 2
    assert found["root[*].kept[*]"] == 2 * count
    assert found["root[*].kept[*] bytes"] == 2 * count
    assert found["root[*].tell()"] == 2 * count
