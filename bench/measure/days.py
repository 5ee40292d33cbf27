"""Days of virtual time of the whole system, without faults: what of it grows from one day to the next."""

import gc
import itertools
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.measure.proc import own
from bench.measure.reachable import module_roots, sizes
from bench.measure.trend import trend
from bench.measure.whole_system import assemble_calm, asset_names, market_rules
from bench.simulation.policy import make_policy
from cli.wiring import start_all
from core.market.window import REFERENCE_LENGTH_S
from core.records import CheckpointRecord, PositionRecord, Record
from core.runtime.clock import VirtualClock
from core.runtime.stepped import SteppedRuntime
from core.runtime.supervision import DeadLetter, SystemEvent

START_S = 1_800_057_600
"""A midnight (UTC)."""
DAY_MS = 86_400_000
EVENT_EVERY_MS = 4_000
GRID_MS = 4_000
KEPT_ROWS = (CheckpointRecord, PositionRecord)
"""What the database keeps at a constant number of rows."""


class Day(msgspec.Struct, frozen=True):
    """The end of one day; `blocks` are the interpreter's allocated memory blocks, `sizes` elements by path."""

    number: int
    took_s: float
    rss_mb: float
    blocks: int
    rows: dict[str, int]
    sizes: dict[str, int]


class Ledger:
    """Stands in for the database: counts the distinct rows of a day by table and forgets them."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, object]] = set()

    def write(self, rows: Sequence[Record]) -> None:
        """Count rows; one written again is the same row."""
        self._seen.update((type(row).__name__, _key(row)) for row in rows if not isinstance(row, KEPT_ROWS))

    def end_of_day(self) -> dict[str, int]:
        """Return the day's rows by kind and begin the next day."""
        counted = Counter(kind for kind, _ in self._seen)
        self._seen = set()
        return dict(sorted(counted.items()))


def main(days: int, asset_count: int, seed: int, out: Path | None) -> int:
    """Run the days, and print what grew on each of them."""
    clock = VirtualClock(START_S * 1000)
    ledger = Ledger()
    assets = asset_names(asset_count)
    system = SteppedRuntime(clock, seed=seed, lease_epoch=1, work_ms=3)
    system.observers.append(_tell)
    assemble_calm(
        system,
        assets,
        seed=seed,
        every_ms=EVENT_EVERY_MS,
        market=market_rules(GRID_MS),
        load_weights=lambda: "no weights",
        make_policy=lambda _weights: make_policy("random"),
        write=ledger.write,
    )
    start_all(system)
    print(
        f"{days} days, {len(assets)} assets, windows of {REFERENCE_LENGTH_S} s, a book and a trade every "
        f"{EVENT_EVERY_MS / 1000:g} s, a decision every {GRID_MS / 1000:g} s (random policy)"
    )
    print(f"{'day':>4} {'took s':>8} {'RSS MB':>8} {'blocks':>10} {'rows':>9}")
    ended: list[bytes] = []  # packed, for what a day leaves here must not look like growth of what is measured
    for number in range(1, days + 1):
        began_s = time.monotonic()
        system.run_until(START_S * 1000 + number * DAY_MS)
        day = _look(number, time.monotonic() - began_s, system, ledger)
        ended.append(msgspec.json.encode(day))
        print(
            f"{day.number:4} {day.took_s:8.1f} {day.rss_mb:8.1f} {day.blocks:10,} {sum(day.rows.values()):9,}",
            flush=True,
        )
    _report([msgspec.json.decode(each, type=Day) for each in ended])
    if out is not None:
        out.write_bytes(b"[" + b",".join(ended) + b"]")
    return 0


def _tell(event: SystemEvent | DeadLetter) -> None:
    """Print what should not happen at all."""
    if isinstance(event, DeadLetter) or event.kind != "started":
        print(f"    {event}")


def _look(number: int, took_s: float, system: SteppedRuntime, ledger: Ledger) -> Day:
    rows = ledger.end_of_day()
    gc.collect()
    found = sizes({"system": system, **module_roots()})
    gc.collect()
    return Day(number, took_s, own().rss_mb, sys.getallocatedblocks(), rows, found)


def _report(days: Sequence[Day]) -> None:
    print("\nrows a day:", ", ".join(f"{kind} {count:,}" for kind, count in days[-1].rows.items()))
    late = days[1:]  # the first day fills what is bounded
    if len(late) < 3:
        return
    numbers = [float(day.number) for day in late]
    for name, memory in (("RSS MB", [day.rss_mb for day in late]), ("blocks", [float(day.blocks) for day in late])):
        line = trend(numbers, memory)
        if line is not None:
            print(f"{name}: {line.slope:+.3f} a day, standard error {line.error:.3f}, from day 2 on")
    growing = {
        path: [day.sizes.get(path, 0) for day in late]
        for path in late[-1].sizes
        if all(b.sizes.get(path, 0) > a.sizes.get(path, 0) for a, b in itertools.pairwise(late))
    }
    print(f"\n{len(late[-1].sizes)} kinds of containers reachable; grew on every day from day 2 on: {len(growing)}")
    for path, values in sorted(growing.items(), key=lambda item: item[1][0] - item[1][-1]):
        print(f"    {path}: {' '.join(f'{value:,}' for value in values)}")
    print("largest on the last day:")
    for path, count in sorted(late[-1].sizes.items(), key=lambda item: -item[1])[:15]:
        print(f"    {path}: {count:,}")


def _key(row: Record) -> object:
    for name in ("id", "condition_id"):
        value = getattr(row, name, None)
        if value is not None:
            return value
    return row
