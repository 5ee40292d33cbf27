"""Lines of recorded files, gzipped or plain; a file that cannot be read is named together with the remedy."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from core.errors import RejectedError
from venues.transport import BadFrameError

_GZIP_MAGIC = b"\x1f\x8b"


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of `path` that are not empty, without their ends; gzip is recognised by content.

    Raises:
        RejectedError: when the file is missing, unreadable, or a truncated or damaged gzip.
    """
    with _unreadable_as_rejected(path), _open(path) as stream:
        for line in stream:
            stripped = line.strip()
            if stripped:
                yield stripped


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file by its header's names.

    Raises:
        RejectedError: as `read_lines`, and for a row that is longer or shorter than the header.
    """
    with _unreadable_as_rejected(path), _open(path) as stream:
        reader = csv.reader(io.TextIOWrapper(stream, "utf-8", newline=""))
        header = next(reader, None)
        for row in reader:
            if header is None or len(row) != len(header):
                raise RejectedError(f"{path}: line {reader.line_num} has {len(row)} fields: fetch the file anew")
            yield dict(zip(header, row, strict=True))


def first_line(path: Path) -> bytes:
    """Return the first line that is not empty, or nothing for an empty file.

    Raises:
        RejectedError: as `read_lines`.
    """
    return next(read_lines(path), b"")


@contextmanager
def understanding(path: Path) -> Iterator[None]:
    """Turn whatever a row of `path` fails on (a missing column, a number that is none) into one error that names it.

    Raises:
        RejectedError: in place of those.
    """
    try:
        yield
    except (ValueError, KeyError, BadFrameError) as error:
        raise RejectedError(f"{path}: a row cannot be understood ({error}): fetch the file anew") from error


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    with path.open("rb") as stream:
        zipped = stream.read(2) == _GZIP_MAGIC
    return gzip.open(path, "rb") if zipped else path.open("rb")


@contextmanager
def _unreadable_as_rejected(path: Path) -> Iterator[None]:
    try:
        yield
    except EOFError as error:
        raise RejectedError(f"{path} is a truncated gzip file: fetch it anew") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise RejectedError(f"{path} is a damaged gzip file ({error}): fetch it anew") from error
    except UnicodeDecodeError as error:
        raise RejectedError(f"{path} is not UTF-8 text ({error.reason}): is it a recording?") from error
    except csv.Error as error:
        raise RejectedError(f"{path} is no CSV file ({error}): fetch it anew") from error
    except OSError as error:
        raise RejectedError(f"{path} cannot be read: {error.strerror or error}") from error
