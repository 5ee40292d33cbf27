"""Milliseconds from a book frame to the order's bytes on the wire, live, idle and beside a learner's gradient steps.

    python -m bench.live_latency [--seconds 240] [--assets BTC,ETH,SOL,XRP] [--fill]

The program's own parts: threads, websockets, decoding, MLX inference, portfolio, executor, signing, a warm connection
with the gate's lock around the write, the embedded database with its fsync. The venue is the embedded exchange, in a
process of its own. Both phases run in turns. What is waited for, the grid and the commit, is reported apart.

Orders are fill-or-kill and larger than the book, so that the venue kills them and every grid step may send one; with
`--fill` they are small and fill, so that exits are measured too, but an asset sends one in several seconds.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.measure.gradient_load import GradientLoad
from bench.measure.live_path import NS_PER_MS, PathWatch
from bench.measure.live_path import Path as OrderPath
from bench.measure.live_trader import live_trader

IDLE, LEARNING = "idle", "beside a learner"
TARGET_P50_MS, TARGET_P99_MS = 2.0, 10.0
"""Of the path without its two waits."""
WARM_UP_S = 20.0
TURN_S = 20.0
WINDOW_S = 60
TOO_LARGE: dict[str, object] = {"order_type": "FOK", "trade_size_usd": 9_000, "max_slippage_ticks": 0}
SMALL: dict[str, object] = {"order_type": "FAK", "trade_size_usd": 20}

Part = Callable[[OrderPath], int]
PARTS: dict[str, Part] = {
    "frame received to seen by the market actor": lambda path: path.seen - path.frame,
    "grid step due to the market actor's turn": lambda path: path.tick - path.due,
    "decision": lambda path: path.decided - path.tick,
    "to the portfolio": lambda path: path.proposed - path.decided,
    "portfolio: sized and reserved": lambda path: path.reserved - path.proposed,
    "to the executor": lambda path: path.sign - path.reserved,
    "signing": lambda path: path.signed - path.sign,
    "executor: commit asked for": lambda path: path.persist - path.signed,
    "to the posting worker": lambda path: path.post - path.durable,
    "posting worker to the bytes on the wire": lambda path: path.wire - path.post,
}
PATH = "frame to wire, without the two waits"
WAITS: dict[str, Part] = {
    "apart: wait for the grid": lambda path: path.due - path.seen,
    "apart: wait for the commit of the hash": lambda path: path.durable - path.persist,
    "of that, its own transaction": lambda path: path.committed - path.commit,
}


def main() -> None:
    """Trade, then print what each part of the way took in both phases."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--seconds", type=float, default=240.0, help="of measurement, both phases together")
    flags.add_argument("--assets", default="BTC,ETH,SOL,XRP", help="what is traded")
    flags.add_argument("--fill", action="store_true", help="small orders that fill")
    given = flags.parse_args()
    watch, load = PathWatch(), GradientLoad()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-live-") as folder:
            overrides = {"assets": given.assets, "window_s": WINDOW_S, **(SMALL if given.fill else TOO_LARGE)}
            with live_trader(Path(folder), overrides, watch, lambda _text: None):
                time.sleep(WARM_UP_S)
                began_s, steps = time.process_time(), load.steps
                _in_turns(watch, load, given.seconds)
                used_s = time.process_time() - began_s
    finally:
        load.stop()
    rate = 2 * (load.steps - steps) / given.seconds
    print(f"{rate:.0f} gradient steps a second beside a learner; {used_s / given.seconds:.2f} CPU s/s on the whole")
    paths = {phase: watch.complete(phase) for phase in (IDLE, LEARNING)}
    for phase, kept in paths.items():
        _report(phase, kept)


def _in_turns(watch: PathWatch, load: GradientLoad, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        for phase, change in ((IDLE, load.pause), (LEARNING, load.resume)):
            change()
            watch.phase = phase
            time.sleep(min(TURN_S, seconds / 2))
    watch.phase = "done"
    load.pause()


def _report(phase: str, paths: Sequence[OrderPath]) -> None:
    opens = sum(path.action == "OPEN" for path in paths)
    title = f"{phase}: {len(paths)} orders, {opens} of them openings"
    print(f"\n{title:46} {'p10 ms':>8} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}")
    if len(paths) < 2:
        return
    for name, part in PARTS.items():
        _line(name, [part(path) for path in paths])
    totals = [sum(part(path) for part in PARTS.values()) for path in paths]
    p50, p99 = _line(PATH, totals)
    met = "met" if p50 <= TARGET_P50_MS and p99 <= TARGET_P99_MS else "missed"
    print(f"    target p50 {TARGET_P50_MS:g} ms, p99 {TARGET_P99_MS:g} ms: {met}")
    for name, part in WAITS.items():
        _line(name, [part(path) for path in paths])


def _line(name: str, taken_ns: Sequence[int]) -> tuple[float, float]:
    taken = [ns / NS_PER_MS for ns in taken_ns]
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    print(f"  {name:44} {cuts[9]:8.3f} {cuts[49]:8.3f} {cuts[98]:8.3f} {max(taken):8.3f}")
    return cuts[49], cuts[98]


if __name__ == "__main__":
    main()
