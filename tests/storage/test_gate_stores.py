"""The gate's two stores: every change is made to what is there, and what cannot be read counts as closed."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import FatalError, TransientError
from core.trading.gate import GateLevel, GateState, Hold, level
from core.trading.lasting_holds import UNREADABLE, flattened, halted, resumed
from storage.gate_file import GATE, GateFile
from storage.gate_table import read_gate, update_gate
from storage.lease import Lease, LeaseLostError
from storage.migrate import migrate, rollback
from storage.pool import Connection, connect
from storage.state_file import Schema, write_atomically
from tests.journal.disks import RefusingDisk

NOON_MS = 1_776_772_800_000


def halt(state: GateState) -> GateState:
    return halted(state, "looking", "ada", NOON_MS)


def flatten(state: GateState) -> GateState:
    return flattened(state, "BTC", "bob", NOON_MS + 1)


def no_change(state: GateState) -> GateState:
    return state


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def file(tmp_path: Path, reports: list[str]) -> GateFile:
    return GateFile(tmp_path / "state", report=reports.append, now_ms=lambda: NOON_MS)


def generations(file: GateFile) -> list[Path]:
    return sorted(file.path.parent.glob("gate.0*"))


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


def test_the_table_gives_back_what_was_stored(connection: Connection) -> None:
    assert read_gate(connection).holds == ()
    stored = update_gate(connection, lambda state: flatten(halt(state)))

    assert len(stored.holds) == 2
    assert read_gate(connection).holds == stored.holds
    assert update_gate(connection, resumed).holds == () == read_gate(connection).holds


def test_two_halts_at_once_are_one(database: str, connection: Connection) -> None:
    inside, leave = threading.Event(), threading.Event()

    def slowly(state: GateState) -> GateState:
        inside.set()
        assert leave.wait(10)
        return halt(state)

    def in_a_thread(change: Callable[[GateState], GateState]) -> Future[GateState]:
        def run() -> GateState:
            with connect(database) as its_own:
                return update_gate(its_own, change)

        return workers.submit(run)

    def waits() -> bool:
        row = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
        return row != (0,)

    with ThreadPoolExecutor(2) as workers:
        first = in_a_thread(slowly)
        assert inside.wait(10)
        second = in_a_thread(lambda state: halted(state, "me too", "bob", NOON_MS + 1))
        turn = threading.Event()
        while not waits() and not second.done():
            turn.wait(0.01)
        leave.set()
        holds = [first.result(10).holds, second.result(10).holds, read_gate(connection).holds]

    assert [[hold.set_by for hold in each] for each in holds] == [["ada"]] * 3


def test_a_process_whose_lease_is_gone_changes_nothing(database: str, connection: Connection) -> None:
    lease = Lease.acquire(database)
    update_gate(connection, halt, lease_epoch=lease.epoch)
    lease.release()
    Lease.acquire(database).release()

    with pytest.raises(LeaseLostError):
        update_gate(connection, resumed, lease_epoch=lease.epoch)
    assert len(read_gate(connection).holds) == 1


def test_a_database_without_the_table_holds_nothing_and_is_not_taken_for_broken(empty_database: str) -> None:
    with connect(empty_database) as connection:
        assert read_gate(connection) == GateState()


def test_the_migration_can_be_undone_and_done_again(database: str, connection: Connection) -> None:
    undone = []
    while "0004_gate" not in undone:
        undone += rollback(database)
    assert migrate(database) == sorted(undone)
    update_gate(connection, halt)


# -- the local file ---------------------------------------------------------------------------------------------------


def test_the_file_gives_back_what_was_stored_and_is_not_written_without_need(file: GateFile) -> None:
    assert (file.read().holds, file.number()) == ((), 0)
    stored, number = file.update(halt)
    assert (file.read().holds, number) == (stored.holds, 1)
    assert file.update(halt)[1] == 1

    file.update(resumed)
    assert (file.read().holds, file.number()) == ((), 2)


def test_a_damaged_newest_generation_closes_whatever_the_one_before_said(file: GateFile, reports: list[str]) -> None:
    file.update(flatten)
    file.update(resumed)
    generations(file)[-1].write_bytes(b"fusebox-state torn")
    state = file.read()

    assert level(state, "BTC") is GateLevel.CLOSED
    hold = next(hold for hold in state.holds if hold.reason == UNREADABLE)
    assert str(file.path) in hold.detail
    assert "resume --reason" in hold.detail
    assert "not a state file" in reports[0]


def test_damage_that_was_set_aside_still_closes_until_a_sound_file_is_written(file: GateFile) -> None:
    file.update(flatten)
    file.update(resumed)
    generations(file)[-1].write_bytes(b"")
    file.read()
    assert level(file.read(), "ETH") is GateLevel.CLOSED  # a process that died in between saw it once already

    file.update(no_change)  # the damage itself is stored now
    assert level(file.read(), "ETH") is GateLevel.CLOSED
    file.update(resumed)
    assert file.read().holds == ()


def test_an_only_generation_that_is_damaged_closes(file: GateFile) -> None:
    file.update(resumed)
    file.update(halt)
    for path in generations(file):
        path.write_bytes(b"x")

    assert level(file.read(), "BTC") is GateLevel.CLOSED


def test_content_that_is_not_a_gate_closes(file: GateFile, reports: list[str]) -> None:
    write_atomically(file.path, b'{"holds": 4}', keep=3, schema=GATE, created_at_ms=NOON_MS)

    assert level(file.read(), "BTC") is GateLevel.CLOSED
    assert "holds" in reports[0]


def test_a_file_of_a_newer_version_is_refused_with_the_remedy(file: GateFile) -> None:
    write_atomically(file.path, b"{}", keep=3, schema=Schema("gate", 2), created_at_ms=NOON_MS)

    with pytest.raises(FatalError, match=r"written as gate 2.* move the file away"):
        file.read()


def test_a_full_disk_leaves_what_was_stored(tmp_path: Path) -> None:
    disk = RefusingDisk()
    file = GateFile(tmp_path, report=lambda _: None, now_ms=lambda: NOON_MS, disk=disk)
    file.update(halt)
    disk.room_bytes = 10

    with pytest.raises(TransientError, match="No space left"):
        file.update(resumed)
    assert len(file.read().holds) == 1


def test_whoever_wrote_a_generation_hears_when_the_process_goes_by_it(file: GateFile) -> None:
    _, number = file.update(halt)
    assert not file.is_seen(number)
    file.note_seen(number)
    assert (file.is_seen(number), file.is_seen(number + 1)) == (True, False)


def test_a_hold_keeps_what_it_says_through_both_stores(file: GateFile, connection: Connection) -> None:
    hold = Hold("", "halt", GateLevel.CLOSED, 'a "reason" ;--', "ada@host", NOON_MS, ("BTC", "ETH"))
    file.update(lambda _: GateState((hold,), 7))
    update_gate(connection, lambda _: GateState((hold,), 7))

    assert file.read() == read_gate(connection) == GateState((hold,), 7)
