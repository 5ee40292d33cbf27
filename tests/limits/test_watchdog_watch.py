"""The watchdog is watched: while it does not look, nothing is opened, and both turns are written down and told."""

from actors import addresses
from cli.watchdog_watch import SILENT, SILENT_AFTER_S, WatchdogWatch
from core.messages import Alert
from core.status import WatchdogStatus
from tests.actors.builders import SESSION, World
from tests.limits.watching import holds, notes, pulse_for, watched


def look_for(world: World, watch: WatchdogWatch, seconds: float) -> None:
    """Let time pass without any watchdog, and look twice a second."""
    for _ in range(round(seconds * 2)):
        world.run_ms(500)
        watch.look()


def test_a_watchdog_that_looks_holds_nothing() -> None:
    world = watched()
    watch = WatchdogWatch(world.runtime, SESSION)
    for _ in range(20):
        pulse_for(world, 0.5)
        watch.look()
        assert SILENT not in holds(world)
    assert notes(world, "watchdog") == []


def test_one_that_does_not_look_shuts_the_gate_until_it_looks_again() -> None:
    world = World()  # nobody of flesh and blood is at the watchdog's address
    watch = WatchdogWatch(world.runtime, SESSION)
    look_for(world, watch, SILENT_AFTER_S)
    assert SILENT not in holds(world)
    look_for(world, watch, 2)
    assert holds(world)[SILENT].scope == ""
    assert not world.runtime.gate.state.holds[0].set_by

    world.runtime.board.publish("watchdog", WatchdogStatus(world.clock.monotonic_ms()), world.clock.monotonic_ms())
    watch.look()
    world.run_ms(10)
    assert SILENT not in holds(world)
    assert [status for status, _ in notes(world, "watchdog")] == ["critical", "recovered"]
    assert [told.kind for told in world.told(addresses.NOTIFIER, Alert)] == ["gate", "gate"]
