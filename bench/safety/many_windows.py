"""Many runs of simulated windows on all cores, and what they come to in a few lines."""

import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.safety.stakes import UNIT
from bench.safety.windows import WINDOW_S, Limits, Run, run_seed

EACH = 10
"""Windows of each of the two assets in one run."""
TOLD_EVERY = 25
COUNTS = ("positions", "openings a minute")
PRICES = ("slippage",)


def run_windows(windows: int, first_seed: int, limits: Limits, jobs: int) -> int:
    """Run that many windows, print what was broken and what was seen, and return 1 if anything was broken."""
    seeds = range(first_seed, first_seed - (-windows // (2 * EACH)))
    began_s = time.perf_counter()
    runs: list[Run] = []
    for run in _spread(partial(_numbered, limits=limits), seeds, jobs):
        runs.append(run)
        if run.result.broken is not None:
            print(f"seed {run.result.seed}: {run.result.broken}", flush=True)
            print(f"    repeat it with: python -m bench.safety windows --limits {limits} --one {run.result.seed}")
        if len(runs) % TOLD_EVERY == 0:
            print(f"{len(runs)} of {len(seeds)} runs", file=sys.stderr, flush=True)
    for line in summary(runs, time.perf_counter() - began_s):
        print(line)
    return 1 if any(run.result.broken is not None for run in runs) else 0


def one_seed(seed: int, limits: Limits, trace: Path | None) -> int:
    """Run one seed alone, print what came of it, and return 1 if a promise was broken."""
    with ExitStack() as ends:
        write: Callable[[str], object] | None = None if trace is None else ends.enter_context(trace.open("w")).write
        run = run_seed(seed, EACH, limits, None if write is None else lambda line: _write(write, line))
    print(run)
    return 0 if run.result.broken is None else 1


def summary(runs: Sequence[Run], took_s: float) -> Iterator[str]:
    """Yield what the runs came to, as lines for people."""
    broken = sum(run.result.broken is not None for run in runs)
    counts = {
        name: sum(getattr(run.seen, name) for run in runs)
        for name in ("ends", "hand_overs", "openings", "fills", "flat", "held", "resumed")
    }
    yield (
        f"{counts['ends']:,} windows of {WINDOW_S} s in {len(runs)} runs, {broken} broken, in {took_s:.0f} s: "
        f"{counts['ends'] / took_s:.1f} a second"
    )
    yield f"{counts['hand_overs']:,} orders handed over, {counts['openings']:,} to open; {counts['fills']:,} fills"
    excused = _added(run.seen.excused for run in runs)
    yield (
        f"ends of windows: {counts['flat']:,} flat, {counts['held']:,} written down as held to settlement, "
        f"{sum(excused.values())} of which nobody asked for the exit, who was dead: {listed(excused) or 'nobody'}"
    )
    trips = _added(run.seen.trips for run in runs)
    yield f"trips of the kill switch: {listed(trips) or 'none'}; {counts['resumed']:,} times resumed"
    largest: dict[str, int] = {}
    for run in runs:
        for what, value in run.seen.largest.items():
            largest[what] = max(value, largest.get(what, 0))
    yield f"largest seen: {amounts(largest)}"
    yield f"faults: {listed(_added(run.result.faults for run in runs))}"


def _numbered(seed: int, limits: Limits) -> Run:
    return run_seed(seed, EACH, limits)


def _spread(run: Callable[[int], Run], seeds: range, jobs: int) -> Iterator[Run]:
    if jobs <= 1:
        yield from map(run, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(run, seeds)


def _added(counts: Iterator[dict[str, int]] | Sequence[dict[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return total


def listed(counts: Counter[str]) -> str:
    """Return counts as one line for people."""
    return ", ".join(f"{what} {count:,}" for what, count in sorted(counts.items()))


def amounts(largest: Mapping[str, int]) -> str:
    """Return the largest values as one line for people."""
    return ", ".join(f"{what} {_amount(what, value)}" for what, value in largest.items())


def _amount(what: str, value: int) -> str:
    if what in COUNTS:
        return str(value)
    return f"{value / UNIT:.3f} a share" if what in PRICES else f"{value / UNIT:.2f} USD"


def _write(write: Callable[[str], object], line: str) -> None:
    write(line)
