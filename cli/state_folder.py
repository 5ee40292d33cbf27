"""The state folder is one trading process's at a time, and remembers under which lease its journal was written."""

import fcntl
from pathlib import Path
from typing import IO

import msgspec

from storage.state_file import DISK, disk_errors, write_file

LOCK = "run.lock"
LAST_LEASE = "lease.json"


class LastLease(msgspec.Struct, frozen=True):
    """The newest lease that a process of this folder held, and in which database."""

    database: str
    epoch: int


class StateFolder:
    """Ours from a successful `take` until `leave`, or until the process ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: IO[bytes] | None = None

    def take(self) -> bool:
        """Take the folder if no other process has it; returns at once whether it is ours.

        Raises:
            TransientError: when the disk refuses.
        """
        if self._lock is not None:
            return True
        with disk_errors(self._folder, "take"):
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / LOCK).open("ab")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                return False
        self._lock = lock
        return True

    def leave(self) -> None:
        """Let the next process have it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def superseded(self, database: str, epoch: int) -> int | None:
        """Return the epoch of this folder's last lease if other processes held the lease between it and `epoch`.

        What is in the journal then was written before what they wrote.

        Raises:
            TransientError: when the disk refuses.
        """
        path = self._folder / LAST_LEASE
        with disk_errors(path, "read"):
            last = _read(path)
        between = last is not None and last.database == database and last.epoch != epoch - 1
        return last.epoch if between and last is not None else None

    def note(self, database: str, epoch: int) -> None:
        """Note that the journal is from now on written under the lease of `epoch`.

        Raises:
            TransientError: when the disk refuses.
        """
        path = self._folder / LAST_LEASE
        partial = path.with_suffix(".partial")
        with disk_errors(path, "write"):
            write_file(partial, msgspec.json.encode(LastLease(database, epoch)) + b"\n")
            DISK.replace(partial, path)
            DISK.sync_folder(self._folder)


def _read(path: Path) -> LastLease | None:
    """Return what was noted; a file that cannot be understood says nothing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=LastLease)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
