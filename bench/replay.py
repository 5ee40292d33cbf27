"""Seconds of recorded market per second of replay, and where that time goes.

    python -m bench.replay [RECORDING]

Everything a replay does is timed: reading the file, warming the policy, all actors. The shares come from one more run
with a stopwatch around each handler and each inference, which slows it down a little.
"""

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cli.replay import run_replay
from cli.replay_report import Report
from core.errors import FuseboxError
from core.market.features import FloatArray
from core.runtime.incarnation import Incarnation
from core.runtime.message import Envelope
from models.checkpoint import fresh_weights
from models.policy import Policy
from models.weights import Weights
from venues.recordings.opening import open_recording

RECORDING = Path(__file__).resolve().parents[2] / "shared" / "recordings" / "clob-books-15m"
RUNS = 5
TARGET = 500.0
SIZE_USD = 100.0
SEED = 0

T = TypeVar("T")


def main() -> int:
    """Print the speed of each run beside the target, then the shares; 2 when there is no such recording."""
    parser = argparse.ArgumentParser(prog="python -m bench.replay", description=__doc__)
    parser.add_argument("recording", nargs="?", type=Path, default=RECORDING)
    path: Path = parser.parse_args().recording
    weights = fresh_weights(SEED)
    try:
        open_recording(path)
    except FuseboxError as error:
        print(error, file=sys.stderr)
        return 2
    speeds = []
    for _ in range(RUNS):
        report, took_s = _timed(path, weights)
        speeds.append(report.market_s / took_s)
    decisions = sum(asset.decisions for asset in report.assets.values())
    print(f"{report.format}: {report.market_s:.0f} s of market, {report.events} events, {decisions} decisions")
    print(f"market seconds per second, run by run: {', '.join(f'{speed:.0f}' for speed in speeds)}")
    best, median = max(speeds), statistics.median(speeds)
    print(f"best {best:.0f}, median {median:.0f} (target {TARGET:.0f}: {'met' if median >= TARGET else 'missed'})")
    _print_shares(path, weights)
    return 0


def _timed(path: Path, weights: Weights) -> tuple[Report, float]:
    began_s = time.perf_counter()
    report = run_replay(open_recording(path), weights, "bench", size_usd=SIZE_USD, seed=SEED, sample=True)
    return report, time.perf_counter() - began_s


def _print_shares(path: Path, weights: Weights) -> None:
    spent_s: defaultdict[str, float] = defaultdict(float)
    handle, evaluate = Incarnation.handle, Policy.evaluate

    def timed_handle(self: Incarnation, envelope: Envelope) -> object:
        kind = self.address.name.rsplit(".", 1)[0]
        return _charge(spent_s, kind, lambda: handle(self, envelope))

    def timed_evaluate(
        self: Policy, features: FloatArray, history: FloatArray
    ) -> tuple[tuple[float, float, float], float]:
        return _charge(spent_s, "policy", lambda: evaluate(self, features, history))

    Incarnation.handle = timed_handle  # type: ignore[method-assign]  # a stopwatch for this run alone
    Policy.evaluate = timed_evaluate  # type: ignore[method-assign]
    try:
        _, took_s = _timed(path, weights)
    finally:
        Incarnation.handle, Policy.evaluate = handle, evaluate  # type: ignore[method-assign]
    policy_s = spent_s.pop("policy", 0.0)
    actors_s = sum(spent_s.values())
    print(f"shares of a run with stopwatches ({took_s:.2f} s):")
    print(f"  {'inference (inside market)':28s} {policy_s / took_s:6.1%}")
    for kind, kind_s in sorted(spent_s.items(), key=lambda item: -item[1]):
        print(f"  {'actor ' + kind:28s} {kind_s / took_s:6.1%}")
    print(f"  {'reading, runtime, warm-up':28s} {1 - actors_s / took_s:6.1%}")


def _charge(spent_s: dict[str, float], kind: str, call: Callable[[], T]) -> T:
    began_s = time.perf_counter()
    try:
        return call()
    finally:
        spent_s[kind] += time.perf_counter() - began_s


if __name__ == "__main__":
    sys.exit(main())
