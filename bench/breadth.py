"""How many assets one process carries: latency of decisions, processor time and memory with 4, 16, 64 of them.

    python -m bench.breadth --assets 4 16 64

One process for each number: every actor on its threads, MLX inference, the machine's clock. The venue is in memory in
the same process, for the embedded exchange would cost more processor time than what is measured; so what is left out
is the wire: sockets, decoding, and the database's commits. Book and trade events come at the same rate for each asset.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence

import msgspec

from bench.measure.demo import ROOT
from bench.measure.live_system import GRID_MS, LiveSystem
from bench.measure.proc import own
from bench.measure.trend import percentile

WIDTHS = (6, 10, 7, 25, 26, 9, 8, 9)


class Breadth(msgspec.Struct, frozen=True):
    """One run. `missed` are grid steps without a decision, latencies in ms, `cpu` seconds per second, MB 1e6 bytes."""

    assets: int
    decisions: int
    missed: int
    tick_p50_ms: float
    tick_p99_ms: float
    view_p50_ms: float
    view_p99_ms: float
    cpu: float
    rss_mb: float
    threads: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each number of assets."""
    parser = argparse.ArgumentParser(prog="python -m bench.breadth", description=__doc__.split("\n")[0])
    parser.add_argument("--assets", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to measure each")
    parser.add_argument("--every-ms", type=int, default=200, help="time between two books of an asset")
    parser.add_argument("--one", type=int, metavar="N", help="be the process with N assets")
    options = parser.parse_args(arguments)
    if options.one is not None:
        print(msgspec.json.encode(_measure(options.one, options.seconds, options.every_ms)).decode())
        return 0
    print(f"a book and a trade of each asset every {options.every_ms} ms, a decision every {GRID_MS} ms")
    columns = (
        "assets",
        "decisions",
        "missed",
        "due to decided p50 p99",
        "book in to seen p50 p99",
        "CPU s/s",
        "RSS MB",
        "threads",
    )
    print("".join(f"{column:>{width}}" for column, width in zip(columns, WIDTHS, strict=True)))
    for count in options.assets:
        again = ("--one", str(count), "--seconds", str(options.seconds), "--every-ms", str(options.every_ms))
        done = subprocess.run(
            [sys.executable, "-m", "bench.breadth", *again], cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        found = msgspec.json.decode(done.stdout.splitlines()[-1], type=Breadth)
        cells = (
            str(found.assets),
            f"{found.decisions:,}",
            str(found.missed),
            f"{found.tick_p50_ms:.1f} {found.tick_p99_ms:.1f} ms",
            f"{found.view_p50_ms:.1f} {found.view_p99_ms:.1f} ms",
            f"{found.cpu:.2f}",
            f"{found.rss_mb:.0f}",
            str(found.threads),
        )
        print("".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True)), flush=True)
    return 0


def _measure(asset_count: int, seconds: float, every_ms: int) -> Breadth:
    live = LiveSystem(asset_count, every_ms)
    live.probe.clear()
    before, began_s = own(), time.monotonic()
    time.sleep(seconds)
    took_s, after = time.monotonic() - began_s, own()
    ticks, views = list(live.probe.tick_ms), list(live.probe.view_ms)
    missed = sum(live.probe.missed(asset, GRID_MS) for asset in live.assets)
    live.stop()
    return Breadth(
        assets=asset_count,
        decisions=len(ticks),
        missed=missed,
        tick_p50_ms=percentile(ticks, 0.5),
        tick_p99_ms=percentile(ticks, 0.99),
        view_p50_ms=percentile(views, 0.5),
        view_p99_ms=percentile(views, 0.99),
        cpu=(after.cpu_s - before.cpu_s) / took_s,
        rss_mb=after.rss_mb,
        threads=after.threads,
    )


if __name__ == "__main__":
    sys.exit(main())
