"""From a crash to the next decision: a market actor's handler raises, and its next incarnation decides again.

    python -m bench.crashes --crashes 1000

Every actor runs in this process: threads, the machine's clock, MLX inference, a venue in memory. Each asset but one is
crashed at random moments, on its own; the one that is not shows whether the others' crashes cost it decisions. The
restart limit is lifted, and crashes are apart enough for each to be a first one: the backoff is that of production.
"""

import argparse
import random
import sys
import threading
import time
from collections.abc import Sequence

import msgspec

from bench.measure.live_system import GRID_MS, LiveSystem
from bench.measure.trend import percentile, summary_ms
from bench.measure.watched_market import Blow, Life
from core.runtime.supervision import RestartPolicy

TARGET_MS = 50.0
DECIDES_WITHIN_S = 20.0
FORGET_S = 0.2
"""Crashes further apart than this are first ones to the benchmark's restart policy."""
POLICY = RestartPolicy(max_restarts=1_000_000, window_s=FORGET_S)


class Restarted(msgspec.Struct, frozen=True):
    """Milliseconds from the exception in the handler to each moment of the next incarnation."""

    started_ms: float
    policy_ms: float
    ready_ms: float
    decided_ms: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Crash, measure, print; 1 when an incarnation did not decide or the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.crashes", description=__doc__.split("\n")[0])
    parser.add_argument("--crashes", type=int, default=1000)
    parser.add_argument("--assets", type=int, default=4)
    parser.add_argument("--every-ms", type=int, default=200, help="time between two books of an asset")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    live = LiveSystem(options.assets, options.every_ms, policy=POLICY)
    spared, victims = live.assets[-1], live.assets[:-1] or live.assets
    shares = [options.crashes // len(victims) + (n < options.crashes % len(victims)) for n in range(len(victims))]
    found: list[Restarted] = []
    silent: list[str] = []
    began_s = time.monotonic()
    live.probe.clear()
    threads = [
        threading.Thread(target=_crash, args=(live, asset, share, options.seed, found, silent))
        for asset, share in zip(victims, shares, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.monotonic() - began_s
    decided, missed = len(live.probe.decided_ms[spared]), live.probe.missed(spared, GRID_MS)
    stuck = live.stop()
    print(
        f"{len(found)} crashes of {len(victims)} of {len(live.assets)} assets in {took_s:.0f} s, "
        f"a book and a trade of each every {options.every_ms} ms, backoff {POLICY.backoff_s * 1000:g} ms"
    )
    print("milliseconds from the exception in the handler until")
    _row("the new incarnation has started", [each.started_ms for each in found])
    _row("it has its policy", [each.policy_ms for each in found])
    _row("it has evaluated it on a complete state", [each.ready_ms for each in found])
    _row(f"it has decided on the {GRID_MS} ms grid", [each.decided_ms for each in found])
    _row("of that, waiting for the grid", [each.decided_ms - each.ready_ms for each in found])
    if spared not in victims:
        print(f"{spared}, never crashed: {decided} decisions, {missed} grid steps without one")
    for line in (*silent, *stuck):
        print(f"NOT IN TIME: {line}")
    met = bool(found) and percentile([each.ready_ms for each in found], 0.99) < TARGET_MS
    print(f"target: p99 below {TARGET_MS:g} ms until it could decide: {'met' if met else 'missed'}")
    return 0 if met and not silent and not stuck else 1


def _row(name: str, values: Sequence[float]) -> None:
    print(f"    {name:42} {summary_ms(values)}")


def _crash(live: LiveSystem, asset: str, crashes: int, seed: int, found: list[Restarted], silent: list[str]) -> None:
    rng = random.Random(f"{seed} {asset}")
    for _ in range(crashes):
        time.sleep(FORGET_S + rng.uniform(0.05, 0.05 + GRID_MS / 1000))
        number = live.incarnation(asset)
        live.system.tell(live.market(asset), Blow())
        if not live.probe.wait(asset, number + 1, "decided_s", DECIDES_WITHIN_S):
            silent.append(f"{asset} incarnation {number + 1} did not decide")
            return
        life = live.probe.lives[asset, number + 1]
        found.append(_restarted(live.probe.crashed_s[asset, number], life))


def _restarted(crashed_s: float, life: Life) -> Restarted:
    moments = (life.started_s, life.policy_s, life.ready_s, life.decided_s)
    return Restarted(*((moment or crashed_s) * 1000 - crashed_s * 1000 for moment in moments))


if __name__ == "__main__":
    sys.exit(main())
