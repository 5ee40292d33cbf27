"""Counters, weights and the account outlast the process, however it ends and whatever became of their newest rows."""

import json
import shutil
import signal
from pathlib import Path
from typing import LiteralString

import psycopg

from storage.embedded import EmbeddedServer
from tests.operate.conftest import shell
from tests.system.process import Start, Supervisor
from tests.system.test_demo import SHORT, reconcile, wait_until

LOST_AT_MOST = 24
"""Decisions of the twelve seconds that the newest damaged generation and the time since it span, two a second."""


def decisions(state_dir: Path) -> int:
    """Return how often BTC has decided, as the running process says."""
    done = shell(state_dir)("status", "--json")
    assert done.returncode == 0, done.stderr
    (btc,) = (asset for asset in json.loads(done.stdout)["assets"] if asset["asset"] == "BTC")
    return int(btc["decisions"])


def after(supervisor: Supervisor, state_dir: Path, more: int) -> int:
    """Wait until BTC has decided `more` times, and return the count."""
    supervisor.wait_for("hold lifted: starting")
    first = decisions(state_dir)
    count = [first]

    def enough() -> bool:
        count[0] = decisions(state_dir)
        return count[0] >= first + more

    wait_until(enough, within_s=60.0)
    return count[0]


def damage_newest(state_dir: Path, *names: str) -> None:
    for name in names:
        execute(
            state_dir,
            "UPDATE checkpoints SET payload = payload || 'x' WHERE name = %s AND generation ="
            " (SELECT max(generation) FROM checkpoints WHERE name = %s)",
            name,
            name,
        )


def execute(state_dir: Path, statement: LiteralString, *values: object) -> None:
    server = EmbeddedServer(state_dir)
    try:
        with psycopg.connect(server.start(), autocommit=True) as connection:
            connection.execute(statement, values)
    finally:
        server.stop()


def test_counters_and_account_outlast_a_stop_a_kill_and_damaged_checkpoints(start: Start, state_dir: Path) -> None:
    first = start(*SHORT)
    before_stop = after(first, state_dir, 6)
    first.wait_for("closed by", within_s=180)
    assert first.interrupt(signal.SIGTERM) < 4.0
    assert first.process.returncode == 0

    second = start(*SHORT)
    second.wait_for("resuming session 1")
    before_kill = after(second, state_dir, 12)
    assert before_kill > before_stop + 12  # it goes on from the last one, the final state of the stop included
    assert "set aside" not in "\n".join(second.lines)
    second.kill()

    damage_newest(state_dir, "1/market.BTC", "1/portfolio", "untrained-seed-0")
    third = start(*SHORT)
    third.wait_for("checkpoint of market.BTC: generation", "is set aside (its content no longer has its checksum)")
    told = third.wait_for("checkpoint of portfolio: generation")
    assert "which agrees with the rows" in told or "rebuilt from" in told  # whether the copy was made before the kill
    third.wait_for("checkpoint of model untrained-seed-0: ")
    third.wait_for("hold lifted: starting")
    assert decisions(state_dir) >= before_kill - LOST_AT_MOST
    listed = json.loads(shell(state_dir)("checkpoints", "list", "--json").stdout)
    marked = {each["name"] for each in listed if each["quarantined"]}
    assert marked == {"1/market.BTC", "1/portfolio", "untrained-seed-0"}
    third.wait_for("closed by", within_s=180)
    assert third.interrupt(signal.SIGTERM) < 4.0
    assert third.process.returncode == 0
    assert reconcile(state_dir).ledger.trade_count >= 2

    damage_newest(state_dir, "1/portfolio")
    shutil.rmtree(state_dir / "checkpoints")
    execute(state_dir, "UPDATE fills SET state = 'MATCHED'")  # may still be undone: the rows do not say what is held
    fourth = start(*SHORT)
    fourth.wait_for("checkpoint of portfolio: ", "fills are not confirmed; nothing is traded", "--force")
    fourth.wait_for("gate closed: the account is not known")
    assert fourth.interrupt(signal.SIGTERM) < 4.0
    assert fourth.process.returncode == 0
    assert not any("OPEN" in line and "FILLED" in line for line in fourth.lines)
