"""What bare pykka does where ours does something else: read in the versions below, and skipped in any other.

These tests are about pykka, not about us. One that fails says that pykka changed, and where to look whether a
workaround can go; `test_conformance.py` does not depend on it.
"""

import asyncio
import gc
import logging
import queue
import threading
import weakref
from collections.abc import Iterator
from importlib.metadata import version

import pykka
import pytest
from pykka._envelope import Envelope

READ_IN = ("4.4", "4.5")

pytestmark = pytest.mark.skipif(
    ".".join(version("pykka").split(".")[:2]) not in READ_IN,
    reason=f"pykka {version('pykka')} is not one of {READ_IN}, in which these were read: run them and read its changes",
)
MAILBOX, HOST, SYSTEM = "core/runtime/mailbox.py", "core/runtime/host.py", "core/runtime/system.py"


def pin(actual: object, expected: object, look_at: str) -> None:
    """Assert what pykka does."""
    assert actual == expected, f"pykka changed: look at {look_at}"


class Bare(pykka.ThreadingActor):
    """Does what it is told and notes what happens to it."""

    use_daemon_thread = True  # so that the one that hangs here does not keep the tests from ending

    def __init__(self, born: "list[Bare]", fails_in: str = "") -> None:
        super().__init__()
        born.append(self)
        self.fails_in = fails_in
        self.happened: list[str] = []
        self.ended = threading.Event()
        self.go = threading.Event()
        if fails_in == "__init__":
            raise ValueError("in __init__")

    def on_start(self) -> None:
        if self.fails_in == "on_start":
            raise ValueError("in on_start")

    def on_stop(self) -> None:
        self.happened.append("on_stop")
        if self.fails_in == "on_stop":
            raise ValueError("in on_stop")

    def on_failure(self, *_: object) -> None:
        self.happened.append(f"on_failure alive {self.actor_ref.is_alive()} backlog {not self.actor_inbox.empty()}")

    def on_receive(self, message: object) -> object:
        if isinstance(message, BaseException):
            raise message
        if message == "wait":
            self.happened.append("waiting")
            self.go.wait(30)
        self.happened.append(str(message))
        return message

    def _actor_loop(self) -> None:
        super()._actor_loop()
        self.ended.set()


def started(*, fails_in: str = "") -> tuple[pykka.ActorRef[Bare], Bare]:
    """Start an actor and return its object too, which a reference hides."""
    born: list[Bare] = []
    return Bare.start(born, fails_in), born[0]


@pytest.fixture(autouse=True)
def empty_registry(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.CRITICAL, "pykka")  # it logs each of these deaths
    yield
    pykka.ActorRegistry.stop_all(timeout=5)


def test_an_exception_in_an_asked_handler_is_the_askers_alone() -> None:
    ref, actor = started()
    with pytest.raises(ValueError, match="boom"):
        ref.ask(ValueError("boom"), timeout=5)

    pin((ref.is_alive(), actor.happened), (True, []), f"{HOST}: _handle_receive makes it a crash")


def test_an_exception_in_a_told_handler_ends_the_actor_before_on_failure_with_its_backlog_unread() -> None:
    ref, actor = started()
    ref.tell("wait")
    ref.tell(ValueError("boom"))
    ref.tell("behind")
    actor.go.set()
    assert actor.ended.wait(5)

    pin(actor.happened, ["waiting", "wait", "on_failure alive False backlog True"], f"{HOST}: on_failure is not used")


@pytest.mark.parametrize("where", ["on_start", "on_stop"])
def test_a_death_in_a_hook_is_told_to_nobody(where: str) -> None:
    ref, actor = started(fails_in=where)
    if where == "on_stop":
        ref.stop(timeout=5)
    assert actor.ended.wait(5)

    pin([text for text in actor.happened if "on_failure" in text], [], f"{HOST}: on_start and on_stop catch it")


def test_a_death_in_the_constructor_is_raised_in_whoever_starts_it() -> None:
    with pytest.raises(ValueError, match="in __init__"):
        Bare.start([], "__init__")


def test_one_actors_system_exit_stops_every_actor_and_leaves_its_asker_waiting() -> None:
    other, innocent = started()
    ref, actor = started()
    answer = ref.ask(SystemExit(3), block=False)
    assert innocent.ended.wait(5)
    assert actor.ended.wait(5)

    pin((other.is_alive(), actor.happened), (False, ["on_stop"]), f"{HOST}: _handle_receive catches BaseException")
    with pytest.raises(pykka.Timeout):
        answer.get(timeout=0.05)


def test_tells_that_were_queued_at_a_death_vanish_and_asks_are_refused() -> None:
    ref, actor = started()
    ref.tell("wait")
    ref.tell(ValueError("boom"))
    ref.tell("queued")
    answer = ref.ask("asked", block=False)
    actor.go.set()
    with pytest.raises(pykka.ActorDeadError):
        answer.get(timeout=5)
    assert actor.ended.wait(5)

    pin(("queued" in actor.happened, actor.actor_inbox.empty()), (False, True), f"{HOST}: _Inbox.empty, {MAILBOX}")


def test_what_is_put_just_after_a_death_stays_in_a_dead_queue_and_is_never_answered() -> None:
    """`tell` and `ask` look whether the actor lives and put then; here it dies in between."""
    ref, actor = started()
    ref.stop(timeout=5)
    assert actor.ended.wait(5)
    answer = pykka.ThreadingFuture[object]()
    ref.actor_inbox.put(Envelope("late", reply_to=answer))

    with pytest.raises(pykka.Timeout):
        answer.get(timeout=0.05)
    pin(ref.actor_inbox.empty(), expected=False, look_at=f"{MAILBOX}: put and close are under one lock")


def test_a_dead_actor_cannot_be_started_again_and_its_reference_is_dead_for_ever() -> None:
    ref, actor = started()
    ref.stop(timeout=5)
    assert actor.ended.wait(5)
    again, _ = started()

    pin(again.actor_urn == ref.actor_urn, expected=False, look_at=f"{SYSTEM}: addresses outlive actors")
    with pytest.raises(pykka.ActorDeadError):
        ref.tell("anybody?")


def test_a_hung_actor_counts_as_alive_and_cannot_be_stopped() -> None:
    ref, actor = started()
    ref.tell("wait")
    with pytest.raises(pykka.Timeout):
        ref.stop(timeout=0.05)

    pin(ref.is_alive(), expected=True, look_at="core/runtime/threaded.py: _check_hangs")
    actor.go.set()


def test_a_stop_waits_behind_everything_that_was_queued() -> None:
    ref, actor = started()
    ref.tell("wait")
    for number in range(100):
        ref.tell(number)
    ref.stop(block=False)
    actor.go.set()
    assert actor.ended.wait(5)

    pin(len(actor.happened), 100 + 3, f"{MAILBOX}: control overtakes")


def test_an_inbox_has_no_bound_and_keeps_every_view() -> None:
    ref, actor = started()
    inbox = actor.actor_inbox
    assert isinstance(inbox, queue.Queue)

    pin(inbox.maxsize, 0, f"{MAILBOX}: views are conflated, streams are cut at a backlog")
    ref.stop(timeout=5)


def test_a_broadcast_ends_at_the_first_dead_actor() -> None:
    ref, actor = started()
    actor.actor_stopped.set()  # as between its death and its leaving the registry
    with pytest.raises(pykka.ActorDeadError):
        pykka.ActorRegistry.broadcast("to all")
    actor.actor_stopped.clear()
    ref.stop(timeout=5)


def test_awaiting_a_future_blocks_the_event_loop() -> None:
    future = pykka.ThreadingFuture[str]()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while turns < 1_000_000:
            turns += 1
            await asyncio.sleep(0)

    async def wait() -> str:
        counting = asyncio.ensure_future(count())
        await asyncio.sleep(0)
        threading.Timer(0.1, lambda: future.set("answer")).start()
        answer: str = await future
        counting.cancel()
        return answer

    assert asyncio.run(wait()) == "answer"
    pin(turns < 10, expected=True, look_at="core/runtime/context.py: actors await nothing")


def test_a_proxy_keeps_the_dead_actor_in_memory() -> None:
    ref, actor = started()
    proxy, weak = ref.proxy(), weakref.ref(actor)
    ref.stop(timeout=5)
    assert actor.ended.wait(5)
    del actor, ref
    gc.collect()

    pin(weak() is None, expected=False, look_at=f"{SYSTEM}: nobody holds an actor")
    del proxy
