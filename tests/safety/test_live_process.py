"""The program as a process, live on the embedded exchange: every exit is refused while the market actor is replaced."""

import json
import threading
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import psycopg
from msgspec.structs import replace

from bench.measure.live_wallet import live_environ
from bench.measure.two_ledgers import read_venue
from bench.safety.bounds import Bounds, default_bounds
from bench.safety.live import rows_of
from bench.safety.live_evidence import Ledger, Rows, records_of
from bench.safety.live_log import Log, read_log
from bench.safety.stakes import UNIT
from storage.embedded import EmbeddedServer
from tests.live_system.ledgers import assert_the_same_at_rest, command, eventually
from tests.system.process import Start

WINDOW_S = 20
BEFORE_S = 4.0
"""Seconds before the close at which the venue begins to refuse: one before T-2."""
REFUSED = {"rules": [{"kind": "forbidden", "probability": 1.0, "scope": "POST /order"}]}
LEDGER = "exchange-ledger.jsonl"
BOUNDS = default_bounds(100, WINDOW_S)


def admin_of(pid: int) -> str:
    """Return the address of the operator's door of an exchange by the port that its process listens on."""
    sockets = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
            return f"http://127.0.0.1:{int(fields[1].split(':')[1], 16)}/admin"
    raise LookupError(f"process {pid} listens on nothing")


def set_faults(admin: str, plan: Mapping[str, object] | None) -> None:
    body = b"" if plan is None else json.dumps(plan).encode()
    request = urllib.request.Request(f"{admin}/faults", data=body, method="POST")  # noqa: S310 -- our own exchange
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as answer:
        assert answer.status == 200


def wait_until(at_s: float) -> None:
    """Let the exchange's wall clock come to a moment."""
    threading.Event().wait(max(0.0, at_s - time.time()))


def held(ledger: Path) -> set[str]:
    """Return the markets in which the account holds enough to be sold; what is over has been paid out."""
    venue = read_venue(ledger)
    condition_of = {token: flow.condition_id for flow in venue.flows.values() for token in flow.shares}
    return {condition_of[token] for token, shares in venue.shares.items() if shares >= 5 * UNIT}


def looked_at(state_dir: Path, bounds: Bounds = BOUNDS, log: Log | None = None, rows: Rows | None = None) -> list[str]:
    """Return the promises that are found broken in what a run has left."""
    log = log or read_log(state_dir / "fusebox.jsonl")
    found = Ledger(records_of(state_dir / LEDGER), bounds, WINDOW_S, log, rows or rows_of(state_dir)).look()
    return sorted({text.partition(":")[0] for text in found.broken})


def test_exits_that_are_refused_over_real_sockets_end_in_a_settlement_that_is_told(
    start: Start, state_dir: Path
) -> None:
    supervisor = start(
        "--mode", "live", "--window-s", str(WINDOW_S), "--assets", "BTC,ETH", **live_environ(7, 100)
    )  # fmt: skip
    pid = int(supervisor.wait_for("the embedded exchange runs (pid").rpartition("pid ")[2].rstrip(")"))
    admin = admin_of(pid)
    supervisor.wait_for("hold lifted: starting", within_s=120)
    markets: set[str] = set()
    while not markets:
        closes_s = (time.time() + BEFORE_S) // WINDOW_S * WINDOW_S + WINDOW_S
        wait_until(closes_s - BEFORE_S)
        set_faults(admin, REFUSED)
        wait_until(closes_s - BEFORE_S + 0.5)  # what was taken before has been matched by then
        markets = held(state_dir / LEDGER)
        if not markets:
            set_faults(admin, None)
    for _ in range(2):
        assert command(state_dir, "restart", "market.BTC").returncode == 0
    wait_until(closes_s + 0.5)
    set_faults(admin, None)

    def noted() -> bool:
        told = [detail for status, detail in rows_of(state_dir).exits if status == "held to settlement"]
        return all(any(market in detail for detail in told) for market in markets)

    assert eventually(noted, 10), rows_of(state_dir).exits
    assert_the_same_at_rest(state_dir, supervisor)

    rows = rows_of(state_dir)
    assert rows.alerts["held to settlement"] >= len(markets)
    assert rows.alerts["actor replaced"] >= 2
    attempts, settled = sells_and_settlements(state_dir, markets)
    assert attempts
    assert all(state in ("REJECTED", "FAILED") and "403" in error for state, error in attempts)
    assert settled == markets
    the_checker_finds_nothing_here_and_everything_in_what_is_changed(state_dir, rows)


def sells_and_settlements(state_dir: Path, markets: set[str]) -> tuple[list[tuple[str, str]], set[str]]:
    """Return state and error of the last exit in each market, and the markets whose position was settled."""
    server = EmbeddedServer(state_dir)
    try:
        with psycopg.connect(server.start(), autocommit=True) as database:
            attempts = database.execute(
                "SELECT DISTINCT ON (i.condition_id) o.state, coalesce(o.last_error, '') FROM orders o"
                " JOIN intents i ON i.id = o.intent_id WHERE o.side = 'SELL' AND i.condition_id = ANY(%s)"
                " ORDER BY i.condition_id, i.decided_at DESC",
                (list(markets),),
            ).fetchall()
            settled = database.execute(
                "SELECT condition_id FROM trades WHERE exit_reason = 'settlement' AND condition_id = ANY(%s)",
                (list(markets),),
            ).fetchall()
            return [(str(state), str(error)) for state, error in attempts], {str(row[0]) for row in settled}
    finally:
        server.stop()


def the_checker_finds_nothing_here_and_everything_in_what_is_changed(state_dir: Path, rows: Rows) -> None:
    """Hold the same ledger against less than was allowed, a gate that was shut, and rows that say nothing."""
    assert looked_at(state_dir, rows=rows) == []
    for limit, allowed, promise in (
        ("trade_usd", UNIT, "trade size"), ("position_usd", UNIT, "limits"), ("total_usd", UNIT, "limits"),
        ("positions", 0, "limits"), ("per_minute", 0, "orders a minute"), ("slippage", -UNIT, "slippage"),
        ("min_price", UNIT, "price"), ("max_price", 0, "price"), ("min_left_s", WINDOW_S, "time left"),
    ):  # fmt: skip
        assert looked_at(state_dir, replace(BOUNDS, **{limit: allowed}), rows=rows) == [promise]
    log = read_log(state_dir / "fusebox.jsonl")
    shut = dict.fromkeys(log.gates, (("", "reduce-only", "shut by the test"),))
    assert looked_at(state_dir, log=replace(log, gates=shut), rows=rows) == ["gate"]
    assert looked_at(state_dir, log=replace(log, sent={}), rows=rows) == ["not in the log"]
    assert looked_at(state_dir, rows=replace(rows, exits=())) == ["unmanaged"]
