"""The gate follows what the recorder says at once, of the database and of the journal's disk."""

import pytest

from actors import addresses
from actors.feed_watch import FeedLimits
from actors.watchdog import WatchdogLimits
from core.messages import RecorderPulse
from core.trading.gate import GateLevel
from tests.actors.builders import World
from tests.actors.test_watchdog import reasons, run_fresh

LIMITS = WatchdogLimits(FeedLimits(book_stale_s=2.0, flow_stale_s=1.5))
NO_ROOM = "journal: cannot write: No space left on device"


@pytest.fixture
def world() -> World:
    world = World(limits=LIMITS)
    run_fresh(world, 1)
    assert reasons(world) == set()
    return world


def test_a_journal_that_cannot_be_written_holds_everything_though_the_database_records(world: World) -> None:
    world.runtime.tell(addresses.WATCHDOG, RecorderPulse(0.0, 0, None, NO_ROOM))
    world.run_s(0.001)
    assert reasons(world) == {"journal not writable"}
    assert world.runtime.gate.level() is GateLevel.REDUCE_ONLY
    assert any(NO_ROOM in text for text in world.said)

    run_fresh(world, 0.5)
    assert reasons(world) == set()


def test_a_pulse_is_judged_when_it_comes_and_not_at_the_next_check(world: World) -> None:
    world.runtime.tell(addresses.WATCHDOG, RecorderPulse(0.8, 3, None))
    world.run_s(0.001)

    assert reasons(world) == {"database does not record"}
