"""A checkpoint from which no actor can be made costs neither restarts nor the actor: an older one takes its place."""

import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.cell import Cell, Spec
from core.runtime.checkpoint import Inherited, Offer, OlderState, StateFormat, UnreadableStateError
from core.runtime.clock import VirtualClock
from core.runtime.context import Context
from core.runtime.incarnation import Incarnation
from core.runtime.restoring import constructed
from core.runtime.stepped import SteppedRuntime
from core.runtime.supervision import DeadLetter, SystemEvent
from core.runtime.system import ActorSystem
from core.runtime.threaded import ThreadedRuntime

COUNTER = Address("counter")
OLDER = StateFormat(1, int)
FRESH = StateFormat(1, int, fallback="fresh")
NEVER = StateFormat(1, int, fallback="never")


class Counter(Actor):
    """Counts up from its checkpoint; it cannot start from a negative number, whatever the layout says."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.count = 0 if context.saved is None else msgspec.msgpack.decode(context.saved, type=int)
        if self.count < 0:
            raise ValueError(f"cannot count from {self.count}")

    def receive(self, message: object) -> None:
        if message == "crash":
            raise ValueError("on purpose")
        self.count = int(str(message))
        self.context.save(packed(self.count))


def packed(number: int) -> bytes:
    return msgspec.msgpack.encode(number)


def inherited(*numbers: int) -> Inherited:
    """What a process left that saved these, newest last, as generations 1, 2, ..."""
    states = [OlderState(at, packed(number)) for at, number in enumerate(numbers, 1)]
    newest, *older = reversed(states)
    return Inherited(newest.generation, newest.state, newest.generation, older=tuple(older))


class Stage:
    """One counter on the stepped runtime."""

    def __init__(self, layout: StateFormat | None, left: Inherited | None = None) -> None:
        self.system = SteppedRuntime(VirtualClock(1_000_000))
        self.events: list[SystemEvent | DeadLetter] = []
        self.system.observers.append(self.events.append)
        if left is not None:
            self.system.inherit({COUNTER.name: left})
        self.system.add(Spec(COUNTER, Counter, state=layout))
        self.cell = self.system.cells[COUNTER]
        self.system.start(COUNTER)
        self.run()

    def run(self) -> None:
        self.system.run_until(self.system.clock.now_ms() + 100)

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.system.tell(COUNTER, message)
        self.run()

    def said(self, kind: str) -> list[str]:
        return [event.detail for event in self.events if isinstance(event, SystemEvent) and event.kind == kind]

    def shown(self) -> int:
        (alive,) = self.system._alive.values()
        assert isinstance(alive.actor, Counter)
        return alive.actor.count


def test_an_actor_starts_from_the_newest_state_that_an_earlier_process_left() -> None:
    stage = Stage(OLDER, inherited(5, 6, 7))

    assert (stage.shown(), stage.cell.generation) == (7, 3)
    stage.tell(8)
    assert stage.cell.generation == 4


def test_a_state_from_which_it_cannot_be_made_is_set_aside_for_the_one_before_without_a_crash() -> None:
    stage = Stage(OLDER, inherited(5, 6, -7))

    assert stage.shown() == 6
    assert (list(stage.cell.crashes_s), stage.cell.restarts, stage.said("crashed")) == ([], 0, [])
    (said,) = stage.said("quarantined")
    assert said == "generation 3 is set aside (ValueError: cannot count from -7); goes on from generation 2"
    assert [bad.generation for bad in stage.cell.quarantined] == [3]
    stage.tell(9)
    assert stage.cell.generation == 4  # no number is given out twice


def test_when_none_is_of_use_it_starts_without_one() -> None:
    stage = Stage(OLDER, inherited(-5, -6, -7))

    assert stage.shown() == 0
    assert stage.said("quarantined")[0].startswith("generation 3, 2, 1 is set aside")
    assert stage.said("quarantined")[0].endswith("starts without a checkpoint")


def test_an_actor_whose_older_states_would_do_harm_starts_without_one() -> None:
    stage = Stage(FRESH, inherited(5, 6, -7))

    assert stage.shown() == 0


@pytest.mark.parametrize("layout", [NEVER, None])
def test_an_actor_that_must_not_fall_back_crashes_instead(layout: StateFormat | None) -> None:
    stage = Stage(layout, inherited(5, 6, -7))

    assert stage.said("crashed")
    assert stage.said("quarantined") == []
    assert stage.cell.saved == packed(-7)


def test_a_constructor_that_fails_with_any_state_is_no_reason_to_blame_one() -> None:
    system = SteppedRuntime(VirtualClock(1_000_000))
    events: list[SystemEvent | DeadLetter] = []
    system.observers.append(events.append)

    def broken(context: Context) -> Actor:
        raise RuntimeError("no weights")

    system.inherit({COUNTER.name: inherited(5, 6, 7)})
    system.add(Spec(COUNTER, broken, state=OLDER))
    system.start(COUNTER)
    system.run_until(system.clock.now_ms() + 100)
    cell = system.cells[COUNTER]

    assert (cell.saved, cell.saved_as, [each.generation for each in cell.older]) == (packed(7), 3, [2, 1])
    assert {event.kind for event in events if isinstance(event, SystemEvent)} == {"crashed"}


def test_a_state_declared_in_this_process_is_set_aside_in_the_same_way() -> None:
    stage = Stage(OLDER)
    stage.tell(5, 6)
    stage.tell(-1)
    stage.tell("crash")
    stage.run()

    assert stage.shown() == 6
    assert len(stage.cell.crashes_s) == 1  # the crash itself, not the restart


def test_a_constructor_that_outlasted_its_incarnation_changes_nothing_of_the_next_one() -> None:
    cell = Cell(Spec(COUNTER, Counter, state=OLDER))
    cell.inherit(inherited(5, 6, 7))

    def late() -> Incarnation:
        cell.incarnation += 1  # given up as hung, and replaced
        raise ValueError("too late")

    with pytest.raises(ValueError, match="too late"):
        constructed(late, cell)
    assert (cell.saved, cell.saved_as, len(cell.older), len(cell.quarantined)) == (packed(7), 3, 2, 0)


@pytest.fixture(params=["stepped", "threaded"])
def runtime(request: pytest.FixtureRequest) -> Iterator[ActorSystem]:
    if request.param == "stepped":
        yield SteppedRuntime(VirtualClock(1_000_000))
        return
    system = ThreadedRuntime()
    yield system
    assert system.stop(5.0) == []


def offer(system: ActorSystem, number: int) -> tuple[Offer, object]:
    """Offer a state to a running counter and return it with the state it runs on afterwards."""
    system.add(Spec(COUNTER, Counter, state=NEVER))
    system.start(COUNTER)
    cell, given = system.cells[COUNTER], Offer(packed(number))
    settle(system, lambda: cell.life == "running")
    system.tell(COUNTER, 5)
    settle(system, lambda: cell.generation == 1)
    cell.offer = given
    system.restart(COUNTER)
    settle(system, lambda: cell.incarnation == 2 and cell.life == "running")
    return given, cell.saved


def settle(system: ActorSystem, ready: Callable[[], bool]) -> None:
    if isinstance(system, SteppedRuntime):
        system.run_until(system.clock.now_ms() + 100)
    else:
        deadline_s, pause = time.monotonic() + 10, threading.Event()
        while not ready():
            assert time.monotonic() < deadline_s
            pause.wait(0.005)
    assert ready()


def test_an_offered_state_becomes_the_newest_generation(runtime: ActorSystem) -> None:
    given, saved = offer(runtime, 42)

    assert (given.generation, given.error, saved) == (2, None, packed(42))
    assert runtime.cells[COUNTER].generation == 2


def test_an_offered_state_of_no_use_changes_nothing_and_is_told_why(runtime: ActorSystem) -> None:
    given, saved = offer(runtime, -42)

    assert (given.generation, given.error) == (None, "ValueError: cannot count from -42")
    assert (saved, runtime.cells[COUNTER].generation, runtime.cells[COUNTER].restarts) == (packed(5), 1, 1)


def test_an_address_that_is_taken_again_goes_on_from_what_it_left() -> None:
    system = ThreadedRuntime()
    system.add(Spec(COUNTER, Counter, state=OLDER))
    system.start(COUNTER)
    system.ask(COUNTER, 5, 5.0)
    system.ask(COUNTER, 6, 5.0)
    assert system.remove(COUNTER, 5.0)
    system.add(Spec(COUNTER, Counter, state=OLDER))
    cell = system.cells[COUNTER]

    assert (cell.saved, cell.generation, cell.saved_as) == (packed(6), 2, 2)
    assert system.stop(5.0) == []


# -- layouts ----------------------------------------------------------------------------------------------------------


class Old(msgspec.Struct):
    """The layout before."""

    cents: int


class New(msgspec.Struct):
    """The layout of today."""

    micros: int


def upgrade(payload: bytes) -> bytes:
    return msgspec.msgpack.encode(New(msgspec.msgpack.decode(payload, type=Old).cents * 10_000))


LAYOUT = StateFormat(3, New, upgrades={2: upgrade})


def test_an_older_layout_that_is_known_is_upgraded() -> None:
    read = LAYOUT.read(2, msgspec.msgpack.encode(Old(7)))

    assert msgspec.msgpack.decode(read, type=New).micros == 70_000
    assert LAYOUT.read(3, read) == read


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (4, "schema version 4 is newer than 3: update this program"),
        (1, "schema version 1 is unknown, this program reads 2, 3"),
        (2, r"schema version 2 cannot be read: ValidationError: .*cents"),
        (3, r"schema version 3 cannot be read: ValidationError: .*micros"),
    ],
)
def test_a_layout_that_cannot_be_read_is_refused_by_name(version: int, said: str) -> None:
    with pytest.raises(UnreadableStateError, match=said):
        LAYOUT.read(version, msgspec.msgpack.encode({"nothing": 1}))


@given(payload=st.binary(max_size=40), version=st.integers(-2, 6))
def test_whatever_was_stored_is_either_read_or_refused(payload: bytes, version: int) -> None:
    try:
        read = LAYOUT.read(version, payload)
    except UnreadableStateError:
        pass
    else:
        msgspec.msgpack.decode(read, type=New)
