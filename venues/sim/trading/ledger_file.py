"""The ledger's file: one JSON line per batch of records, written before anybody is told of them."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from venues.sim.trading.records import Record


class LedgerFileError(ValueError):
    """The file cannot be continued: it belongs to another world, or a line in its midst is damaged."""


class _Header(msgspec.Struct, frozen=True):
    ledger_of: str


_encode = msgspec.json.Encoder().encode
_decode_header = msgspec.json.Decoder(_Header).decode
_decode_batch = msgspec.json.Decoder(list[Record]).decode


class LedgerFile:
    """Append-only. A last line without its end, as a crash leaves behind, never happened and is cut off."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None
        self._unsynced = False

    def open(self, identity: str) -> list[Record]:
        """Return what the file holds and make it ready for more; `identity` names the world it is about.

        Raises LedgerFileError when the file is another world's or damaged, OSError when it cannot be opened.
        """
        text = self.path.read_bytes() if self.path.exists() else b""
        whole = text.rfind(b"\n") + 1
        lines = text[:whole].splitlines()
        records = self._records(lines, identity)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._fd, whole)
        os.lseek(self._fd, 0, os.SEEK_END)
        if not lines:
            self._write(_encode(_Header(identity)))
        return records

    def append(self, batch: Sequence[Record]) -> None:
        """Write the records as one line: a process that dies leaves all of them or none."""
        self._write(_encode(batch))

    def sync(self) -> None:
        """Wait until everything appended is on the disk."""
        if self._fd is not None and self._unsynced:
            os.fsync(self._fd)
            self._unsynced = False

    def close(self) -> None:
        """Sync and close the file."""
        self.sync()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _write(self, line: bytes) -> None:
        if self._fd is None:
            raise LedgerFileError(f"ledger {self.path} is not open")
        left = memoryview(line + b"\n")
        while left:
            left = left[os.write(self._fd, left) :]
        self._unsynced = True

    def _records(self, lines: list[bytes], identity: str) -> list[Record]:
        records: list[Record] = []
        for number, line in enumerate(lines, 1):
            try:
                if number == 1:
                    found = _decode_header(line).ledger_of
                else:
                    records += _decode_batch(line)
                    continue
            except msgspec.DecodeError as error:
                raise LedgerFileError(f"ledger {self.path}, line {number} is damaged: restore or remove it") from error
            if found != identity:
                raise LedgerFileError(f"ledger {self.path} is of {found}, not of {identity}: name another file")
        return records
