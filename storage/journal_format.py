"""Bytes of the journal: frames with length and CRC-32, and entries of records inside them.

The CRC is seeded with the database's id, so that an entry is never taken for one of another database.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import msgspec

from core.errors import FatalError, RejectedError
from core.records import Record

FORMAT_VERSION = 1
HEADER, ENTRY = b"FBXH", b"FBXE"
FRAME = struct.Struct("<4sIIQQ")
"""Magic, bytes of the payload, CRC-32, sequence, and the last sequence that was durable when this one was written."""

DECODERS = {kind.__name__: msgspec.msgpack.Decoder(kind) for kind in get_args(Record)}
NAMED_ROWS = msgspec.msgpack.Decoder(list[tuple[str, msgspec.Raw]])


class Header(msgspec.Struct, frozen=True):
    """First frame of a file: whose entries follow."""

    format_version: int
    database_id: str


class Frame(NamedTuple):
    """A frame whose checksum holds, and where in its file it lies."""

    start: int
    end: int
    sequence: int
    durable: int
    payload: bytes


def seed_of(database_id: str) -> int:
    """Return what the checksums of this database's entries start from."""
    return zlib.crc32(database_id.encode())


def header_frame(database_id: str) -> bytes:
    """Return the bytes that every file of this database begins with."""
    return _frame(HEADER, 0, 0, msgspec.msgpack.encode(Header(FORMAT_VERSION, database_id)), 0)


def entry_frame(sequence: int, durable: int, payload: bytes, seed: int) -> bytes:
    """Return the bytes of one entry; `durable` is the last sequence that was on the disk before it was written."""
    return _frame(ENTRY, sequence, durable, payload, seed)


def read_header(data: bytes, path: Path) -> tuple[Header, int] | None:
    """Return the header of a file and where its entries begin, None when it is damaged.

    Raises:
        FatalError: when a newer program wrote it.
    """
    frame = _frame_at(data, 0, HEADER, 0)
    if frame is None:
        return None
    header = msgspec.msgpack.decode(frame.payload, type=Header)
    if header.format_version != FORMAT_VERSION:
        raise FatalError(
            f"{path}: written in format {header.format_version}, this program knows {FORMAT_VERSION}: "
            "run the version that wrote it until the database has everything"
        )
    return header, frame.end


def entry_frames(data: bytes, start: int, seed: int) -> Iterator[Frame]:
    """Yield the entries from `start` on whose checksum holds; bytes between them that hold none are passed over."""
    while start < len(data):
        frame = _frame_at(data, start, ENTRY, seed)
        if frame is None:
            start = data.find(ENTRY, start + 1)
            if start < 0:
                return
        else:
            yield frame
            start = frame.end


def unbroken(frames: Iterable[Frame], start: int) -> Iterator[Frame]:
    """Yield the first of `frames` that follow each other without a gap from `start` on."""
    for frame in frames:
        if frame.start != start:
            return
        yield frame
        start = frame.end


def encode_rows(rows: Sequence[Record]) -> bytes:
    """Return the payload of an entry.

    Raises:
        RejectedError: when a row could not be read back, which would be found out when it is needed.
    """
    payload = msgspec.msgpack.encode([(type(row).__name__, row) for row in rows])
    try:
        _rows(payload)
    except (msgspec.ValidationError, KeyError) as error:
        raise RejectedError(f"the journal refuses {', '.join(type(row).__name__ for row in rows)}: {error}") from error
    return payload


def decode_rows(frame: Frame, path: Path) -> tuple[Record, ...]:
    """Return the records of an entry.

    Raises:
        FatalError: when this version of the program does not know what another one wrote.
    """
    try:
        return _rows(frame.payload)
    except (msgspec.MsgspecError, KeyError) as error:
        raise FatalError(
            f"{path}: entry {frame.sequence} is sound, but this version cannot read it ({error}): "
            "run the version that wrote it until the database has everything"
        ) from error


def _rows(payload: bytes) -> tuple[Record, ...]:
    return tuple(DECODERS[name].decode(row) for name, row in NAMED_ROWS.decode(payload))


def _frame(magic: bytes, sequence: int, durable: int, payload: bytes, seed: int) -> bytes:
    checksum = _checksum(magic, sequence, durable, payload, seed)
    return FRAME.pack(magic, len(payload), checksum, sequence, durable) + payload


def _frame_at(data: bytes, start: int, magic: bytes, seed: int) -> Frame | None:
    if len(data) - start < FRAME.size or not data.startswith(magic, start):
        return None
    _, size, checksum, sequence, durable = FRAME.unpack_from(data, start)
    end = start + FRAME.size + size
    if end > len(data):
        return None
    payload = data[start + FRAME.size : end]
    if checksum != _checksum(magic, sequence, durable, payload, seed):
        return None
    return Frame(start, end, sequence, durable, payload)


def _checksum(magic: bytes, sequence: int, durable: int, payload: bytes, seed: int) -> int:
    """Return the CRC-32 of everything but the checksum itself, the length and the place in the order included."""
    return zlib.crc32(payload, zlib.crc32(FRAME.pack(magic, len(payload), 0, sequence, durable), seed))
