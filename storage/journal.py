"""An append-only journal on the local disk of what the database has not confirmed yet.

`append` is durable when it returns, `pending` gives back what is not confirmed, `confirm` lets go of it. The layout
and the promises are in docs/journal.md.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from core.errors import FatalError, TransientError
from core.records import Record
from storage.journal_format import decode_rows, encode_rows, entry_frame, entry_frames, header_frame, seed_of, unbroken
from storage.journal_recovery import Confirmed, Recovery, Segment, segment_path, write_confirmed
from storage.refused import refused_files, set_aside
from storage.state_file import DISK, Disk, disk_errors, make_folder, write_all, write_file

SEGMENT_BYTES = 8 * 1024 * 1024
PROBE_BYTES = 64 * 1024
"""Room that has to be left for the next entries."""


def unix_now_ms() -> int:
    """Return unix milliseconds."""
    return time.time_ns() // 1_000_000


class Journal:
    """The journal in `folder` for the database `database_id`: one process at a time, any of its threads.

    Opening cuts an unfinished append off the end, sets damaged files and those of another database aside, and tells
    `report` each of these in one line.
    """

    def __init__(
        self,
        folder: Path,
        database_id: str,
        *,
        report: Callable[[str], None],
        segment_bytes: int = SEGMENT_BYTES,
        now_ms: Callable[[], int] = unix_now_ms,
        disk: Disk = DISK,
    ) -> None:
        """Open the journal, or begin it.

        Raises:
            FatalError: when another process has it open, or a newer version of the program wrote it.
            TransientError: when the disk does not let us read or mend it.
        """
        self.folder = folder
        self._database_id = database_id
        self._segment_bytes = segment_bytes
        self._now_ms = now_ms
        self._disk = disk
        self._seed = seed_of(database_id)
        self._header = header_frame(database_id)
        self._guard = threading.Lock()
        self._writing: int | None = None
        self._torn = False
        with disk_errors(folder, "open the journal"):
            make_folder(folder, disk)
            self._holding: int | None = _hold(folder / "lock")
            try:
                found = Recovery(folder, database_id, report=report, disk=disk).run()
            except BaseException:
                self.close()
                raise
        self._segments, self._last, self._confirmed = found

    @property
    def last(self) -> int:
        """Sequence of the newest entry, 0 before the first."""
        return self._last

    @property
    def confirmed(self) -> int:
        """Sequence up to which everything is in the database."""
        return self._confirmed

    @property
    def size_bytes(self) -> int:
        """Bytes that the entries take on the disk, confirmed ones that are not removed yet included."""
        return sum(segment.size for segment in self._segments)

    def append(self, rows: Sequence[Record]) -> int:
        """Append one entry and return its sequence; when this returns, the entry outlasts a power cut.

        Raises:
            TransientError: when the disk is full, read-only or broken; the entry is not in the journal.
            RejectedError: when a row could not be read back as what it says it is; nothing was written.
        """
        return self.append_group([rows])[0]

    def append_group(self, batches: Sequence[Sequence[Record]]) -> range:
        """Append an entry for each batch with a single fsync and return their sequences. Raises as `append` does.

        All are in the journal or none; a crash before this returns may leave the first few.
        """
        payloads = [encode_rows(rows) for rows in batches]
        with self._guard:
            first, durable = self._last + 1, self._last
            frames = b"".join(
                entry_frame(first + index, durable, payload, self._seed) for index, payload in enumerate(payloads)
            )
            self._write(self._newest(len(frames)), frames)
            self._last += len(payloads)
            self._segments[-1].last = self._last
            return range(first, self._last + 1)

    def pending(self) -> Iterator[tuple[int, tuple[Record, ...]]]:
        """Return the entries that are in the journal now and not confirmed, in order; confirm them on the way at will.

        Raises:
            TransientError: when the disk does not let us read.
            FatalError: when a file was damaged after it was opened; opening again sets the damage aside.
        """
        with self._guard:
            self._check_open()
            return self._entries(tuple(self._segments), self._last)

    def confirm(self, sequence: int) -> None:
        """Note durably that everything up to `sequence` is in the database, and remove files that nobody needs.

        Raises:
            TransientError: when the disk refuses; to confirm later is harmless, since replays change nothing.
        """
        with self._guard:
            self._check_open()
            if sequence > self._last:
                raise ValueError(f"entry {sequence} cannot be confirmed, the newest is {self._last}")
            if sequence > self._confirmed:
                marker = Confirmed(self._database_id, sequence)
                write_confirmed(self.folder, marker, now_ms=self._now_ms(), disk=self._disk)
                self._confirmed = sequence
            with disk_errors(self.folder, "remove confirmed entries"):
                while len(self._segments) > 1 and self._segments[0].last <= self._confirmed:
                    self._disk.remove(self._segments[0].path)
                    del self._segments[0]

    @property
    def refused(self) -> int:
        """How many batches of rows were set aside and wait for a person."""
        return len(refused_files(self.folder))

    def set_aside(self, rows: Sequence[Record], reason: str) -> Path:
        """Keep rows that the database refuses in a readable file beside the journal, and return its path.

        Raises:
            TransientError: when the disk refuses.
        """
        self._check_open()
        return set_aside(self.folder, rows, reason, now_ms=self._now_ms(), disk=self._disk)

    def probe(self) -> None:
        """Find out whether the disk would take entries now.

        Raises:
            TransientError: when it would not.
        """
        self._check_open()
        path = self.folder / ".probe"
        with disk_errors(path, "write"):
            try:
                write_file(path, bytes(PROBE_BYTES), self._disk)
            finally:
                self._disk.remove(path)

    def close(self) -> None:
        """Let another process open the folder; what was acknowledged is on the disk already."""
        with self._guard:
            self._leave_segment()
            if self._holding is not None:
                os.close(self._holding)
            self._holding = None

    def _check_open(self) -> None:
        if self._holding is None:
            raise FatalError(f"{self.folder}: the journal was closed")

    # -- writing ------------------------------------------------------------------------------------------------

    def _newest(self, size: int) -> Segment:
        """Return the file that takes `size` more bytes: the newest, or another when that one is full."""
        self._check_open()
        newest = self._segments[-1] if self._segments else None
        if newest is None or len(self._header) < newest.size > self._segment_bytes - size:
            return self._begin_segment()
        with disk_errors(newest.path, "append"):
            if self._writing is None:
                self._writing = self._disk.open(newest.path, os.O_WRONLY | os.O_APPEND)
            if os.fstat(self._writing).st_nlink:
                return newest
        # The system would go on taking bytes that nobody can ever read.
        self._leave_segment()
        self._segments.pop()
        raise TransientError(f"{newest.path}: was removed while in use, what it held is lost")

    def _begin_segment(self) -> Segment:
        path = segment_path(self.folder, self._last + 1)
        with disk_errors(path, "begin a file"):
            self._mend()
            self._leave_segment()
            try:
                write_file(path, self._header, self._disk)
                self._disk.sync_folder(self.folder)
                self._writing = self._disk.open(path, os.O_WRONLY | os.O_APPEND)
            except OSError:
                self._disk.remove(path)
                raise
        self._segments.append(Segment(path, self._last, len(self._header)))
        return self._segments[-1]

    def _write(self, segment: Segment, frames: bytes) -> None:
        with disk_errors(segment.path, "append"):
            self._mend()
            self._torn = True
            try:
                self._append(frames)
            except OSError:
                self._mend()
                raise
            self._torn = False
        segment.size += len(frames)

    def _append(self, frames: bytes) -> None:
        if self._writing is not None:
            write_all(self._writing, frames, self._disk)
            self._disk.fsync(self._writing)

    def _mend(self) -> None:
        """Cut what a failed append left. Until that works nothing is appended, so that no sequence is used twice.

        Truncating dirties the page with the end of the last whole entry, so a page whose write failed is written again.
        """
        if self._torn and self._writing is not None:
            self._disk.truncate(self._writing, self._segments[-1].size)
            self._disk.fsync(self._writing)
        self._torn = False

    def _leave_segment(self) -> None:
        if self._writing is not None:
            os.close(self._writing)
        self._writing = None
        self._torn = False

    # -- reading ------------------------------------------------------------------------------------------------

    def _entries(self, segments: Sequence[Segment], last: int) -> Iterator[tuple[int, tuple[Record, ...]]]:
        for segment in segments:
            with self._guard, disk_errors(segment.path, "read"):
                if segment.last <= self._confirmed:
                    continue
                data = segment.path.read_bytes()
                size = segment.size
            end = len(self._header)
            for frame in unbroken(entry_frames(data[:size], end, self._seed), end):
                end = frame.end
                if self._confirmed < frame.sequence <= last:
                    yield frame.sequence, decode_rows(frame, segment.path)
            if end != size:
                raise FatalError(f"{segment.path}: damaged since it was opened: start again, which sets it aside")


def _hold(path: Path) -> int:
    """Lock the journal for this process and write its id into the file, for the message that the next one gets."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.pwrite(descriptor, b"%-10d\n" % os.getpid(), 0)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        os.close(descriptor)
        who = f"process {holder}" if holder.isdigit() else "another process"
        raise FatalError(
            f"{path.parent}: {who} has this journal open: stop it first, or use another state folder"
        ) from error
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
