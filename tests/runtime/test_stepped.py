"""The stepped runtime runs the same actors in virtual time: same seed, same log."""

from collections.abc import Iterator

import pytest

from core.errors import FatalError
from core.runtime.address import Address
from core.runtime.clock import VirtualClock
from core.runtime.message import Envelope, StreamEnded, StreamItem, WorkDone
from core.runtime.stepped import SteppedRuntime
from tests.runtime.actors_for_tests import PROBE, Crash, CrashMoney, Probe, Record, Say, spec

START_MS = 1_000_000


class Chatty(Probe):
    """Says something to everybody a few times at random moments."""

    def on_start(self) -> None:
        super().on_start()
        self.context.timer("talk", float(self.context.rng.random()), Say("talk"))

    def receive(self, message: object) -> object:
        if message == Say("talk"):
            for name in ("a", "b", "c"):
                self.context.tell(Address(name), Say(f"{self.context.address} {self.context.clock.now_ms()}"))
            if self.context.clock.now_ms() < START_MS + 5_000:
                self.context.timer("talk", float(self.context.rng.random()), Say("talk"))
        return super().receive(message)


def log_of(seed: int) -> list[str]:
    log: list[str] = []

    def trace(at_ms: int, address: str, envelope: Envelope) -> None:
        log.append(f"{at_ms} {address} {envelope}")

    runtime = SteppedRuntime(VirtualClock(START_MS), seed=seed, trace=trace)
    for name in ("a", "b", "c"):
        runtime.add(spec(lambda context: Chatty(context, Record()), name))
        runtime.start(Address(name))
    runtime.run()
    return log


def test_the_same_seed_gives_the_same_log_and_another_seed_another() -> None:
    first = log_of(7)

    assert len(first) > 50
    assert log_of(7) == first
    assert log_of(8) != first


def test_timers_and_work_take_virtual_time_only() -> None:
    record = Record()

    class Worker(Probe):
        def on_start(self) -> None:
            self.context.timer("hour", 3600.0, Say("an hour later"))
            self.context.work("job", lambda: "result")

        def receive(self, message: object) -> object:
            if isinstance(message, WorkDone):
                self.record.add(f"{message.value} at {self.context.clock.now_ms() - START_MS}")
            return super().receive(message)

    runtime = SteppedRuntime(VirtualClock(START_MS), work_ms=30)
    runtime.add(spec(lambda context: Worker(context, record)))
    runtime.start(PROBE)
    runtime.run_until(START_MS + 3_599_999)
    assert record.texts == ["result at 30"]
    runtime.run_until(START_MS + 3_600_000)
    assert record.texts == ["result at 30", "an hour later"]


def test_a_scheduled_stream_arrives_at_its_times_and_ends() -> None:
    record = Record()

    class Tape:
        def items(self, from_ms: int) -> Iterator[tuple[int, object]]:
            for offset in (0, 250, 250, 900):
                yield from_ms + offset, offset

    class Listener(Probe):
        def on_start(self) -> None:
            self.context.open_stream("tape", Tape())

        def receive(self, message: object) -> object:
            at_ms = self.context.clock.now_ms() - START_MS
            if isinstance(message, StreamItem):
                self.record.add(f"{message.item} at {at_ms}")
            if isinstance(message, StreamEnded):
                self.record.add(f"ended at {at_ms}")
            return super().receive(message)

    runtime = SteppedRuntime(VirtualClock(START_MS))
    runtime.add(spec(lambda context: Listener(context, record)))
    runtime.start(PROBE)
    runtime.run()

    assert record.texts == ["0 at 0", "250 at 250", "250 at 250", "900 at 900", "ended at 900"]


def test_a_crash_restarts_with_backoff_and_loses_only_its_message() -> None:
    record = Record()
    runtime = SteppedRuntime(VirtualClock(START_MS))
    runtime.add(spec(lambda context: Probe(context, record)))
    runtime.start(PROBE)
    for message in (Say("before"), Crash(SystemExit(1)), CrashMoney(1), Say("after")):
        runtime.tell(PROBE, message)
    runtime.run()

    assert record.texts == ["start 1", "before", "start 2", "tried", "start 3", "tried", "applied", "after"]


def test_stop_drains_in_reverse_order() -> None:
    record = Record()

    class Named(Probe):
        def on_stop(self) -> None:
            self.record.add(f"stopped {self.context.address}")

    runtime = SteppedRuntime(VirtualClock(START_MS))
    for name in ("first", "second"):
        runtime.add(spec(lambda context: Named(context, record), name))
        runtime.start(Address(name))
    runtime.run()
    runtime.tell(Address("second"), Say("queued"))
    runtime.stop()

    assert record.texts == ["start 1", "start 1", "queued", "stopped second", "stopped first"]


def test_a_source_without_a_schedule_is_refused_by_name() -> None:
    class Socket:
        def run(self, emit: object, stop: object) -> None:
            raise AssertionError("must not run")

    runtime = SteppedRuntime(VirtualClock(START_MS))
    runtime.add(spec(lambda context: Opener(context, Record())))

    class Opener(Probe):
        def on_start(self) -> None:
            self.context.open_stream("socket", Socket())

    runtime.start(PROBE)
    runtime.run()

    assert runtime.failure is not None
    assert "Socket cannot run in virtual time" in runtime.failure


def test_an_address_can_be_taken_only_once() -> None:
    runtime = SteppedRuntime(VirtualClock(START_MS))
    runtime.add(spec(lambda context: Probe(context, Record())))

    with pytest.raises(FatalError, match="already taken"):
        runtime.add(spec(lambda context: Probe(context, Record())))
