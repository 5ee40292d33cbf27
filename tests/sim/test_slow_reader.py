"""Nobody is paid for news a minute old: not in the recordings, not in the embedded world."""

from pathlib import Path

import pytest

from bench.measure.market_sample import MinuteWindow
from bench.measure.recorded_market import recorded_sample
from bench.measure.simulated_market import minute_window
from bench.measure.slow_reader import earned
from tests.sim.conftest import MIDNIGHT_S
from venues.sim.world import VARIANTS, Variant, World
from venues.sim.world.measure import sampled_opens

_RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "recordings"
_THRESHOLDS = (0.0, 0.05, 0.1)


def _windows(world: World, count: int) -> list[MinuteWindow]:
    return [minute_window(world, "BTC", opens) for opens in sampled_opens(world, MIDNIGHT_S, count)]


@pytest.fixture(scope="module")
def simulated() -> list[MinuteWindow]:
    """What the calibrated world offers a reader of minute closes."""
    return _windows(World(3, "today", 900), 200)


@pytest.mark.parametrize("late_minutes", [0, 1])
@pytest.mark.parametrize("threshold", _THRESHOLDS)
def test_in_today_a_value_from_minute_closes_earns_nothing(
    simulated: list[MinuteWindow], late_minutes: int, threshold: float
) -> None:
    found = earned(simulated, late_minutes, threshold)
    assert found.trades > 100
    assert found.low < 0


def test_the_same_reader_is_paid_where_makers_are_slower_than_he_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VARIANTS, "asleep", Variant("asleep", 110.0, 130.0))
    found = earned(_windows(World(3, "asleep", 900), 100), 0, 0.05)
    assert found.low > 0.02


@pytest.mark.skipif(not _RECORDINGS.exists(), reason="needs the recorded markets beside the repository")
def test_in_the_recordings_it_earns_nothing_either() -> None:
    windows = recorded_sample(_RECORDINGS).windows
    assert len(windows) > 300
    for late_minutes in (0, 1):
        for threshold in _THRESHOLDS:
            assert earned(windows, late_minutes, threshold).low < 0
