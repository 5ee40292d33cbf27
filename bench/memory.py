"""Memory, threads and open files of the worker and of the web process over minutes of demo, under a host's limit.

    python -m bench.memory --minutes 10

Starts both as the Procfile does, but lets MLX compile, which takes more; each in a control group that ends it above
the limit, on a PostgreSQL of their own, with a page open. Reads `/proc` (Linux) until the time is over, then ends the
worker with SIGINT. The embedded exchange is its child: it shares its limit, and is shown by itself.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import msgspec

from bench.cgroup import MemoryGroup, memory_group
from storage.embedded import EmbeddedServer

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_EVERY_S = 10.0
START_WITHIN_S = 30.0
STOP_WITHIN_S = 30.0
LIMIT_MB = 512.0
CEILING_MB = 300.0
STOP_TARGET_S = 4.0
PASSWORD = "of this benchmark"  # noqa: S105 -- it guards a page of made-up trades for some minutes
EXCHANGE = b"venues.sim"


class Footprint(msgspec.Struct, frozen=True):
    """One process at one moment, in 1e6 bytes; `pss_mb` counts pages that it shares with others in part."""

    rss_mb: float
    pss_mb: float
    threads: int
    fds: int


class Sample(msgspec.Struct, frozen=True):
    """One look at all of them."""

    at_s: float
    worker: Footprint
    exchange: Footprint | None
    web: Footprint


class Ended(Exception):  # noqa: N818 -- not an error of ours
    """Raised when one of the processes is gone before its time."""


def main() -> int:
    """Print the samples, the largest of each beside its ceiling, and how the worker ended; 1 when it ended badly."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to watch")
    parser.add_argument("--limit-mb", type=float, default=LIMIT_MB, help="hard limit of each of the two, 1e6 bytes")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fusebox-memory-"))
    server = EmbeddedServer(folder / "server")
    try:
        code = _measured(folder, server.start(), arguments.minutes * 60, arguments.limit_mb)
    except Ended as error:
        print(f"{error}: see {folder}", file=sys.stderr)
        return 1
    finally:
        server.stop()
    if code != 0:
        print(f"what it said is in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


def _measured(folder: Path, uri: str, duration_s: float, limit_mb: float) -> int:
    port = _free_port()
    environ = _environ(folder, uri, port)
    with contextlib.ExitStack() as ends:
        groups = [ends.enter_context(memory_group(name, limit_mb)) for name in ("worker", "web")]
        worker = _start(ends, groups[0], folder, "worker", ["run", "--profile", "demo"], environ)
        web = _start(ends, groups[1], folder, "web", ["dashboard"], environ)
        visitor = _Visitor(port)
        ends.callback(visitor.leave)
        visitor.start()
        samples = _watch(worker, web, duration_s)
        code, stopping_s = _end(worker)
        _report(samples, groups, limit_mb, visitor.frames)
        print(f"stopped {stopping_s:.2f} s after SIGINT (target {STOP_TARGET_S:.0f} s), exit code {code}")
        web.terminate()
        web.wait(STOP_WITHIN_S)
    return code


def _environ(folder: Path, uri: str, port: int) -> dict[str, str]:
    """Return the demo as it comes, whatever the settings of this shell; nothing compiled is found."""
    compiled = folder / "compiled"
    compiled.mkdir()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FUSEBOX_", "DATABASE_URL"))}
    return {
        **inherited,
        "DATABASE_URL": uri,
        "FUSEBOX_DASHBOARD": "false",
        "FUSEBOX_DASHBOARD_PASSWORD": PASSWORD,
        "FUSEBOX_LOG_FORMAT": "human",
        "FUSEBOX_WINDOW_S": "60",
        "PORT": str(port),
        "TMPDIR": str(compiled),
    }


def _start(
    ends: contextlib.ExitStack,
    group: MemoryGroup | None,
    folder: Path,
    name: str,
    arguments: list[str],
    environ: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    """Start a process; a session of its own keeps Ctrl-C ours."""
    command = [sys.executable, "supervisor.py", *arguments]
    log = ends.enter_context((folder / f"{name}.log").open("wb"))
    process = subprocess.Popen(
        command if group is None else group.inside(command),
        cwd=ROOT,
        env={**environ, "FUSEBOX_STATE_DIR": str(folder / name)},
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )

    def end() -> None:
        if process.poll() is None:
            process.terminate()
            process.wait(STOP_WITHIN_S)

    ends.callback(end)
    return process


class _Visitor(threading.Thread):
    """Has the page open: logs in and reads its stream."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._base = f"http://127.0.0.1:{port}"
        self._leaving = threading.Event()
        self.frames = 0

    def run(self) -> None:
        while not self._leaving.wait(1.0):
            with contextlib.suppress(httpx.HTTPError):
                self._look()

    def leave(self) -> None:
        self._leaving.set()

    def _look(self) -> None:
        with httpx.Client(base_url=self._base, headers={"origin": self._base}, timeout=30) as client:
            client.post("/login", data={"password": PASSWORD})
            with client.stream("GET", "/api/stream") as stream:
                for line in stream.iter_lines():
                    self.frames += line.startswith("data:")
                    if self._leaving.is_set():
                        return


def _watch(worker: subprocess.Popen[bytes], web: subprocess.Popen[bytes], duration_s: float) -> list[Sample]:
    """Print and return a sample every ten seconds until the time is over."""
    print(f"{'':>6} {'worker':>33} {'exchange':>8} {'web':>8}")
    print(f"{'s':>6} {'RSS MB':>8} {'PSS MB':>8} {'threads':>8} {'fds':>6} {'RSS MB':>8} {'RSS MB':>8}")
    began_s = time.monotonic()
    samples = []
    for number in range(1, max(1, round(duration_s / SAMPLE_EVERY_S)) + 1):
        wait_s = min(duration_s, number * SAMPLE_EVERY_S) - (time.monotonic() - began_s)
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise Ended(f"the worker ended (exit {worker.wait(max(0.0, wait_s))})")
        if web.poll() is not None:
            raise Ended(f"the web process ended (exit {web.poll()})")
        exchange = _exchange_of(worker.pid)
        sample = Sample(
            time.monotonic() - began_s,
            _footprint(worker.pid),
            None if exchange is None else _footprint(exchange),
            _footprint(web.pid),
        )
        samples.append(sample)
        own, beside = sample.worker, 0.0 if sample.exchange is None else sample.exchange.rss_mb
        print(
            f"{sample.at_s:6.0f} {own.rss_mb:8.1f} {own.pss_mb:8.1f} {own.threads:8d} {own.fds:6d}"
            f" {beside:8.1f} {sample.web.rss_mb:8.1f}",
            flush=True,
        )
    return samples


def _report(samples: list[Sample], groups: list[MemoryGroup | None], limit_mb: float, frames: int) -> None:
    largest = max(sample.worker.rss_mb for sample in samples)
    settled = [sample for sample in samples if sample.at_s >= 60 or sample is samples[-1]]
    print(f"worker, largest: {largest:.1f} MB (ceiling {CEILING_MB:.0f} MB: {_met(largest, CEILING_MB)})")
    print(f"worker, largest after the first minute: {max(sample.worker.rss_mb for sample in settled):.1f} MB")
    print(f"web, largest: {max(sample.web.rss_mb for sample in samples):.1f} MB, {frames} views sent to a page")
    for name, group in zip(("worker with its exchange and compiler", "web"), groups, strict=True):
        if group is None:
            print(f"{name}: no control group could be made here, so no limit was set")
            continue
        peak = group.peak_mb()
        most = "not told by this kernel" if peak is None else f"{peak:.1f} MB with cached files"
        print(f"{name}: limit {limit_mb:.0f} MB, most used {most}, {group.kills()} ended by the limit")


def _met(value: float, ceiling: float) -> str:
    return "met" if value < ceiling else "missed"


def _footprint(pid: int) -> Footprint:
    proc = Path("/proc") / str(pid)
    status, pages = _fields(proc / "status"), _fields(proc / "smaps_rollup")
    return Footprint(
        _mb(status["VmRSS"]), _mb(pages["Pss"]), int(status["Threads"]), len(list((proc / "fd").iterdir()))
    )


def _exchange_of(pid: int) -> int | None:
    """Return the worker's child that is the embedded exchange."""
    tasks = (Path("/proc") / str(pid) / "task").iterdir()
    children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    for child in children:
        with contextlib.suppress(OSError):
            if EXCHANGE in (Path("/proc") / str(child) / "cmdline").read_bytes():
                return child
    return None


def _fields(path: Path) -> dict[str, str]:
    return dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)


def _mb(text: str) -> float:
    return int(text.split(maxsplit=1)[0]) * 1024 / 1e6


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    began_s = time.monotonic()
    process.send_signal(signal.SIGINT)
    code = process.wait(STOP_WITHIN_S)
    return code, time.monotonic() - began_s


if __name__ == "__main__":
    sys.exit(main())
