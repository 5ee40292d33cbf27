"""A crash at every message of one asset's window, and a kill of the process after every message."""

from typing import Literal

import msgspec

from bench.simulation.chaos import CrashAt, KillAt, Quiet
from bench.simulation.run import Result, Simulation
from bench.simulation.scenario import Scenario
from core.runtime.faults import Crash, Hang

SCENARIO = Scenario(held=("BTC",))
"""One asset, one window of 30 s, a table that opens and sells UP, opens DOWN and keeps it until settlement."""

Blow = Literal["before", "after", "hang", "kill"]
BLOWS: tuple[Blow, ...] = ("before", "after", "hang", "kill")


class Point(msgspec.Struct, frozen=True, order=True):
    """One run of the sweep: at which message, and what happens there."""

    index: int
    blow: Blow


def base() -> Result:
    """Return the undisturbed run, whose messages are swept."""
    return Simulation(SCENARIO).run()


def points(messages: int, stride: int = 1) -> list[Point]:
    """Return every `stride`-th message with each blow; the blows are staggered, so that a stride leaves none out."""
    return [
        Point(index, blow)
        for number, blow in enumerate(BLOWS)
        for index in range(1 + number * stride // len(BLOWS), messages + 1, stride)
    ]


def run_point(point: Point) -> Result:
    """Run one point of the sweep; the result is broken too when the blow did not happen."""
    chaos = _chaos(point)
    result = Simulation(SCENARIO, lambda _clock: chaos).run()
    if result.broken is None and not chaos.done:
        return msgspec.structs.replace(result, broken=f"the sweep: message {point.index} was never handled")
    return result


def _chaos(point: Point) -> Quiet:
    match point.blow:
        case "kill":
            return KillAt(point.index)
        case "hang":
            return CrashAt(point.index, Hang(extra_ms=500))
        case "before" | "after":
            return CrashAt(point.index, Crash(point.blow))
