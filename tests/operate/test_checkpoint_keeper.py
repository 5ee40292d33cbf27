"""What actors declare is kept at most seconds late, whatever database and disk do, and no handler waits for it."""

import errno
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from loguru import logger

from actors.learner import LearnerState
from actors.states import LEARNER, PORTFOLIO
from cli.checkpoint_keeper import WRITE_EVERY_S, Keeper
from core.errors import TransientError
from core.records import CheckpointRecord, Record
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.cell import Spec
from core.runtime.checkpoint import Inherited, Quarantined
from core.runtime.clock import VirtualClock
from core.runtime.stepped import SteppedRuntime
from storage.local_copies import LocalCopies
from tests.journal.disks import RefusingDisk

ACTOR, MONEY = Address("learner"), Address("portfolio")


class Saver(Actor):
    """Saves whatever it is told."""

    def receive(self, message: object) -> None:
        assert isinstance(message, bytes)
        self.context.save(message)


class World:
    """Two actors, a keeper, a database and a disk that can be away."""

    def __init__(self, folder: Path, left: Inherited | None = None) -> None:
        self.system = SteppedRuntime(VirtualClock(1_000_000))
        if left is not None:
            self.system.inherit({ACTOR.name: left})
        self.system.add(Spec(ACTOR, Saver, state=LEARNER))
        self.system.add(Spec(MONEY, Saver, state=PORTFOLIO))
        for address in (ACTOR, MONEY):
            self.system.start(address)
        self.rows: list[CheckpointRecord] = []
        self.marked: list[tuple[str, int]] = []
        self.away = False
        self.now_s = 100.0
        self.disk = RefusingDisk()
        self.copies = LocalCopies(folder, "db", report=lambda _text: None, disk=self.disk)
        self.keeper = Keeper(
            self.system,
            1,
            write=self.write,
            mark=lambda name, bad: self.marked.append((name, bad.generation)),
            copies=self.copies,
            monotonic_s=lambda: self.now_s,
        )

    def write(self, rows: Sequence[Record]) -> None:
        if self.away:
            raise TransientError("the database is away")
        self.rows += [row for row in rows if isinstance(row, CheckpointRecord)]

    def save(self, number: int, address: Address = ACTOR) -> None:
        self.system.tell(address, msgspec.msgpack.encode(LearnerState(1, "", number)))
        self.system.run_until(self.system.clock.now_ms() + 1)

    def look(self, after_s: float = 0.0, *, final: bool = False) -> None:
        self.now_s += after_s
        self.keeper.look(final=final)

    def heard(self) -> list[int]:
        return [msgspec.msgpack.decode(row.payload, type=LearnerState).heard for row in self.rows]

    def copied(self, name: str = "1/learner") -> int | None:
        row = self.copies.read("actor", name)
        return None if row is None else msgspec.msgpack.decode(row.payload, type=LearnerState).heard


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def warnings() -> list[str]:
    return []


def test_what_was_declared_is_written_and_copied_the_latest_wins_and_no_more_often_than_due(world: World) -> None:
    world.save(1)
    world.look()
    for number in range(2, 10):
        world.save(number)
        world.look(0.1)
    assert world.heard() == [1]
    world.look(WRITE_EVERY_S)

    assert world.heard() == [1, 9]
    assert [(row.name, row.generation, row.schema_version) for row in world.rows] == [
        ("1/learner", 1, LEARNER.version),
        ("1/learner", 9, LEARNER.version),
    ]
    assert world.copied() == 9
    world.look(10 * WRITE_EVERY_S)
    assert world.heard() == [1, 9]  # nothing changed, nothing is written


def test_the_final_look_keeps_what_is_not_due_yet(world: World) -> None:
    world.save(1)
    world.look()
    world.save(2)
    world.look(final=True)

    assert (world.heard(), world.copied()) == ([1, 2], 2)


def test_what_is_written_with_its_rows_is_only_copied_but_at_every_look(world: World) -> None:
    world.save(1, MONEY)
    world.look()
    world.save(2, MONEY)
    world.look(0.5)

    assert (world.rows, world.copied("1/portfolio")) == ([], 2)


def test_while_the_database_is_away_local_copies_go_on_and_it_gets_the_latest_afterwards(
    world: World, warnings: list[str]
) -> None:
    sink = logger.add(lambda message: warnings.append(str(message)), format="{message}", level="INFO")
    world.away = True
    for number in (1, 2, 3):
        world.save(number)
        world.look(WRITE_EVERY_S)
    assert (world.heard(), world.copied()) == ([], 3)
    world.away = False
    world.look(1.0)
    logger.remove(sink)

    assert world.heard() == [3]
    assert [line.strip() for line in warnings] == [
        "checkpoints are not kept: the database is away; trying again",
        "checkpoints are kept again",
    ]


def test_a_full_disk_is_one_warning_and_the_database_goes_on(world: World, warnings: list[str]) -> None:
    sink = logger.add(lambda message: warnings.append(str(message)), format="{message}", level="INFO")
    world.disk.refused["write"] = errno.ENOSPC
    for number in (1, 2, 3):
        world.save(number)
        world.look(WRITE_EVERY_S)
    assert (world.heard(), world.copied()) == ([1, 2, 3], None)
    world.disk.refused.clear()
    world.look(1.0)
    logger.remove(sink)

    assert world.copied() == 3
    assert [line.strip().partition(":")[0] for line in warnings] == [
        "local copies are not kept",
        "local copies are kept again",
    ]


def test_what_an_earlier_process_stored_is_not_stored_again(tmp_path: Path) -> None:
    state = msgspec.msgpack.encode(LearnerState(1, "", 7))
    world = World(tmp_path, Inherited(5, state, 5))
    world.look()
    assert (world.rows, world.copied()) == ([], 7)
    world.save(8)
    world.look(WRITE_EVERY_S)

    assert [row.generation for row in world.rows] == [6]


def test_what_was_found_in_a_local_copy_only_is_stored_in_the_database(tmp_path: Path) -> None:
    state = msgspec.msgpack.encode(LearnerState(1, "", 7))
    world = World(tmp_path, Inherited(5, state, 5, stored=False))
    world.look()

    assert [row.generation for row in world.rows] == [5]


def test_generations_that_actors_could_not_start_from_are_marked(world: World) -> None:
    world.system.cells[ACTOR].quarantined.append(Quarantined(4, "ValueError: no"))
    world.look()

    assert world.marked == [("1/learner", 4)]
    assert not world.system.cells[ACTOR].quarantined


def test_it_finishes_with_the_last_states_in_the_thread_it_runs_in(world: World) -> None:
    world.keeper.start()
    world.save(3)
    world.keeper.finish()

    assert (world.heard()[-1], world.copied()) == (3, 3)
