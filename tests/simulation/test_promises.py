"""The complete system keeps its promises under faults: by seeds, and with a crash at every so many messages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import simulate
from bench.simulation import sweep
from bench.simulation.chaos import CrashAt
from bench.simulation.run import Result, Simulation, run_seed
from bench.simulation.scenario import Scenario
from core.runtime.faults import Hang
from core.trading.orders import OrderType

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 72
SEEDS_A_TEST = 8
STRIDE = 18
"""Of 1,500 messages every 18th, with four blows each; `python -m bench.simulate --sweep` takes all."""


@pytest.fixture(scope="module")
def undisturbed() -> Result:
    return sweep.base()


def test_the_undisturbed_window_opens_sells_and_is_settled(undisturbed: Result) -> None:
    assert undisturbed.broken is None
    assert (undisturbed.fills, undisturbed.trades) == (3, 2)
    assert undisturbed.messages > 1_000
    assert undisturbed.faults == {}


@pytest.mark.parametrize("blow", sweep.BLOWS)
def test_a_blow_at_any_message_breaks_no_promise(undisturbed: Result, blow: sweep.Blow) -> None:
    points = [point for point in sweep.points(undisturbed.messages, STRIDE) if point.blow == blow]
    broken = {point: run.broken for point in points if (run := sweep.run_point(point)).broken is not None}

    assert len(points) >= undisturbed.messages // STRIDE
    assert broken == {}


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_A_TEST))
def test_no_seed_breaks_a_promise(first: int) -> None:
    results = [run_seed(seed) for seed in range(first, first + SEEDS_A_TEST)]

    assert {run.seed: run.broken for run in results if run.broken is not None} == {}
    assert all(run.faults for run in results)
    assert sum(run.fills for run in results) > 2 * SEEDS_A_TEST


def log_of(seed: int) -> bytes:
    lines: list[str] = []
    run_seed(seed, lines.append)
    return "".join(lines).encode()


def test_the_same_seed_twice_gives_the_same_log_byte_for_byte() -> None:
    first = log_of(3)

    assert first.count(b"\n") > 2_000
    assert b"InjectedCrash" in first
    assert log_of(3) == first
    assert log_of(4) != first


def test_another_process_with_other_hashes_repeats_a_seed(tmp_path: Path) -> None:
    trace = tmp_path / "events.log"
    subprocess.run(
        [sys.executable, "-m", "bench.simulate", "--seed", "3", "--trace", str(trace)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        check=True,
        capture_output=True,
    )

    assert trace.read_bytes() == log_of(3)


def test_a_watchdog_that_was_replaced_no_longer_changes_the_gate(undisturbed: Result) -> None:
    """Wakes a watchdog after its replacement has lifted the hold of the start, which a zombie must not touch."""
    changed = []
    for index in range(40, undisturbed.messages, 60):
        chaos = CrashAt(index, Hang(extra_ms=3_000), address="watchdog")
        simulation = Simulation(sweep.SCENARIO, lambda _clock, chaos=chaos: chaos)  # type: ignore[misc]
        assert simulation.run().broken is None
        changed += simulation.runtime.gate_changes_by_zombies

    assert changed == []


@pytest.mark.parametrize("order_type", ["FAK", "FOK", "GTC"])
def test_a_run_without_faults_ends_at_rest(order_type: OrderType) -> None:
    scenario = Scenario(assets=("BTC", "ETH"), policy="random", order_type=order_type, held=("ETH",))
    result = Simulation(scenario).run()

    assert result.broken is None
    assert result.trades > 0


def test_the_command_runs_seeds_and_says_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate.main(["--seeds", "2", "--jobs", "1"]) == 0

    said = capsys.readouterr().out
    assert "2 runs, 0 broken" in said
    assert "crash" in said
