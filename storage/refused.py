"""Rows that the database refused for good: one readable file each, for a person to put right."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from core.errors import RejectedError
from core.records import Record
from storage.state_file import Disk, disk_errors, make_folder, write_file

REFUSED = (RejectedError, ValueError, ArithmeticError)
"""What a row's content can cause: the database refuses it, or it cannot be put into the database's types."""
PREFIX = "refused-"
SUFFIX = ".json"
REMEDY = "put the cause right, insert its rows by hand and delete the file"


def set_aside(folder: Path, rows: Sequence[Record], reason: str, *, now_ms: int, disk: Disk) -> Path:
    """Write `rows` and why they were refused to a file of their own, durable on return; again for the same, no second.

    Fields and units are those of `core/records.py`, bytes are hexadecimal.

    Raises:
        TransientError: when the disk refuses; nothing is set aside.
    """
    listed = [{type(row).__name__: msgspec.structs.asdict(row)} for row in rows]
    text = json.dumps(listed, indent=1, default=_plain)
    name = hashlib.sha256(text.encode()).hexdigest()[:12]
    with disk_errors(folder, "set refused rows aside"):
        make_folder(folder, disk)
        known = next(folder.glob(f"{PREFIX}*-{name}{SUFFIX}"), None)
        if known is not None:
            return known
        at = datetime.fromtimestamp(now_ms / 1000, tz=UTC)
        path = folder / f"{PREFIX}{at:%Y%m%dT%H%M%SZ}-{name}{SUFFIX}"
        partial = folder / f".{path.name}.partial"
        head = json.dumps({"refused_at": at.isoformat(), "reason": reason, "remedy": REMEDY}, indent=1)
        data = f'{head[:-2]},\n "rows": {text}\n}}\n'.encode()
        try:
            write_file(partial, data, disk)
            disk.replace(partial, path)
        except OSError:
            disk.remove(partial)
            raise
        disk.sync_folder(folder)
    return path


def refused_files(folder: Path) -> list[Path]:
    """Return what was set aside in `folder` and not dealt with, oldest first."""
    return sorted(folder.glob(f"{PREFIX}*{SUFFIX}"))


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else repr(value)
