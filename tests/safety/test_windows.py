"""Simulated windows at full size under faults: no limit is exceeded, nothing is left unmanaged, no gate is passed."""

import pytest

from bench.safety.__main__ import main
from bench.safety.virtual_live import traded
from bench.safety.windows import Limits, Run, run_seed

WINDOWS = 4
"""Of each of two assets; `python -m bench.safety windows --windows 10000` runs ten of each a seed."""


@pytest.fixture(scope="module", params=["default", "tight"])
def runs(request: pytest.FixtureRequest) -> tuple[Limits, list[Run]]:
    limits: Limits = request.param
    return limits, [run_seed(seed, WINDOWS, limits) for seed in (1, 2, 3)]


def test_random_windows_under_faults_break_no_promise(runs: tuple[Limits, list[Run]]) -> None:
    limits, found = runs

    assert {run.result.seed: run.result.broken for run in found if run.result.broken is not None} == {}
    assert all(run.seen.ends == 2 * WINDOWS for run in found)
    assert all(run.result.faults for run in found)
    assert sum(run.seen.openings for run in found) > 15
    assert sum(sum(run.seen.trips.values()) for run in found) > 0
    assert all(run.seen.resumed >= 1 for run in found if run.seen.trips and limits == "tight")


def test_live_orders_on_an_exchange_with_faults_break_no_promise_either() -> None:
    found, _ = traded(12, 1, "FAK", "default")

    assert found.broken == []
    assert found.counts["opening orders"] > 30
    assert found.counts["trades that failed"] > 0


def test_the_command_says_what_it_has_seen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["windows", "--windows", "20", "--limits", "tight", "--jobs", "1"]) == 0

    said = capsys.readouterr().out
    assert "20 windows of 30 s in 1 runs, 0 broken" in said
    assert "trips of the kill switch: " in said
