"""`kill -9` at random moments while the demo trades: is anything lost or doubled, and how long until it trades again?

    python -m bench.kills --kills 100 --seed 1

After each kill the database and the journal are opened and held against the portfolio's last checkpoint, to the
micro-dollar; then the process is started again on the same state folder.
"""

import argparse
import os
import queue
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec
import psycopg

from actors.portfolio_state import PortfolioState
from storage.embedded import EmbeddedServer
from storage.journal import Journal
from storage.queries import checkpoint_name, database_id, latest_checkpoint, ledger_totals

ROOT = Path(__file__).resolve().parent.parent
STARTING_CASH_USD = 10_000_000_000
READY = "hold lifted: starting"
FLOWS = """
SELECT m.condition_id,
       coalesce((SELECT sum(CASE o.side WHEN 'SELL' THEN f.price * f.shares ELSE -f.price * f.shares END - f.fee_usd)
                 FROM fills f JOIN orders o ON o.id = f.order_id JOIN intents i ON i.id = o.intent_id
                 WHERE i.condition_id = m.condition_id), 0),
       coalesce((SELECT sum(pnl_net_usd) FROM trades t WHERE t.condition_id = m.condition_id), 0)
       - coalesce((SELECT sum(cost_usd) FROM positions p WHERE p.condition_id = m.condition_id), 0)
FROM markets m
WHERE NOT EXISTS (SELECT FROM trades t WHERE t.condition_id = m.condition_id AND t.exit_reason = 'settlement')
"""
"""Per market without a settlement: what its fills did to our cash, and what trades and positions say they did."""


class Standing(msgspec.Struct, frozen=True):
    """What is durable at one moment; only ever grows."""

    generation: int = 0
    trades: int = 0
    fills: int = 0
    journaled: int = 0


def main() -> int:
    """Kill and check; print what was found, 1 when anything was lost, doubled or did not agree."""
    parser = argparse.ArgumentParser(prog="python -m bench.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest-s", type=float, default=9.0, help="latest moment of a kill after the start")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    state_dir = Path(tempfile.mkdtemp(prefix="fusebox-kills-"))
    standing, ready_s, faults = Standing(), [], []
    for number in range(1, arguments.kills + 1):
        took_s = _run_and_kill(state_dir, rng.uniform(0.1, arguments.longest_s))
        if took_s is not None:
            ready_s.append(took_s)
        after, found = _check(state_dir, standing)
        faults += [f"kill {number}: {fault}" for fault in found]
        standing = after
        print(f"kill {number}: {standing.trades} trades, {standing.fills} fills, {len(faults)} faults", end="\r")
    print()
    print(f"{arguments.kills} kills, seed {arguments.seed}: {standing.trades} trades and {standing.fills} fills stand")
    print(f"lost, doubled or disagreeing: {len(faults)}")
    for fault in faults:
        print(f"  {fault}")
    if ready_s:
        print(f"start to an open gate: median {statistics.median(ready_s):.2f} s, most {max(ready_s):.2f} s")
    shutil.rmtree(state_dir)
    return 1 if faults else 0


def _run_and_kill(state_dir: Path, after_s: float) -> float | None:
    """Start the demo, kill it `after_s` later, and return how long it took to open the gate, if it got there."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FUSEBOX_", "DATABASE_URL"))}
    began_s = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "supervisor.py", "run", "--window-s", "20"],
        cwd=ROOT,
        env={**inherited, "FUSEBOX_STATE_DIR": str(state_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
    stdout = process.stdout
    assert stdout is not None  # noqa: S101 -- a pipe was asked for

    def read() -> None:
        for line in stdout:
            lines.put((time.monotonic(), line))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        process.wait(after_s)
        print(f"\nended by itself with {process.returncode}", file=sys.stderr)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    reader.join(10)
    stdout.close()
    while not lines.empty():
        at_s, line = lines.get()
        if READY in line:
            return at_s - began_s
    return None


def _check(state_dir: Path, before: Standing) -> tuple[Standing, list[str]]:
    """Hold checkpoint, rows and journal against each other and against what stood before."""
    server = EmbeddedServer(state_dir)
    try:
        with psycopg.connect(server.start(), autocommit=True) as connection:
            return compare(connection, state_dir, before)
    finally:
        server.stop()


def compare(connection: psycopg.Connection, state_dir: Path, before: Standing) -> tuple[Standing, list[str]]:
    """Return what stands now, and every way in which it disagrees; the process must have ended."""
    faults: list[str] = []
    if connection.execute("SELECT to_regclass('identity')").fetchone() == (None,):
        return before, faults if before == Standing() else ["the tables are gone"]
    journal = Journal(state_dir / "journal", database_id(connection), report=faults.append)
    journaled = len(list(journal.pending()))
    journal.close()
    row = connection.execute("SELECT max(id) FROM sessions").fetchone()
    if row is None or row[0] is None:
        return before, faults if before == Standing() else ["the session is gone"]
    checkpoint = latest_checkpoint(connection, "actor", checkpoint_name(row[0], "portfolio"))
    totals = ledger_totals(connection, row[0])
    fills = connection.execute("SELECT count(*) FROM fills").fetchone()
    after = Standing(
        generation=0 if checkpoint is None else checkpoint.generation,
        trades=totals.trades,
        fills=0 if fills is None else fills[0],
        journaled=journaled,
    )
    if after.generation < before.generation or after.trades < before.trades or after.fills < before.fills:
        faults.append(f"lost: {before} became {after}")
    if checkpoint is not None:
        state = msgspec.msgpack.decode(checkpoint.payload, type=PortfolioState)
        if journaled == 0 and state.ledger.cash_usd != totals.cash(STARTING_CASH_USD):
            faults.append(f"cash {state.ledger.cash_usd}, rows say {totals.cash(STARTING_CASH_USD)}")
    for condition_id, by_fills, by_trades in connection.execute(FLOWS):
        if by_fills != by_trades:
            faults.append(f"market {condition_id}: fills moved {by_fills} USD, trades and positions {by_trades}")
    return after, faults


if __name__ == "__main__":
    sys.exit(main())
