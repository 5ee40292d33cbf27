"""Two instances on one database: the newcomer waits, takes over however the holder ends, and never do both trade.

    python -m bench.instances --rounds 3

Each round starts a newcomer with a state folder of its own beside the process that trades the demo, lets it wait, and
ends the holder in one of four ways. In the end the tables and the lines of all processes are held against each other.
"""

import argparse
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import psycopg

from bench.instance import Instance, pause, until
from cli.exit_codes import EXIT_LEASE_LOST
from cli.lease_watch import SILENT_S
from storage.embedded import EmbeddedServer
from storage.lease import ADVISORY_LOCK

TAKEN_WITHIN_S = 1.0
TRADES_WITHIN_S = 60.0
STOPPED_S = 10.0
CUT_SETTLES_S = 1.5
EPOCH_TIMES = """
SELECT i.lease_epoch, extract(epoch FROM min(i.decided_at))::float8,
       extract(epoch FROM greatest(max(i.decided_at), max(o.submitted_at), max(f.filled_at)))::float8,
       count(DISTINCT i.id), count(DISTINCT o.id) FILTER (WHERE o.submitted_at IS NOT NULL), count(DISTINCT f.id)
FROM intents i LEFT JOIN orders o ON o.intent_id = i.id LEFT JOIN fills f ON f.order_id = o.id
GROUP BY i.lease_epoch ORDER BY i.lease_epoch
"""
"""Per epoch: its first decision, the last thing that any of its intents did, and how many there are."""
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
    " AND (classid::bigint << 32 | objid::bigint) = %s"
)


class Round(msgspec.Struct, frozen=True):
    """One take-over; seconds from the holder's end, unix seconds where it says at."""

    way: str
    lease_s: float
    open_s: float
    noticed_s: float | None
    code: int
    wanted_code: int
    limit_s: float
    shut_at_s: float
    opened_at_s: float
    taken_at_s: float
    epoch: int


def main() -> int:
    """Run the rounds, print a table, and return 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m bench.instances", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each way of ending")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fusebox-instances-"))
    server = EmbeddedServer(folder / "database")
    rounds: list[Round] = []
    holder: Instance | None = None
    try:
        uri = server.start()
        with psycopg.connect(uri, autocommit=True) as connection:
            holder = Instance(folder / "state-0", uri)
            for number in range(arguments.rounds * len(WAYS)):
                way = list(WAYS)[number % len(WAYS)]
                holder.wait_for(" session ")  # it has the lease: the newcomer must come second
                newcomer = Instance(folder / f"state-{number + 1}", uri)
                try:
                    rounds.append(take_over(connection, holder, newcomer, way))
                finally:
                    holder.end()
                    holder = newcomer
                print(f"round {number + 1}: {way}, lease after {rounds[-1].lease_s:.2f} s", flush=True)
            wait_for_trading(connection, holder)
            holder.process.send_signal(signal.SIGTERM)
            holder.process.wait(30)
            epochs = connection.execute(EPOCH_TIMES).fetchall()
    finally:
        if holder is not None:
            holder.end()
        server.stop()
    faults = [*broken(rounds), *overlaps(rounds, epochs)]
    report(rounds, epochs, faults)
    shutil.rmtree(folder)
    return 1 if faults else 0


def take_over(connection: psycopg.Connection, holder: Instance, newcomer: Instance, way: str) -> Round:
    """Let the holder trade and the newcomer wait, end the holder, and return what came of it."""
    newcomer.wait_for("waiting for its end")
    epoch = wait_for_trading(connection, holder)
    ended_s, shut_s, noticed_s = WAYS[way](connection, holder, newcomer)
    opened_s = newcomer.wait_for("open (hold lifted: ")
    row = connection.execute("SELECT epoch, extract(epoch FROM acquired_at)::float8 FROM lease").fetchone()
    if row is None or row[0] != epoch + 1:
        raise RuntimeError(f"after epoch {epoch} the lease is {row}")
    wanted = {"SIGTERM": 0, "kill -9": -signal.SIGKILL}.get(way, EXIT_LEASE_LOST)
    limit_s = TAKEN_WITHIN_S + (SILENT_S if "SIGSTOP" in way else 0)
    code = holder.process.wait(30)
    return Round(
        way, row[1] - ended_s, opened_s - ended_s, noticed_s, code, wanted, limit_s, shut_s, opened_s, row[1], row[0]
    )


def wait_for_trading(connection: psycopg.Connection, holder: Instance) -> int:
    """Return the epoch of the lease once its holder has an open gate and a filled order."""
    holder.wait_for("open (hold lifted: ")
    holder.wait_for("FILLED", within_s=TRADES_WITHIN_S)
    return _epoch(connection)


# -- ways of ending: when the holder ended, when its gate was shut, how long it took to notice ------------------------


def _terminated(_connection: psycopg.Connection, holder: Instance, _newcomer: Instance) -> tuple[float, float, None]:
    sent_s = holder.signal(signal.SIGTERM)
    shut_s = holder.wait_for("gate closed: stopping")
    ended_s = holder.wait_for_exit(10)
    if ended_s - sent_s > 4.0:
        raise RuntimeError(f"SIGTERM took {ended_s - sent_s:.1f} s")
    return ended_s, shut_s, None


def _killed(_connection: psycopg.Connection, holder: Instance, _newcomer: Instance) -> tuple[float, float, None]:
    ended_s = holder.signal(signal.SIGKILL)
    return ended_s, ended_s, None


def _stopped(_connection: psycopg.Connection, holder: Instance, newcomer: Instance) -> tuple[float, float, float]:
    stopped_s = holder.signal(signal.SIGSTOP)
    newcomer.wait_for("open (hold lifted: ")
    pause(max(0.0, stopped_s + STOPPED_S - newcomer.now_s()))
    continued_s = holder.signal(signal.SIGCONT)
    return stopped_s, stopped_s, holder.wait_for("gate closed: lease lost") - continued_s


def _cut_off(connection: psycopg.Connection, holder: Instance, _newcomer: Instance) -> tuple[float, float, float]:
    """Cut until the newcomer is first: the holder may well take the lease back, and then nothing has happened."""
    before = _epoch(connection)
    while True:
        mark, cut_s = holder.mark(), holder.now_s()
        connection.execute(CUT, (ADVISORY_LOCK,))
        shut_s = holder.wait_for("gate ", ": lease ", after=mark)
        try:
            until(lambda: _epoch(connection) > before, "another holder", CUT_SETTLES_S)
        except TimeoutError:
            holder.wait_for("hold lifted: lease not confirmed", after=mark)
            continue
        return cut_s, shut_s, shut_s - cut_s


def _epoch(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT epoch FROM lease").fetchone()
    return 0 if row is None else int(row[0])


WAYS: dict[str, Callable[[psycopg.Connection, Instance, Instance], tuple[float, float, float | None]]] = {
    "SIGTERM": _terminated,
    "kill -9": _killed,
    f"SIGSTOP {STOPPED_S:g} s": _stopped,
    "connection cut": _cut_off,
}


# -- judging ----------------------------------------------------------------------------------------------------------


def broken(rounds: list[Round]) -> list[str]:
    """Return what took too long, ended otherwise than documented, or had both gates open."""
    faults = []
    for number, each in enumerate(rounds, 1):
        name = f"round {number} ({each.way})"
        if each.lease_s > each.limit_s:
            faults.append(f"{name}: the lease was taken {each.lease_s:.2f} s after the end, limit {each.limit_s:g} s")
        if each.noticed_s is not None and each.noticed_s > TAKEN_WITHIN_S:
            faults.append(f"{name}: the old holder noticed after {each.noticed_s:.2f} s")
        if each.code != each.wanted_code:
            faults.append(f"{name}: exit code {each.code}, not {each.wanted_code}")
        if each.opened_at_s <= each.shut_at_s:
            faults.append(f"{name}: both gates were open for {each.shut_at_s - each.opened_at_s:.3f} s")
    return faults


def overlaps(rounds: list[Round], epochs: list[tuple[int, float, float, int, int, int]]) -> list[str]:
    """Return every epoch that did something after the next lease was taken, and every one that did nothing."""
    taken = {each.epoch: each.taken_at_s for each in rounds}
    faults = []
    for epoch, first_s, last_s, *_ in epochs:
        if epoch in taken and first_s < taken[epoch]:
            faults.append(f"epoch {epoch} decided {taken[epoch] - first_s:.3f} s before it had the lease")
        if epoch + 1 in taken and last_s > taken[epoch + 1]:
            faults.append(f"epoch {epoch} went on for {last_s - taken[epoch + 1]:.3f} s after the next one had it")
    idle = set(taken) - {epoch for epoch, *_ in epochs}
    return faults + [f"epoch {epoch} never traded" for epoch in sorted(idle)]


def report(rounds: list[Round], epochs: list[tuple[int, float, float, int, int, int]], faults: list[str]) -> None:
    """Print one table: take-overs by way of ending, then what the tables say."""
    print(
        "\n| holder's end | rounds | lease taken after, p50 / max | gate open after, p50 / max | noticed after, max |"
    )
    print("|---|---|---|---|---|")
    for way in WAYS:
        of = [each for each in rounds if each.way == way]
        noticed = [each.noticed_s for each in of if each.noticed_s is not None]
        print(
            f"| {way} | {len(of)} | {_spread([each.lease_s for each in of])} | {_spread([each.open_s for each in of])} "
            f"| {f'{max(noticed):.2f} s' if noticed else ''} |"
        )
    intents, orders, fills = (sum(row[column] for row in epochs) for column in (3, 4, 5))
    print(f"\n{len(epochs)} epochs with {intents} intents, {orders} orders sent, {fills} fills")
    print(f"overlapping, late or ended otherwise than promised: {len(faults)}")
    for fault in faults:
        print(f"  {fault}")


def _spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} / {max(seconds):.2f} s" if seconds else ""


if __name__ == "__main__":
    sys.exit(main())
