"""What `/proc` (Linux) says of a process: resident memory, threads, open files, processor time; and of its kin."""

import os
from pathlib import Path

import msgspec

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
GONE = (FileNotFoundError, ProcessLookupError)


class Usage(msgspec.Struct, frozen=True):
    """One process, or the sum of several; `rss_mb` in 1e6 bytes, `cpu_s` user and system seconds since its start."""

    rss_mb: float = 0.0
    threads: int = 0
    fds: int = 0
    cpu_s: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.rss_mb + other.rss_mb,
            self.threads + other.threads,
            self.fds + other.fds,
            self.cpu_s + other.cpu_s,
        )


def usage(pid: int, *, shared_once: bool = False) -> Usage:
    """Return what a process uses now.

    Args:
        pid: of the process.
        shared_once: count memory that several processes share in equal parts (PSS), for sums over such processes.

    Raises:
        FileNotFoundError, ProcessLookupError: it is gone.
    """
    folder = PROC / str(pid)
    fields = _fields(folder / "status")
    memory_kb = _fields(folder / "smaps_rollup").get("Pss") if shared_once else fields.get("VmRSS")
    times = (folder / "stat").read_text().rsplit(")", 1)[1].split()
    return Usage(
        rss_mb=int((memory_kb or "0 kB").split()[0]) * 1024 / 1e6,
        threads=int(fields["Threads"]),
        fds=sum(1 for _ in (folder / "fd").iterdir()),
        cpu_s=(int(times[11]) + int(times[12])) / TICKS_PER_S,
    )


def total(pids: list[int]) -> Usage:
    """Return the sum over processes that share memory; one that has just ended counts nothing."""
    found = Usage()
    for pid in pids:
        try:
            found += usage(pid, shared_once=True)
        except GONE:
            continue
    return found


def own() -> Usage:
    """Return what this process uses now."""
    return usage(os.getpid())


def descendants(pid: int) -> list[int]:
    """Return the process ids below a process, nearest first."""
    parents: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except GONE:
            continue
        parents.setdefault(parent, []).append(int(entry.name))
    found, look = [], [pid]
    while look:
        below = parents.get(look.pop(0), [])
        found += below
        look += below
    return found


def command_line(pid: int) -> str:
    """Return how a process was started, empty when it is gone."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except GONE:
        return ""


def _fields(path: Path) -> dict[str, str]:
    return dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
