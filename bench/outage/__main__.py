"""The database away, frozen, slow, restarted, full, and the journal's disk full, while the real program trades.

    python -m bench.outage --outage-s 60

A PostgreSQL of its own, the demo with short windows. For each phase: how soon the gate was off `open`, what was opened
and what was closed meanwhile, how soon after it everything was written and the gate open, and whether rows are missing,
doubled or out of order. Exit code 1 when a promise is broken.
"""

import argparse
import contextlib
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import msgspec
import psycopg

from bench.kills import Standing, compare
from bench.outage import evidence
from bench.outage.faults import frozen, full, restarted, slow, small_disk, stopped
from bench.outage.program import CLOSED, FILLED, GATE_SHUT, Program
from storage.embedded import EmbeddedServer
from storage.server_account import server_account

GATE_WITHIN_S = 1.0
RECOVERED_WITHIN_S = 60.0
FAILING = re.compile("database does not record: ")


class Phase(msgspec.Struct, frozen=True):
    """One fault: how long it lasts, and what it must show."""

    name: str
    begin: Callable[[], AbstractContextManager[None]]
    lasts_s: float
    exits: bool = True
    """Whether it is long enough that an order to close must have been sent; whether it finds a bid is the market's."""
    keeps: bool = False
    """Whether what happens meanwhile has to be in the journal."""
    from_failure: bool = False
    """The fault bites at the next row that needs room: the second counts from the first failure."""


class Outcome(msgspec.Struct):
    """What one phase showed; times in seconds."""

    name: str
    lasted_s: float = 0.0
    gate_s: float | None = None
    opened: int = 0
    exits: int = 0
    kept: int = 0
    recovered_s: float | None = None
    lost: int = 0
    doubled: int = 0
    disorder: int = 0
    broken: list[str] = msgspec.field(default_factory=list)


class Bench:
    """One server, one program, one phase after the other."""

    def __init__(self, server: EmbeddedServer, uri: str, program: Program, state_dir: Path) -> None:
        self.server = server
        self.uri = uri
        self.program = program
        self._journal = state_dir / "journal"

    def run(self, phase: Phase) -> Outcome:
        """Wait until something is held, fail, recover, and judge."""
        program, outcome = self.program, Outcome(phase.name)
        program.wait(lambda: program.gate_open() and program.holds(), 180, "open position")
        with phase.begin():
            began_s = time.time()
            self._watch(phase, began_s)
            outcome.kept = evidence.unconfirmed(self._journal)
            ended_s = time.time()
        outcome.lasted_s = ended_s - began_s
        back_s = time.time()
        with contextlib.suppress(TimeoutError):
            program.wait(self._recovered, RECOVERED_WITHIN_S, "recovery")
            outcome.recovered_s = time.time() - back_s
        self._judge(phase, outcome, began_s, ended_s)
        return outcome

    def _watch(self, phase: Phase, began_s: float) -> None:
        """Let the fault last, from the first row it hits where only some are hit."""
        program = self.program
        if phase.from_failure:
            program.wait(lambda: bool(program.said(FAILING, began_s)), 60, "row that needs room")
        time.sleep(phase.lasts_s)

    def _recovered(self) -> bool:
        return self.program.gate_open() and evidence.unconfirmed(self._journal) == 0

    def _judge(self, phase: Phase, outcome: Outcome, began_s: float, ended_s: float) -> None:
        program = self.program
        failing = program.said(FAILING, began_s) if phase.from_failure else []
        counts_from_s = failing[0].at_s if failing else began_s
        shut = program.said(GATE_SHUT, began_s, ended_s)
        if shut:
            outcome.gate_s = max(0.0, shut[0].at_s - counts_from_s)
        if outcome.gate_s is None or outcome.gate_s > GATE_WITHIN_S:
            outcome.broken.append(f"the gate was not off open within {GATE_WITHIN_S:g} s")
        if outcome.recovered_s is None:
            outcome.broken.append(f"not recovered within {RECOVERED_WITHIN_S:g} s")
            return
        span = {"after_s": counts_from_s + GATE_WITHIN_S, "before_s": ended_s}
        with psycopg.connect(self.uri, autocommit=True) as connection:
            outcome.opened = evidence.count(connection, evidence.ORDERS, action="OPEN", **span)
            outcome.exits = evidence.count(connection, evidence.EXITS, after_s=began_s, before_s=ended_s)
            tried = evidence.count(connection, evidence.ORDERS, action="CLOSE", after_s=began_s, before_s=ended_s)
            missing = self._settled(connection)
            outcome.lost, outcome.doubled = max(0, missing), max(0, -missing)
            outcome.disorder = evidence.count(connection, evidence.DISORDER)
        if outcome.opened:
            outcome.broken.append(f"{outcome.opened} orders to open were sent")
        if phase.exits and not outcome.exits and not tried:
            outcome.broken.append("nothing was sent to close what was held")
        if phase.keeps and outcome.exits and not outcome.kept:
            outcome.broken.append("what happened was not in the journal")
        if missing:
            outcome.broken.append(f"{missing} rows missing")
        if outcome.disorder:
            outcome.broken.append(f"{outcome.disorder} rows out of order")

    def _settled(self, connection: psycopg.Connection) -> int:
        """Return how many fills and trades the program reported that are not in the database, once it had its time."""
        deadline_s = time.monotonic() + 5
        while True:
            said = len(self.program.said(FILLED)) + len(self.program.said(CLOSED))
            there = evidence.count(connection, evidence.FILLED) + evidence.count(connection, evidence.TRADES)
            if said == there or time.monotonic() > deadline_s:
                return said - there
            time.sleep(0.2)


def main() -> int:
    """Run the phases, print the table, return 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m bench.outage", description=__doc__)
    parser.add_argument("--outage-s", type=float, default=60.0, help="how long the server is away")
    parser.add_argument("--others-s", type=float, default=25.0, help="how long every other fault lasts")
    parser.add_argument("--window-s", type=int, default=20)
    parser.add_argument("--only", help="phases, such as stopped,frozen")
    parser.add_argument("--keep-log", type=Path, help="write the program's log to this file")
    arguments = parser.parse_args()
    with ExitStack() as ends:
        state_dir = Path(tempfile.mkdtemp(prefix="fusebox-outage-"))
        ends.callback(shutil.rmtree, state_dir, ignore_errors=True)
        outcomes, faults = _play(arguments, state_dir, ends)
    _print(outcomes)
    for fault in faults:
        print(f"at the end: {fault}")
    return 1 if faults or any(outcome.broken for outcome in outcomes) else 0


def _play(arguments: argparse.Namespace, state_dir: Path, ends: ExitStack) -> tuple[list[Outcome], list[str]]:
    server = EmbeddedServer(state_dir / "server")
    ends.callback(server.stop)
    uri, disk, no_disk = _database(server, state_dir, ends)
    journal = state_dir / "program" / "journal"
    no_journal_disk = ends.enter_context(small_disk(journal, 64))
    program = Program(state_dir / "program", uri, arguments.window_s)
    ends.callback(program.stop)
    bench = Bench(server, uri, program, state_dir / "program")
    short_s = arguments.others_s
    phases = [
        Phase("stopped", lambda: stopped(server), arguments.outage_s, keeps=True),
        Phase("frozen", lambda: frozen(server), short_s, keeps=True),
        Phase("slow", lambda: slow(uri), short_s),
        Phase("restarted", lambda: restarted(server, uri), 2.0, exits=False),
    ]
    if no_disk is None:
        phases.append(Phase("full", lambda: full(disk), short_s, keeps=True, from_failure=True))
    if no_journal_disk is None:
        phases.append(Phase("journal-full", lambda: full(journal), short_s))
        phases.append(Phase("both", lambda: _both(server, journal), short_s))
    for reason in filter(None, (no_disk, no_journal_disk)):
        print(f"skipped: {reason}")
    outcomes: list[Outcome] = []
    try:
        for phase in phases:
            if arguments.only is None or phase.name in arguments.only.split(","):
                print(f"{phase.name} ...", flush=True)
                outcomes.append(bench.run(phase))
    finally:
        code = program.stop()
        if arguments.keep_log is not None:
            arguments.keep_log.write_text("".join(f"{line.at_s:.3f} {line.text}\n" for line in program.lines))
    with psycopg.connect(uri, autocommit=True) as connection:
        _, faults = compare(connection, state_dir / "program", Standing())
    if code != 0:
        faults.append(f"the program ended with {code}")
    return outcomes, faults


def _database(server: EmbeddedServer, state_dir: Path, ends: ExitStack) -> tuple[str, Path, str | None]:
    """Create a database on a disk of its own, where that is possible; its log stays on the server's."""
    uri = server.start()
    disk = state_dir / "disk"
    reason = ends.enter_context(small_disk(disk, 48))
    with psycopg.connect(uri, autocommit=True) as connection:
        if reason is None:
            account = server_account(server.data_dir)
            space = disk / "space"
            space.mkdir(mode=0o700)
            if account is not None:
                shutil.chown(space, account.uid, account.gid)
            connection.execute(f"CREATE TABLESPACE small LOCATION '{space}'".encode())
        connection.execute(b"CREATE DATABASE traded" + (b" TABLESPACE small" if reason is None else b""))
    return uri.replace("/postgres?", "/traded?", 1), disk, reason


@contextlib.contextmanager
def _both(server: EmbeddedServer, journal: Path) -> Iterator[None]:
    with full(journal), stopped(server):
        yield


def _print(outcomes: list[Outcome]) -> None:
    print(
        "| phase | lasted | gate off open after | opened | closed | kept | all well after | lost | doubled | disorder |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for o in outcomes:
        gate = "never" if o.gate_s is None else f"{o.gate_s:.2f} s"
        recovered = "never" if o.recovered_s is None else f"{o.recovered_s:.1f} s"
        print(
            f"| {o.name} | {o.lasted_s:.0f} s | {gate} | {o.opened} | {o.exits} | {o.kept} | {recovered} | {o.lost} |"
            f" {o.doubled} | {o.disorder} |"
        )
    for o in outcomes:
        for broken in o.broken:
            print(f"{o.name}: {broken}")


if __name__ == "__main__":
    sys.exit(main())
