"""The simulated touch next to the recorded one, measured by the same code."""

from pathlib import Path

import pytest

from tests.sim.conftest import MIDNIGHT_S
from venues.sim.world import World
from venues.sim.world.measure import recorded, simulated

_RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "recordings"


@pytest.mark.skipif(not _RECORDINGS.exists(), reason="needs the recorded markets beside the repository")
def test_the_calibrated_world_looks_like_the_recorded_markets() -> None:
    real = recorded(_RECORDINGS)
    made = simulated(World(3, "today", 900), "BTC", MIDNIGHT_S, 40)
    for figure in ("spread p50", "spread p90", "spread p99", "one-second move p90", "one-second move p99"):
        assert made[figure] == pytest.approx(real[figure], abs=0.0151), figure
    assert made["spread p50"] == pytest.approx(real["spread p50"], abs=0.001)
    moving = "seconds in which the mid moves"
    assert made[moving] == pytest.approx(real[moving], abs=0.10)
    size = "best-level size median"
    assert real[size] / 2 < made[size] < real[size] * 2
    assert made["what is left of the edge 700 ms later"] < 0.015


def test_the_lagged_world_still_pays_who_takes_the_edge_a_little_late() -> None:
    made = simulated(World(3, "lagged", 60), "BTC", MIDNIGHT_S, 40)
    assert made["runs of such seconds a window"] >= 3
    assert made["what is left of the edge 700 ms later"] > 0.03
