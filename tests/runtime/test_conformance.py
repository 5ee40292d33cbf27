"""Every hole of pykka's that is closed here, on both runtimes; `test_bare_pykka.py` shows the holes themselves.

docs/runtime.md has the table that names these tests.
"""

import gc
import threading
import weakref

import msgspec
import pytest

from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.clock import VirtualClock
from core.runtime.context import Context
from core.runtime.incarnation import Incarnation
from core.runtime.message import WorkFailed
from core.runtime.stepped import SteppedRuntime
from core.runtime.supervision import RestartPolicy
from core.runtime.threaded import ThreadedRuntime
from core.trading.gate import GateLevel, OrderKind
from tests.runtime.actors_for_tests import PROBE, Block, Crash, CrashMoney, Pay, Probe, Record, Say, spec
from tests.runtime.stage import START_MS, Source, Stage

DEATHS = [ValueError("boom"), SystemExit(3), MemoryError()]


# -- deaths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", DEATHS, ids=repr)
def test_a_death_in_a_handler_costs_that_actor_one_message_and_nobody_else_anything(
    stage: Stage, error: BaseException
) -> None:
    stage.start(Probe, "other")
    stage.start(Probe)
    stage.tell(Say("before"), Crash(error), Say("after 1"), Say("after 2"))
    stage.wait_for("after 2")

    assert [text for text in stage.record.texts if not text.startswith("start")] == ["before", "after 1", "after 2"]
    assert stage.letters() == [("Crash", f"crashed its reader: {type(error).__name__}: {error}")]
    assert stage.runtime.cells[Address("other")].incarnation == 1
    assert stage.runtime.cells[PROBE].incarnation == 2


@pytest.mark.parametrize("where", ["__init__", "on_start"])
@pytest.mark.parametrize("error", DEATHS, ids=repr)
def test_a_death_before_the_first_message_is_seen_and_followed_by_another_start(
    stage: Stage, where: str, error: BaseException
) -> None:
    class Fragile(Probe):
        def __init__(self, context: Context, record: Record) -> None:
            super().__init__(context, record)
            if where == "__init__" and context.incarnation == 1:
                raise error

        def on_start(self) -> None:
            if where == "on_start" and self.context.incarnation == 1:
                raise error
            super().on_start()

    stage.start(Fragile)
    stage.tell(Say("kept"))
    stage.wait_for("kept")

    assert stage.record.texts == ["start 2", "kept"]
    assert type(error).__name__ in stage.event("crashed").detail


@pytest.mark.parametrize("error", DEATHS, ids=repr)
def test_a_death_in_on_stop_is_seen_and_the_others_stop_as_ever(stage: Stage, error: BaseException) -> None:
    class BadEnd(Probe):
        def on_stop(self) -> None:
            raise error

    stage.start(Probe, "first")
    stage.start(BadEnd)
    stage.wait_for("start 1", times=2)

    assert stage.stop() == []
    assert f"{type(error).__name__}: {error} (on_stop)" in stage.event("crashed").detail
    assert stage.record.texts[-1] == "stop 1"
    assert {cell.life for cell in stage.runtime.cells.values()} == {"stopped"}


@pytest.mark.parametrize("error", DEATHS, ids=repr)
def test_a_job_that_dies_is_an_answer_to_whoever_asked_for_it(stage: Stage, error: BaseException) -> None:
    def job() -> None:
        raise error

    class Asker(Probe):
        def on_start(self) -> None:
            self.context.work("job", job)

        def receive(self, message: object) -> object:
            if isinstance(message, WorkFailed):
                self.record.add(repr(message.error))
            return super().receive(message)

    stage.start(Asker)
    stage.wait_for(repr(error))


def test_what_was_queued_at_a_death_is_kept_in_order_and_read_by_the_next(stage: Stage) -> None:
    stage.start(Probe, policy=RestartPolicy(backoff_s=0.05))
    stage.tell(*[Say(f"{n}") for n in range(50)], Crash(ValueError("boom")), *[Say(f"{n}") for n in range(50, 100)])
    stage.wait_for("99")

    assert [text for text in stage.record.texts if text.isdigit()] == [str(n) for n in range(100)]


def test_what_is_sent_between_two_incarnations_waits_for_the_next(stage: Stage) -> None:
    class Echo(Probe):
        """Whoever dies is written to while it is dead."""

        def receive(self, message: object) -> object:
            self.context.tell(PROBE, message)
            return super().receive(message)

    stage.start(Probe, policy=RestartPolicy(backoff_s=0.05))
    stage.start(Echo, "writer")
    stage.tell(Crash(ValueError("boom")))
    stage.event("crashed")
    stage.tell(Say("for the dead"), to=Address("writer"))
    stage.wait_for("for the dead", times=2)


def test_a_message_that_races_with_the_end_of_its_reader_is_handled_or_a_dead_letter(threads: Stage) -> None:
    """Retirement ends an address while four writers write to it: a message may lose the race, but not get lost."""
    policy = RestartPolicy(max_restarts=3, backoff_s=0.0001, factor=1.0)
    threads.start(Probe, asset="BTC", policy=policy)
    threads.wait_for("start 1")

    ended, sent = threading.Event(), [0] * 4
    threads.runtime.on_retire = lambda _asset, _reason: ended.set()

    def write(writer: int) -> None:
        after = 0
        while after < 100:
            number = sent[writer]
            threads.tell(Crash(ValueError("injected")) if number % 20 == 10 else Say(f"{writer}:{number}"))
            sent[writer] += 1
            after += ended.is_set()

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    handled = sum(":" in text for text in threads.record.texts)

    assert handled + threads.runtime.dead_letter_count == sum(sent)
    assert len(threads.runtime.cells[PROBE].mailbox) == 0


def test_a_hung_actor_is_replaced_and_what_waited_behind_it_is_read(stage: Stage) -> None:
    until = threading.Event()
    if stage.stepped is not None:
        until.set()
    stage.start(Probe, budget_s=0.05)
    stage.tell(Block(until), Say("waited behind it"))
    stage.wait_for("waited behind it")
    until.set()

    assert "busy for" in stage.event("hung").detail
    assert stage.letters()[0][0] == "Block"
    assert not isinstance(stage.runtime, ThreadedRuntime) or stage.runtime.hung_threads == 1
    assert stage.runtime.cells[PROBE].life == "running"


def test_an_actor_that_hangs_in_on_start_is_replaced(threads: Stage) -> None:
    until = threading.Event()

    class SlowStart(Probe):
        def on_start(self) -> None:
            if self.context.incarnation == 1:
                until.wait(30)
            super().on_start()

    made = spec(lambda context: SlowStart(context, threads.record))
    threads.runtime.add(msgspec.structs.replace(made, start_budget_s=0.05))
    threads.runtime.start(PROBE)
    threads.wait_for("start 3")
    until.set()

    assert "busy for" in threads.event("hung").detail


class Undead(Probe):
    """Wakes when it was replaced, and then tries everything that an actor can do."""

    def receive(self, message: object) -> object:
        if not isinstance(message, Block):
            return super().receive(message)
        self.record.add("blocking")
        message.until.wait(30)
        context, record = self.context, self.record
        context.tell(PROBE, Say("zombie's tell"))
        context.tell(Address("rows"), Pay(1))
        context.timer("timer", 0.0, Say("zombie's timer"))
        context.work("job", lambda: record.add("zombie's job"))
        context.open_stream("stream", Source(record, "zombie's stream"))
        context.save(b"zombie")
        context.publish("board", "zombie")
        handed: list[int] = []
        closed = context.gate.hold(None, "zombie", GateLevel.CLOSED)
        opened = context.gate.release("BTC", "real")
        sent = context.gate.submit("ETH", OrderKind.OPEN_ORDER, handed.append)
        record.add(f"gate {closed} {opened} {sent} {handed}")
        return None


def test_nothing_that_a_replaced_incarnation_still_does_has_any_effect(stage: Stage) -> None:
    until = threading.Event()
    if stage.stepped is not None:
        until.set()
    stage.runtime.gate.hold("BTC", "real", GateLevel.CLOSED)
    stage.start(Probe, "rows")
    stage.start(Undead, budget_s=0.05)
    stage.tell(Block(until))
    stage.event("hung")
    stage.wait_for("start 3")
    until.set()
    stage.wait_for("gate False False None []")
    stage.wait_until(lambda: [reason for _, reason in stage.letters() if reason.startswith("fenced")])
    stage.tell(Say("last"))
    stage.tell(Say("last"), to=Address("rows"))
    stage.wait_for("last", times=2)

    assert not [text for text in stage.record.texts if "zombie" in text or text.startswith("paid")]
    assert [reason for _, reason in stage.letters()][-1] == "fenced: incarnation 1 was replaced"
    assert stage.runtime.cells[PROBE].saved is None
    assert stage.runtime.board.read("board") is None
    assert [(hold.scope, hold.reason) for hold in stage.runtime.gate.state.holds] == [("BTC", "real")]


def test_a_handler_that_returned_in_time_cannot_be_found_hung_afterwards() -> None:
    """Its effects and the end of its time are one step: else its message could be handled and yet come again."""
    runtime = SteppedRuntime(VirtualClock(START_MS))
    runtime.add(spec(lambda context: Probe(context, Record())))
    cell = runtime.cells[PROBE]
    incarnation, envelope = Incarnation(runtime, cell), runtime.envelope(Say("in time"))
    cell.busy_since_ms, cell.current = 0.0, envelope
    incarnation.handle(envelope)

    assert [cell.busy_since_ms, cell.current] == [None, None]


# -- restarts, limits, escalation -------------------------------------------------------------------------------------


def test_an_address_is_the_same_through_any_number_of_incarnations(stage: Stage) -> None:
    stage.start(Probe, policy=RestartPolicy(max_restarts=50, backoff_s=0.0001, factor=1.0))
    for _ in range(20):
        stage.tell(Crash(ValueError("boom")))
    stage.tell(Say("the same"))
    stage.wait_for("the same")

    assert stage.runtime.cells[PROBE].incarnation == 21


def test_a_dead_incarnation_is_not_kept_in_memory(stage: Stage) -> None:
    first: list[weakref.ref[Actor]] = []

    class Heavy(Probe):
        def on_start(self) -> None:
            first.append(weakref.ref(self))
            super().on_start()

    stage.start(Heavy)
    stage.tell(Crash(ValueError("boom")), Say("second"))
    stage.wait_for("second")
    stage.tell(Say("third"))
    stage.wait_for("third")
    gc.collect()

    assert first[0]() is None
    assert first[1]() is not None


def test_one_crash_too_many_retires_its_asset_and_no_other(stage: Stage) -> None:
    retired: list[str] = []
    stage.runtime.on_retire = lambda asset, _reason: retired.append(asset)
    for asset in ("BTC", "ETH"):
        stage.start(Probe, f"market.{asset}", asset=asset)
    for _ in range(6):
        stage.tell(Crash(ValueError("again")), to=Address("market.BTC"))
    assert "BTC is retired: 6 crashes within 60 s, limit 5" in stage.event("retired").detail
    stage.tell(Say("still here"), to=Address("market.ETH"))
    stage.tell(Say("too late"), to=Address("market.BTC"))
    stage.wait_for("still here")

    assert retired == ["BTC"]
    assert stage.letters()[-1] == ("Say", "actor is retired")
    assert stage.runtime.failure is None


def test_one_crash_too_many_above_the_root_fails_the_process(stage: Stage) -> None:
    stage.start(Probe)
    for _ in range(6):
        stage.tell(Crash(ValueError("again")))

    assert "6 crashes within 60 s, limit 5" in stage.event("failed").detail
    assert stage.runtime.failure is not None
    assert stage.record.texts.count("start 6") == 1
    assert "start 7" not in stage.record.texts


def test_a_money_message_comes_again_until_it_is_applied_and_nothing_overtakes_it(stage: Stage) -> None:
    stage.start(Probe)
    stage.tell(CrashMoney(2), Say("behind"))
    stage.wait_for("behind")

    assert [t for t in stage.record.texts if not t.startswith("start")] == ["tried"] * 3 + ["applied", "behind"]
    assert stage.letters() == []


def test_the_third_crash_on_one_money_message_shuts_its_asset(stage: Stage) -> None:
    stage.start(Probe, asset="BTC")
    stage.tell(CrashMoney(99))

    assert "BTC is retired: crashed its reader 3 times" in stage.event("retired").detail
    assert stage.record.texts.count("tried") == 3
    assert stage.letters() == [("CrashMoney", "crashed its reader 3 times: ValueError: not yet")]


def test_money_that_no_checkpoint_covers_comes_again_in_order(stage: Stage) -> None:
    class Saver(Probe):
        acknowledges = True

        def receive(self, message: object) -> object:
            result = super().receive(message)
            if isinstance(message, Pay) and message.amount == 1:
                self.context.save(b"one")
            return result

    stage.start(Saver)
    stage.tell(Pay(1), Pay(2), Pay(3), Crash(ValueError("boom")), Pay(4), Say("end"))
    stage.wait_for("end")

    paid = [text for text in stage.record.texts if text.startswith("paid")]
    assert paid == [f"paid {amount}" for amount in (1, 2, 3, 2, 3, 4)]
