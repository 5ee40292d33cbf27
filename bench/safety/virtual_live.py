"""Live orders in virtual time on the exchange's whole application under its default faults, with limits on their way.

The world is that of `bench.ledgers`: real portfolio, executor, signing and decoding, restarts of both, a policy without
judgement. What the exchange wrote is judged as a live run's ledger is.
"""

import multiprocessing
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import get_args

from bench.measure.live_world import WINDOW_S, Limited, LiveWorld
from bench.measure.two_ledgers import differences, read_venue
from bench.safety.bounds import Bounds, default_bounds, tight_bounds
from bench.safety.live_evidence import Findings, Ledger, Rows, records_of
from bench.safety.live_log import Holds, Log, Sent
from bench.safety.many_windows import amounts, listed
from bench.safety.windows import Limits, rules_for
from bench.simulation.scenario import Scenario
from core.messages import OrderReported
from core.trading.gate import GateState
from core.trading.lasting_holds import lasting, resumed
from core.trading.orders import OrderType

KINDS: tuple[OrderType, ...] = get_args(OrderType)
FAST = Path("/dev/shm")  # noqa: S108 -- the exchange's ledger may be lost here; only its `fsync` costs time
TRIPPED_FOR_S = 6.0
QUIET_S = 300


class Watched:
    """Notes orders and values of the gate as a run's log has them."""

    def __init__(self) -> None:
        self.log = Log({}, {}, 0, ())

    def heard(self, message: object) -> None:
        """Note an order at its hand-over."""
        if not isinstance(message, OrderReported) or message.order.submitted_ms is None:
            return
        order, intent = message.order, message.intent
        if order.order_hash is not None and order.order_hash not in self.log.sent:
            self.log.sent[order.order_hash] = Sent(
                order_id=order.id, asset=order.asset, action=intent.action, reason=intent.reason, forced=intent.forced,
                decision_price=intent.decision_price, sent_ms=order.submitted_ms or 0,
                gate_sequence=order.gate_sequence, order_hash=order.order_hash,
            )  # fmt: skip

    def gate_changed(self, state: GateState) -> None:
        """Note a value of the gate."""
        self.log.gates[state.sequence] = holds_of(state)


def holds_of(state: GateState) -> Holds:
    """Return holds as a log has them."""
    return tuple((hold.scope, hold.level.name.lower().replace("_", "-"), hold.reason) for hold in state.holds)


def traded(windows: int, seed: int, kind: OrderType, limits: Limits) -> tuple[Findings, int]:
    """Trade for so many windows of four assets, come to rest, and return what is found and how often was resumed."""
    watched, resumes = Watched(), 0
    with tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as folder:
        path = Path(folder) / "ledger.jsonl"
        world = LiveWorld(seed, kind, path, _limited(limits, seed), watched.heard)
        world.gate.observer = watched.gate_changed
        until_s, tripped_s = world.now_s + windows / 4 * WINDOW_S, None
        while world.now_s < until_s:
            world.step()
            if not lasting(world.gate.state):
                tripped_s = None
            elif tripped_s is None:
                tripped_s = world.now_s
            elif world.now_s - tripped_s >= TRIPPED_FOR_S:
                resumes, tripped_s = resumes + 1, None
                world.gate.change(resumed)
        until_s = world.now_s + QUIET_S
        while world.now_s < until_s:
            world.step(trades=False)
        exits = tuple((row.status, row.detail) for row in world.tables.events if row.subject.startswith("exit "))
        slugs = {condition_id: row.slug for condition_id, row in world.tables.markets.items()}
        trades = Counter(row.exit_reason for row in world.tables.trades.values())
        rows = Rows(exits=exits, conditions=slugs, alerts={}, trades=trades)
        found = Ledger(records_of(path), _bounds(limits, seed), WINDOW_S, watched.log, rows).look()
        found.broken += differences(read_venue(path), world.tables.rows(world.state), at_rest=True)
        world.close()
    return found, resumes


def run_virtual(windows: int, seed: int, limits: Limits, jobs: int) -> int:
    """Trade a share of the windows with each order type, print what is found, and return 1 if anything was broken."""
    began_s, count = time.monotonic(), len(KINDS)
    shares = [windows * (part + 1) // count - windows * part // count for part in range(count)]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        seeds = range(seed, seed + count)
        results = list(pool.map(traded, shares, seeds, KINDS, repeat(limits)))
    took_s = time.monotonic() - began_s
    counts, trips, largest = Counter[str](), Counter[str](), dict[str, int]()
    for found, _ in results:
        counts.update(found.counts)
        trips.update(found.trips)
        for what, value in found.largest.items():
            largest[what] = max(value, largest.get(what, 0))
    broken = [f"{kind}: {text}" for kind, (found, _) in zip(KINDS, results, strict=True) for text in found.broken]
    print(f"{windows} windows of {WINDOW_S} s, seed {seed}, {limits} limits, in {took_s:.0f} s: {listed(counts)}")
    print(f"largest seen: {amounts(largest)}")
    print(f"trips of the kill switch: {listed(trips)}; {sum(resumes for _, resumes in results)} times resumed")
    print(f"broken: {len(broken)}")
    for text in broken[:50]:
        print(f"  {text}")
    return 1 if broken else 0


def _limited(limits: Limits, seed: int) -> Limited:
    rules = rules_for(Scenario(seed=seed, window_s=WINDOW_S, trade_usd=100_000_000), limits)
    return Limited(rules.sizing.limits, rules.sizing.order_limits, rules.trips)


def _bounds(limits: Limits, seed: int) -> Bounds:
    return default_bounds(100, WINDOW_S) if limits == "default" else tight_bounds(WINDOW_S, 1 if seed % 2 else 8)
