"""What opening a journal finds: cuts an unfinished end, sets damage and foreign entries aside, says what is missing."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from core.errors import FatalError
from storage.journal_format import (
    Frame,
    decode_rows,
    entry_frame,
    entry_frames,
    header_frame,
    read_header,
    seed_of,
    unbroken,
)
from storage.state_file import Disk, Schema, read_newest, write_atomically, write_file

SEGMENT_NAME = re.compile(r"(\d{16})\.journal")
CONFIRMED = Schema("journal-confirmed", 1)
CONFIRMED_GENERATIONS = 2


class Confirmed(msgspec.Struct, frozen=True):
    """Everything up to this sequence is in this database."""

    database_id: str
    sequence: int


class Segment:
    """A file of the journal: the last sequence in it, and the bytes that are known to be whole."""

    __slots__ = ("last", "path", "size")

    def __init__(self, path: Path, last: int, size: int) -> None:
        self.path = path
        self.last = last
        self.size = size


class Recovered(NamedTuple):
    """The journal as it was left: files oldest first, the last sequence ever given out, the last one confirmed."""

    segments: list[Segment]
    last: int
    confirmed: int


def segment_path(folder: Path, first: int) -> Path:
    """Return the file whose first entry is `first`."""
    return folder / f"{first:016d}.journal"


def write_confirmed(folder: Path, confirmed: Confirmed, *, now_ms: int, disk: Disk) -> None:
    """Note durably what is in the database. Raises TransientError when the disk refuses."""
    payload = msgspec.msgpack.encode(confirmed)
    path = folder / "confirmed"
    write_atomically(path, payload, keep=CONFIRMED_GENERATIONS, schema=CONFIRMED, created_at_ms=now_ms, disk=disk)


class Recovery:
    """Reads the folder of a journal and mends it; the caller holds its lock."""

    def __init__(self, folder: Path, database_id: str, *, report: Callable[[str], None], disk: Disk) -> None:
        self._folder = folder
        self._database_id = database_id
        self._report = report
        self._disk = disk
        self._seed = seed_of(database_id)
        self._header = header_frame(database_id)
        self._segments: list[Segment] = []
        self._sequences: list[int] = []
        self._highest = 0

    def run(self) -> Recovered:
        """Return what the folder holds for this database.

        Raises:
            FatalError: when a newer version of the program wrote it.
            TransientError, OSError: when the disk does not let us read or mend it.
        """
        sound = read_newest(self._folder / "confirmed", report=self._report, disk=self._disk)
        marker = None
        if sound is not None:
            if sound.schema != CONFIRMED:
                raise FatalError(f"{self._folder}: confirmed as {sound.schema}: run the version that wrote it")
            marker = msgspec.msgpack.decode(sound.payload, type=Confirmed)
            self._highest = marker.sequence
        paths = sorted(path for path in self._folder.iterdir() if SEGMENT_NAME.fullmatch(path.name))
        # A file that was only begun does not end the one before: the next append may have gone there after all.
        filled = [path for path in paths if path.stat().st_size > len(self._header)]
        for path in paths:
            self._load(path, marker, newest=not filled or path >= filled[-1])
        self._disk.sync_folder(self._folder)  # what was read decides what is removed: it must not be undone later
        ours = marker is not None and marker.database_id == self._database_id
        confirmed = marker.sequence if marker is not None and ours else 0
        exact = sound is not None and ours and not sound.damaged_newer
        self._tell_missing(confirmed, expected=confirmed + 1 if exact else None)
        return Recovered(self._segments, self._highest, confirmed)

    def _load(self, path: Path, marker: Confirmed | None, *, newest: bool) -> None:
        data = path.read_bytes()
        opened = read_header(data, path)
        if opened is not None and opened[0].database_id != self._database_id:
            self._set_foreign_aside(path, data, opened[1], opened[0].database_id, marker)
            return
        begin = opened[1] if opened else len(self._header)
        frames = list(entry_frames(data, begin if opened else 0, self._seed))
        whole = list(unbroken(frames, begin))
        end = whole[-1].end if whole else begin
        # Above what was lost there may be entries of the same unfinished append, but none that came after it.
        lost = whole[-1].sequence + 1 if whole else int(path.stem)
        unfinished = newest and all(frame.durable < lost for frame in frames[len(whole) :])
        if opened is None and not frames and len(data) <= len(self._header):
            self._disk.remove(path)  # begun and never used, or emptied: then its entries are told to be missing
            self._report(f"{path}: removed, {len(data)} bytes without a whole header")
            return
        if opened is None or (end != len(data) and not unfinished):
            whole = frames
            if not self._set_damage_aside(path, data, frames):
                return
        elif newest:
            self._settle(path, len(data), end)
        for frame in whole:
            decode_rows(frame, path)  # now rather than when the entry is needed
        self._sequences += [frame.sequence for frame in whole]
        last = whole[-1].sequence if whole else int(path.stem) - 1
        self._highest = max(self._highest, last)
        self._segments.append(Segment(path, last, path.stat().st_size))

    def _settle(self, path: Path, size: int, end: int) -> None:
        """Cut an unfinished append off, and make what stays durable: its process may have died before it was."""
        descriptor = self._disk.open(path, os.O_WRONLY)
        try:
            if end != size:
                self._disk.truncate(descriptor, end)
            self._disk.fsync(descriptor)
        finally:
            os.close(descriptor)
        if end != size:
            self._report(f"{path}: cut {size - end} bytes off the end, an append that was not finished")

    def _set_damage_aside(self, path: Path, data: bytes, frames: Sequence[Frame]) -> bool:
        """Copy the file, then put what is readable in its place; return whether anything was."""
        aside = self._unused(path, "damaged")
        write_file(aside, data, self._disk)
        self._disk.sync_folder(self._folder)  # the copy has to last before the original goes
        if frames:
            sound = [entry_frame(frame.sequence, frame.durable, frame.payload, self._seed) for frame in frames]
            partial = path.with_name(f".{path.name}.partial")
            write_file(partial, self._header + b"".join(sound), self._disk)
            self._disk.replace(partial, path)
        else:
            self._disk.remove(path)
        self._disk.sync_folder(self._folder)
        kept = f"{len(frames)} sound entries stay" if frames else "none of its entries can be read"
        self._report(f"{path}: damaged, kept as {aside.name}; {kept}")
        return bool(frames)

    def _set_foreign_aside(
        self, path: Path, data: bytes, begin: int, database_id: str, marker: Confirmed | None
    ) -> None:
        """Rename a file of another database, or remove it when that database has everything in it."""
        frames = list(entry_frames(data, begin, seed_of(database_id)))
        self._highest = max([self._highest, *(frame.sequence for frame in frames)])
        known = marker.sequence if marker is not None and marker.database_id == database_id else 0
        left = [frame.sequence for frame in frames if frame.sequence > known]
        if not left and max([begin, *(frame.end for frame in unbroken(frames, begin))]) == len(data):
            self._disk.remove(path)
            return
        aside = self._unused(path, "other-database")
        self._disk.replace(path, aside)
        self._disk.sync_folder(self._folder)
        self._report(
            f"{path}: set aside as {aside.name}, its entries ({len(left)} not confirmed) belong to database "
            f"{database_id} and this one is {self._database_id}"
        )

    def _unused(self, path: Path, why: str) -> Path:
        number = 1
        while (aside := path.with_name(f"{path.name}.{why}-{number}")).exists():
            number += 1
        return aside

    def _tell_missing(self, confirmed: int, expected: int | None) -> None:
        for sequence in self._sequences:
            if sequence <= confirmed:
                continue
            if expected is not None and sequence > expected:
                self._report(f"{self._folder}: entries {expected} to {sequence - 1} are missing")
            expected = sequence + 1
