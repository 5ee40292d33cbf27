"""Opening a recording: which files belong to it and which format they are, told from their content."""

from collections.abc import Callable, Sequence
from pathlib import Path

from core.errors import RejectedError
from venues.recordings import bid_ask, binance_raw, clob_books, clob_raw, multi_venue
from venues.recordings.lines import first_line
from venues.recordings.recording import Recording

_OPENERS: dict[str, Callable[[Path, Sequence[Path]], Recording]] = {
    clob_books.FORMAT: clob_books.open_clob_books,
    bid_ask.FORMAT: bid_ask.open_bid_ask,
    clob_raw.FORMAT: clob_raw.open_clob_raw,
    multi_venue.FORMAT: multi_venue.open_multi_venue,
    binance_raw.FORMAT: binance_raw.open_binance_raw,
}
FORMATS = tuple(_OPENERS)
_COMPANIONS = frozenset({clob_raw.MARKETS_FILE, multi_venue.MARKETS_FILE})


def open_recording(path: Path, format: str | None = None) -> Recording:  # noqa: A002
    """Open a recorded file, or a folder of files of one format (searched below it too), gzipped or plain.

    Args:
        path: the file or folder.
        format: one of `FORMATS`, in place of recognising it by content.

    Raises:
        RejectedError: when there is nothing there, nothing known, more than one format, or an unreadable file; the text
            names the file and what to do.
    """
    files = _files(path)
    if format is None:
        format = _one_format(path, files)  # noqa: A001
        files = [file for file in files if _recognise(file) == format]
    elif format not in _OPENERS:
        raise RejectedError(f"{format!r} is no format of recordings: choose one of {', '.join(FORMATS)}")
    return _OPENERS[format](path, files)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise RejectedError(f"{path} does not exist: give the path of a recorded file or folder")
    if path.is_file():
        return [path]
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and file.name not in _COMPANIONS and not file.name.startswith(".")
    )
    if not files:
        raise RejectedError(f"{path} holds no files: give the path of a recorded file or folder")
    return files


def _one_format(path: Path, files: Sequence[Path]) -> str:
    found = {known for file in files if (known := _recognise(file)) is not None}
    if not found:
        raise RejectedError(
            f"{files[0] if len(files) == 1 else path} is no recording that is known: "
            f"known formats are {', '.join(FORMATS)}; --format forces one"
        )
    if len(found) > 1:
        raise RejectedError(f"{path} holds recordings of several formats ({', '.join(sorted(found))}): open one")
    return found.pop()


def _recognise(file: Path) -> str | None:
    """Return the format that the file's first line shows, None when it is none of ours."""
    line = first_line(file)
    if line.startswith(clob_books.HEADER):
        return clob_books.FORMAT
    if line.startswith(bid_ask.HEADER):
        return bid_ask.FORMAT
    if binance_raw.LINE.match(line):
        return binance_raw.FORMAT
    if line.startswith(b"{") and b'"capturedAt"' in line and b'"payload"' in line:
        return clob_raw.FORMAT
    if line.startswith(b"{") and b'"recv_wall_ts"' in line and b'"source"' in line:
        return multi_venue.FORMAT
    return None
