"""Checkpoints in the hands of an operator: listed with their health, moved as checked files, rolled back."""

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner

from cli.main import app
from core.errors import FatalError, FuseboxError, RejectedError
from core.records import CheckpointRecord
from storage.checkpoints import Generation, Header, generations, older, quarantine, read_file, write_file
from storage.lease import Lease
from storage.pool import Connection
from storage.queries import latest_checkpoint, open_session
from storage.writer import write

T0 = 1_776_727_800_123

Command = Callable[..., str]


@pytest.fixture
def saved(connection: Connection) -> str:
    """Three generations of two actors and a model of session 1; returns the session's number."""
    session = open_session(connection, "paper", {}, new=True, now_ms=T0, venue="paper")
    for number in (1, 2, 3):
        for name in ("learner", "portfolio"):
            payload = msgspec.msgpack.encode({"step": number, "blob": b"xy"})
            write(connection, (CheckpointRecord("actor", f"{session.id}/{name}", number, 1, payload, T0 + number),))
        write(connection, (CheckpointRecord("model", "policy", number, 2, b"\x93NUM" + bytes([number]), T0 + number),))
    return str(session.id)


@pytest.fixture
def command(database: str) -> Command:
    """Run a command in this process and return its output; its error is raised."""
    uri = "postgresql:///?" + urlencode(conninfo_to_dict(database), quote_via=quote)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["checkpoints", *arguments], env={"DATABASE_URL": uri})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def damage(connection: Connection, name: str, generation: int) -> None:
    connection.execute(
        "UPDATE checkpoints SET payload = '\\x00' WHERE name = %s AND generation = %s", (name, generation)
    )


def test_list_shows_every_generation_and_which_are_damaged(
    saved: str, command: Command, connection: Connection
) -> None:
    damage(connection, "policy", 2)
    listed = json.loads(command("list", "--json"))

    assert [(each["name"], each["generation"], each["sound"]) for each in listed if each["kind"] == "model"] == [
        ("policy", 3, True),
        ("policy", 2, False),
        ("policy", 1, True),
    ]
    assert listed[0].keys() == {
        "kind", "name", "generation", "schema_version", "sha256", "sound", "size_bytes", "created_at_ms", "quarantined",
    }  # fmt: skip
    assert "DAMAGED" in command("list")


def test_show_takes_an_actors_bare_name_and_the_newest_sound_generation(
    saved: str, command: Command, connection: Connection
) -> None:
    assert json.loads(command("show", "portfolio", "--json"))["content"] == {"step": 3, "blob": "2 bytes"}
    damage(connection, f"{saved}/portfolio", 3)
    assert json.loads(command("show", f"{saved}/portfolio", "--json"))["generation"] == 2
    assert "step" in command("show", "portfolio", "--generation", "1")
    assert "bytes in a format of its own" in command("show", "policy")
    with pytest.raises(RejectedError, match=r"has no generation 9: there are 3, 2, 1"):
        command("show", "portfolio", "--generation", "9")


def test_rollback_makes_the_generation_before_the_newest_and_keeps_the_rest(
    saved: str, command: Command, connection: Connection
) -> None:
    assert "generation 4 is generation 2 again" in command("rollback", "learner")
    newest = latest_checkpoint(connection, "actor", f"{saved}/learner")

    assert newest is not None
    assert (newest.generation, msgspec.msgpack.decode(newest.payload)["step"]) == (4, 2)
    assert [each.generation for each in generations(connection, f"{saved}/learner")] == [4, 3, 2]
    assert "generation 4 is generation 1 again" in command("rollback", "policy", "--generation", "1")


def test_rollback_passes_over_damaged_generations_and_refuses_a_damaged_one(
    saved: str, command: Command, connection: Connection
) -> None:
    damage(connection, "policy", 2)
    with pytest.raises(RejectedError, match=r"generation 2 of policy is damaged: there are 3, 2 \(damaged\), 1"):
        command("rollback", "policy", "--generation", "2")

    assert "generation 4 is generation 1 again" in command("rollback", "policy")


def test_the_portfolio_is_rolled_back_and_imported_only_by_force(
    saved: str, command: Command, connection: Connection, tmp_path: Path
) -> None:
    command("export", "portfolio", str(tmp_path / "book"), "--generation", "1")
    for arguments in (("rollback", "portfolio"), ("import", f"{saved}/portfolio", str(tmp_path / "book"))):
        with pytest.raises(RejectedError, match=r"positions would disagree .* --force"):
            command(*arguments)
    assert [each.generation for each in generations(connection, f"{saved}/portfolio")] == [3, 2, 1]

    assert "generation 4 is generation 2 again" in command("rollback", "portfolio", "--force")


def test_what_was_exported_comes_back_as_the_newest_generation_under_any_name(
    saved: str, command: Command, connection: Connection, tmp_path: Path
) -> None:
    file = tmp_path / "learner.checkpoint"
    command("export", "learner", str(file), "--generation", "1")
    with pytest.raises(RejectedError, match="exists already"):
        command("export", "learner", str(file))
    assert file.read_bytes().startswith(b'fusebox-checkpoint 1 {"kind":"actor"')
    command("import", "learner", str(file))
    command("import", "7/learner", str(file))

    for name, number in ((f"{saved}/learner", 4), ("7/learner", 1)):
        newest = latest_checkpoint(connection, "actor", name)
        assert newest is not None
        assert (newest.generation, msgspec.msgpack.decode(newest.payload)["step"]) == (number, 1)


def test_nothing_is_changed_behind_the_back_of_a_process_that_trades(
    saved: str, command: Command, connection: Connection, database: str, tmp_path: Path
) -> None:
    command("export", "policy", str(tmp_path / "policy"))
    lease = Lease.acquire(database)
    for arguments, asked in (
        (("import", "policy", str(tmp_path / "policy")), "checkpoint import"),
        (("rollback", "policy"), "checkpoint rollback"),
    ):
        with pytest.raises(FuseboxError, match=f"did not answer `{asked}`"):
            command(*arguments, "--timeout", "0.3")
    lease.release()

    assert [each.generation for each in generations(connection, "policy")] == [3, 2, 1]
    command("import", "policy", str(tmp_path / "policy"))
    Lease.acquire(database).release()  # the lock of the import is given back


def test_what_an_operator_changes_is_noted_with_both_generations(
    saved: str, command: Command, connection: Connection, tmp_path: Path
) -> None:
    command("export", "learner", str(tmp_path / "file"))
    command("rollback", "learner", "--generation", "1")
    command("import", "learner", str(tmp_path / "file"))
    command("rollback", "policy")
    told = connection.execute("SELECT subject, detail FROM health_events WHERE status = 'checkpoint' ORDER BY id")

    assert told.fetchall() == [
        (f"{saved}/learner", "generation 4 replaces 3: generation 1, by an operator"),
        (f"{saved}/learner", "generation 5 replaces 4: the file file, by an operator"),
        ("policy", "generation 4 replaces 3: generation 2, by an operator"),
    ]


def test_a_quarantined_generation_is_shown_with_its_reason_and_passed_over_but_stays(
    saved: str, command: Command, connection: Connection
) -> None:
    name = f"{saved}/learner"
    quarantine(connection, "actor", name, 3, "schema version 9 is newer than 1")
    listed = json.loads(command("list", "--json"))

    assert {each["generation"]: each["quarantined"] for each in listed if each["name"] == name} == {
        3: "schema version 9 is newer than 1",
        2: None,
        1: None,
    }
    assert json.loads(command("show", "learner", "--json"))["generation"] == 2
    assert "generation 4 is generation 2 again" in command("rollback", "learner")
    for number in (5, 6, 7, 8):  # the reason to look into outlasts many good ones
        write(connection, (CheckpointRecord("actor", name, number, 1, b"x", T0),))
    assert [each.generation for each in generations(connection, name)] == [8, 7, 6, 3]


def test_an_unknown_name_is_refused_with_the_names_there_are(saved: str, command: Command) -> None:
    with pytest.raises(RejectedError, match=f"no checkpoint 'polcy': {saved}/learner, {saved}/portfolio, policy"):
        command("show", "polcy")


def test_a_rollback_needs_something_older(saved: str) -> None:
    only = Generation("model", "policy", 5, 1, "0" * 64, sound=True, size_bytes=1, created_at_ms=T0)
    for found, generation, said in (
        ([], None, "no checkpoint of that name"),
        ([only], None, "no sound generation before the newest"),
        ([only], 5, "is the newest already"),
        ([only], 4, "has no generation 4: there are 5"),
    ):
        with pytest.raises(RejectedError, match=said):
            older(found, generation)


@given(data=st.data(), payload=st.binary(min_size=1, max_size=200))
def test_an_exported_file_with_any_byte_changed_or_cut_off_is_never_taken_for_what_it_was(
    data: st.DataObject, payload: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("export") / "file"
    of = Generation("model", "policy", 5, 1, "", sound=True, size_bytes=len(payload), created_at_ms=T0)
    write_file(path, of, payload)
    whole = path.read_bytes()
    assert read_file(path)[1] == payload
    if data.draw(st.booleans(), label="cut"):
        broken = whole[: data.draw(st.integers(0, len(whole) - 1), label="length")]
    else:
        at = data.draw(st.integers(len(whole) - len(payload), len(whole) - 1), label="at")
        broken = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255), label="flip")]) + whole[at + 1 :]
    path.write_bytes(broken)

    with pytest.raises(FatalError, match=str(path)):
        read_file(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read"),
        (b"", "no exported checkpoint"),
        (b"PK\x03\x04 a zip file\n", "no exported checkpoint"),
        (b"fusebox-checkpoint 1 {nonsense}\nx", "first line cannot be read"),
    ],
    ids=["missing", "empty", "foreign", "bad header"],
)
def test_a_file_that_is_no_checkpoint_is_named_with_the_reason(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(FatalError, match=f"{path}.*{said}"):
        read_file(path)


def test_the_header_of_an_export_names_everything_needed_to_judge_it(tmp_path: Path) -> None:
    of = Generation("actor", "3/learner", 5, 2, "", sound=True, size_bytes=3, created_at_ms=T0)
    write_file(tmp_path / "file", of, b"abc")
    header, _ = read_file(tmp_path / "file")

    assert header == Header("actor", "3/learner", 5, 2, T0, 3, header.sha256)
