"""Blows at every message of one asset's window: a crash of the reader, a hang, a death before a reply, a kill."""

from collections.abc import Callable
from typing import Literal, get_args

import msgspec

from bench.simulation.branching import Branching
from bench.simulation.chaos import CrashAt, KillAt, OwnerCrashAt, Quiet
from bench.simulation.run import Result, Simulation
from bench.simulation.scenario import Scenario
from core.runtime.faults import Crash, Hang

SCENARIO = Scenario(held=("BTC",))
"""One asset, one window of 30 s, a table that opens and sells UP, opens DOWN and keeps it until settlement."""
SLICE = 24

Blow = Literal["before", "after", "hang", "kill", "reply"]
BLOWS: tuple[Blow, ...] = get_args(Blow)


class Point(msgspec.Struct, frozen=True, order=True):
    """One run of the sweep: at which message (for `reply` at which job) of the undisturbed run, and what happens."""

    index: int
    blow: Blow

    def __str__(self) -> str:
        return f"{self.index}:{self.blow}"

    @staticmethod
    def parse(text: str) -> "Point":
        """Return the point that is written like this.

        Raises:
            ValueError: it is not a number, a colon and a blow.
        """
        index, _, blow = text.partition(":")
        if not index.isdigit() or blow not in BLOWS:
            raise ValueError(
                f"{text!r} is no point: write a message's number and one of {', '.join(BLOWS)}, as 817:kill"
            )
        return Point(int(index), blow)


def base() -> tuple[Result, int]:
    """Return the undisturbed run, whose messages are swept, and how many jobs it starts."""
    chaos = Quiet()
    result = Simulation(SCENARIO, lambda _clock: chaos).run()
    return result, chaos.jobs


def points(messages: int, jobs: int, stride: int = 1) -> list[Point]:
    """Return every `stride`-th message with each blow; the blows are staggered, so that a stride leaves none out."""
    return [
        Point(index, blow)
        for number, blow in enumerate(BLOWS)
        for index in range(1 + number * stride // len(BLOWS), (jobs if blow == "reply" else messages) + 1, stride)
    ]


def slices(points: list[Point]) -> list[tuple[Point, ...]]:
    """Return the points in the order of the run, in pieces that are worth a process's while."""
    ordered = sorted(points)
    return [tuple(ordered[first : first + SLICE]) for first in range(0, len(ordered), SLICE)]


def run_slice(points: tuple[Point, ...]) -> list[tuple[Point, Result]]:
    """Run each point as a branch of one undisturbed run, which is forked where the blow falls.

    What comes before the blow is the same for all, so half of the work is saved; `run_point` gives the same results.
    """
    wanted: set[tuple[int, str]] = {(point.index, point.blow) for point in points}
    branching = Branching(wanted)
    simulation = Simulation(SCENARIO, lambda _clock: branching)
    found = branching.run(simulation.run)
    return [(point, _checked(point, found.get((point.index, point.blow)))) for point in points]


def run_point(point: Point, log: Callable[[str], None] | None = None) -> Result:
    """Run one point of the sweep alone; the result is broken too when the blow did not happen."""
    chaos = _chaos(point)
    result = Simulation(SCENARIO, lambda _clock: chaos, log=log).run()
    return _checked(point, result if chaos.done else None)


def _checked(point: Point, result: Result | None) -> Result:
    if result is None:
        return Result(0, f"the sweep: {point} never came", 0, "", 0, 0, 0, 0, {})
    return result


def _chaos(point: Point) -> Quiet:
    match point.blow:
        case "kill":
            return KillAt(point.index)
        case "reply":
            return OwnerCrashAt(point.index)
        case "hang":
            return CrashAt(point.index, Hang(extra_ms=500))
        case "before" | "after":
            return CrashAt(point.index, Crash(point.blow))
