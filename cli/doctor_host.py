"""What `doctor` finds on this host: Python, MLX and its compiler, memory, open files, the state folder and its disk."""

import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cli.doctor_line import Line, note, ok, problem

OLDEST, NEWEST = (3, 11), (3, 14)
COMPILER = "g++"
MLX = "import mlx.core as mx\nmx.compile(lambda x: mx.tanh(x) * 2)(mx.array([1.0])).tolist()\nprint(mx.__version__)"
MLX_WITHIN_S = 60.0
MB = 1_000_000
LEAST_DISK_MB, GOOD_DISK_MB = 200, 2_000
LEAST_MEMORY_MB, GOOD_MEMORY_MB = 300, 700
"""The trader takes 120 MB (docs/performance.md), the embedded exchange and database as much again."""
LEAST_FILES = 256
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
CGROUP_USES = (Path("/sys/fs/cgroup/memory.current"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"))
MEMINFO = Path("/proc/meminfo")


def host_lines(state_dir: Path) -> list[Line]:
    """Return what is to be said of this host and of the state folder."""
    return [python_line(), mlx_line(), compiler_line(), memory_line(), files_line(), *folder_lines(state_dir)]


def python_line(version: tuple[int, int] | None = None) -> Line:
    """Return whether this Python is one that the program is made for."""
    found = version or sys.version_info[:2]
    said = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if OLDEST <= found <= NEWEST:
        return ok("python", said)
    return problem("python", said, "use Python 3.11 to 3.14: make PYTHON=python3.12 setup")


def mlx_line(program: Sequence[str] = (sys.executable, "-c", MLX)) -> Line:
    """Return whether MLX works, in a process of its own: on an unfit processor it ends the one that imports it."""
    try:
        done = subprocess.run(  # noqa: S603 -- our own interpreter
            list(program), capture_output=True, text=True, check=False, timeout=MLX_WITHIN_S
        )
    except subprocess.TimeoutExpired:
        return problem("mlx", f"a first computation did not end within {MLX_WITHIN_S:g} s", "look at this host's load")
    if done.returncode == 0:
        return ok("mlx", f"{done.stdout.strip()} computes")
    said = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
    if "[Compile" in done.stderr:
        return note("mlx", f"cannot compile ({said}); decisions take about twice as long", f"repair {COMPILER}")
    return problem("mlx", f"does not work: {said}", "install what requirements.lock names: make setup")


def compiler_line(path: str | None = None) -> Line:
    """Return whether there is the compiler that MLX builds its kernels with."""
    found = shutil.which(COMPILER, path=path)
    if found is not None:
        return ok("compiler", f"{found}; the first decision on a new host takes seconds to build")
    return note(
        "compiler",
        f"no {COMPILER}: decisions take about twice as long, gradient steps too; nothing else changes",
        "install g++ (apt-get install g++)",
    )


def memory_line() -> Line:
    """Return how much memory may still be taken: of the host, or of what a container allows."""
    left_mb = min((each for each in (_host_mb(), _container_mb()) if each is not None), default=None)
    if left_mb is None:
        return note("memory", "not checked: this system does not say how much is left")
    said = f"{left_mb:,.0f} MB left"
    if left_mb < LEAST_MEMORY_MB:
        return problem("memory", said, f"end other programs, or take a host with {GOOD_MEMORY_MB} MB left")
    if left_mb < GOOD_MEMORY_MB:
        return note("memory", f"{said}; the demo with its exchange and database takes about {GOOD_MEMORY_MB} MB")
    return ok("memory", said)


def files_line(limits: tuple[int, int] | None = None) -> Line:
    """Return how many files and sockets a process may open."""
    soft, _ = limits or resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return ok("open files", "no limit")
    if soft < LEAST_FILES:
        return problem("open files", f"{soft} at most", f"ulimit -n {LEAST_FILES * 4}, or LimitNOFILE= of the service")
    return ok("open files", f"{soft:,} at most")


def folder_lines(state_dir: Path) -> list[Line]:
    """Return whether the state folder, or the one it would be made in, can be written and has room."""
    there = next((each for each in (state_dir, *state_dir.parents) if each.exists()), Path("/"))
    remedy = "make it writable, or name another folder with FUSEBOX_STATE_DIR"
    if not there.is_dir():
        return [problem("state folder", f"{there} is no folder", remedy)]
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
        free_mb = shutil.disk_usage(there).free / MB
    except OSError as error:
        return [problem("state folder", f"{there} cannot be written: {error.strerror}", remedy)]
    made = state_dir if there == state_dir else f"{state_dir}, which the first `run` makes"
    return [ok("state folder", f"{made}: writable"), _disk_line(there, free_mb)]


def _disk_line(folder: Path, free_mb: float) -> Line:
    said = f"{free_mb:,.0f} MB free at {folder}"
    remedy = "free some, or name a folder on another disk with FUSEBOX_STATE_DIR"
    if free_mb < LEAST_DISK_MB:
        return problem("disk", said, remedy)
    if free_mb < GOOD_DISK_MB:
        return note("disk", f"{said}; database, journal and logs grow", remedy)
    return ok("disk", said)


def _host_mb() -> float | None:
    if not MEMINFO.exists():
        return None
    for line in MEMINFO.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024 / MB
    return None


def _container_mb() -> float | None:
    """Return what a container's limit leaves; None without a limit."""
    for limit, use in zip(CGROUP_LIMITS, CGROUP_USES, strict=True):
        if limit.exists() and use.exists() and os.access(limit, os.R_OK):
            text = limit.read_text().strip()
            if text.isdecimal() and int(text) < 1 << 60:
                return (int(text) - int(use.read_text())) / MB
    return None
