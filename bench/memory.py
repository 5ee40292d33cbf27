"""Memory, threads and open files of the supervisor over minutes of demo, and how long it takes to stop.

    python -m bench.memory --minutes 10

Starts the real process on a state folder of its own, reads `/proc` (Linux) until the time is over, ends it with SIGINT.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

import msgspec

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_EVERY_S = 10.0
STOP_WITHIN_S = 30.0
CEILING_MB = 300.0
STOP_TARGET_S = 4.0


class Sample(msgspec.Struct, frozen=True):
    """One look at the process; `rss_mb` in 1e6 bytes."""

    at_s: float
    rss_mb: float
    threads: int
    fds: int


def main() -> int:
    """Print the samples, the largest of each beside the ceiling, and how the process ended; 1 when it ended badly."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to watch")
    arguments = parser.parse_args()
    state_dir = Path(tempfile.mkdtemp(prefix="fusebox-memory-"))
    output = state_dir / "output.log"
    with output.open("wb") as log:
        process = _start(state_dir, log)
    try:
        samples = _watch(process, arguments.minutes * 60)
        code, stopping_s = _end(process)
    finally:
        if process.poll() is None:  # interrupted: its database has to be stopped too
            process.terminate()
            process.wait(STOP_WITHIN_S)
    if not samples:
        print(f"ended at once (exit {code}): see {output}", file=sys.stderr)
        return 1
    largest = max(sample.rss_mb for sample in samples)
    print(f"largest: {largest:.1f} MB (ceiling {CEILING_MB:.0f} MB: {'met' if largest < CEILING_MB else 'missed'})")
    print(
        f"largest after the first minute: {max(s.rss_mb for s in samples if s.at_s >= 60 or s is samples[-1]):.1f} MB"
    )
    print(f"stopped {stopping_s:.2f} s after SIGINT (target {STOP_TARGET_S:.0f} s), exit code {code}")
    if code != 0:
        print(f"what it said is in {output}", file=sys.stderr)
        return 1
    shutil.rmtree(state_dir)
    return 0


def _start(state_dir: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the demo as it comes, whatever the settings of this shell; a session of its own keeps Ctrl-C ours."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FUSEBOX_", "DATABASE_URL"))}
    return subprocess.Popen(
        [sys.executable, "supervisor.py", "run", "--profile", "demo"],
        cwd=ROOT,
        env={**inherited, "FUSEBOX_LOG_FORMAT": "human", "FUSEBOX_STATE_DIR": str(state_dir)},
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _watch(process: subprocess.Popen[bytes], duration_s: float) -> list[Sample]:
    """Print and return a sample every ten seconds until the time is over or the process is."""
    print(f"{'s':>6} {'RSS MB':>8} {'threads':>8} {'fds':>5}")
    began_s = time.monotonic()
    samples = []
    for number in range(1, max(1, round(duration_s / SAMPLE_EVERY_S)) + 1):
        wait_s = min(duration_s, number * SAMPLE_EVERY_S) - (time.monotonic() - began_s)
        try:
            process.wait(max(0.0, wait_s))
        except subprocess.TimeoutExpired:
            sample = _sample(process.pid, time.monotonic() - began_s)
        else:
            break
        samples.append(sample)
        print(f"{sample.at_s:6.0f} {sample.rss_mb:8.1f} {sample.threads:8d} {sample.fds:5d}", flush=True)
    return samples


def _sample(pid: int, at_s: float) -> Sample:
    proc = Path("/proc") / str(pid)
    fields = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line)
    rss_mb = int(fields["VmRSS"].split()[0]) * 1024 / 1e6
    return Sample(at_s, rss_mb, int(fields["Threads"]), len(list((proc / "fd").iterdir())))


def _end(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    began_s = time.monotonic()
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    code = process.wait(STOP_WITHIN_S)
    return code, time.monotonic() - began_s


if __name__ == "__main__":
    sys.exit(main())
