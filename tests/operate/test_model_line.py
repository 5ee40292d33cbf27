"""The weights in use are a line of checkpoints: stored once, resumed, rolled back for good, replaced by a new file."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from cli.model_line import ModelLine, open_line
from core.errors import FuseboxError
from core.records import CheckpointRecord
from models.checkpoint import MODEL, fresh_weights, model_payload, read_model
from models.weights import Weights
from storage.checkpoints import generations
from storage.local_copies import LocalCopies
from storage.pool import Connection
from storage.queries import database_id
from storage.writer import write

T0 = 1_776_727_800_123
FIRST, SECOND, THIRD = (fresh_weights(seed) for seed in (1, 2, 3))

Open = Callable[[Weights], ModelLine]


@pytest.fixture
def copies(connection: Connection, tmp_path: Path) -> LocalCopies:
    return LocalCopies(tmp_path, database_id(connection), report=lambda _text: None)


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def start(connection: Connection, copies: LocalCopies, lines: list[str]) -> Open:
    """Begin as a process does that was given some weights."""

    def run(given: Weights) -> ModelLine:
        return open_line(
            connection,
            copies,
            given,
            name="policy",
            source="policy.safetensors",
            write=lambda rows: write(connection, rows),
            log=lines.append,
            now_ms=T0,
        )

    return run


def learnt(weights: Weights, source: str) -> bytes:
    """What a learner keeps after an update."""
    parent = read_model(MODEL.version, model_payload(FIRST, source="policy.safetensors"))[1].weights_sha256
    return model_payload(weights, source=source, parent_sha256=parent)


def same(one: Weights, other: Weights) -> bool:
    return one.to_bytes() == other.to_bytes()


def numbers(connection: Connection) -> list[int]:
    return [each.generation for each in generations(connection, "policy", "model")]


def test_the_weights_in_use_are_stored_once_with_their_lineage(start: Open, connection: Connection) -> None:
    line = start(FIRST)
    weights, state = read_model(MODEL.version, line.row.payload)

    assert same(weights, FIRST)
    assert (state.source, state.version, state.parent_sha256) == ("policy.safetensors", 0, None)
    assert state.weights_sha256 == state.given_sha256
    assert same(start(FIRST).weights(), FIRST)
    assert numbers(connection) == [1]


def test_a_start_goes_on_from_what_was_learnt_and_not_from_the_file(start: Open, connection: Connection) -> None:
    row = start(FIRST).store(learnt(SECOND, "update 1"), T0 + 1)
    write(connection, (row,))
    line = start(FIRST)

    assert same(line.weights(), SECOND)
    assert (line.row.generation, line.source) == (2, "update 1")
    assert read_model(1, line.row.payload)[1].parent_sha256 == read_model(1, start(FIRST).row.payload)[1].given_sha256


def test_another_file_of_the_same_name_begins_anew(start: Open, connection: Connection) -> None:
    write(connection, (start(FIRST).store(learnt(SECOND, "update 1"), T0 + 1),))

    assert same(start(THIRD).weights(), THIRD)
    assert numbers(connection) == [3, 2, 1]


def test_what_was_rolled_back_to_lasts(start: Open, connection: Connection) -> None:
    start(FIRST)
    line = start(THIRD)  # another file, so that generation 1 is of another line
    (first,) = connection.execute("SELECT payload FROM checkpoints WHERE generation = 1").fetchall()
    row = line.adopt(1, bytes(first[0]), highest=2, now_ms=T0)  # type: ignore[call-overload]  # a bytea is bytes
    write(connection, (row,))
    again = start(THIRD)

    assert (row.generation, again.row.generation) == (3, 3)
    assert same(line.weights(), FIRST)
    assert same(again.weights(), FIRST)


@pytest.mark.parametrize("how", ["bytes", "schema", "weights"])
def test_a_generation_of_no_use_is_set_aside_for_the_one_before(
    start: Open, connection: Connection, lines: list[str], how: str
) -> None:
    line = start(FIRST)
    row = line.store(learnt(SECOND, "update 1"), T0)
    if how == "schema":
        row = msgspec.structs.replace(row, schema_version=9)
    if how == "weights":
        row = msgspec.structs.replace(row, payload=row.payload.replace(b"actor", b"acter"))
    write(connection, (row,))
    if how == "bytes":
        connection.execute("UPDATE checkpoints SET payload = 'x' WHERE generation = 2")
    again = start(FIRST)

    assert same(again.weights(), FIRST)
    assert again.store(learnt(THIRD, "update 2"), T0).generation == 3  # number 2 is taken
    assert lines[0].startswith("checkpoint of model policy: generation 2 is set aside")
    assert generations(connection, "policy")[0].quarantined is not None


def test_the_local_copy_stands_in_for_an_emptied_table(
    start: Open, connection: Connection, copies: LocalCopies
) -> None:
    row = start(FIRST).store(learnt(SECOND, "update 1"), T0)
    copies.write(row)
    connection.execute("DELETE FROM checkpoints")

    assert same(start(FIRST).weights(), SECOND)
    assert numbers(connection) == [2]


def test_a_model_of_no_use_is_refused_and_nothing_changes(start: Open) -> None:
    line = start(FIRST)
    for version, payload in ((9, line.row.payload), (1, b"no model"), (1, model_payload(FIRST, source="x")[:-400])):
        with pytest.raises(FuseboxError):
            line.adopt(version, payload, highest=1, now_ms=T0)
    assert same(line.weights(), FIRST)
    assert isinstance(line.row, CheckpointRecord)
    assert line.row.generation == 1
