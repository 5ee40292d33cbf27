"""Checkpoints as an operator handles them: listed, read, taken out as a checksummed file, put back, rolled back."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from psycopg.rows import dict_row

from core.errors import FatalError, RejectedError
from core.records import CheckpointRecord
from storage.pool import Connection, database_errors
from storage.values import unix_ms

Kind = Literal["actor", "model"]

MAGIC = b"fusebox-checkpoint 1 "
LONGEST_HEADER = 4096


class Generation(msgspec.Struct, frozen=True):
    """One row of `checkpoints` without its payload; `sound` tells whether the payload still has its checksum.

    `quarantined` is the reason why no actor starts from it, None where nothing is known against it.
    """

    kind: Kind
    name: str
    generation: int
    schema_version: int
    sha256: str
    sound: bool
    size_bytes: int
    created_at_ms: int
    quarantined: str | None = None

    @property
    def usable(self) -> bool:
        """Whether a start would take it."""
        return self.sound and self.quarantined is None


class Header(msgspec.Struct, frozen=True):
    """First line of an exported file, as JSON behind the magic word; the payload follows as it is."""

    kind: Kind
    name: str
    generation: int
    schema_version: int
    created_at_ms: int
    size_bytes: int
    sha256: str


def generations(connection: Connection, name: str | None = None, kind: str | None = None) -> list[Generation]:
    """Return what is stored, newest generation of each first; only of one name or kind where given."""
    rows = _rows(
        connection,
        "SELECT kind, name, generation, schema_version, sha256, length(payload) AS size, created_at,"
        " CASE WHEN quarantined_at IS NOT NULL THEN coalesce(quarantine_reason, 'no reason given') END AS quarantined,"
        " sha256 = encode(sha256(payload), 'hex') AS sound FROM checkpoints"
        " WHERE (%(name)s::text IS NULL OR name = %(name)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)"
        " ORDER BY kind, name, generation DESC",
        name=name,
        kind=kind,
    )
    return [
        Generation(
            kind=row["kind"],
            name=row["name"],
            generation=row["generation"],
            schema_version=row["schema_version"],
            sha256=row["sha256"],
            sound=row["sound"],
            size_bytes=row["size"],
            created_at_ms=unix_ms(row["created_at"]),
            quarantined=row["quarantined"],
        )
        for row in rows
    ]


def quarantine(connection: Connection, kind: Kind, name: str, generation: int, reason: str) -> None:
    """Mark a generation as one that no actor may start from; it stays, and `checkpoints list` shows the reason.

    Raises:
        TransientError, FatalError: as every query does.
    """
    with database_errors():
        connection.execute(
            "UPDATE checkpoints SET quarantined_at = now(), quarantine_reason = %s"
            " WHERE kind = %s AND name = %s AND generation = %s AND quarantined_at IS NULL",
            (reason, kind, name, generation),
        )


def upload(connection: Connection, kind: Kind, schema_version: int, payload: bytes) -> int:
    """Leave a checkpoint for the running process to take, and return its number; forgotten ones go after an hour."""
    with database_errors(), connection.transaction():
        connection.execute("DELETE FROM checkpoint_uploads WHERE uploaded_at < now() - interval '1 hour'")
        row = connection.execute(
            "INSERT INTO checkpoint_uploads (kind, schema_version, payload) VALUES (%s, %s, %s) RETURNING id",
            (kind, schema_version, payload),
        ).fetchone()
    if row is None or not isinstance(row[0], int):
        raise FatalError("the upload was not stored: run `migrate`")
    return row[0]


def take_upload(connection: Connection, number: int) -> tuple[Kind, int, bytes]:
    """Return and remove what was left under `number`: kind, schema version, payload.

    Raises:
        RejectedError: there is nothing.
    """
    rows = _rows(
        connection,
        "DELETE FROM checkpoint_uploads WHERE id = %(id)s RETURNING kind, schema_version, payload",
        id=number,
    )
    if not rows:
        raise RejectedError(f"upload {number} is gone: import the file again")
    return rows[0]["kind"], rows[0]["schema_version"], bytes(rows[0]["payload"])


def payload_of(connection: Connection, chosen: Generation) -> bytes:
    """Return the content of one generation.

    Raises:
        RejectedError: it is damaged, or gone by now.
    """
    rows = _rows(
        connection,
        "SELECT payload FROM checkpoints WHERE kind = %(kind)s AND name = %(name)s AND generation = %(generation)s",
        kind=chosen.kind,
        name=chosen.name,
        generation=chosen.generation,
    )
    if not rows:
        raise RejectedError(f"generation {chosen.generation} of {chosen.name} is gone: newer ones took its place")
    payload = bytes(rows[0]["payload"])
    if hashlib.sha256(payload).hexdigest() != chosen.sha256:
        raise RejectedError(f"generation {chosen.generation} of {chosen.name} is damaged: choose another one")
    return payload


def older(found: Sequence[Generation], generation: int | None) -> Generation:
    """Return the generation to roll back to: the one asked for, or the newest sound one before the newest.

    Args:
        found: all generations of one name, newest first.
        generation: the wanted one, None for the one before.

    Raises:
        RejectedError: there is no such generation, it is damaged, or it is the newest one.
    """
    if not found:
        raise RejectedError("there is no checkpoint of that name: `checkpoints list` shows them")
    name = found[0].name
    have = ", ".join(f"{each.generation}{_ill(each)}" for each in found)
    if generation is None:
        chosen = next((each for each in found[1:] if each.usable), None)
    else:
        chosen = next((each for each in found if each.generation == generation), None)
    if chosen is None:
        wanted = "sound generation before the newest" if generation is None else f"generation {generation}"
        raise RejectedError(f"{name} has no {wanted}: there are {have}")
    if not chosen.sound:
        raise RejectedError(f"generation {chosen.generation} of {name} is damaged: there are {have}")
    if chosen is found[0]:
        raise RejectedError(f"generation {chosen.generation} of {name} is the newest already: there are {have}")
    return chosen


def as_newest(found: Sequence[Generation], schema_version: int, payload: bytes, now_ms: int) -> CheckpointRecord:
    """Return the row that makes `payload` the newest generation of the name that `found` lists (newest first)."""
    newest = found[0]
    return CheckpointRecord(newest.kind, newest.name, newest.generation + 1, schema_version, payload, now_ms)


def write_file(path: Path, of: Generation, payload: bytes) -> None:
    """Write a checkpoint to a new file, whole and on disk before its name exists.

    Raises:
        RejectedError: the file exists already, or cannot be written.
    """
    header = Header(
        of.kind, of.name, of.generation, of.schema_version, of.created_at_ms, len(payload), _digest(payload)
    )
    if path.exists():
        raise RejectedError(f"{path} exists already: choose another name")
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(MAGIC + msgspec.json.encode(header) + b"\n" + payload)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise RejectedError(f"{path}: cannot write ({error.strerror})") from error


def read_file(path: Path) -> tuple[Header, bytes]:
    """Return header and payload of an exported file.

    Raises:
        FatalError: the file is missing, is no checkpoint, is torn or was changed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FatalError(f"{path}: cannot read ({error.strerror})") from error
    line, newline, payload = data.partition(b"\n")
    if not line.startswith(MAGIC) or not newline or len(line) > LONGEST_HEADER:
        raise FatalError(f"{path} is no exported checkpoint: `checkpoints export` makes one")
    try:
        header = msgspec.json.decode(line.removeprefix(MAGIC), type=Header)
    except msgspec.DecodeError as error:
        raise FatalError(f"{path}: its first line cannot be read ({error})") from error
    if len(payload) != header.size_bytes:
        raise FatalError(f"{path} is torn: {len(payload)} of {header.size_bytes} bytes; export it again")
    if _digest(payload) != header.sha256:
        raise FatalError(f"{path} was changed or damaged: its content has another checksum; export it again")
    return header, payload


def _ill(each: Generation) -> str:
    if each.sound:
        return "" if each.quarantined is None else " (quarantined)"
    return " (damaged)"


def _digest(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


def _rows(connection: Connection, query: str, **parameters: object) -> list[dict[str, Any]]:
    with database_errors(), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()
