"""What decides in a run: the shipped policy as it comes, a baseline, and another one asked beside."""

import signal
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from cli.policy_files import SHIPPED_FILE
from storage.embedded import EmbeddedServer
from storage.local_copies import LocalCopies
from storage.queries import database_id
from tests.system.process import Start
from tests.system.test_demo import wait_until

SHORT = ("--window-s", "20", "--assets", "BTC,ETH")


def column(state_dir: Path, query: LiteralString) -> list[Any]:
    server = EmbeddedServer(state_dir)
    try:
        with psycopg.connect(server.start()) as connection:
            return [row[0] for row in connection.execute(query)]
    finally:
        server.stop()


def copied_generation(state_dir: Path) -> int:
    """Return the generation of the shipped model's local copy."""
    server = EmbeddedServer(state_dir)
    try:
        with psycopg.connect(server.start()) as connection:
            copies = LocalCopies(state_dir / "checkpoints", database_id(connection), report=pytest.fail)
    finally:
        server.stop()
    copy = copies.read("model", "shipped")
    assert copy is not None
    return copy.generation


def test_the_shipped_policy_decides_by_default_learns_on_and_is_gone_on_with(start: Start, state_dir: Path) -> None:
    first = start(*SHORT, FUSEBOX_POLICY="shipped", FUSEBOX_DECISION_GRID_MS="100")  # learns five times as often
    first.wait_for("hold lifted: starting")
    learnt: LiteralString = "SELECT count(*) FROM metrics WHERE name = 'learner.entropy'"
    wait_until(lambda: column(state_dir, learnt) != [0], within_s=150, every_s=2.0)
    assert first.interrupt(signal.SIGTERM) < 4.0
    assert first.process.returncode == 0

    named = column(state_dir, "SELECT name FROM checkpoints WHERE kind = 'model'")
    assert set(named) == {"shipped"}
    assert len(named) >= 2
    assert "learner:" not in "\n".join(first.lines)
    assert copied_generation(state_dir) == max(
        column(state_dir, "SELECT generation FROM checkpoints WHERE kind = 'model'")
    )


def test_a_baseline_decides_and_nothing_learns(start: Start, state_dir: Path) -> None:
    run = start(*SHORT, "--policy", "random", FUSEBOX_POLICY="", FUSEBOX_DECISION_GRID_MS="100")
    run.wait_for("FILLED", within_s=120)
    assert run.interrupt(signal.SIGTERM) < 4.0

    assert column(state_dir, "SELECT count(*) FROM metrics WHERE name LIKE 'learner.%'") == [0]


def test_a_shadow_is_asked_beside_and_its_wishes_are_rows(start: Start, state_dir: Path) -> None:
    run = start(*SHORT, "--policy", "hold", "--shadow", str(SHIPPED_FILE), FUSEBOX_POLICY="")
    run.wait_for("hold lifted: starting")
    for _ in range(2):
        run.wait_for("resolved", within_s=120)
    run.interrupt(signal.SIGTERM)

    assert any("the shadow agreed in" in line for line in run.lines)
    assert not any("FILLED" in line for line in run.lines)
    assert set(column(state_dir, "SELECT DISTINCT name FROM metrics")) <= {"shadow.BTC", "shadow.ETH"}


def test_a_shadow_that_is_no_policy_is_refused_by_its_name(start: Start, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"nothing")
    run = start(*SHORT, "--shadow", str(bad))
    line = run.wait_for("fusebox:", within_s=30)
    run.process.wait(10)

    assert "bad.safetensors: not a whole safetensors file" in line
    assert run.process.returncode == 1


def test_weights_and_a_baseline_contradict_each_other(start: Start) -> None:
    run = start(*SHORT, "--policy", "hold", "--weights", str(SHIPPED_FILE))
    line = run.wait_for("fusebox:", within_s=30)
    run.process.wait(10)

    assert "FUSEBOX_POLICY=hold and FUSEBOX_WEIGHTS=policy.safetensors" in line
    assert run.process.returncode == 2
