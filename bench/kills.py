"""`kill -9` at random moments while the demo trades: is anything lost or doubled, and how long until it trades again?

    python -m bench.kills --kills 100 --seed 1
    python -m bench.kills --kills 100 --seed 1 --mode live      real orders, on an exchange that fights back
    python -m bench.kills --kills 40 --mode live --order-type GTC --slippage-ticks 0      orders that rest

After each kill the database and the journal are opened and held against the portfolio's last checkpoint, to the
micro-dollar; then the process is started again on the same state folder. In live mode the exchange's own ledger is the
third party each time, and in the end, with nothing in flight any more and every winner paid, all of it must be the
same.
"""

import argparse
import os
import queue
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psycopg

from actors.account import sold_cost
from actors.portfolio_state import PortfolioState
from bench.measure.live_wallet import live_environ
from bench.measure.two_ledgers import Rows, Venue, counted, differences, read_rows, read_venue
from storage.embedded import EmbeddedServer
from storage.journal import Journal
from storage.queries import checkpoint_name, database_id, latest_checkpoint, ledger_totals

ROOT = Path(__file__).resolve().parent.parent
STARTING_CASH_USD = 10_000_000_000
READY = "hold lifted: starting"
LEDGER = "exchange-ledger.jsonl"
NEVER_SAID = ("Traceback", "ours alone", "reconciliation:")
"""What a run under kills and faults has no reason to say."""
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


ORDER_WITHIN_S = 60.0
ORDER_TAKES_S = 0.4
"""Most of what a live order goes through happens this soon after it arrived; every other kill strikes then."""
AT_REST_WITHIN_S = 120.0
"""How long what is in flight may take to end once nothing is opened any more."""


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
    parser.add_argument("--mode", choices=("paper", "live"), default="paper")
    parser.add_argument("--faults", default="default", help="live: the exchange's fault plan, empty for none")
    parser.add_argument("--order-type", choices=("FAK", "FOK", "GTC"), default="FAK")
    parser.add_argument("--slippage-ticks", type=int, help="0 and GTC: what is not there at the touch rests")
    parser.add_argument("--longest-s", type=float, default=9.0, help="latest moment of a kill after the start")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    state_dir = Path(tempfile.mkdtemp(prefix="fusebox-kills-"))
    live = arguments.mode == "live"
    environ = {"FUSEBOX_ORDER_TYPE": arguments.order_type}
    if arguments.slippage_ticks is not None:
        environ["FUSEBOX_MAX_SLIPPAGE_TICKS"] = str(arguments.slippage_ticks)
    if live:
        environ |= {"FUSEBOX_EXCHANGE_FAULTS": arguments.faults, **live_environ(arguments.seed)}
    run = ("run", "--window-s", "20", "--mode", arguments.mode)
    standing, ready_s, faults = Standing(), [], []
    for number in range(1, arguments.kills + 1):
        after_order = live and number % 2 == 0
        after_s = rng.uniform(0.0, ORDER_TAKES_S) if after_order else rng.uniform(0.1, arguments.longest_s)
        took_s, said = _run_and_kill(state_dir, run, environ, after_s, after_order=after_order)
        if took_s is not None:
            ready_s.append(took_s)
        after, found = _check(state_dir, standing, live=live)
        found += said
        faults += [f"kill {number}: {fault}" for fault in found]
        standing = after
        print(f"kill {number}: {standing.trades} trades, {standing.fills} fills, {len(faults)} faults", end="\r")
    print()
    print(f"{arguments.kills} kills, seed {arguments.seed}: {standing.trades} trades and {standing.fills} fills stand")
    if live:
        faults += [f"at rest: {fault}" for fault in _come_to_rest(state_dir, run, environ)]
    print(f"lost, doubled or disagreeing: {len(faults)}")
    for fault in faults:
        print(f"  {fault}")
    if ready_s:
        print(f"start to an open gate: median {statistics.median(ready_s):.2f} s, most {max(ready_s):.2f} s")
    if faults and live:
        print(f"kept for a look: {state_dir}")
    else:
        shutil.rmtree(state_dir)
    return 1 if faults else 0


def _run_and_kill(
    state_dir: Path, run: tuple[str, ...], environ: Mapping[str, str], after_s: float, *, after_order: bool = False
) -> tuple[float | None, list[str]]:
    """Start the demo and kill it `after_s` later, or that long after an order has reached the exchange.

    Returns how long it took to open the gate, None when it did not get there, and what should not have been said.
    """
    began_s = time.monotonic()
    process = _start(state_dir, run, environ)
    lines: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
    stdout = process.stdout
    assert stdout is not None  # noqa: S101 -- a pipe was asked for

    def read() -> None:
        for line in stdout:
            lines.put((time.monotonic(), line))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        if after_order:
            _await_order(process, state_dir / LEDGER)
        process.wait(after_s)
        print(f"\nended by itself with {process.returncode}", file=sys.stderr)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    reader.join(10)
    stdout.close()
    ready_s, said = None, []
    while not lines.empty():
        at_s, line = lines.get()
        if READY in line and ready_s is None:
            ready_s = at_s - began_s
        if any(word in line for word in NEVER_SAID):
            said.append(line.strip())
    return ready_s, said


def _await_order(process: subprocess.Popen[str], ledger: Path) -> None:
    """Return as soon as the exchange has written down an order, or the process has ended, or it takes too long."""
    seen = ledger.stat().st_size if ledger.exists() else 0
    deadline_s, pause = time.monotonic() + ORDER_WITHIN_S, threading.Event()
    while process.poll() is None and time.monotonic() < deadline_s:
        if ledger.exists() and ledger.stat().st_size > seen:
            with ledger.open("rb") as file:
                file.seek(seen)
                written = file.read()
            if b'"Accepted"' in written:
                return
        pause.wait(0.002)


def _start(state_dir: Path, run: tuple[str, ...], environ: Mapping[str, str]) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FUSEBOX_", "DATABASE_URL"))}
    return subprocess.Popen(
        [sys.executable, "supervisor.py", *run],
        cwd=ROOT,
        env={**inherited, **environ, "FUSEBOX_LOG_FORMAT": "human", "FUSEBOX_STATE_DIR": str(state_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _come_to_rest(state_dir: Path, run: tuple[str, ...], environ: Mapping[str, str]) -> list[str]:
    """Run without opening anything until nothing is in flight, stop, and hold the two ledgers against each other."""
    process = _start(state_dir, run, environ)
    stdout = process.stdout
    assert stdout is not None  # noqa: S101 -- a pipe was asked for
    reader = threading.Thread(target=lambda: [None for _ in stdout], daemon=True)
    reader.start()
    server, pause = EmbeddedServer(state_dir), threading.Event()
    try:
        with psycopg.connect(server.start(), autocommit=True) as connection:
            deadline_s = time.monotonic() + AT_REST_WITHIN_S
            halted = False
            while time.monotonic() < deadline_s and process.poll() is None:
                pause.wait(2.0)
                halted = halted or _told(state_dir, "halt", "--reason", "ledgers are compared")
                if halted and not differences(*_both(connection, state_dir), at_rest=True):
                    break
            running = differences(*_both(connection, state_dir), at_rest=True)
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            reader.join(10)
            stdout.close()
            venue, rows = _both(connection, state_dir)
    finally:
        server.stop()
    print(f"orders: {counted(rows.outcomes)}; {len(rows.flows)} trades with us, {len(venue.flows)} at the venue")
    print(f"cash: {rows.cash_usd} with us, {venue.cash_usd} at the venue (1e-6 USD)")
    stopped = differences(venue, rows, at_rest=True)
    if running != stopped:
        print(f"while it ran: {running or 'no difference'}; after its stop: {stopped or 'no difference'}")
    return stopped


def _told(state_dir: Path, *command: str) -> bool:
    """Return whether a command reached the running process."""
    asked = _start(state_dir, command, {})
    asked.communicate()
    return asked.returncode == 0


def _both(connection: psycopg.Connection, state_dir: Path) -> tuple[Venue, Rows]:
    row = connection.execute("SELECT max(id) FROM sessions").fetchone()
    assert row is not None  # noqa: S101 -- an aggregate always has a row
    rows = read_rows(connection, row[0])
    return read_venue(state_dir / LEDGER), rows


def _check(state_dir: Path, before: Standing, *, live: bool) -> tuple[Standing, list[str]]:
    """Hold checkpoint, rows, journal and the exchange's ledger against each other and against what stood before."""
    server = EmbeddedServer(state_dir)
    try:
        with psycopg.connect(server.start(), autocommit=True) as connection:
            with connection.transaction():  # of a killed process the server may still commit what it had been sent
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                after, faults = compare(connection, state_dir, before, markets=not live)
            if live and after.generation:
                faults += differences(*_both(connection, state_dir), at_rest=False)
            return after, faults
    finally:
        server.stop()


def compare(
    connection: psycopg.Connection, state_dir: Path, before: Standing, *, markets: bool = True
) -> tuple[Standing, list[str]]:
    """Return what stands now, and every way in which it disagrees; the process must have ended.

    `markets` False leaves out the fills by market, which count only where none is provisional or has failed.
    """
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
        by_rows = totals.cash(STARTING_CASH_USD) - sold_cost(state.ledger)
        if journaled == 0 and state.ledger.cash_usd != by_rows:
            faults.append(f"cash {state.ledger.cash_usd}, rows say {by_rows}")
    for condition_id, by_fills, by_trades in connection.execute(FLOWS) if markets else ():
        if by_fills != by_trades:
            faults.append(f"market {condition_id}: fills moved {by_fills} USD, trades and positions {by_trades}")
    return after, faults


if __name__ == "__main__":
    sys.exit(main())
