"""Runs the whole system under seeded faults, any number of seeds on all cores; a seed that fails repeats alone.

    python -m bench.simulate --seeds N [--start S] [--jobs J]    N seeds from S on
    python -m bench.simulate --sweep [--stride K] [--jobs J]     a crash, hang and kill at every (K-th) message
    python -m bench.simulate --seed S [--trace FILE]             one seed, with its event log

Exit code 1 when a promise was broken; the line names the seed and the promise.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench.simulation import sweep
from bench.simulation.run import Result, run_seed
from bench.simulation.scenario import scenario_of

CHUNK = 4
T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulate", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=100, metavar="N", help="number of seeds")
    parser.add_argument("--start", type=int, default=0, metavar="S", help="first seed")
    parser.add_argument("--seed", type=int, metavar="S", help="one seed alone")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="with --seed: write its event log")
    parser.add_argument("--sweep", action="store_true", help="crash, hang and kill at every message of one window")
    parser.add_argument("--stride", type=int, default=1, metavar="K", help="with --sweep: every K-th message")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="J", help="processes")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return _one(options.seed, options.trace)
    if options.sweep:
        return _sweep(options.stride, options.jobs)
    seeds = range(options.start, options.start + options.seeds)
    units = sum(len(scenario_of(seed).assets) * scenario_of(seed).windows for seed in seeds)
    began_s = time.perf_counter()
    results = _spread(run_seed, seeds, options.jobs, "seeds")
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


def _one(seed: int, trace: Path | None) -> int:
    if trace is None:
        result = run_seed(seed)
    else:
        with trace.open("w") as file:
            result = run_seed(seed, lambda line: _write(file, line))
    print(result)
    return 0 if result.broken is None else 1


def _write(file: TextIO, line: str) -> None:
    file.write(line)


def _sweep(stride: int, jobs: int) -> int:
    base = sweep.base()
    if base.broken is not None:
        print(f"the undisturbed run: {base.broken}")
        return 1
    began_s = time.perf_counter()
    results = _spread(sweep.run_point, sweep.points(base.messages, stride), jobs, "messages")
    took_s = time.perf_counter() - began_s
    for point, result in results:
        if result.broken is not None:
            print(f"message {point.index}, {point.blow}: {result.broken}")
    same = sum(result.cash_usd == base.cash_usd for _, result in results)
    print(f"{base.messages} messages; {same} of {len(results)} runs ended with the undisturbed run's cash")
    return _summary([result for _, result in results], took_s, "")


def _summary(results: Sequence[Result], took_s: float, rate: str) -> int:
    broken = sum(result.broken is not None for result in results)
    print(
        f"{len(results)} runs, {broken} broken, {sum(r.messages for r in results):,} messages, "
        f"{sum(r.fills for r in results):,} fills, {sum(r.trades for r in results):,} trades in {took_s:.1f} s: "
        f"{len(results) / took_s:.1f} runs a second{rate}"
    )
    return 1 if broken else 0


def _spread(run: Callable[[T], Result], work: Iterable[T], jobs: int, name: str) -> list[tuple[T, Result]]:
    """Run everything on `jobs` processes behind a progress bar, and return it in the order given."""
    items = list(work)
    columns = (
        TextColumn(name),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[broken]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=len(items), broken="")
        results, broken = [], 0
        for item, result in zip(items, _results(run, items, jobs), strict=True):
            results.append((item, result))
            broken += result.broken is not None
            progress.update(task, advance=1, broken=f"{broken} broken" if broken else "")
    return results


def _results(run: Callable[[T], Result], items: Sequence[T], jobs: int) -> Iterator[Result]:
    if jobs <= 1:
        yield from map(run, items)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(run, items, chunksize=CHUNK)


if __name__ == "__main__":
    sys.exit(main())
