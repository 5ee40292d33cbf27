"""Disks that fail: one refuses or takes less than it is given, one loses what was not synced when the power goes."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from storage.state_file import Disk


class PowerCutError(BaseException):
    """Raised in the middle of a call; from then on the disk is dark. Nothing of ours may catch it."""


class RefusingDisk(Disk):
    """Refuses the calls named in `refused` with their error numbers; with `room_bytes` it is full after as many."""

    def __init__(self) -> None:
        self.refused: dict[str, int] = {}
        self.room_bytes: int | None = None
        self.longest_write_bytes: int | None = None
        self.calls: list[str] = []

    def _may(self, call: str, path: Path | None = None) -> None:
        self.calls.append(call)
        if call in self.refused:
            number = self.refused[call]
            raise OSError(number, os.strerror(number), *([str(path)] if path else []))

    def open(self, path: Path, flags: int) -> int:
        self._may("open", path)
        return super().open(path, flags)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        self._may("write")
        size = min(len(data), self.longest_write_bytes or len(data))
        if self.room_bytes is not None:
            size = min(size, self.room_bytes)
            if not size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.room_bytes -= size
        return super().write(descriptor, data[:size])

    def fsync(self, descriptor: int) -> None:
        self._may("fsync")

    def truncate(self, descriptor: int, size: int) -> None:
        self._may("truncate")
        super().truncate(descriptor, size)

    def replace(self, source: Path, target: Path) -> None:
        self._may("replace", target)
        super().replace(source, target)

    def remove(self, path: Path) -> None:
        self._may("remove", path)
        super().remove(path)

    def sync_folder(self, folder: Path) -> None:
        self._may("sync_folder", folder)


class _Inode:
    """Content as written and as it is sure to be after a power cut."""

    def __init__(self) -> None:
        self.current = b""
        self.durable = b""


class FragileDisk(RefusingDisk):
    """Loses what was not synced: content by inode, names by folder. The power goes after `units_left` bytes and calls.

    Names come back as they were after one of the calls since the folder was synced; content as synced, as written, or
    as synced with a part of what was appended, the rest missing or zeros.
    """

    def __init__(self, choose: Callable[[int], int]) -> None:
        super().__init__()
        self.units_left: int | None = None
        self._choose = choose
        self._open: dict[int, _Inode] = {}
        self._names: dict[Path, _Inode] = {}
        self._possible: list[dict[Path, _Inode]] = [{}]

    def _spend(self, units: int) -> int:
        """Return how many of `units` there is power for."""
        if self.units_left is None:
            return units
        if not self.units_left:
            raise PowerCutError
        spent = min(units, self.units_left)
        self.units_left -= spent
        return spent

    def _renamed(self) -> None:
        self._possible.append(dict(self._names))

    def open(self, path: Path, flags: int) -> int:
        self._spend(1)
        descriptor = super().open(path, flags)
        if path not in self._names:
            self._names[path] = _Inode()
            self._renamed()
        if flags & os.O_TRUNC:
            self._names[path].current = b""
        self._open[descriptor] = self._names[path]
        return descriptor

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        size = super().write(descriptor, data[: self._spend(len(data))])
        self._open[descriptor].current += bytes(data[:size])
        if size < len(data):
            self._spend(1)
        return size

    def fsync(self, descriptor: int) -> None:
        self._spend(1)
        super().fsync(descriptor)
        self._open[descriptor].durable = self._open[descriptor].current

    def truncate(self, descriptor: int, size: int) -> None:
        self._spend(1)
        super().truncate(descriptor, size)
        self._open[descriptor].current = self._open[descriptor].current[:size]

    def replace(self, source: Path, target: Path) -> None:
        self._spend(1)
        super().replace(source, target)
        self._names[target] = self._names.pop(source)
        self._renamed()

    def remove(self, path: Path) -> None:
        self._spend(1)
        super().remove(path)
        if self._names.pop(path, None) is not None:
            self._renamed()

    def sync_folder(self, folder: Path) -> None:
        self._spend(1)
        super().sync_folder(folder)
        self._possible = [dict(self._names)]

    def lose_power(self) -> None:
        """Leave on the real disk what one power cut could have left; the power is back afterwards."""
        for path in self._names:
            path.unlink()
        self._names = self._possible[self._choose(len(self._possible))]
        self._possible = [dict(self._names)]
        for path, inode in self._names.items():
            inode.current = inode.durable = self._remains(inode)
            path.write_bytes(inode.current)
        self._open = {}
        self.units_left = None

    def _remains(self, inode: _Inode) -> bytes:
        if not inode.current.startswith(inode.durable):
            return (inode.durable, inode.current)[self._choose(2)]
        appended = inode.current[len(inode.durable) :]
        part = appended[: self._choose(len(appended) + 1)]
        zeros = bytes(self._choose(len(appended) - len(part) + 1))
        return inode.durable + part + zeros
