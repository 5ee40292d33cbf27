"""Thousands of live orders on an exchange that fights back: how many differences are there between the two ledgers?

    python -m bench.ledgers --orders 10000 --seed 1

Real portfolio, executor, signing, authentication and decoding against the embedded exchange's whole HTTP application
under its default fault plan, in virtual time and without sockets; our actors are restarted now and then. A third of the
orders each is FAK, FOK and GTC.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import get_args

import msgspec

from bench.measure.live_world import LiveWorld
from bench.measure.two_ledgers import counted, differences, read_venue
from core.trading.orders import OrderType

QUIET_S = 300
KINDS: tuple[OrderType, ...] = get_args(OrderType)
FAST = Path("/dev/shm")  # noqa: S108 -- the exchange's ledger may be lost here; only its `fsync` costs time


class Result(msgspec.Struct, frozen=True):
    """What came of one order type's share."""

    kind: str
    outcomes: dict[str, int]
    trades: int
    requests: int
    virtual_s: float
    our_usd: int | None
    venues_usd: int
    found: list[str]
    lines: list[str]


def main() -> int:
    """Trade, come to rest, compare; return 1 when anything differs."""
    parser = argparse.ArgumentParser(prog="python -m bench.ledgers", description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--log", type=Path, help="write what the actors said")
    arguments = parser.parse_args()
    began_s = time.monotonic()
    with ProcessPoolExecutor(arguments.jobs, multiprocessing.get_context("spawn")) as pool:
        results = list(pool.map(traded, KINDS, *zip(*_shares(arguments.orders, arguments.seed), strict=True)))
    took_s = time.monotonic() - began_s
    if arguments.log is not None:
        arguments.log.write_text("".join(f"{result.kind} {line}\n" for result in results for line in result.lines))
    outcomes: Counter[str] = Counter()
    for result in results:
        outcomes.update(result.outcomes)
    trades, requests = sum(result.trades for result in results), sum(result.requests for result in results)
    print(
        f"{outcomes.total()} orders, {trades} trades, {requests} requests, seed {arguments.seed}: {counted(outcomes)}"
    )
    for result in results:
        print(f"{result.kind} cash: {result.our_usd} with us, {result.venues_usd} at the venue (1e-6 USD)")
    print(f"{sum(result.virtual_s for result in results) / 3600:.1f} virtual hours in {took_s:.0f} s")
    found = [f"{result.kind}: {text}" for result in results for text in result.found]
    print(f"differences between the two ledgers: {len(found)}")
    for text in found[:50]:
        print(f"  {text}")
    return 1 if found else 0


def traded(kind: OrderType, orders: int, seed: int) -> Result:
    """Make `orders` orders of one type, let everything come to rest, and compare."""
    with tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as folder:
        ledger = Path(folder) / "ledger.jsonl"
        world = LiveWorld(seed, kind, ledger)
        while len(world.tables.orders) < orders:
            world.step()
        until_s = world.now_s + QUIET_S
        while world.now_s < until_s:
            world.step(trades=False)
        rows, venue = world.tables.rows(world.state), read_venue(ledger)
        world.close()
    found = differences(venue, rows, at_rest=True)
    return Result(
        kind, dict(rows.outcomes), len(venue.flows), world.requests, world.now_s, rows.cash_usd, venue.cash_usd, found,
        world.lines,
    )  # fmt: skip


def _shares(orders: int, seed: int) -> list[tuple[int, int]]:
    """Return each type's number of orders and its seed."""
    parts = len(KINDS)
    return [(orders * (part + 1) // parts - orders * part // parts, seed + part) for part in range(parts)]


if __name__ == "__main__":
    sys.exit(main())
