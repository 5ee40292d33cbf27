"""The complete system keeps its promises under faults: by seeds, and with a crash at every so many messages."""

import os
import subprocess
import sys
import time
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
PROCESSES = 2
SEEDS_WITHIN_S = 60.0
"""As many seeds as fit; `python -m bench.simulate --seeds` takes any number."""
SEEDS_AT_LEAST = 64
SEEDS_A_ROUND = 32
RARER = 4
"""Of hangs and kills every 4th: all would take more than two minutes. `python -m bench.simulate --sweep` takes all."""


@pytest.fixture(scope="module")
def trunk() -> tuple[Result, int]:
    return sweep.base()


@pytest.fixture(scope="module")
def undisturbed(trunk: tuple[Result, int]) -> Result:
    return trunk[0]


def test_the_undisturbed_window_opens_sells_and_is_settled(undisturbed: Result) -> None:
    assert undisturbed.broken is None
    assert (undisturbed.fills, undisturbed.trades) == (3, 2)
    assert undisturbed.messages > 1_000
    assert undisturbed.faults == {}


def swept(points: list[sweep.Point]) -> dict[sweep.Point, Result]:
    return dict(simulate.spread(sweep.run_slice, sweep.slices(points), PROCESSES, "points", forks=True))


def test_a_crash_at_every_message_and_before_every_reply_breaks_no_promise(trunk: tuple[Result, int]) -> None:
    messages, jobs = trunk[0].messages, trunk[1]
    points = [each for each in sweep.points(messages, jobs) if each.blow in ("before", "after", "reply")]
    runs = swept(points)

    assert {str(point): run.broken for point, run in runs.items() if run.broken is not None} == {}
    assert len(runs) == 2 * messages + jobs


def test_a_hang_or_a_kill_at_any_message_breaks_no_promise(trunk: tuple[Result, int]) -> None:
    points = [each for each in sweep.points(trunk[0].messages, trunk[1], RARER) if each.blow in ("hang", "kill")]
    runs = swept(points)

    assert {str(point): run.broken for point, run in runs.items() if run.broken is not None} == {}
    assert len(runs) >= 2 * (trunk[0].messages // RARER)


def test_a_branch_of_the_sweep_is_the_run_that_its_point_repeats_alone(trunk: tuple[Result, int]) -> None:
    middle = trunk[0].messages // 2
    points = [sweep.Point(trunk[1] // 2 if blow == "reply" else middle, blow) for blow in sweep.BLOWS]
    branches = swept(points)

    assert {point: run.digest for point, run in branches.items()} == {
        point: sweep.run_point(sweep.Point.parse(str(point))).digest for point in points
    }


def test_a_point_that_never_comes_is_not_taken_for_a_good_run(trunk: tuple[Result, int]) -> None:
    beyond = sweep.Point(10 * trunk[0].messages, "kill")

    assert sweep.run_point(beyond).broken == f"the sweep: {beyond} never came"
    assert swept([beyond])[beyond].broken == f"the sweep: {beyond} never came"


def test_no_seed_breaks_a_promise() -> None:
    results: list[Result] = []
    ends_s = time.monotonic() + SEEDS_WITHIN_S
    while time.monotonic() < ends_s or len(results) < SEEDS_AT_LEAST:
        begun = len(results)
        chunks = [(seed,) for seed in range(begun, begun + SEEDS_A_ROUND)]
        results += [run for _, run in simulate.spread(simulate.run_seeds, chunks, PROCESSES, "seeds")]

    assert {run.seed: run.broken for run in results if run.broken is not None} == {}
    assert all(run.faults for run in results)
    assert sum(run.fills for run in results) > 2 * len(results)


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
    for index in range(40, undisturbed.messages, 60):
        chaos = CrashAt(index, Hang(extra_ms=3_000), address="watchdog")
        simulation = Simulation(sweep.SCENARIO, lambda _clock, chaos=chaos: chaos)  # type: ignore[misc]
        assert simulation.run().broken is None


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


def test_a_sale_reported_after_the_close_is_written_with_the_state_that_knows_it() -> None:
    """Seed 204 found a checkpoint without the position, committed before the rows that took it from the table."""
    assert run_seed(204).broken is None
