"""Format `binance-raw`: lines of a local nanosecond stamp and a combined-stream frame, as written by a recorder."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.errors import RejectedError
from venues.binance.decode import decode_binance_frame
from venues.recordings import recording as kinds
from venues.recordings.lines import read_lines
from venues.recordings.recording import RecordedEvent, Recording
from venues.transport import BadFrameError

FORMAT = "binance-raw"
LINE = re.compile(rb"^\d{16,20} \{")
_QUOTES = ("USDT", "USDC", "USD")
_NS_PER_MS = 1_000_000
_SYMBOL = re.compile(rb'"s":"([A-Z0-9]+)"')
_FUTURES, _SPOT = "usdm", "spot"


def open_binance_raw(path: Path, files: Sequence[Path]) -> Recording:
    """Open recorded frames; where both the futures and the spot venue were recorded, the futures are taken.

    Raises:
        RejectedError: when a file is unreadable or names no symbol.
    """
    notes = ["receipt is the recorder's clock; in the known files it precedes the venue's stamps by up to 1.3 s"]
    futures = [file for file in files if file.parent.name == _FUTURES]
    if futures and len(futures) < len(files):
        notes.append("spot files beside the futures are left out: both together would count every move twice")
        files = futures
    assets = {file: _asset(file) for file in files}
    skipped: Counter[str] = Counter()
    return Recording(
        FORMAT,
        path,
        tuple(sorted(set(assets.values()))),
        (),
        {},
        (kinds.BOOKS, kinds.OUTCOME, kinds.FEE_SCHEDULE, kinds.SETTLEMENT_PRICES, "candles"),
        sized=True,
        source=lambda: _events(assets, skipped),
        skipped=skipped,
        notes=tuple(notes),
    )


def asset_of_symbol(symbol: str) -> str:
    """Return the asset of a Binance symbol: `BTCUSDT` gives `BTC`."""
    for quote in _QUOTES:
        if symbol.endswith(quote) and symbol != quote:
            return symbol.removesuffix(quote)
    return symbol


def _asset(file: Path) -> str:
    for line in read_lines(file):
        symbol = _SYMBOL.search(line)
        if symbol is not None:
            return asset_of_symbol(symbol[1].decode())
    raise RejectedError(f"{file} names no symbol: is it a Binance recording?")


def _events(assets: dict[Path, str], skipped: Counter[str]) -> Iterator[RecordedEvent]:
    at_ms = 0
    for file, asset in assets.items():
        for number, line in enumerate(read_lines(file), 1):
            stamp, _, frame = line.partition(b" ")
            try:
                at_ms = max(at_ms, int(stamp) // _NS_PER_MS)
            except ValueError as error:
                raise RejectedError(f"{file}: line {number} cannot be understood ({error}): fetch it anew") from error
            try:
                decoded = decode_binance_frame(frame)
            except BadFrameError:
                skipped[file.name] += 1
                continue
            for event in decoded.events:
                yield RecordedEvent(at_ms, asset, "binance", None, event)
