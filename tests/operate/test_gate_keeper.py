"""The gate outlasts the process in both stores, follows what others store, and is never loosened by a store."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.gate_keeper import GateKeeper
from core.errors import FatalError, TransientError
from core.runtime.gate import GateCell
from core.trading.gate import GateLevel, GateState, Hold
from core.trading.lasting_holds import HALT, UNREADABLE, flattened, halted, lasting, resumed
from storage.gate_file import GateFile
from storage.gate_table import read_gate, update_gate
from storage.lease import Lease
from storage.pool import Connection
from storage.state_file import Schema, write_atomically

NOON_MS = 1_776_772_800_000


def halt(state: GateState) -> GateState:
    return halted(state, "looking", "ada", NOON_MS)


def flatten(state: GateState) -> GateState:
    return flattened(state, "", "ada", NOON_MS + 1)


class Process:
    """A gate and its keeper, as one process has them."""

    def __init__(self, conninfo: str | None, file: GateFile, epoch: int) -> None:
        self.conninfo = conninfo
        self.gate = GateCell()
        self.keeper = GateKeeper(self.gate, file, lambda: self.conninfo, epoch, lambda: NOON_MS)
        self.told: list[str] = []

    def start(self) -> "Process":
        self.keeper.load()
        self.keeper.audit = lambda what, _before, _after: self.told.append(what)
        self.keeper.start()
        return self

    @property
    def reasons(self) -> set[str]:
        return {hold.reason for hold in self.gate.state.holds}


@pytest.fixture
def file(tmp_path: Path) -> GateFile:
    return GateFile(tmp_path, report=lambda _: None, now_ms=lambda: NOON_MS)


@pytest.fixture
def make(database: str, file: GateFile) -> Iterator[Callable[[], Process]]:
    lease = Lease.acquire(database)
    made: list[Process] = []

    def process() -> Process:
        made.append(Process(database, file, lease.epoch))
        return made[-1]

    yield process
    for each in made:
        each.keeper.stop()
    lease.release()


def soon(ready: Callable[[], object]) -> None:
    deadline_s, turn = time.monotonic() + 10, threading.Event()
    while not ready():
        assert time.monotonic() < deadline_s
        turn.wait(0.005)


def empty(file: GateFile) -> None:
    for path in file.path.parent.glob("gate.*"):
        path.unlink()


def test_a_halt_is_in_both_stores_when_its_command_returns(
    make: Callable[[], Process], file: GateFile, connection: Connection
) -> None:
    process = make().start()
    before, after, late = process.keeper.change(halt, connection)

    assert (before.holds, late) == ((), [])
    assert process.gate.level() is GateLevel.CLOSED
    assert file.read().holds == read_gate(connection).holds == after.holds


@pytest.mark.parametrize("lost", ["file", "table", "neither"])
def test_the_next_process_is_closed_by_either_store_alone(
    lost: str, make: Callable[[], Process], file: GateFile, connection: Connection
) -> None:
    first = make().start()
    first.keeper.change(halt, connection)
    first.keeper.stop()
    if lost == "file":
        empty(file)
    if lost == "table":
        connection.execute("DELETE FROM gate")
    second = make()
    second.keeper.load()

    assert second.gate.level() is GateLevel.CLOSED
    assert [(hold.reason, hold.set_by) for hold in second.gate.state.holds] == [(HALT, "ada")]
    assert file.read().holds == read_gate(connection).holds != ()


@pytest.mark.parametrize("softer", ["file", "table"])
def test_at_start_a_flatten_in_one_store_does_not_soften_the_halt_in_the_other(
    softer: str, make: Callable[[], Process], file: GateFile, connection: Connection
) -> None:
    file.update(lambda state: flatten(halt(state)) if softer == "file" else halt(state))
    update_gate(connection, lambda state: flatten(halt(state)) if softer == "table" else halt(state))
    process = make().start()

    assert process.gate.level() is GateLevel.CLOSED


def test_only_what_lasts_is_stored(make: Callable[[], Process], file: GateFile, connection: Connection) -> None:
    process = make().start()
    process.gate.hold("BTC", "starting", GateLevel.REDUCE_ONLY)
    process.gate.hold(None, "daily loss", GateLevel.REDUCE_ONLY)

    soon(lambda: [hold.reason for hold in file.read().holds] == ["daily loss"])
    soon(lambda: [hold.reason for hold in read_gate(connection).holds] == ["daily loss"])


def test_a_halt_by_file_closes_without_a_database_and_is_stored_there_when_it_is_back(
    make: Callable[[], Process], file: GateFile, connection: Connection, database: str
) -> None:
    process = make().start()
    process.conninfo = None
    process.keeper._drop_connection()
    _, number = file.update(halt)

    soon(lambda: file.is_seen(number))
    assert process.gate.level() is GateLevel.CLOSED
    assert process.told == ["taken from the gate file: all closed: halt (looking) by ada"]
    process.conninfo = database
    soon(lambda: lasting(process.gate.state) == read_gate(connection).holds)


def test_a_halt_that_was_stored_in_the_database_alone_closes_the_running_process(
    make: Callable[[], Process], file: GateFile, connection: Connection
) -> None:
    process = make().start()
    update_gate(connection, halt)

    soon(lambda: process.gate.level() is GateLevel.CLOSED)
    soon(lambda: file.read().holds == lasting(process.gate.state))


def test_a_flatten_by_file_softens_the_halt_that_it_knew(make: Callable[[], Process], file: GateFile) -> None:
    process = make().start()
    file.update(halt)
    soon(lambda: process.gate.level() is GateLevel.CLOSED)
    file.update(flatten)

    soon(lambda: process.gate.level() is GateLevel.REDUCE_ONLY)


def test_a_store_that_has_lost_a_hold_does_not_open_the_gate_and_gets_it_again(
    make: Callable[[], Process], file: GateFile, connection: Connection
) -> None:
    process = make().start()
    process.keeper.change(halt, connection)
    connection.execute("DELETE FROM gate")
    file.update(resumed)

    soon(lambda: read_gate(connection).holds == file.read().holds == lasting(process.gate.state) != ())
    assert process.gate.level() is GateLevel.CLOSED


def test_resume_reaches_both_stores_and_the_next_process(
    make: Callable[[], Process], file: GateFile, connection: Connection
) -> None:
    process = make().start()
    process.keeper.change(halt, connection)
    process.gate.hold("BTC", "starting", GateLevel.REDUCE_ONLY)
    process.keeper.change(resumed, connection)

    assert process.reasons == {"starting"}
    assert file.read().holds == read_gate(connection).holds == ()
    process.keeper.stop()
    assert make().keeper.load().holds == ()


def test_a_file_that_is_damaged_while_the_process_runs_closes_it(make: Callable[[], Process], file: GateFile) -> None:
    process = make().start()
    file.path.with_name("gate.0000000009").write_bytes(b"torn")

    soon(lambda: process.reasons == {UNREADABLE})
    assert process.gate.level() is GateLevel.CLOSED


def test_a_file_of_a_newer_version_closes_a_running_process_and_refuses_a_start(
    make: Callable[[], Process], file: GateFile
) -> None:
    process = make().start()
    write_atomically(file.path, b"{}", keep=3, schema=Schema("gate", 2), created_at_ms=NOON_MS)

    soon(lambda: process.gate.level() is GateLevel.CLOSED)
    with pytest.raises(FatalError, match="gate 2"):
        make().keeper.load()


def test_nothing_starts_while_a_store_cannot_be_read(file: GateFile) -> None:
    with pytest.raises(TransientError, match="the database is not there"):
        Process(None, file, 1).keeper.load()


def test_a_disk_that_refuses_does_not_keep_the_halt_from_the_gate_and_the_database(
    make: Callable[[], Process], file: GateFile, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = make().start()

    def refuse(_change: object) -> tuple[GateState, int]:
        raise TransientError("gate: cannot write: No space left on device")

    monkeypatch.setattr(file, "update", refuse)
    _, _, late = process.keeper.change(halt, connection)

    assert process.gate.level() is GateLevel.CLOSED
    assert late == ["not yet in the file: gate: cannot write: No space left on device"]
    assert [hold.reason for hold in read_gate(connection).holds] == [HALT]


def test_the_cell_notes_when_a_hold_was_set_first() -> None:
    gate = GateCell(now_ms=lambda: NOON_MS)
    gate.hold("BTC", "stale", GateLevel.REDUCE_ONLY)
    gate.hold("BTC", "stale", GateLevel.REDUCE_ONLY)

    assert gate.state.holds == (Hold("BTC", "stale", GateLevel.REDUCE_ONLY, set_at_ms=NOON_MS),)
