"""Restarts at an operator's wish: how long they take, and whether anything is left behind.

    python -m bench.restarts [--commands 100] [--restarts 1000] [--processes 100]

(a) `supervisor.py restart BTC` from a shell against a running demo, from the start of that process to its end.
(b) Restarts of one market actor in one process, MLX inference in each incarnation: OS threads, open files and memory.
(c) Processes that start everything, restart market actors a few times and end: how many end with code 0.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.measure.demo import ROOT, Demo, environment
from bench.measure.live_system import LiveSystem
from bench.measure.proc import Usage, own
from bench.measure.trend import percentile, summary_ms, trend

TARGET_MS = 250.0
OPEN = "hold lifted: starting"
OPENS_WITHIN_S = 90.0
READY_WITHIN_S = 20.0
WARM_UP = 50
LOOK_EVERY = 50
IN_EACH_PROCESS = 5
EVERY_MS = 200
SETTLE_S = 0.5
"""The replaced incarnation's thread ends a moment after its successor began."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the three parts; 0 is how many of a part leaves it out. 1 when one of them missed its target."""
    parser = argparse.ArgumentParser(prog="python -m bench.restarts", description=__doc__.split("\n")[0])
    parser.add_argument("--commands", type=int, default=100)
    parser.add_argument("--restarts", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=100)
    parser.add_argument("--one", type=int, metavar="N", help="be one of the processes of (c), with N restarts")
    options = parser.parse_args(arguments)
    if options.one is not None:
        return _one(options.one)
    met = [
        part(count)
        for part, count in (
            (_commands, options.commands),
            (_in_one_process, options.restarts),
            (_many, options.processes),
        )
        if count
    ]
    return 0 if all(met) else 1


# -- (a) ------------------------------------------------------------------------------------------------------


def _commands(count: int) -> bool:
    state_dir = Path(tempfile.mkdtemp(prefix="fusebox-restarts-"))
    demo = Demo(state_dir)
    try:
        if not demo.wait_for(OPEN, OPENS_WITHIN_S):
            print(f"the demo did not open its gate: see {demo.output}", file=sys.stderr)
            return False
        floor_ms, done = [], []
        for _ in range(count):  # in turns: what else the machine does touches both
            floor_ms.append(_bare(state_dir))
            done.append(_restart(state_dir))
    finally:
        code, _ = demo.end()
    good = [took_ms for took_ms, result in done if result == 0]
    met = len(good) == count and percentile(good, 0.99) < TARGET_MS and code == 0
    print(
        f"(a) restart BTC: {len(good)} of {count} done, from spawn to exit {summary_ms(good)}; demo's exit code {code}"
    )
    print(f"    in turns with it, Python with the database driver and nothing else {summary_ms(floor_ms)}")
    print(f"    target p99 below {TARGET_MS:g} ms: {'met' if met else 'missed'}")
    shutil.rmtree(state_dir, ignore_errors=True)
    return met


def _bare(state_dir: Path) -> float:
    began_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import psycopg"], cwd=ROOT, env=environment(state_dir), check=True)
    return (time.perf_counter() - began_s) * 1000


def _restart(state_dir: Path) -> tuple[float, int]:
    began_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "supervisor.py", "restart", "BTC"],
        cwd=ROOT,
        env=environment(state_dir),
        capture_output=True,
        text=True,
        check=False,
    )
    took_ms = (time.perf_counter() - began_s) * 1000
    if done.returncode != 0:
        print(done.stderr.strip(), file=sys.stderr)
    return took_ms, done.returncode


# -- (b) ------------------------------------------------------------------------------------------------------


def _in_one_process(count: int) -> bool:
    live = LiveSystem(2, EVERY_MS)
    asset = live.assets[0]
    ready_ms, looks = [], []
    for number in range(1, WARM_UP + count + 1):
        ready_ms.append(_renew(live, asset))
        if number >= WARM_UP and (number - WARM_UP) % LOOK_EVERY == 0:
            time.sleep(SETTLE_S)
            looks.append(own())
    stuck = live.stop()
    first, last = looks[0], looks[-1]
    print(
        f"(b) {count} restarts of market.{asset} after {WARM_UP} to warm up; could decide after {summary_ms(ready_ms)}"
    )
    print(f"    {'':12} {'first':>9} {'last':>9} {'largest':>9} {'per 1,000 restarts':>20}")
    for field in ("threads", "fds", "rss_mb"):
        print(f"    {field:12} {_row(looks, field)}")
    met = (first.threads, first.fds) == (last.threads, last.fds) and not stuck
    print(f"    threads and open files as at the start: {'yes' if met else 'no'}{_named(stuck)}")
    return met


def _row(looks: Sequence[Usage], field: str) -> str:
    values = [float(getattr(look, field)) for look in looks]
    line = trend([float(n * LOOK_EVERY) for n in range(len(values))], values)
    slope = "" if line is None else f"{line.slope * 1000:+12.2f} ± {line.error * 1000:.2f}"
    return f"{values[0]:9.1f} {values[-1]:9.1f} {max(values):9.1f} {slope:>20}"


def _renew(live: LiveSystem, asset: str) -> float:
    """Restart a market actor and return the milliseconds until it could decide."""
    number = live.incarnation(asset)
    began_s = time.monotonic()
    live.system.restart(live.market(asset))
    if not live.probe.wait(asset, number + 1, "ready_s", READY_WITHIN_S):
        raise TimeoutError(f"incarnation {number + 1} of market.{asset} was not ready within {READY_WITHIN_S:g} s")
    return (time.monotonic() - began_s) * 1000


# -- (c) ------------------------------------------------------------------------------------------------------


def _many(count: int) -> bool:
    codes: Counter[int] = Counter()
    for number in range(1, count + 1):
        done = subprocess.run(
            [sys.executable, "-m", "bench.restarts", "--one", str(IN_EACH_PROCESS)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        codes[done.returncode] += 1
        if done.returncode != 0:
            print(f"process {number}: code {done.returncode}: {done.stderr.strip()[-300:]}", file=sys.stderr)
    print(
        f"(c) {codes[0]} of {count} processes with {IN_EACH_PROCESS} restarts of each of 2 market actors ended with 0"
    )
    return codes[0] == count


def _one(restarts: int) -> int:
    live = LiveSystem(2, EVERY_MS)
    for _ in range(restarts):
        for asset in live.assets:
            _renew(live, asset)
    stuck = live.stop()
    if stuck:
        print(f"did not end:{_named(stuck)}", file=sys.stderr)
    return 1 if stuck else 0


def _named(stuck: Sequence[str]) -> str:
    return "" if not stuck else f" {', '.join(stuck)}"


if __name__ == "__main__":
    sys.exit(main())
