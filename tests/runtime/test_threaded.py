"""The threaded runtime keeps the promises of supervision that bare pykka does not make."""

import threading
import time
from collections.abc import Callable, Iterator

import pykka
import pytest

from core.errors import RejectedError, TransientError
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.clock import SystemClock
from core.runtime.message import Latest, Ping, StreamEnded, StreamItem, WorkDone, WorkFailed
from core.runtime.stream import StopSignal
from core.runtime.supervision import DeadLetter, RestartPolicy, SystemEvent
from core.runtime.threaded import ThreadedRuntime
from tests.runtime.actors_for_tests import PROBE, Block, Crash, CrashMoney, Pay, Probe, Record, Say, spec


@pytest.fixture
def runtime() -> Iterator[ThreadedRuntime]:
    runtime = ThreadedRuntime(seed=1)
    yield runtime
    runtime.stop(5.0)
    assert pykka.ActorRegistry.get_all() == []


def test_a_wall_time_is_awaited_to_the_microsecond() -> None:
    clock, at_ms = SystemClock(), time.time_ns() // 1_000_000 + 1000
    before_ns = time.time_ns()
    due_ns = at_ms * 1_000_000 - round(clock.until_s(at_ms) * 1e9)
    assert before_ns - 1000 <= due_ns <= time.time_ns() + 1000


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
def events(runtime: ThreadedRuntime) -> "Events":
    return Events(runtime)


class Events:
    """Collects the runtime's announcements and waits for one."""

    def __init__(self, runtime: ThreadedRuntime) -> None:
        self._condition = threading.Condition()
        self.seen: list[SystemEvent | DeadLetter] = []
        runtime.observers.append(self._add)

    def _add(self, event: SystemEvent | DeadLetter) -> None:
        with self._condition:
            self.seen.append(event)
            self._condition.notify_all()

    def wait_for(self, kind: str) -> SystemEvent:
        def found() -> SystemEvent | None:
            return next((e for e in self.seen if isinstance(e, SystemEvent) and e.kind == kind), None)

        with self._condition:
            assert self._condition.wait_for(lambda: found() is not None, 10), f"no {kind}: {self.seen}"
        event = found()
        assert event is not None
        return event


def launch(runtime: ThreadedRuntime, record: Record) -> None:
    runtime.add(spec(lambda context: Probe(context, record)))
    runtime.start(PROBE)
    record.wait_for("start 1")


def test_an_address_takes_messages_before_its_actor_starts(runtime: ThreadedRuntime, record: Record) -> None:
    runtime.add(spec(lambda context: Probe(context, record)))
    runtime.tell(PROBE, Say("early"))
    runtime.start(PROBE)

    record.wait_for("early")


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(3), KeyboardInterrupt(), MemoryError()], ids=repr)
def test_a_crash_of_any_kind_restarts_only_that_actor_and_loses_only_its_message(
    runtime: ThreadedRuntime, record: Record, error: BaseException
) -> None:
    other = Record()
    runtime.add(spec(lambda context: Probe(context, other), "other"))
    runtime.start(Address("other"))
    other.wait_for("start 1")
    launch(runtime, record)

    for message in (Say("before"), Crash(error), Say("after 1"), Say("after 2")):
        runtime.tell(PROBE, message)
    record.wait_for("after 2")

    assert record.texts == ["start 1", "before", "start 2", "after 1", "after 2"]
    assert [(letter.message_type, letter.target) for letter in runtime.dead_letters] == [("Crash", "probe")]
    runtime.tell(Address("other"), Say("alive"))
    other.wait_for("alive")
    assert "start 2" not in other.texts


def test_messages_of_many_writers_survive_crashes_in_order_and_once(runtime: ThreadedRuntime, record: Record) -> None:
    policy = RestartPolicy(max_restarts=1000, backoff_s=0.0001, factor=1.0)
    runtime.add(spec(lambda context: Probe(context, record), policy=policy))
    runtime.start(PROBE)

    def write(writer: int) -> None:
        for number in range(200):
            runtime.tell(PROBE, Say(f"{writer}:{number}"))
            if number % 40 == 0:
                runtime.tell(PROBE, Crash(ValueError("injected")))

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    for writer in range(4):
        record.wait_for(f"{writer}:199")

    said = [text for text in record.texts if ":" in text]
    for writer in range(4):
        assert [t for t in said if t.startswith(f"{writer}:")] == [f"{writer}:{n}" for n in range(200)]
    assert runtime.dead_letter_count == 20


def test_a_reader_that_acknowledges_gets_unacknowledged_money_again_after_a_crash(
    runtime: ThreadedRuntime, record: Record
) -> None:
    class Saver(Probe):
        acknowledges = True

        def receive(self, message: object) -> object:
            result = super().receive(message)
            if isinstance(message, Pay) and message.amount == 1:
                self.context.save(b"one")
            return result

        def on_start(self) -> None:
            super().on_start()
            self.record.add(f"restored {self.context.saved!r}")

    runtime.add(spec(lambda context: Saver(context, record)))
    runtime.start(PROBE)
    for message in (Pay(1), Pay(2), Crash(ValueError("boom")), Say("end")):
        runtime.tell(PROBE, message)
    record.wait_for("end")

    assert record.texts == [
        *("start 1", "restored None", "paid 1", "paid 2"),
        *("start 2", "restored b'one'", "paid 2", "end"),
    ]


def test_a_handler_that_raises_has_had_no_effects(runtime: ThreadedRuntime, record: Record) -> None:
    class HalfWay(Probe):
        def receive(self, message: object) -> object:
            if isinstance(message, Crash):
                self.context.tell(PROBE, Say("must not be said"))
                self.context.work("job", lambda: self.record.add("must not run"))
                self.context.save(b"must not be saved")
            return super().receive(message)

    runtime.add(spec(lambda context: HalfWay(context, record)))
    runtime.start(PROBE)
    runtime.tell(PROBE, Crash(ValueError("boom")))
    runtime.tell(PROBE, Say("end"))
    record.wait_for("end")

    assert record.texts == ["start 1", "start 2", "end"]
    assert runtime.cells[PROBE].saved is None


def test_an_asker_whose_answerer_dies_is_told_so(runtime: ThreadedRuntime, record: Record) -> None:
    launch(runtime, record)

    assert runtime.ask(PROBE, Say("hello"), 5.0) == "HELLO"
    with pytest.raises(TransientError, match="boom"):
        runtime.ask(PROBE, Crash(SystemExit("boom")), 5.0)
    with pytest.raises(TransientError, match="no such actor"):
        runtime.ask(Address("nobody"), Say("hello"), 5.0)
    assert runtime.ask(PROBE, Ping(), 5.0) == 2


class Shown(Latest, frozen=True):
    """A view, such as a book."""


class Named(Probe):
    """Records its own address when it stops."""

    def on_stop(self) -> None:
        self.record.add(f"stopped {self.context.address}")


def test_a_message_to_an_ended_actor_is_a_dead_letter(runtime: ThreadedRuntime, record: Record) -> None:
    launch(runtime, record)
    runtime.stop(5.0)
    runtime.tell(PROBE, Say("too late"))
    runtime.tell(PROBE, Shown())

    assert [letter.reason for letter in runtime.dead_letters] == ["actor is stopped"]


def test_timers_and_work_come_back_as_messages(runtime: ThreadedRuntime, record: Record) -> None:
    class Busy(Probe):
        def on_start(self) -> None:
            self.context.timer("a", 0.0, Say("replaced"))
            self.context.timer("a", 0.001, Say("timer"))
            self.context.timer("b", 0.001, Say("cancelled"))
            self.context.cancel_timer("b")
            self.context.work("good", lambda: 6 * 7)
            self.context.work("bad", lambda: 1 // 0)

        def receive(self, message: object) -> object:
            if isinstance(message, WorkDone):
                self.record.add(f"{message.key} {message.value}")
            if isinstance(message, WorkFailed):
                self.record.add(f"{message.key} {type(message.error).__name__}")
            return super().receive(message)

    runtime.add(spec(lambda context: Busy(context, record)))
    runtime.start(PROBE)
    for text in ("timer", "good 42", "bad ZeroDivisionError"):
        record.wait_for(text)
    assert not {"replaced", "cancelled"} & set(record.texts)


def test_a_stream_runs_beside_its_actor_and_is_closed_with_it(runtime: ThreadedRuntime, record: Record) -> None:
    class Source:
        def run(self, emit: Callable[[object], None], stop: StopSignal) -> None:
            stop.on_set(lambda: record.add("closing"))
            emit("item")
            stop.wait(30)
            emit("too late")

    class Listener(Probe):
        def on_start(self) -> None:
            self.context.open_stream("s", Source())

        def receive(self, message: object) -> object:
            if isinstance(message, StreamItem):
                self.record.add(str(message.item))
            return super().receive(message)

    runtime.add(spec(lambda context: Listener(context, record)))
    runtime.start(PROBE)
    record.wait_for("item")
    runtime.tell(PROBE, Crash(ValueError("boom")))
    record.wait_for("closing")
    record.wait_for("item", times=2)
    runtime.stop(5.0)

    assert "too late" not in record.texts


def test_each_incarnation_and_each_address_draws_its_own_random_numbers(runtime: ThreadedRuntime) -> None:
    record = Record()

    class Dicer(Actor):
        def receive(self, message: object) -> object:
            if isinstance(message, Crash):
                raise message.error
            number = int(self.context.rng.integers(1 << 62))
            record.add(str(number))
            return number

    for name in ("a", "b"):
        runtime.add(spec(Dicer, name))
        runtime.start(Address(name))
    drawn = [runtime.ask(Address(name), Say(""), 5.0) for name in ("a", "b")]
    runtime.tell(Address("a"), Crash(ValueError("boom")))
    drawn.append(runtime.ask(Address("a"), Say(""), 5.0))

    assert len(set(drawn)) == 3


def test_a_defect_of_the_runtime_itself_fails_the_process_and_timers_go_on(
    runtime: ThreadedRuntime, record: Record
) -> None:
    launch(runtime, record)

    def defect() -> None:
        raise OSError("no more threads")

    runtime.after(0.0, defect)
    runtime.after(0.001, lambda: runtime.tell(PROBE, Say("still ticking")))
    record.wait_for("still ticking")

    assert runtime.wait_for_failure(10)
    assert "no more threads" in (runtime.failure or "")


def test_a_death_whose_observer_fails_is_not_silent(runtime: ThreadedRuntime, record: Record) -> None:
    launch(runtime, record)

    def broken(event: SystemEvent | DeadLetter) -> None:
        if isinstance(event, SystemEvent) and event.kind == "crashed":
            raise OSError("cannot log")

    runtime.observers.append(broken)
    runtime.tell(PROBE, Crash(ValueError("boom")))

    assert runtime.wait_for_failure(10)
    assert "cannot log" in (runtime.failure or "")


def test_an_operator_restarts_an_actor_between_two_messages_without_blame(
    runtime: ThreadedRuntime, record: Record
) -> None:
    runtime.add(spec(lambda context: Probe(context, record), policy=RestartPolicy(max_restarts=0)))
    runtime.start(PROBE)
    release = threading.Event()
    runtime.tell(PROBE, Block(release))
    record.wait_for("blocking")
    runtime.tell(PROBE, Say("queued"))
    runtime.restart(PROBE)
    release.set()
    record.wait_for("from a zombie")

    assert record.texts == ["start 1", "blocking", "start 2", "queued", "from a zombie"]
    assert runtime.cells[PROBE].last_failure is None
    assert runtime.cells[PROBE].restarts == 1
    assert runtime.failure is None


def test_a_retired_actor_is_started_again_by_an_operator(
    runtime: ThreadedRuntime, record: Record, events: Events
) -> None:
    runtime.add(spec(lambda context: Probe(context, record), asset="BTC"))
    runtime.start(PROBE)
    runtime.tell(PROBE, CrashMoney(3))
    events.wait_for("retired")
    runtime.restart(PROBE)
    runtime.tell(PROBE, Say("back"))
    record.wait_for("back")


def test_a_removed_actor_is_drained_and_its_address_is_free(runtime: ThreadedRuntime, record: Record) -> None:
    launch(runtime, record)
    runtime.tell(PROBE, Say("queued"))

    assert runtime.remove(PROBE, 5.0)
    assert record.texts == ["start 1", "queued", "stop 1"]
    with pytest.raises(RejectedError, match="probe"):
        runtime.restart(PROBE)
    runtime.add(spec(lambda context: Probe(context, record)))
    runtime.start(PROBE)
    record.wait_for("start 1", times=2)


def test_past_a_number_of_hung_threads_the_process_gives_up(record: Record) -> None:
    runtime = ThreadedRuntime(hung_limit=1)
    release = threading.Event()
    policy = RestartPolicy(max_restarts=100, backoff_s=0.001, factor=1.0)
    runtime.add(spec(lambda context: Probe(context, record), policy=policy, budget_s=0.05))
    runtime.start(PROBE)
    runtime.tell(PROBE, Block(release))
    record.wait_for("start 3")  # number 2 is the fence
    assert runtime.failure is None
    runtime.tell(PROBE, Block(release))

    assert runtime.wait_for_failure(10)
    assert "2 threads hang" in (runtime.failure or "")
    release.set()
    runtime.stop(5.0)


def test_a_thread_that_was_only_slow_does_not_count_for_ever(record: Record) -> None:
    runtime = ThreadedRuntime(hung_limit=1)
    policy = RestartPolicy(max_restarts=100, backoff_s=0.001, factor=1.0)
    runtime.add(spec(lambda context: Probe(context, record), policy=policy, budget_s=0.05))
    runtime.start(PROBE)
    for start in (3, 5, 7):  # numbers in between are the fences
        release = threading.Event()
        runtime.tell(PROBE, Block(release))
        record.wait_for(f"start {start}")
        release.set()
        with runtime._ends:
            assert runtime._ends.wait_for(lambda: not runtime._hanging, 5.0)
    assert runtime.hung_threads == 3
    assert runtime.failure is None
    runtime.stop(5.0)


def test_a_reader_too_slow_for_its_stream_loses_the_stream_and_hears_so(
    runtime: ThreadedRuntime, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.runtime.threaded.STREAM_BACKLOG", 10)
    flooded, go = threading.Event(), threading.Event()

    class Flood:
        def run(self, emit: Callable[[object], None], stop: StopSignal) -> None:
            try:
                while not stop.is_set():
                    emit("item")
            finally:
                flooded.set()

    class Slow(Probe):
        def on_start(self) -> None:
            self.context.open_stream("flood", Flood())

        def receive(self, message: object) -> object:
            go.wait(10)
            if isinstance(message, StreamEnded):
                self.record.add(f"ended: {message.error}")
            return super().receive(message)

    runtime.add(spec(lambda context: Slow(context, record)))
    runtime.start(PROBE)
    assert flooded.wait(10)
    waiting = len(runtime.cells[PROBE].mailbox)
    go.set()
    record.wait_for("ended: probe is 11 messages behind its stream")

    assert waiting <= 12


def test_an_observer_that_fails_at_a_start_is_not_silent(runtime: ThreadedRuntime, record: Record) -> None:
    def broken(event: SystemEvent | DeadLetter) -> None:
        if isinstance(event, SystemEvent) and event.kind == "started":
            raise OSError("cannot log")

    runtime.observers.append(broken)
    runtime.add(spec(lambda context: Probe(context, record)))
    runtime.start(PROBE)

    assert runtime.wait_for_failure(10)
    assert "cannot log" in (runtime.failure or "")
