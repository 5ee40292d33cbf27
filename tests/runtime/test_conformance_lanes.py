"""More of the holes of pykka's that are closed here: lanes and bounds, askers, stopping.

docs/runtime.md has the table that names these tests.
"""

import threading

import pytest

from core.errors import TransientError
from core.runtime.address import Address
from core.runtime.context import Context
from core.runtime.message import Latest
from core.runtime.supervision import DeadLetter, RestartPolicy
from core.runtime.system import DEAD_LETTERS_KEPT
from core.runtime.threaded import ThreadedRuntime
from tests.runtime.actors_for_tests import PROBE, Block, Crash, CrashMoney, Probe, Record, Say, spec
from tests.runtime.stage import Stage


class View(Latest, frozen=True):
    """A view, such as a book."""

    number: int


class Viewer(Probe):
    """Records views too."""

    def receive(self, message: object) -> object:
        if isinstance(message, View):
            self.record.add(f"view {message.number}")
        return super().receive(message)


# -- lanes ------------------------------------------------------------------------------------------------------------


def test_a_view_that_nobody_has_read_is_replaced_so_a_slow_reader_has_one_of_each_kind(stage: Stage) -> None:
    address = Address("reader")
    stage.runtime.add(spec(lambda context: Viewer(context, stage.record), address.name))
    for number in range(10_000):
        stage.tell(View(number), to=address)
    assert len(stage.runtime.cells[address].mailbox) == 1
    stage.tell(Say("end"), to=address)
    stage.runtime.start(address)
    stage.wait_for("end")

    assert stage.record.texts == ["start 1", "view 9999", "end"]


def test_views_of_before_a_crash_are_dropped_and_messages_are_not(stage: Stage) -> None:
    stage.runtime.add(spec(lambda context: Viewer(context, stage.record)))
    stage.tell(Crash(ValueError("boom")), View(1), Say("kept"))
    stage.runtime.start(PROBE)
    stage.wait_for("kept")

    assert stage.record.texts == ["start 1", "start 2", "kept"]


class Held(Probe):
    """Starts when it is let go, so that its mailbox can be filled; virtual time waits for nobody."""

    def __init__(self, context: Context, record: Record, go: threading.Event) -> None:
        super().__init__(context, record)
        self._go = go

    def on_start(self) -> None:
        super().on_start()
        self._go.wait(10)


def test_a_restart_and_a_stop_do_not_wait_behind_a_backlog(stage: Stage) -> None:
    """The restart comes before the backlog; the stop lets no timer or stream add to it, and drains what there is."""
    go = threading.Event()
    stage.start(lambda context, record: Held(context, record, go))
    stage.tell(*[Say(f"{n}") for n in range(1_000)])
    stage.runtime.restart(PROBE)
    go.set()
    stage.wait_for("999")
    assert stage.record.texts[:3] == ["start 1", "start 2", "0"]

    stage.stop()
    assert stage.record.texts[-1] == "stop 2"
    assert stage.letters() == []


def test_a_tell_to_a_dead_one_does_not_keep_the_others_from_hearing(stage: Stage) -> None:
    class Herald(Probe):
        def receive(self, message: object) -> object:
            for name in ("nobody", "retired", "probe"):
                self.context.tell(Address(name), Say("to all"))
            return super().receive(message)

    stage.start(Probe, "retired", asset="BTC", policy=RestartPolicy(max_restarts=0))
    stage.tell(Crash(ValueError("boom")), to=Address("retired"))
    stage.event("retired")
    stage.start(Probe)
    stage.start(Herald, "herald")
    stage.tell(Say("news"), to=Address("herald"))
    stage.wait_for("to all")

    assert stage.letters()[-2:] == [("Say", "no such address"), ("Say", "actor is retired")]


def test_dead_letters_are_kept_up_to_a_bound_counted_and_announced(stage: Stage) -> None:
    for number in range(DEAD_LETTERS_KEPT + 5):
        stage.tell(Say(f"{number}"), to=Address("nobody"))

    assert stage.runtime.dead_letter_count == DEAD_LETTERS_KEPT + 5
    assert len(stage.runtime.dead_letters) == DEAD_LETTERS_KEPT
    assert len([event for event in stage.announced if isinstance(event, DeadLetter)]) == DEAD_LETTERS_KEPT + 5


# -- askers -----------------------------------------------------------------------------------------------------------


def test_an_outside_asker_is_told_of_the_answerers_death_and_the_queued_question_is_answered(threads: Stage) -> None:
    runtime = threads.runtime
    assert isinstance(runtime, ThreadedRuntime)
    until, answers = threading.Event(), list[object]()
    threads.start(Probe)
    threads.tell(Block(until))
    threads.wait_for("blocking")
    asker = threading.Thread(target=lambda: answers.append(runtime.ask(PROBE, Say("queued"), 10.0)))
    doomed = threading.Thread(target=lambda: answers.append(_failure_of(runtime, Crash(SystemExit("boom")))))
    doomed.start()
    _wait_for_queue(runtime, 1)
    asker.start()
    _wait_for_queue(runtime, 2)
    until.set()
    doomed.join(10)
    asker.join(10)

    assert min(map(str, answers)) == "QUEUED"
    assert "crashed its reader: SystemExit: boom" in max(map(str, answers))


def test_an_asker_of_a_hung_actor_is_told_so_at_the_end_of_the_budget(threads: Stage) -> None:
    runtime, until = threads.runtime, threading.Event()
    assert isinstance(runtime, ThreadedRuntime)
    threads.start(Probe, budget_s=0.05)
    with pytest.raises(TransientError, match="busy for"):
        runtime.ask(PROBE, Block(until), 10.0)
    until.set()


def test_an_asker_of_one_that_ends_meanwhile_is_told_so(threads: Stage) -> None:
    runtime = threads.runtime
    assert isinstance(runtime, ThreadedRuntime)
    threads.start(Probe, asset="BTC", policy=RestartPolicy(max_restarts=0))
    threads.tell(Crash(ValueError("boom")))
    threads.event("retired")
    with pytest.raises(TransientError, match="actor is retired"):
        runtime.ask(PROBE, Say("anybody?"), 5.0)


def test_actors_have_nothing_to_ask_or_to_wait_with() -> None:
    """A handler that could wait for another's answer could wait for its own."""
    assert not {"ask", "get", "join", "sleep", "proxy"} & set(dir(Context))


def _failure_of(runtime: ThreadedRuntime, message: object) -> str:
    try:
        return str(runtime.ask(PROBE, message, 10.0))
    except TransientError as error:
        return f"failed: {error}"


def _wait_for_queue(runtime: ThreadedRuntime, length: int) -> None:
    turn = threading.Event()
    for _ in range(2_000):
        if len(runtime.cells[PROBE].mailbox) >= length:
            return
        turn.wait(0.005)
    pytest.fail(f"{length} messages were never queued")


# -- stopping ---------------------------------------------------------------------------------------------------------


class Named(Probe):
    """Records its own address when it stops."""

    def on_stop(self) -> None:
        self.record.add(f"stopped {self.context.address}")


def test_actors_start_in_order_and_stop_in_reverse_each_drained_before_the_next(stage: Stage) -> None:
    for name in ("first", "second", "third"):
        stage.start(Named, name)
    stage.wait_for("start 1", times=3)
    stage.tell(*[Say(f"queued {n}") for n in range(50)], to=Address("second"))

    assert stage.stop() == []
    ends = [text for text in stage.record.texts if text.startswith("stopped")]
    assert ends == ["stopped third", "stopped second", "stopped first"]
    assert stage.record.texts.index("queued 49") < stage.record.texts.index("stopped second")
    assert [report.life for report in stage.runtime.reports()] == ["stopped"] * 3
    assert [report.address for report in stage.runtime.reports()] == ["first", "second", "third"]


def test_one_in_backoff_is_started_to_drain_before_it_ends(stage: Stage) -> None:
    stage.start(Probe, policy=RestartPolicy(backoff_s=3600.0, backoff_max_s=3600.0))
    if stage.stepped is None:
        stage.wait_for("start 1")
    else:
        stage.stepped.run_until(stage.stepped.clock.now_ms())
    stage.tell(Crash(ValueError("boom")), Say("queued"))
    if stage.stepped is None:
        stage.event("crashed")
    else:
        stage.stepped.run_until(stage.stepped.clock.now_ms())
    assert stage.runtime.cells[PROBE].life == "backoff"

    assert stage.stop() == []
    assert stage.record.texts == ["start 1", "start 2", "queued", "stop 2"]
    assert stage.letters() == [("Crash", "crashed its reader: ValueError: boom")]


def test_a_crash_while_draining_costs_its_message_and_the_rest_is_drained(stage: Stage) -> None:
    stage.runtime.add(spec(lambda context: Probe(context, stage.record)))
    stage.tell(Say("a"), Crash(SystemExit("boom")), CrashMoney(1), Say("b"))
    stage.runtime.start(PROBE)

    assert stage.stop() == []
    assert stage.record.texts == ["start 1", "a", "start 2", "tried", "start 3", "tried", "applied", "b", "stop 3"]
    assert stage.letters() == [("Crash", "crashed its reader: SystemExit: boom")]


def test_a_restart_asked_for_while_stopping_loses_nothing(stage: Stage) -> None:
    go = threading.Event()
    stage.start(lambda context, record: Held(context, record, go))
    stage.tell(Say("a"), Say("b"))
    stage.runtime.restart(PROBE)
    stage.runtime.begin_stop(stage.runtime.cells[PROBE])
    go.set()

    assert stage.stop() == []
    assert stage.record.texts == ["start 1", "start 2", "a", "b", "stop 2"]


def test_one_that_never_started_leaves_its_messages_as_dead_letters(stage: Stage) -> None:
    stage.runtime.add(spec(lambda context: Probe(context, stage.record)))
    stage.tell(Say("early"))

    assert stage.stop() == []
    assert stage.letters() == [("Say", "actor is stopped")]
    assert stage.record.texts == []
