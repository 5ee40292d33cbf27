"""The stepped runtime runs the same actors in virtual time: same seed, same log."""

from collections.abc import Callable, Iterator

import pytest

from core.errors import FatalError, TransientError, UnknownOutcomeError
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.clock import VirtualClock
from core.runtime.context import Context
from core.runtime.faults import (
    Crash,
    Cut,
    Delay,
    Drop,
    Failure,
    HandlerFault,
    Hang,
    ItemFault,
    OwnerCrash,
    SkewedClock,
    WorkFault,
)
from core.runtime.message import Envelope, StreamEnded, StreamItem, WorkDone, WorkFailed
from core.runtime.stepped import SteppedRuntime
from tests.runtime.actors_for_tests import PROBE, CrashMoney, Pay, Probe, Record, Say, spec
from tests.runtime.actors_for_tests import Crash as CrashNow

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
    for message in (Say("before"), CrashNow(SystemExit(1)), CrashMoney(1), Say("after")):
        runtime.tell(PROBE, message)
    runtime.run()

    assert record.texts == ["start 1", "before", "start 2", "tried", "start 3", "tried", "applied", "after"]


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


# -- faults -----------------------------------------------------------------------------------------------------------


class Script:
    """Hands out each fault once, in order, when its occasion comes."""

    def __init__(
        self,
        *,
        messages: list[HandlerFault | None] | None = None,
        work: list[WorkFault | None] | None = None,
        items: list[ItemFault | None] | None = None,
        starts: list[bool] | None = None,
    ) -> None:
        self.messages, self.work = messages or [], work or []
        self.items, self.starts = items or [], starts or []

    def on_message(self, address: str, envelope: Envelope) -> HandlerFault | None:
        return self.messages.pop(0) if self.messages else None

    def on_work(self, address: str, key: str) -> WorkFault | None:
        return self.work.pop(0) if self.work else None

    def on_item(self, address: str, key: str) -> ItemFault | None:
        return self.items.pop(0) if self.items else None

    def on_start(self, address: str, incarnation: int) -> bool:
        return bool(self.starts) and self.starts.pop(0)


class Teller(Probe):
    """Records on arrival, and tells itself what it heard: code that ran, and an effect."""

    def receive(self, message: object) -> object:
        result = super().receive(message)
        if isinstance(message, Say) and not message.text.startswith("echo"):
            self.context.tell(PROBE, Say(f"echo {message.text} of {self.context.incarnation}"))
        return result


class Requester(Probe):
    """Starts one job at each incarnation and records its end."""

    def on_start(self) -> None:
        super().on_start()
        self.context.work("job", self.job)

    def job(self) -> str:
        self.record.add("job ran")
        return "result"

    def receive(self, message: object) -> object:
        at_ms = int(self.context.clock.monotonic_ms())
        if isinstance(message, WorkDone):
            self.record.add(f"{message.value} at {at_ms}")
        if isinstance(message, WorkFailed):
            self.record.add(f"{message.error} at {at_ms}")
        return super().receive(message)


class Reader(Probe):
    """Reads a stream of numbers every 100 ms, which opens with a word."""

    def on_start(self) -> None:
        self.context.open_stream("tape", self)

    def items(self, from_ms: int) -> Iterator[tuple[int, object]]:
        yield from_ms, "open"
        first = -(-(from_ms + 1 - START_MS) // 100)
        for number in range(first, 6):
            yield START_MS + number * 100, number

    def receive(self, message: object) -> object:
        if isinstance(message, StreamItem):
            self.record.add(f"{message.item} at {int(self.context.clock.monotonic_ms())}")
        return super().receive(message)


def faulty(
    actor: Callable[[Context, Record], Actor],
    script: Script,
    *messages: object,
    clock: VirtualClock | None = None,
    work_ms: int = 10,
) -> tuple[SteppedRuntime, list[str]]:
    record = Record()
    runtime = SteppedRuntime(clock or VirtualClock(START_MS), faults=script, work_ms=work_ms)
    runtime.add(spec(lambda context: actor(context, record), budget_s=2.0))
    runtime.start(PROBE)
    for message in messages:
        runtime.tell(PROBE, message)
    runtime.run()
    return runtime, record.texts


def test_a_crash_before_the_handler_runs_none_of_it() -> None:
    _, texts = faulty(Teller, Script(messages=[Crash("before")]), Say("a"), Say("b"))

    assert texts == ["start 1", "start 2", "b", "echo b of 2"]


def test_a_crash_after_the_handler_runs_all_of_it_and_drops_its_effects() -> None:
    _, texts = faulty(Teller, Script(messages=[Crash("after")]), Say("a"), Say("b"))

    assert texts == ["start 1", "a", "start 2", "b", "echo b of 2"]


def test_a_money_message_survives_a_crash_and_comes_again() -> None:
    _, texts = faulty(Probe, Script(messages=[Crash("after")]), Pay(5))

    assert texts == ["start 1", "paid 5", "start 2", "paid 5"]


def test_a_hung_handler_is_replaced_at_its_budget_and_its_late_effects_are_dropped() -> None:
    runtime, texts = faulty(Teller, Script(messages=[Hang(extra_ms=500)]), Say("a"), Say("b"))

    assert texts == ["start 1", "start 3", "b", "echo b of 3", "a"]
    assert "busy for 2.0 s" in (runtime.reports()[0].last_failure or "")
    assert [letter.reason for letter in runtime.dead_letters][-1] == "fenced: incarnation 1 was replaced"


def test_a_hung_reader_of_money_gets_it_again() -> None:
    _, texts = faulty(Probe, Script(messages=[Hang(extra_ms=3_000)]), Pay(5))

    assert texts == ["start 1", "start 3", "paid 5", "paid 5"]


def test_a_crash_in_on_start_is_followed_by_another_start() -> None:
    runtime, texts = faulty(Probe, Script(starts=[True]), Say("a"))

    assert texts == ["start 1", "start 2", "a"]
    assert runtime.reports()[0].restarts == 1


@pytest.mark.parametrize(
    ("fault", "texts"),
    [
        (Delay(500), ["start 1", "job ran", "result at 510"]),
        (Failure(TransientError("away"), ran=False), ["start 1", "away at 10"]),
        (Failure(UnknownOutcomeError("lost"), ran=True), ["start 1", "job ran", "lost at 10"]),
    ],
)
def test_a_job_is_late_or_fails(fault: WorkFault, texts: list[str]) -> None:
    assert faulty(Requester, Script(work=[fault]))[1] == texts


def test_an_owner_that_dies_while_its_job_runs_never_hears_of_it() -> None:
    runtime, texts = faulty(Requester, Script(work=[OwnerCrash()]))

    assert texts[:3] == ["start 1", "job ran", "start 2"]
    assert [text for text in texts if text.startswith("result")] == [texts[-1]]
    assert [letter.reason for letter in runtime.dead_letters] == ["for an earlier incarnation"]


def test_a_delayed_item_holds_back_those_behind_it() -> None:
    _, texts = faulty(Reader, Script(items=[None, None, Delay(150)]))

    assert texts == ["open at 0", "1 at 100", "2 at 350", "3 at 350", "4 at 400", "5 at 500"]


def test_a_dropped_item_is_missed_alone() -> None:
    _, texts = faulty(Reader, Script(items=[None, None, Drop()]))

    assert texts == ["open at 0", "1 at 100", "3 at 300", "4 at 400", "5 at 500"]


def test_a_cut_stream_says_so_and_opens_again() -> None:
    _, texts = faulty(Reader, Script(items=[None, None, Cut("closed", 150)]))

    assert texts == ["open at 0", "1 at 100", "closed at 200", "open at 350", "4 at 400", "5 at 500"]


def test_a_skewed_clock_changes_the_wall_and_no_delay() -> None:
    clock = SkewedClock(START_MS)
    record = Record()

    class Waiter(Probe):
        def on_start(self) -> None:
            self.context.timer("ten", 10.0, Say("ten"))
            self.context.timer_at("wall", START_MS + 7_000, Say("wall"))

        def receive(self, message: object) -> object:
            now = self.context.clock
            self.record.add(f"{message} at {now.now_ms() - START_MS}, {int(now.monotonic_ms())}")
            if message == Say("wall"):
                self.context.timer_at("again", START_MS + 13_000, Say("again"))
            return None

    runtime = SteppedRuntime(clock)
    runtime.add(spec(lambda context: Waiter(context, record)))
    runtime.start(PROBE)
    runtime.run_until(START_MS + 5_000)
    clock.skew_ms = 5_000
    runtime.run()

    assert record.texts == [
        "Say(text='wall') at 12000, 7000",
        "Say(text='again') at 13000, 8000",
        "Say(text='ten') at 15000, 10000",
    ]


def test_only_messages_that_had_their_effects_count_as_handled() -> None:
    handled: list[object] = []
    runtime = SteppedRuntime(
        VirtualClock(START_MS),
        faults=Script(messages=[Crash("after")]),
        handled=lambda _at_ms, _address, envelope: handled.append(envelope.message),
    )
    runtime.add(spec(lambda context: Probe(context, Record())))
    runtime.start(PROBE)
    for text in ("a", "b"):
        runtime.tell(PROBE, Say(text))
    runtime.run()

    assert handled == [Say("b")]
