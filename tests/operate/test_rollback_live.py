"""A checkpoint put back while the process runs: its actor starts from it, the database has it, and it is noted."""

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from actors import addresses
from actors.learner import LearnerState
from actors.portfolio_state import SCHEMA_VERSION
from actors.states import state_of
from cli.model_line import ModelLine
from cli.rollback import Rollback
from core.errors import RejectedError
from core.messages import Persist
from core.records import CheckpointRecord
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.cell import Spec
from core.runtime.context import Context
from core.runtime.threaded import ThreadedRuntime
from core.trading.gate import GateLevel
from models.checkpoint import MODEL, fresh_weights, model_payload, read_model
from storage.checkpoints import generations, upload
from storage.pool import Connection, connect
from storage.queries import open_session
from storage.writer import write
from tests.operate.account_rows import traded_rows

T0 = 1_776_727_800_123
REFUSAL = "the account is not known"


class Holder(Actor):
    """Holds the state it was made from, and saves whatever bytes it is told."""

    def __init__(self, context: Context, states: dict[Address, bytes | None]) -> None:
        super().__init__(context)
        states[context.address] = context.saved

    def receive(self, message: object) -> None:
        if isinstance(message, bytes):
            self.context.save(message)


class Writer(Actor):
    """Writes rows to the real tables."""

    def __init__(self, context: Context, connection: Connection) -> None:
        super().__init__(context)
        self._connection = connection

    def receive(self, message: object) -> None:
        if isinstance(message, Persist):
            write(self._connection, message.rows)


class Running:
    """A process with a portfolio, an executor and a learner, and the commands of its operator."""

    def __init__(self, connection: Connection, own: Connection) -> None:
        open_session(connection, "paper", {}, venue="paper", new=False, now_ms=T0)
        self.connection = connection
        self.system = ThreadedRuntime()
        self.states: dict[Address, bytes | None] = {}
        self.copied: list[CheckpointRecord] = []
        self.system.add(Spec(addresses.DB_WRITER, lambda context: Writer(context, own)))
        for address in (addresses.PORTFOLIO, addresses.EXECUTOR, addresses.LEARNER):
            self.system.add(Spec(address, self.holder, state=state_of(address)))
        for address in list(self.system.cells):
            self.system.start(address)
        payload = model_payload(fresh_weights(1), source="one")
        row = CheckpointRecord("model", "policy", 1, MODEL.version, payload, T0)
        write(connection, (row,))
        self.models = ModelLine(row, *read_model(MODEL.version, payload))
        self.system.gate.hold(None, REFUSAL, GateLevel.CLOSED)
        self.commands = Rollback(self.system, self.restart, 1, self.models, REFUSAL, self.copied.append)

    def holder(self, context: Context) -> Actor:
        return Holder(context, self.states)

    def restart(self, args: Mapping[str, Any], _connection: Connection) -> Mapping[str, Any]:
        cell = self.system.cells[Address(str(args["name"]))]
        before, deadline_s, pause = cell.incarnation, time.monotonic() + 10, threading.Event()
        self.system.restart(cell.spec.address)
        while cell.incarnation == before or cell.life != "running":
            assert time.monotonic() < deadline_s
            pause.wait(0.005)
        return {}

    def give(self, name: str, payload: bytes, version: int = 1, *, kind: Any = "actor", force: bool = False) -> Any:
        number = upload(self.connection, kind, version, payload)
        return self.commands.import_({"name": name, "upload": number, "force": force}, self.connection)


@pytest.fixture
def running(connection: Connection, database: str) -> Iterator[Running]:
    with connect(database) as own:
        process = Running(connection, own)
        yield process
        assert process.system.stop(5.0) == []


def learner(heard: int) -> bytes:
    return msgspec.msgpack.encode(LearnerState(1, "", heard))


def test_an_imported_state_is_what_the_actor_starts_from_and_the_newest_row(running: Running) -> None:
    running.system.tell(addresses.LEARNER, learner(1))
    said = running.give("1/learner", learner(42))

    assert said == {"name": "1/learner", "before": 0, "generation": 2, "actor": "learner"}
    assert running.states[addresses.LEARNER] == learner(42)
    assert [each.generation for each in generations(running.connection, "1/learner")] == [2]
    noted = running.connection.execute("SELECT subject, detail FROM health_events").fetchall()
    assert noted == [("1/learner", "generation 2 replaces 0: an imported file, by an operator")]


@pytest.mark.parametrize(
    ("name", "payload", "version", "said"),
    [
        ("1/learner", b"\xc1", 1, "1/learner cannot start from an imported file: schema version 1 cannot be read"),
        ("1/learner", b"\x93\x01\x02\x03", 7, "schema version 7 is newer than 1"),
        ("2/learner", b"\x93\x01\x02\x03", 1, "2/learner is no actor of the running session 1"),
        ("1/executor", b"\x80", 1, "would act again for orders that have ended since: --force"),
        ("1/portfolio", b"\x80", 1, "positions would disagree .* --force"),
    ],
)
def test_what_cannot_be_put_back_is_refused_and_changes_nothing(
    running: Running, name: str, payload: bytes, version: int, said: str
) -> None:
    with pytest.raises(RejectedError, match=said):
        running.give(name, payload, version)

    assert {cell.incarnation for cell in running.system.cells.values()} == {1}
    assert generations(running.connection, name) == []


def test_an_upload_can_be_taken_once(running: Running) -> None:
    number = upload(running.connection, "actor", 1, learner(1))
    args = {"name": "1/learner", "upload": number}
    running.commands.import_(args, running.connection)

    with pytest.raises(RejectedError, match=f"upload {number} is gone"):
        running.commands.import_(args, running.connection)


def test_a_portfolio_that_is_put_back_by_force_opens_the_gate_that_its_absence_had_closed(running: Running) -> None:
    state, _ = traded_rows(1, 10_000_000_000)
    running.give("1/portfolio", msgspec.msgpack.encode(state), SCHEMA_VERSION, force=True)

    assert running.system.gate.level() is GateLevel.OPEN
    assert running.states[addresses.PORTFOLIO] == msgspec.msgpack.encode(state)


def test_a_models_weights_are_taken_into_use_copied_and_rolled_back(running: Running) -> None:
    one, two = (fresh_weights(seed).to_bytes() for seed in (1, 2))
    running.give("policy", model_payload(fresh_weights(2), source="two"), kind="model")
    assert running.models.weights().to_bytes() == two
    assert running.system.cells[addresses.LEARNER].incarnation == 2

    done = running.commands({"name": "policy", "kind": "model", "generation": None}, running.connection)
    assert (done["from"], done["generation"]) == (1, 3)
    assert running.models.weights().to_bytes() == one
    assert [row.generation for row in running.copied] == [2, 3]
    assert [each.generation for each in generations(running.connection, "policy")] == [3, 2, 1]
    with pytest.raises(RejectedError, match="policy cannot start from an imported file"):
        running.give("policy", b"no model", kind="model")
    assert running.models.weights().to_bytes() == one


def test_an_offer_that_its_actor_never_took_is_not_taken_by_a_later_restart(running: Running) -> None:
    def refuse(_args: Mapping[str, Any], _connection: Connection) -> Mapping[str, Any]:
        raise RejectedError("it is being removed")

    refused = Rollback(running.system, refuse, 1)
    number = upload(running.connection, "actor", 1, learner(42))
    with pytest.raises(RejectedError, match="being removed"):
        refused.import_({"name": "1/learner", "upload": number}, running.connection)
    running.restart({"name": "learner"}, running.connection)

    assert running.states[addresses.LEARNER] is None
