"""`halt`, `resume` and `flatten` against a system of threads, and in a shell where no process answers."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest
from msgspec.structs import replace
from psycopg.conninfo import conninfo_to_dict

from actors import addresses
from actors.portfolio_state import PortfolioState
from cli import gate_remote
from cli.exit_codes import EXIT_NOT_RUNNING
from cli.gate_commands import GateCommands
from cli.gate_keeper import GateKeeper
from cli.heartbeat import NAME, Heartbeat
from core.errors import RejectedError, TransientError
from core.messages import Alert, Persist
from core.records import HealthEventRecord
from core.runtime.actor import Actor
from core.runtime.cell import Spec
from core.runtime.context import Context
from core.runtime.threaded import ThreadedRuntime
from core.trading.gate import GateLevel
from core.trading.lasting_holds import HALT, halted
from core.trading.positions import Position
from storage.gate_file import GateFile
from storage.gate_table import read_gate
from storage.lease import Lease
from storage.pool import Connection
from storage.queries import open_session
from tests.operate.test_operations import HandClock, soon
from tests.trading.builders import NOW_MS, a_market

BY = {"by": "ada@host", "at_ms": NOW_MS}
HALTED = {**BY, "reason": "looking"}
SHARES = 40_000_000


class Keeps(Actor):
    """Saves what it is told to save and notes the rest."""

    heard: list[object] = []  # noqa: RUF012 -- replaced for each test

    def receive(self, message: object) -> None:
        if isinstance(message, bytes):
            self.context.save(message)
        else:
            self.heard.append(message)


@pytest.fixture
def heard() -> list[object]:
    return []


@pytest.fixture
def system(heard: list[object]) -> Iterator[ThreadedRuntime]:
    def make(context: Context) -> Actor:
        actor = Keeps(context)
        actor.heard = heard
        return actor

    system = ThreadedRuntime(HandClock(), seed=1)
    for address in (addresses.DB_WRITER, addresses.NOTIFIER, addresses.PORTFOLIO):
        system.add(Spec(address, make))
        system.start(address)
    yield system
    system.stop(5.0)


@pytest.fixture
def file(tmp_path: Path) -> GateFile:
    return GateFile(tmp_path, report=lambda _: None, now_ms=lambda: NOW_MS)


@pytest.fixture
def commands(system: ThreadedRuntime, file: GateFile, database: str) -> Iterator[GateCommands]:
    lease = Lease.acquire(database)
    keeper = GateKeeper(system.gate, file, lambda: database, lease.epoch, lambda: NOW_MS)
    keeper.load()
    yield GateCommands(system, keeper, ("BTC", "ETH"), 1)
    keeper.stop()
    lease.release()


def hold_position(system: ThreadedRuntime, shares: int = SHARES) -> None:
    market = a_market()
    position = Position(
        session_id=1, asset="BTC", condition_id=market.condition_id, side="UP", shares=shares, cost_usd=20_000_000,
        fees_usd=0, opened_ms=NOW_MS, updated_ms=NOW_MS, entry_intent_id="i1",
    )  # fmt: skip
    state = PortfolioState.new(10_000_000_000)
    ledger = replace(state.ledger, positions={"one": position})
    state = replace(state, ledger=ledger, markets={market.condition_id: market})
    system.tell(addresses.PORTFOLIO, msgspec.msgpack.encode(state))
    soon(lambda: system.cells[addresses.PORTFOLIO].saved)


def events(heard: list[object]) -> list[HealthEventRecord]:
    rows = [row for message in heard if isinstance(message, Persist) for row in message.rows]
    return [row for row in rows if isinstance(row, HealthEventRecord)]


def test_halt_closes_says_what_is_held_and_is_recorded_with_both_values(
    commands: GateCommands, system: ThreadedRuntime, connection: Connection, heard: list[object]
) -> None:
    hold_position(system)
    result = commands.halt(HALTED, connection)

    assert (result["before"], result["gate"], result["late"]) == ("open", "closed", [])
    assert [(each["asset"], each["shares"], each["remark"]) for each in result["held"]] == [
        ("BTC", "40.000000", "held: the gate is closed")
    ]
    soon(lambda: events(heard) and any(isinstance(message, Alert) for message in heard))
    (event,) = events(heard)
    assert event.detail == (
        "halt (looking) by ada@host: open -> closed [all closed: halt (looking) by ada@host]"
    )  # fmt: skip


def test_a_halt_that_came_by_file_first_is_recorded_once(
    commands: GateCommands, file: GateFile, connection: Connection, heard: list[object]
) -> None:
    commands._keeper.audit = commands.audit
    file.update(lambda state: halted(state, "looking", "ada@host", NOW_MS))
    commands._keeper.keep_in_file()
    result = commands.halt(HALTED, connection)

    assert (result["changed"], result["gate"]) == (False, "closed")
    soon(lambda: events(heard))
    assert [event.detail.split(":")[0] for event in events(heard)] == ["taken from the gate file"]
    assert [hold.reason for hold in read_gate(connection).holds] == [HALT]


def test_flatten_says_what_it_can_sell_and_what_not(
    commands: GateCommands, system: ThreadedRuntime, connection: Connection
) -> None:
    commands.halt(HALTED, connection)
    hold_position(system)
    result = commands.flatten({**BY, "asset": "btc"}, connection)
    assert (result["before"], result["gate"], result["kept_closed_by"]) == ("closed", "reduce-only", [])
    assert result["held"][0]["remark"] == "its exit is asked for until it is gone"

    system.gate.hold(None, "lease lost", GateLevel.CLOSED)
    result = commands.flatten({**BY, "asset": ""}, connection)
    assert result["kept_closed_by"] == ["all closed: lease lost"]


@pytest.mark.parametrize(
    ("shares", "seconds", "remark"),
    [(1_000_000, 0, "below the minimum of 5"), (SHARES, 10_000, "its window is over: it settles")],
)
def test_flatten_says_what_is_too_small_or_too_late_to_sell(
    commands: GateCommands, system: ThreadedRuntime, connection: Connection, shares: int, seconds: int, remark: str
) -> None:
    hold_position(system, shares)
    assert isinstance(system.clock, HandClock)
    system.clock.wall_ms += seconds * 1000
    result = commands.flatten(BY, connection)

    assert result["held"][0]["remark"].startswith(remark)


def test_flatten_of_an_unknown_asset_is_refused(commands: GateCommands, connection: Connection) -> None:
    with pytest.raises(RejectedError, match="choose from BTC, ETH"):
        commands.flatten({**BY, "asset": "DOGE"}, connection)


def test_resume_shows_what_had_tripped_and_names_what_remains(
    commands: GateCommands, system: ThreadedRuntime, connection: Connection
) -> None:
    commands.halt(HALTED, connection)
    system.gate.hold("BTC", "starting", GateLevel.REDUCE_ONLY)
    result = commands.resume({**BY, "reason": "found it"}, connection)

    assert [(hold["reason"], hold["set_by"], hold["set_at_ms"]) for hold in result["lifted"]] == [
        (HALT, "ada@host", NOW_MS)
    ]
    assert [hold["reason"] for hold in result["remaining"]] == ["starting"]
    assert result["gate"] == "open"


@pytest.mark.parametrize(
    ("reason", "said"), [("", "needs a reason"), (" ", "needs a reason"), ("x", "the gate is open")]
)
def test_resume_needs_a_reason_and_something_to_lift(
    commands: GateCommands, connection: Connection, reason: str, said: str
) -> None:
    with pytest.raises(RejectedError, match=said):
        commands.resume({**BY, "reason": reason}, connection)


# -- without a process ------------------------------------------------------------------------------------------------


@pytest.fixture
def shell(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process is the shell: its state folder, whose gate file is the one of `file`."""
    parts = {name: str(value) for name, value in conninfo_to_dict(database).items() if value}
    name = parts.pop("dbname")
    monkeypatch.setenv("DATABASE_URL", f"postgresql:///{name}?{urlencode(parts)}")
    monkeypatch.setenv("FUSEBOX_STATE_DIR", str(tmp_path))
    return tmp_path


def test_without_a_process_a_halt_is_stored_in_both_and_recorded(
    shell: Path, file: GateFile, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    open_session(connection, "paper", {}, venue="paper", new=False, now_ms=NOW_MS)
    assert gate_remote.halt("leaving", as_json=True) == EXIT_NOT_RUNNING

    said = json.loads(capsys.readouterr().out)
    assert (said["running"], said["stored_in"]) == (False, [str(file.path), "the database"])
    assert [hold["detail"] for hold in said["holds"]] == ["leaving"]
    assert [hold.reason for hold in file.read().holds] == [HALT]
    assert [hold.reason for hold in read_gate(connection).holds] == [HALT]
    row = connection.execute("SELECT detail FROM health_events").fetchone()
    assert row is not None
    assert "open -> all closed: halt (leaving)" in str(row[0])


def test_without_a_process_resume_lifts_in_both_and_says_what(
    shell: Path, file: GateFile, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    gate_remote.halt("leaving")
    gate_remote.flatten("BTC")
    assert gate_remote.resume("back") == EXIT_NOT_RUNNING

    assert "lifted all closed: halt (leaving) by" in capsys.readouterr().out
    assert file.read().holds == read_gate(connection).holds == ()
    with pytest.raises(RejectedError, match="nothing was halted"):
        gate_remote.resume("again")


def test_without_a_database_a_halt_is_in_the_file_and_resume_lifts_nothing(
    shell: Path, file: GateFile, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert gate_remote.halt() == EXIT_NOT_RUNNING
    assert "127.0.0.1:1" in capsys.readouterr().err
    assert [hold.reason for hold in file.read().holds] == [HALT]

    with pytest.raises(TransientError):
        gate_remote.resume("back")
    assert [hold.reason for hold in file.read().holds] == [HALT]


def test_a_process_here_that_takes_the_file_is_reported_as_closed(
    shell: Path, file: GateFile, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    me = Heartbeat(os.getpid(), NOW_MS, 1, "open", None)
    (shell / NAME).write_bytes(msgspec.json.encode(me))
    file.note_seen(1)

    assert gate_remote.halt() == 0
    assert "goes by it" in capsys.readouterr().out


def test_flatten_of_an_unknown_asset_is_refused_without_a_process_too(shell: Path, file: GateFile) -> None:
    with pytest.raises(RejectedError, match="there is no asset 'DOGE'"):
        gate_remote.flatten("doge")
    assert file.number() == 0
