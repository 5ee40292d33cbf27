"""The embedded server: starts anywhere, survives kills, serves several processes, and explains what is wrong."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from core.errors import FatalError
from storage.cluster import Postmaster, explained
from storage.embedded import EmbeddedServer, recorded_uri

ROOT = Path(__file__).resolve().parents[2]
AS_ROOT = os.geteuid() == 0


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A state folder whose server, if any is left, is ended with the test."""
    folder = tmp_path / "state"
    yield folder
    running = Postmaster.read(folder / "postgres")
    if running is not None and running.serves(folder / "postgres"):
        os.kill(running.pid, signal.SIGKILL)


def postmaster(state_dir: Path) -> Postmaster:
    found = Postmaster.read(state_dir / "postgres")
    assert found is not None
    return found


def ask(uri: str, query: str) -> object:
    with psycopg.connect(uri, connect_timeout=5) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[arg-type, unused-ignore]
        return row and row[0]


@contextlib.contextmanager
def another_user(state_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """A second process that starts (or joins) the server and holds it until its input closes."""
    program = (
        "import sys, pathlib; from storage.embedded import EmbeddedServer\n"
        "server = EmbeddedServer(pathlib.Path(sys.argv[1])); print(server.start(), flush=True)\n"
        "sys.stdin.read(); server.stop()"
    )
    command = [sys.executable, "-c", program, str(state_dir)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("postgresql://")
        yield process


def test_data_survives_a_stop_and_a_start_and_no_tcp_port_opens(state_dir: Path) -> None:
    server = EmbeddedServer(state_dir)
    uri = server.start()
    with psycopg.connect(uri) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    assert ask(uri, "SHOW listen_addresses") == ""
    assert ask(uri, "SHOW fsync") == "on"
    assert recorded_uri(state_dir) == uri
    pid = postmaster(state_dir).pid
    server.stop()
    assert recorded_uri(state_dir) is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    again = EmbeddedServer(state_dir)
    began = time.monotonic()
    assert ask(again.start(), "SELECT n FROM kept") == 7
    started = time.monotonic()
    again.stop()
    assert started - began < 1.0
    assert time.monotonic() - started < 1.0


def test_a_killed_server_recovers_what_was_committed(state_dir: Path) -> None:
    server = EmbeddedServer(state_dir)
    with psycopg.connect(server.start()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    killed = postmaster(state_dir)
    os.kill(killed.pid, signal.SIGKILL)
    try:
        assert ask(server.start(), "SELECT n FROM kept") == 7
        assert postmaster(state_dir).pid != killed.pid
    finally:
        server.stop()


def test_a_process_number_reused_by_another_program_does_not_stop_the_start(state_dir: Path) -> None:
    server = EmbeddedServer(state_dir)
    server.start()
    record = (state_dir / "postgres" / "postmaster.pid").read_text().splitlines()
    server.stop()
    (state_dir / "postgres" / "postmaster.pid").write_text("\n".join([str(os.getpid()), *record[1:], "ready"]))
    fresh = EmbeddedServer(state_dir)
    try:
        assert ask(fresh.start(), "SELECT 1") == 1
    finally:
        fresh.stop()


def test_the_server_of_a_killed_owner_is_adopted_and_stopped(state_dir: Path) -> None:
    with another_user(state_dir) as owner:
        pid = postmaster(state_dir).pid
        owner.kill()
    assert postmaster(state_dir).alive
    heir = EmbeddedServer(state_dir)
    assert ask(heir.start(), "SELECT 1") == 1
    running = postmaster(state_dir)
    assert running.pid == pid
    heir.stop()
    assert not running.alive


def test_the_last_user_stops_the_server_whoever_started_it(state_dir: Path) -> None:
    with another_user(state_dir) as other:
        server = EmbeddedServer(state_dir)
        uri = server.start()
        server.stop()
        assert ask(uri, "SELECT 1") == 1
        running = postmaster(state_dir)
        other.communicate(timeout=20)
    assert not running.alive


def test_a_terminal_interrupt_does_not_reach_the_server(state_dir: Path) -> None:
    server = EmbeddedServer(state_dir)
    server.start()
    try:
        assert os.getsid(postmaster(state_dir).pid) != os.getsid(0)
    finally:
        server.stop()


def test_deep_folders_and_two_clones_at_once(tmp_path: Path) -> None:
    servers = []
    for name in ("one", "two"):
        deep = tmp_path / name
        while len(str(deep)) < 220:
            deep /= "a-rather-deep-folder"
        servers.append(EmbeddedServer(deep / "with space"))
    try:
        uris = [server.start() for server in servers]
        for server, uri in zip(servers, uris, strict=True):
            assert ask(uri, "SHOW data_directory") == str(server.data_dir)
        sockets = {postmaster(server.state_dir).socket_dir for server in servers}
        assert len(sockets) == 2
    finally:
        for server in servers:
            server.stop()
    for folder in sockets:
        shutil.rmtree(folder)


def test_a_moved_folder_starts_where_it_is_now(state_dir: Path, tmp_path: Path) -> None:
    first = EmbeddedServer(state_dir)
    with psycopg.connect(first.start()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    first.stop()
    moved = state_dir.rename(tmp_path / "moved")
    second = EmbeddedServer(moved)
    try:
        assert ask(second.start(), "SELECT n FROM kept") == 7
    finally:
        second.stop()


@pytest.mark.skipif(not AS_ROOT, reason="only root has to hand the server to another account")
def test_root_hands_the_server_to_another_account_even_below_closed_folders(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedServer(closed / "state")
    try:
        assert ask(server.start(), "SELECT 1") == 1
        assert (closed / "state" / "postgres").stat().st_uid != 0
        assert closed.stat().st_mode & 0o777 == 0o701
    finally:
        server.stop()


@pytest.fixture(scope="module")
def stopped() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fusebox-stopped-") as folder:
        server = EmbeddedServer(Path(folder))
        server.start()
        server.stop()
        yield Path(folder)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: (data / "PG_VERSION").write_text("16\n"), "PostgreSQL 16, this is 18.*pg_upgrade"),
        (lambda data: (data / "PG_VERSION").unlink(), "damaged.*move it away"),
        (lambda data: (data / "global" / "pg_control").unlink(), "damaged.*move it away"),
        (lambda data: (data / "global" / "pg_control").write_bytes(b"\0" * 8192), "move the folder away"),
        (lambda data: shutil.rmtree(data / "pg_wal"), "damaged.*move it away"),
    ],
    ids=["other version", "no version", "no control file", "zeroed control file", "no log"],
)
def test_an_unusable_folder_is_one_line_with_folder_and_remedy(
    stopped: Path, tmp_path: Path, damage: object, says: str
) -> None:
    state_dir = tmp_path / "state"
    subprocess.run(["cp", "-a", str(stopped), str(state_dir)], check=True)
    assert callable(damage)
    damage(state_dir / "postgres")
    with pytest.raises(FatalError, match=says) as caught:
        EmbeddedServer(state_dir).start()
    assert str(state_dir) in str(caught.value)
    assert "\n" not in str(caught.value)


@contextlib.contextmanager
def small_disk(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize(("options", "says"), [("size=8m", "disk is full"), ("ro", "cannot be written")])
def test_a_full_or_read_only_disk_is_named(tmp_path: Path, options: str, says: str) -> None:
    with small_disk(tmp_path / "disk", options), pytest.raises(FatalError, match=says) as caught:
        EmbeddedServer(tmp_path / "disk" / "state").start()
    assert str(tmp_path / "disk" / "state") in str(caught.value)


def test_what_a_killed_start_left_of_a_new_database_never_stops_the_next_one(state_dir: Path) -> None:
    state_dir.mkdir()
    (state_dir / "postgres.new-killed").write_text("not even a folder, as one that an initdb is emptying may turn out")
    server = EmbeddedServer(state_dir)
    assert ask(server.start(), "SELECT 1") == 1
    server.stop()


@pytest.mark.parametrize("of", ["", "postgres"])
def test_an_unknown_complaint_is_passed_on_with_the_log_if_there_is_one(tmp_path: Path, of: str) -> None:
    said = "LOG: starting\nFATAL:  the moon is full\n"
    assert str(explained(tmp_path / of, said)).endswith("the moon is full")
    log = tmp_path / "postgres.log"
    log.touch()
    assert str(explained(tmp_path / of, said)).endswith(f"the moon is full; see {log}")
