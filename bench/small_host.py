"""What the worker does with a part of a core: it trades or gives up, with and without a compiler for MLX.

    python -m bench.small_host --cores 0.5 --seconds 90

Starts the demo with an empty temporary folder in a control group of Linux (version 1) with that share of the processor;
the embedded exchange and the embedded database are taken out of it again. Each way runs by itself.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parent.parent
GROUPS = Path("/sys/fs/cgroup/cpu")
PERIOD_US = 100_000
LOOK_EVERY_S = 0.3
STOP_WITHIN_S = 30.0
JOIN = ("/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"')
WAYS: Mapping[str, Mapping[str, str]] = {"compiled": {}, "not compiled": {"MLX_DISABLE_COMPILE": "1"}}


class Outcome(msgspec.Struct, frozen=True):
    """One run: its exit code (None while it ran on until the end), how long it ran, hangs, closed round trips."""

    code: int | None
    ran_s: float
    hangs: int
    trades: int


def main() -> int:
    """Print a line for each way; 1 where this account may make no control group."""
    parser = argparse.ArgumentParser(prog="python -m bench.small_host", description=__doc__)
    parser.add_argument("--cores", type=float, default=0.5, help="share of the processor, in cores")
    parser.add_argument("--seconds", type=float, default=90.0, help="how long each way runs")
    arguments = parser.parse_args()
    print(f"{'way':<14} {'exit':>7} {'after':>7} {'hangs':>6} {'trades':>7}   ({arguments.cores:g} cores)")
    for way, extra in WAYS.items():
        try:
            found = _run(extra, arguments.cores, arguments.seconds)
        except OSError as error:
            print(f"no control group can be made here: {error}", file=sys.stderr)
            return 1
        code = "none" if found.code is None else str(found.code)
        print(f"{way:<14} {code:>7} {found.ran_s:5.0f} s {found.hangs:6d} {found.trades:7d}", flush=True)
    return 0


def _run(extra: Mapping[str, str], cores: float, seconds: float) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="fusebox-small-"))
    try:
        with _cpu_group(cores) as group:
            return _watched(folder, extra, group, seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watched(folder: Path, extra: Mapping[str, str], group: Path, seconds: float) -> Outcome:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FUSEBOX_", "DATABASE_URL"))}
    compiled = folder / "compiled"
    compiled.mkdir()
    own = {"FUSEBOX_STATE_DIR": str(folder), "FUSEBOX_DASHBOARD": "false", "FUSEBOX_LOG_FORMAT": "human"}
    with (folder / "output.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                'echo $$ > "$0" && exec "$@"',
                group / "cgroup.procs",
                sys.executable,
                "supervisor.py",
                "run",
            ],
            cwd=ROOT,
            env={**inherited, **own, "TMPDIR": str(compiled), **extra},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    began_s = time.monotonic()
    while process.poll() is None and time.monotonic() - began_s < seconds:
        _take_out(group, str(folder / "postgres"))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_EVERY_S)
    code, ran_s = process.poll(), time.monotonic() - began_s
    if code is None:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_WITHIN_S)
    said = (folder / "output.log").read_text()
    return Outcome(code, ran_s, said.count(" hung ("), said.count("closed by"))


@contextlib.contextmanager
def _cpu_group(cores: float) -> Iterator[Path]:
    group = Path(tempfile.mkdtemp(prefix="fusebox-small-", dir=GROUPS))
    try:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(round(cores * PERIOD_US)))
        yield group
    finally:
        with contextlib.suppress(OSError):  # a child that outlives us keeps it; it holds nothing but a name
            group.rmdir()


def _take_out(group: Path, database: str) -> None:
    """Give the exchange and the database, whose hosts are others, the whole processor."""
    for pid in (group / "cgroup.procs").read_text().split():
        with contextlib.suppress(OSError):
            command = (Path("/proc") / pid / "cmdline").read_text()
            if "venues.sim" in command or database in command or command.startswith("postgres:"):
                (GROUPS / "cgroup.procs").write_text(pid)


if __name__ == "__main__":
    sys.exit(main())
