"""A hard limit on the memory of some processes, by a control group of Linux (version 1 or 2) where one can be made."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

ROOTS = ((Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max"))
PEAKS = ("memory.max_usage_in_bytes", "memory.peak")
EVENTS = ("memory.oom_control", "memory.events")


class MemoryGroup(msgspec.Struct, frozen=True):
    """Processes that share a limit; what they map, and the files that are cached for them, count."""

    folder: Path

    def inside(self, command: Sequence[str]) -> list[str]:
        """Return a command that joins the group and then becomes `command`; its children stay in the group."""
        return ["/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.folder / "cgroup.procs"), *command]

    def peak_mb(self) -> float | None:
        """Return the most that the group ever used, in 1e6 bytes; None where the kernel does not tell."""
        text = _first(self.folder, PEAKS)
        return None if text is None else int(text) / 1e6

    def kills(self) -> int:
        """Return how many of its processes were ended because the limit was reached."""
        fields = [line.split() for line in (_first(self.folder, EVENTS) or "").splitlines()]
        return sum(int(value) for name, value in fields if name == "oom_kill")


@contextlib.contextmanager
def memory_group(name: str, limit_mb: float) -> Iterator[MemoryGroup | None]:
    """Yield a group with a limit of `limit_mb` times 1e6 bytes; None where this account may not make one."""
    folder = _made(f"fusebox-{name}-{os.getpid()}", limit_mb)
    yield None if folder is None else MemoryGroup(folder)
    if folder is not None:
        with contextlib.suppress(OSError):  # a process that outlives us keeps it; it holds nothing but a name
            folder.rmdir()


def _made(name: str, limit_mb: float) -> Path | None:
    for root, limit in ROOTS:
        folder = root / name
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / limit).write_text(str(int(limit_mb * 1e6)))
        except OSError:
            folder.rmdir()
            continue
        return folder
    return None


def _first(folder: Path, names: Sequence[str]) -> str | None:
    for name in names:
        with contextlib.suppress(OSError):
            return (folder / name).read_text()
    return None
