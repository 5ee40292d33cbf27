"""Runs the whole system under seeded faults, any number of seeds on all cores; a seed that fails repeats alone.

    python -m bench.simulate --seeds N [--start S] [--jobs J]    N seeds from S on
    python -m bench.simulate --sweep [--stride K] [--jobs J]     a crash, hang and kill at every (K-th) message
    python -m bench.simulate --seed S [--trace FILE]             one seed, with its event log
    python -m bench.simulate --at 817:kill [--trace FILE]        one point of the sweep, with its event log

Exit code 1 when a promise was broken; the line names the seed or the point, and the promise.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench.simulation import sweep
from bench.simulation.run import Result, run_seed
from bench.simulation.scenario import scenario_of

CHUNK = 4
T = TypeVar("T")
Chunk = tuple[T, ...]
Results = list[tuple[T, Result]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulate", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=100, metavar="N", help="number of seeds")
    parser.add_argument("--start", type=int, default=0, metavar="S", help="first seed")
    parser.add_argument("--seed", type=int, metavar="S", help="one seed alone")
    parser.add_argument("--at", type=_point, metavar="N:BLOW", help="one point of the sweep alone, such as 817:kill")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="with --seed or --at: write the event log")
    parser.add_argument("--sweep", action="store_true", help="crash, hang and kill at every message of one window")
    parser.add_argument("--stride", type=int, default=1, metavar="K", help="with --sweep: every K-th message")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="J", help="processes")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return _one(lambda log: run_seed(options.seed, log), options.trace)
    if options.at is not None:
        return _one(lambda log: sweep.run_point(options.at, log), options.trace)
    if options.sweep:
        return _sweep(options.stride, options.jobs)
    seeds = range(options.start, options.start + options.seeds)
    units = sum(len(scenario_of(seed).assets) * scenario_of(seed).windows for seed in seeds)
    began_s = time.perf_counter()
    chunks = [tuple(seeds[first : first + CHUNK]) for first in range(0, len(seeds), CHUNK)]
    results = spread(run_seeds, chunks, options.jobs, "seeds")
    took_s = time.perf_counter() - began_s
    for seed, result in results:
        if result.broken is not None:
            print(f"seed {seed}: {result.broken}")
            print(f"    repeat it with: python -m bench.simulate --seed {seed} --trace FILE")
    faults: Counter[str] = Counter()
    for _, result in results:
        faults.update(result.faults)
    print(f"faults: {', '.join(f'{kind} {count:,}' for kind, count in sorted(faults.items()))}")
    return _summary([result for _, result in results], took_s, f", {units / took_s:.1f} windows x assets a second")


def run_seeds(seeds: Chunk[int]) -> Results[int]:
    """Run some seeds, one after the other."""
    return [(seed, run_seed(seed)) for seed in seeds]


def _point(text: str) -> sweep.Point:
    try:
        return sweep.Point.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _one(run: Callable[[Callable[[str], None] | None], Result], trace: Path | None) -> int:
    if trace is None:
        result = run(None)
    else:
        with trace.open("w") as file:
            result = run(lambda line: _write(file, line))
    print(result)
    return 0 if result.broken is None else 1


def _write(file: TextIO, line: str) -> None:
    file.write(line)


def _sweep(stride: int, jobs: int) -> int:
    base, jobs_begun = sweep.base()
    if base.broken is not None:
        print(f"the undisturbed run: {base.broken}")
        return 1
    began_s = time.perf_counter()
    pieces = sweep.slices(sweep.points(base.messages, jobs_begun, stride))
    results = spread(sweep.run_slice, pieces, jobs, "points", forks=True)
    took_s = time.perf_counter() - began_s
    for point, result in results:
        if result.broken is not None:
            print(f"{point}: {result.broken}")
            print(f"    repeat it with: python -m bench.simulate --at {point} --trace FILE")
    same = sum(result.cash_usd == base.cash_usd for _, result in results)
    print(
        f"{base.messages} messages, {jobs_begun} jobs; "
        f"{same} of {len(results)} runs ended with the undisturbed run's cash"
    )
    return _summary([result for _, result in results], took_s, "")


def _summary(results: Sequence[Result], took_s: float, rate: str) -> int:
    broken = sum(result.broken is not None for result in results)
    print(
        f"{len(results)} runs, {broken} broken, {sum(r.messages for r in results):,} messages, "
        f"{sum(r.fills for r in results):,} fills, {sum(r.trades for r in results):,} trades in {took_s:.1f} s: "
        f"{len(results) / took_s:.1f} runs a second{rate}"
    )
    return 1 if broken else 0


def spread(
    run: Callable[[Chunk[T]], Results[T]], chunks: Sequence[Chunk[T]], jobs: int, name: str, *, forks: bool = False
) -> Results[T]:
    """Run everything on `jobs` processes behind a progress bar, and return it in the order given.

    What forks needs a process without threads of its own, and this one has the bar's.
    """
    columns = (
        TextColumn(name),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[broken]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=sum(map(len, chunks)), broken="")
        found: Results[T] = []
        for results in _results(run, chunks, jobs, forks=forks):
            found += results
            broken = sum(result.broken is not None for _, result in found)
            progress.update(task, advance=len(results), broken=f"{broken} broken" if broken else "")
    return found


def _results(
    run: Callable[[Chunk[T]], Results[T]], chunks: Sequence[Chunk[T]], jobs: int, *, forks: bool
) -> Iterator[Results[T]]:
    if jobs <= 1 and not forks:
        yield from map(run, chunks)
        return
    with multiprocessing.get_context("spawn").Pool(max(1, jobs)) as pool:
        yield from pool.imap(run, chunks)


if __name__ == "__main__":
    sys.exit(main())
