"""Thousands of live orders on an exchange that fights back: how many differences are there between the two ledgers?

    python -m bench.ledgers --orders 10000 --seed 1
    python -m bench.ledgers --orders 3000 --seed 1 --kill-every-s 60

Real portfolio, executor, signing, authentication and decoding against the embedded exchange's whole HTTP application
under its default fault plan, in virtual time and without sockets; our actors are restarted now and then, and with
`--kill-every-s` the whole process is killed about that often, for half a second up to minutes, every other time along
with the exchange. A third of the orders each is FAK, FOK and GTC.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from random import Random
from typing import get_args

import msgspec

from bench.measure.live_world import AWAY_S, STEP_MS, LiveWorld
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
    kills: int
    our_usd: int | None
    venues_usd: int
    found: list[str]
    lines: list[str]


def main() -> int:
    """Trade, come to rest, compare; return 1 when anything differs."""
    parser = argparse.ArgumentParser(prog="python -m bench.ledgers", description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kill-every-s", type=float, help="virtual seconds between kills of the process, on average")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--log", type=Path, help="write what the actors said")
    arguments = parser.parse_args()
    began_s = time.monotonic()
    with ProcessPoolExecutor(arguments.jobs, multiprocessing.get_context("spawn")) as pool:
        shares = zip(*_shares(arguments.orders, arguments.seed), strict=True)
        results = list(pool.map(traded, KINDS, *shares, repeat(arguments.kill_every_s)))
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
    kills = sum(result.kills for result in results)
    print(f"{sum(result.virtual_s for result in results) / 3600:.1f} virtual hours in {took_s:.0f} s, {kills} kills")
    found = [f"{result.kind}: {text}" for result in results for text in result.found]
    print(f"differences between the two ledgers: {len(found)}")
    for text in found[:50]:
        print(f"  {text}")
    return 1 if found else 0


def traded(kind: OrderType, orders: int, seed: int, kill_every_s: float | None = None) -> Result:
    """Make `orders` orders of one type, let everything come to rest, and compare; after each kill as well."""
    found: list[str] = []
    chance, random = 0.0 if kill_every_s is None else STEP_MS / 1000 / kill_every_s, Random(seed)
    with tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as folder:
        ledger = Path(folder) / "ledger.jsonl"
        world = LiveWorld(seed, kind, ledger)
        while len(world.tables.orders) < orders:
            world.step()
            if random.random() < chance:
                world.kill(random.choice(AWAY_S), venue_too=random.random() < 0.5)
                known = differences(read_venue(ledger), world.tables.rows(world.state), at_rest=False)
                found += [f"kill {world.kills}: {text}" for text in known]
        until_s = world.now_s + QUIET_S
        while world.now_s < until_s:
            world.step(trades=False)
        rows, venue = world.tables.rows(world.state), read_venue(ledger)
        world.close()
    found += differences(venue, rows, at_rest=True)
    return Result(
        kind, dict(rows.outcomes), len(venue.flows), world.requests, world.now_s, world.kills, rows.cash_usd,
        venue.cash_usd, found, world.lines,
    )  # fmt: skip


def _shares(orders: int, seed: int) -> list[tuple[int, int]]:
    """Return each type's number of orders and its seed."""
    parts = len(KINDS)
    return [(orders * (part + 1) // parts - orders * part // parts, seed + part) for part in range(parts)]


if __name__ == "__main__":
    sys.exit(main())
