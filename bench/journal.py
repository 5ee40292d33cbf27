"""Milliseconds to append to the journal and to confirm, on the disk of FOLDER (the project's by default).

    python -m bench.journal [FOLDER] [APPENDS]

An entry is an order and a fill, as a trade writes them. The bare line is what the disk itself takes for the same bytes:
a write and an fsync, without a journal.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from core.records import FillRecord, OrderRecord, Record
from storage.journal import Journal
from storage.journal_format import encode_rows

GROUP = 10
ROWS: tuple[Record, ...] = (
    OrderRecord(
        "o" * 32,
        "i" * 32,
        "paper",
        "0x" + "a" * 64,
        "FAK",
        "BUY",
        "9" * 77,
        510_000,
        12_000_000,
        "MATCHED",
        1_790_000_000_000,
        1_790_000_000_450,
        None,
    ),
    FillRecord(
        "f" * 32,
        "o" * 32,
        "paper",
        "t" * 32,
        "0x" + "a" * 64,
        510_000,
        12_000_000,
        214_200,
        "TAKER",
        "CONFIRMED",
        1_790_000_000_450,
    ),
)


def main(folder: Path, appends: int) -> None:
    """Measure each way in turn, in rounds, so that a busy moment of the disk falls on all."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="bench-journal-") as made:
        journal = Journal(Path(made) / "journal", "bench", report=print)
        bare = os.open(Path(made) / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        entry = encode_rows(ROWS)

        def write_and_sync() -> None:
            os.write(bare, entry)
            os.fsync(bare)

        ways: dict[str, tuple[int, Callable[[], object]]] = {
            "bare write + fsync": (1, write_and_sync),
            "append": (1, lambda: journal.append(ROWS)),
            f"append_group of {GROUP}": (GROUP, lambda: journal.append_group([ROWS] * GROUP)),
            "confirm": (1, lambda: journal.confirm(journal.last)),
        }
        taken_ms: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(appends):
            for name, (_, way) in ways.items():
                began = time.perf_counter()
                way()
                taken_ms[name].append(1000 * (time.perf_counter() - began))
        os.close(bare)
        journal.close()
    print(f"{appends} times each, {len(entry)} bytes an entry")
    for name, (entries, _) in ways.items():
        cuts = statistics.quantiles(taken_ms[name], n=100)
        print(
            f"{name:20} p50 {cuts[49]:7.3f} ms  p99 {cuts[98]:7.3f} ms  max {max(taken_ms[name]):7.3f} ms"
            f"  {cuts[49] / entries:7.3f} ms an entry"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."), int(sys.argv[2]) if len(sys.argv) > 2 else 2000)
