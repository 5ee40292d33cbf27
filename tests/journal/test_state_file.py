"""A file that is replaced whole: the newest sound generation is read, whatever happened to the others."""

import errno
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import FatalError, TransientError
from storage import state_file
from storage.state_file import Disk, Schema, Sound, read_newest, write_atomically
from tests.journal.disks import FragileDisk, PowerCutError, RefusingDisk

ROOT = Path(__file__).resolve().parents[2]
GATE = Schema("gate", 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "gate"


@pytest.fixture
def reports() -> list[str]:
    return []


def write(path: Path, payload: bytes, *, keep: int = 3, disk: Disk | None = None) -> int:
    return write_atomically(path, payload, keep=keep, schema=GATE, created_at_ms=len(payload), disk=disk or Disk())


def read(path: Path) -> Sound | None:
    return read_newest(path, report=print)


def names(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


def test_what_was_written_is_read_with_what_it_is(path: Path) -> None:
    assert write(path, b"open\n\0") == 1

    assert read(path) == Sound(b"open\n\0", GATE, generation=1, created_at_ms=6, damaged_newer=0)


def test_nothing_written_is_nothing_read(path: Path) -> None:
    assert read(path) is None
    write(path.with_name("gate.other"), b"x")
    assert read(path) is None


def test_the_newest_generations_stay(path: Path) -> None:
    assert [write(path, bytes([number]), keep=2) for number in range(5)] == [1, 2, 3, 4, 5]

    assert names(path) == ["gate.0000000004", "gate.0000000005"]
    assert (found := read(path)) is not None
    assert found.payload == b"\x04"


def test_no_generation_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="keep at least one generation of gate"):
        write(path, b"x", keep=0)


@given(payload=st.binary(max_size=40), data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_damage_to_the_newest_gives_the_one_before(payload: bytes, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, reports = Path(folder) / "gate", list[str]()
        disk = RefusingDisk()
        write(path, b"before", disk=disk)
        write(path, payload, disk=disk)
        newest = path.with_name("gate.0000000002")
        content = newest.read_bytes()
        cut = data.draw(st.integers(0, len(content) - 1))
        damaged = data.draw(
            st.sampled_from([content[:cut], content[:cut] + bytes([content[cut] ^ 1]) + content[cut + 1 :]])
        )
        newest.write_bytes(damaged)

        found = read_newest(path, report=reports.append, disk=disk)

        assert found is not None
        assert (found.payload, found.generation, found.damaged_newer) == (b"before", 1, 1)
        assert path.with_name("gate.damaged-0000000002").read_bytes() == damaged
        assert len(reports) == 1
        assert "set aside as gate.damaged-0000000002" in reports[0]
        assert write(path, b"next", disk=disk) == 3


def test_when_all_are_damaged_each_is_told(path: Path, reports: list[str]) -> None:
    for payload in (b"a", b"b"):
        write(path, payload)
        max(path.parent.glob("gate.0*")).write_bytes(b"")

    assert read_newest(path, report=reports.append) is None
    assert [text.partition(";")[0] for text in reports] == [f"{path}.000000000{number}: empty" for number in (2, 1)]
    assert read_newest(path, report=reports.append) is None
    assert len(reports) == 2


def test_a_newer_layout_stops_and_is_not_taken_for_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(state_file, "FORMAT_VERSION", 2)
        write(path, b"open")

    with pytest.raises(FatalError, match=r"gate\.0000000001: written in format 2, this program knows 1"):
        read(path)
    assert names(path) == ["gate.0000000001"]


def test_a_person_can_check_a_file_with_ordinary_tools(path: Path) -> None:
    write(path, b"payload")

    first, _, rest = path.with_name("gate.0000000001").read_bytes().partition(b"\n")

    assert first.split() == [b"fusebox-state", hashlib.sha256(rest).hexdigest().encode()]
    assert rest == b'{"format":1,"schema":{"name":"gate","version":3},"created_at_ms":7}\npayload'


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_disk_that_refuses_leaves_the_generation_before(path: Path, call: str) -> None:
    disk = RefusingDisk()
    write(path, b"before")
    disk.refused = {call: errno.ENOSPC}

    with pytest.raises(TransientError, match=f"{path.parent}.*: cannot write: No space left on device"):
        write(path, b"after", disk=disk)

    assert (found := read(path)) is not None
    assert found.payload == b"before"
    disk.refused = {}
    write(path, b"after", disk=disk)
    assert (found := read(path)) is not None
    assert found.payload == b"after"


def test_a_full_disk_is_given_its_space_back(path: Path) -> None:
    disk = RefusingDisk()
    write(path, b"before")
    disk.room_bytes = 50

    with pytest.raises(TransientError):
        write(path, b"after", disk=disk)

    assert names(path) == ["gate.0000000001"]


@given(units=st.integers(0, 400), data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_power_cut_leaves_the_one_before_or_the_new_one(units: int, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, reports = Path(folder) / "gate", list[str]()
        disk = FragileDisk(lambda choices: data.draw(st.integers(0, choices - 1)))
        write(path, b"first", disk=disk)
        write(path, b"before", keep=2, disk=disk)
        disk.units_left = units
        expected = {b"after"}
        try:
            write(path, b"after", keep=2, disk=disk)
        except PowerCutError:
            expected = {b"before", b"after"}
        disk.lose_power()

        found = read_newest(path, report=reports.append, disk=disk)

        assert found is not None
        assert found.payload in expected
        assert reports == []


def test_writers_in_several_processes_take_turns(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from storage.state_file import *\n"
        "for n in range(30):\n"
        "    write_atomically(Path(sys.argv[1]), b'x', keep=100, schema=Schema('g', 1), created_at_ms=n)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT) for _ in range(3)]

    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert names(path) == [f"gate.{number:010d}" for number in range(1, 91)]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")

    with pytest.raises(TransientError, match=f"{tmp_path}/taken: cannot write: {os.strerror(errno.EEXIST)}"):
        write(tmp_path / "taken" / "gate", b"x")
