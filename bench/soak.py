"""Does anything grow? An hour or more of the real demo, or days of virtual time of the whole system.

    python -m bench.soak --hours 1 [--out samples.json]
    python -m bench.soak --simulated-days 7 [--assets 2] [--out days.json]

The first starts the real program on a state folder of its own and reads `/proc` (Linux) every ten seconds; Ctrl-C ends
it early and reports what there is. The second runs every actor on the stepped runtime, windows of 900 s, no faults.
"""

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.measure.demo import Demo
from bench.measure.endurance import Happened, Sample, happened, watch
from bench.measure.trend import trend

DAY_S = 86_400
REAL_WINDOW_S = 900
WARM_UP_S = 20 * 60
"""The learner's trajectories are full after a quarter of an hour."""
PER_TIME = frozenset(("metrics", "health_events", "checkpoints", "dead_letters", "sessions", "commands", "alerts"))
"""Tables that do not grow with the number of windows."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Watch, report, and return 1 when the program ended by itself or badly."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__.split("\n")[0])
    parser.add_argument("--hours", type=float, default=1.0, help="how long to watch the demo")
    parser.add_argument("--window-s", type=int, default=60, help="length of the demo's windows")
    parser.add_argument("--seed", type=int, default=1, help="of the demo's world and of the actors")
    parser.add_argument("--simulated-days", type=int, metavar="N", help="days of virtual time instead")
    parser.add_argument("--assets", type=int, default=2, help="with --simulated-days: how many")
    parser.add_argument("--out", type=Path, help="file for all samples, as JSON")
    options = parser.parse_args(arguments)
    if options.simulated_days is not None:
        from bench.measure import days  # noqa: PLC0415 -- the hour is measured without its imports

        return days.main(options.simulated_days, options.assets, options.seed, options.out)
    return _hours(options.hours, options.window_s, options.seed, options.out)


def _hours(hours: float, window_s: int, seed: int, out: Path | None) -> int:
    state_dir = Path(tempfile.mkdtemp(prefix="fusebox-soak-"))
    demo = Demo(state_dir, "--window-s", str(window_s), "--seed", str(seed))
    samples: list[Sample] = []
    print(f"{'s':>6} {'RSS MB':>8} {'threads':>8} {'fds':>5} {'exchange MB':>12} {'postgres MB':>12} {'files MB':>9}")

    def seen(sample: Sample) -> None:
        samples.append(sample)
        print(_line(sample), flush=True)

    interrupted = False
    try:
        watch(demo, hours * 3600, seen)
    except KeyboardInterrupt:
        interrupted = True
    ended_itself = demo.process.poll() is not None
    told = happened(demo)
    code, stopping_s = demo.end()
    if samples:
        _report(samples, told, window_s)
    how = "ended by itself" if ended_itself else f"stopped {stopping_s:.2f} s after SIGINT"
    print(f"\n{how}, exit code {code}{' (interrupted before its time)' if interrupted else ''}")
    if out is not None:
        out.write_text(json.dumps(msgspec.to_builtins({"samples": samples, "happened": told, "exit_code": code})))
    if ended_itself or code != 0 or not samples:
        print(f"what it said is in {demo.output}", file=sys.stderr)
        return 1
    with contextlib.suppress(OSError):
        shutil.rmtree(state_dir)
    return 0


def _line(sample: Sample) -> str:
    trader = sample.trader
    return (
        f"{sample.at_s:6.0f} {trader.rss_mb:8.1f} {trader.threads:8d} {trader.fds:5d} "
        f"{sample.exchange.rss_mb:12.1f} {sample.postgres.rss_mb:12.1f} {sample.files_mb:9.2f}"
    )


def _report(samples: Sequence[Sample], told: Happened | None, window_s: int) -> None:
    warm_s = min(WARM_UP_S, samples[-1].at_s / 3)
    late = [sample for sample in samples if sample.at_s >= warm_s]
    hours = [sample.at_s / 3600 for sample in late]
    print(f"\nslopes from {warm_s:.0f} s on ({len(late)} samples; the error takes them as independent)")
    print(f"{'':24} {'first':>9} {'last':>9} {'largest':>9} {'per hour':>10} {'error':>8}")
    for process in ("trader", "exchange", "postgres"):
        for field in ("rss_mb", "threads", "fds", "cpu_s"):
            _slope(f"{process} {field}", hours, [float(getattr(getattr(each, process), field)) for each in late])
    _slope("files_mb", hours, [each.files_mb for each in late])
    sized = [each for each in late if each.database_mb is not None]
    _slope("database_mb", [each.at_s / 3600 for each in sized], [each.database_mb or 0.0 for each in sized])
    _rows([each for each in samples if each.rows is not None and each.at_s >= warm_s], window_s)
    if told is None:
        print("\nthe database could not be asked what happened")
        return
    print("\nhealth events:", "; ".join(f"{subject} {status} {n}" for status, subject, n in told.events) or "none")
    print("dead letters:", "; ".join(f"{target} ({reason}) {n}" for target, reason, n in told.dead_letters) or "none")


def _slope(name: str, hours: Sequence[float], values: Sequence[float]) -> None:
    line = trend(hours, values)
    if line is not None:
        tail = f"{line.slope:10.2f} {line.error:8.2f}"
        print(f"{name:24} {values[0]:9.1f} {values[-1]:9.1f} {max(values):9.1f} {tail}")


def _rows(counted: Sequence[Sample], window_s: int) -> None:
    if len(counted) < 2 or counted[0].rows is None or counted[-1].rows is None:
        return
    first, last = counted[0], counted[-1]
    days = (last.at_s - first.at_s) / DAY_S
    print(f"\nrows by table; a day of {REAL_WINDOW_S} s windows as if each brought as many rows as one of {window_s} s")
    print(f"{'':24} {'at the end':>11} {'demo a day':>11} {'real a day':>11}")
    sums = [0.0, 0.0]
    for table, count in (last.rows or {}).items():
        a_day = (count - (first.rows or {}).get(table, 0)) / days
        real = a_day if table in PER_TIME else a_day * window_s / REAL_WINDOW_S
        sums = [sums[0] + a_day, sums[1] + real]
        print(f"{table:24} {count:11,} {a_day:11,.0f} {real:11,.0f}")
    print(f"{'all':24} {sum((last.rows or {}).values()):11,} {sums[0]:11,.0f} {sums[1]:11,.0f}")


if __name__ == "__main__":
    sys.exit(main())
