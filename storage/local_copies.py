"""Local copies of checkpoints: small files that are replaced whole, for a start that finds the database's damaged.

They lie in a folder of the database they belong to and say so themselves: a copy of another one is never taken.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from core.errors import FatalError, TransientError
from core.records import CheckpointRecord
from storage.state_file import DISK, Disk, Schema, read_newest, write_atomically

COPY = Schema("checkpoint", 1)
COPIES_KEPT = 3


class LocalCopy(msgspec.Struct, frozen=True):
    """What a file holds: the row, and the database it was written for."""

    database_id: str
    row: CheckpointRecord


class LocalCopies:
    """The copies of one database.

    Args:
        folder: where they are; a folder per database is made inside.
        database_id: identity of the database.
        report: is told in one line of a file that is damaged or of no use.
        disk: the calls that durability hangs on.
    """

    def __init__(self, folder: Path, database_id: str, *, report: Callable[[str], None], disk: Disk = DISK) -> None:
        self._folder = folder / database_id
        self._database_id = database_id
        self._report = report
        self._disk = disk

    def write(self, row: CheckpointRecord) -> None:
        """Write the newest copy of a name, durable on return.

        Raises:
            TransientError: the disk refuses, a full one for instance; the copies before are untouched.
        """
        payload = msgspec.msgpack.encode(LocalCopy(self._database_id, row))
        path = self._path(row.kind, row.name)
        write_atomically(
            path, payload, keep=COPIES_KEPT, schema=COPY, created_at_ms=row.created_at_ms, disk=self._disk
        )  # fmt: skip

    def read(self, kind: Literal["actor", "model"], name: str) -> CheckpointRecord | None:
        """Return the newest sound copy of a name, None where there is none that can be used; why not is reported."""
        path = self._path(kind, name)
        try:
            sound = read_newest(path, report=self._report, disk=self._disk)
            if sound is None:
                return None
            if sound.schema != COPY:
                self._report(f"{path}: written as {sound.schema.name} {sound.schema.version}, not used")
                return None
            copy = msgspec.msgpack.decode(sound.payload, type=LocalCopy)
        except (TransientError, FatalError, msgspec.DecodeError) as error:
            self._report(f"{path}: the local copy is not used: {error}")
            return None
        if copy.database_id != self._database_id or (copy.row.kind, copy.row.name) != (kind, name):
            self._report(f"{path}: a copy of {copy.row.name} of database {copy.database_id}, not used")
            return None
        return copy.row

    def names(self, kind: Literal["actor", "model"], prefix: str = "") -> list[str]:
        """Return the names starting with `prefix`, such as `3/`, of which there is a copy; sorted."""
        folder = self._path(kind, prefix + "x").parent
        if not folder.is_dir():
            return []
        found = {file.name.rpartition(".")[0] for file in folder.iterdir() if file.name.rpartition(".")[2].isdigit()}
        return sorted(prefix + name for name in found)

    def _path(self, kind: Literal["actor", "model"], name: str) -> Path:
        return self._folder / kind / name
