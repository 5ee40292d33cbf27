"""Small files that are replaced whole: a checksummed envelope, a few generations, and the newest sound one is read.

Line one is `fusebox-state <sha256 of everything after this line>`, line two a JSON header, the rest the payload.
"""

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from core.errors import FatalError, TransientError

FORMAT_VERSION = 1
FIRST_LINE = re.compile(rb"fusebox-state ([0-9a-f]{64})\n")


class Disk:
    """The calls that durability hangs on; a test hands in one that loses, refuses or shortens what it is given."""

    def open(self, path: Path, flags: int) -> int:
        """Return a descriptor of `path`."""
        return os.open(path, flags | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write some of `data` and return how many bytes."""
        return os.write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        """Return when what was written outlasts a power cut."""
        os.fsync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(descriptor, size)

    def replace(self, source: Path, target: Path) -> None:
        """Give `source` the name `target`, in one step."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove the file at `path` if there is one."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in `folder` outlast a power cut."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.fsync(descriptor)
        finally:
            os.close(descriptor)


DISK = Disk()


class Schema(msgspec.Struct, frozen=True):
    """What the payload is, and in which version of its layout; the reader compares it with what it understands."""

    name: str
    version: int


class Sound(msgspec.Struct, frozen=True):
    """The newest generation whose checksum holds.

    `damaged_newer` counts newer generations that were set aside: above 0 the payload is older than what was last
    written, and a reader for whom older means laxer (the gate) must assume the strictest instead.
    """

    payload: bytes
    schema: Schema
    generation: int
    created_at_ms: int
    damaged_newer: int


class _Format(msgspec.Struct, frozen=True):
    format: int


class _Header(msgspec.Struct, frozen=True):
    format: int
    schema: Schema
    created_at_ms: int


def write_atomically(
    path: Path, payload: bytes, *, keep: int, schema: Schema, created_at_ms: int, disk: Disk = DISK
) -> int:
    """Write the next generation of `path` (`<name>.<number>`), durable on return, and return its number.

    The newest `keep` generations stay. Writers in several processes take turns.

    Raises:
        TransientError: when the disk refuses; the generation before is untouched, and writing again is safe.
    """
    if keep < 1:
        raise ValueError(f"keep at least one generation of {path.name}, not {keep}")
    with disk_errors(path, "write"):
        make_folder(path.parent, disk)
        with _exclusive(path.parent):
            number = max(_numbers(path, damaged=True), default=0) + 1
            partial = path.with_name(f".{path.name}.partial")
            try:
                write_file(partial, _envelope(payload, _Header(FORMAT_VERSION, schema, created_at_ms)), disk)
            except OSError:
                disk.remove(partial)  # half an envelope would only use up the space that was missing
                raise
            disk.replace(partial, _generation(path, number))
            disk.sync_folder(path.parent)
            for old in _numbers(path)[:-keep]:
                disk.remove(_generation(path, old))
    return number


def read_newest(path: Path, *, report: Callable[[str], None], disk: Disk = DISK) -> Sound | None:
    """Return the newest sound generation of `path`, None when there is none.

    A damaged one is renamed `<name>.damaged-<number>`, told to `report`, and the one before is tried.

    Raises:
        TransientError: when the disk does not let us read, or set a damaged file aside.
        FatalError: when a sound file was written in a layout newer than this program knows.
    """
    if not path.parent.is_dir():
        return None
    with disk_errors(path, "read"), _exclusive(path.parent):
        for damaged, number in enumerate(reversed(_numbers(path))):
            file = _generation(path, number)
            opened = _opened(file)
            if not isinstance(opened, str):
                header, payload = opened
                return Sound(payload, header.schema, number, header.created_at_ms, damaged)
            aside = path.with_name(f"{path.name}.damaged-{number:010d}")
            disk.replace(file, aside)
            disk.sync_folder(path.parent)
            report(f"{file}: {opened}; set aside as {aside.name}, the generation before is used if there is one")
    return None


def newest_number(path: Path) -> int:
    """Return the number of the newest generation of `path`, sound or not; 0 when there is none. Takes no lock.

    Above that of what `read_newest` returned a moment later, something newer was damaged, now or at an earlier reading.

    Raises:
        TransientError: when the disk does not let us look.
    """
    if not path.parent.is_dir():
        return 0
    with disk_errors(path, "look for"):
        return max(_numbers(path, damaged=True), default=0)


@contextlib.contextmanager
def disk_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn what the operating system refuses into a TransientError that names the file."""
    try:
        yield
    except OSError as error:
        named = error.filename if isinstance(error.filename, str) else path
        raise TransientError(f"{named}: cannot {doing}: {error.strerror or error}") from error


def make_folder(folder: Path, disk: Disk = DISK) -> None:
    """Create `folder` and what is missing above it, each with its name durable in the folder above."""
    if folder.is_dir():
        return
    make_folder(folder.parent, disk)
    folder.mkdir(exist_ok=True)
    disk.sync_folder(folder.parent)


def write_file(path: Path, data: bytes, disk: Disk = DISK) -> None:
    """Write `data` to `path`, its content durable on return, its name not yet."""
    descriptor = disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        write_all(descriptor, data, disk)
        disk.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes, disk: Disk = DISK) -> None:
    """Write all of `data`: the system may take less than it is given."""
    rest = memoryview(data)
    while rest:
        rest = rest[disk.write(descriptor, rest) :]


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder itself, so that no lock file is left behind; the kernel frees it when the process dies."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _generation(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number:010d}")


def _numbers(path: Path, *, damaged: bool = False) -> list[int]:
    """Return the generations in the folder, oldest first; a damaged one's number is not given out again."""
    pattern = re.compile(re.escape(path.name) + (r"\.(?:damaged-)?(\d{10})" if damaged else r"\.(\d{10})"))
    matches = (pattern.fullmatch(file.name) for file in path.parent.iterdir())
    return sorted(int(match[1]) for match in matches if match)


def _envelope(payload: bytes, header: _Header) -> bytes:
    rest = msgspec.json.encode(header) + b"\n" + payload
    return b"fusebox-state %s\n%s" % (hashlib.sha256(rest).hexdigest().encode(), rest)


def _opened(file: Path) -> tuple[_Header, bytes] | str:
    """Return header and payload, or what is wrong with them."""
    data = file.read_bytes()
    first = FIRST_LINE.match(data)
    if first is None:
        return "not a state file" if data else "empty"
    rest = data[first.end() :]
    if hashlib.sha256(rest).hexdigest().encode() != first[1]:
        return "its checksum does not match"
    head, _, payload = rest.partition(b"\n")
    written_in = msgspec.json.decode(head, type=_Format).format
    if written_in != FORMAT_VERSION:
        raise FatalError(
            f"{file}: written in format {written_in}, this program knows {FORMAT_VERSION}: run the version that "
            "wrote it, or move the file away"
        )
    return msgspec.json.decode(head, type=_Header), payload
