"""The Procfile as a host uses it: release, worker and web on a PostgreSQL that is theirs to share, and on no disk."""

import itertools
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

from bench.instances import EPOCH_TIMES
from storage.embedded import EmbeddedServer
from storage.migrate import MIGRATIONS
from tests.deployment.host import PATH, Host, Instance
from tests.system.test_demo import assert_reconciled

PASSWORD = "a password of this test"  # noqa: S105
NEWEST = max(path.stem for path in MIGRATIONS.glob("*.sql") if ".rollback" not in path.name)
APPLIED = "SELECT count(*) FROM _yoyo_migration WHERE migration_id = %s"


@pytest.fixture
def server() -> Iterator[str]:
    """Address of a database server that is none of the processes' own."""
    with tempfile.TemporaryDirectory(prefix="fusebox-test-") as folder:
        own = EmbeddedServer(Path(folder))
        try:
            yield own.start()
        finally:
            own.stop()


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def host(server: str, port: int) -> Iterator[Host]:
    config = {
        "DATABASE_URL": server,
        "PORT": str(port),
        "FUSEBOX_PROFILE": "demo",
        "FUSEBOX_WINDOW_S": "20",
        "FUSEBOX_ASSETS": "BTC,ETH",
        "FUSEBOX_LOG_FORMAT": "human",
        "FUSEBOX_DASHBOARD_PASSWORD": PASSWORD,
    }
    with tempfile.TemporaryDirectory(prefix="fusebox-test-") as folder:
        playing = Host(Path(folder), config)
        yield playing
        playing.close()


def shown(visitor: httpx.Client) -> dict[str, Any]:
    """Log in and return the first moment at which the page shows a process that trades."""
    visitor.post("/login", data={"password": PASSWORD})
    with visitor.stream("GET", "/api/stream") as stream:
        for line in itertools.islice(stream.iter_lines(), 200):
            view: dict[str, Any] = msgspec.json.decode(line.removeprefix("data:")) if line.startswith("data:") else {}
            if view.get("state") == "live":
                return view
    raise AssertionError("no view of a process that trades")


def trade_count(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM trades").fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def visitor(port: int) -> Iterator[httpx.Client]:
    """A browser elsewhere: an address that answers only where a server listens on every one of the host's."""
    base = f"http://127.0.0.2:{port}"
    with httpx.Client(base_url=base, headers={"origin": base}) as client:
        yield client


def test_the_web_process_serves_at_the_port_of_the_host_asks_for_a_password_and_stops_when_told(
    host: Host, visitor: httpx.Client
) -> None:
    assert host.release().returncode == 0
    web = host.start("web")
    web.wait_for("the web page is at")

    assert visitor.get("/healthz").status_code == 200
    assert (visitor.get("/").status_code, visitor.get("/").headers["location"]) == (303, "/login")
    assert visitor.get("/api/session").status_code == 401
    assert visitor.post("/login", data={"password": PASSWORD}).status_code == 303
    assert visitor.get("/").status_code == 200
    assert visitor.get("/api/session").json()["password"] is True
    os.kill(web.pid, signal.SIGKILL)
    again = host.restarted()
    again.wait_for("the web page is at")
    assert visitor.get("/healthz").status_code == 200
    assert host.stop(again) == 0


@pytest.mark.parametrize("kind", ["release", "worker", "web"])
def test_without_a_database_of_the_host_nothing_starts_that_would_forget(tmp_path: Path, kind: str) -> None:
    instance = Instance(kind, tmp_path, {"PATH": PATH})
    assert instance.stopped_with() != 0
    instance.kill()

    assert "DATABASE_URL: attach a PostgreSQL first" in "\n".join(instance.lines)


def test_a_deploy_a_rolling_redeploy_a_kill_and_an_interrupt_are_one_session_and_never_trade_twice(
    host: Host, server: str, visitor: httpx.Client
) -> None:
    released = host.release()
    assert released.returncode == 0, released.stdout
    with psycopg.connect(server, autocommit=True) as connection:
        assert trade_count(connection) == 0  # the tables are there before anything runs

        web = host.start("web")
        first = host.start("worker")
        first.wait_for("starting session 1")
        first.wait_for("closed by", within_s=180)
        connection.execute("DELETE FROM _yoyo_migration WHERE migration_id = %s", (NEWEST,))  # as if it were new
        released = host.release()
        assert released.returncode == 0
        assert f"the `run` that takes over from it applies {NEWEST}" in released.stdout
        second = host.start("worker")
        second.wait_for("is traded by process")
        assert host.stop(first) == 0
        second.wait_for("resuming session 1", within_s=10)
        assert sum("closed by" in line for line in first.lines) == trade_count(connection)  # nothing went with its disk
        assert connection.execute(APPLIED, (NEWEST,)).fetchone() == (1,)

        second.wait_for("FILLED", within_s=180)
        assert host.one_off("halt", "--reason", "maintenance").returncode == 0
        os.kill(second.pid, signal.SIGKILL)
        third = host.restarted()
        third.wait_for("resuming session 1")
        third.wait_for("gate: all closed: halt (maintenance)")
        assert host.one_off("resume", "--reason", "done").returncode == 0
        third.wait_for("FILLED", within_s=180)

        view = shown(visitor)  # the page outlives every worker, and finds the one that trades
        assert (view["session"], view["lease"]["pid"], view["lease"]["epoch"]) == (1, third.pid, 3)

        os.kill(third.pid, signal.SIGINT)
        assert third.stopped_with() == 0
        fourth = host.restarted()
        fourth.wait_for("resuming session 1")
        assert host.stop(fourth) == 0
        assert host.stop(web) == 0

        epochs = connection.execute(EPOCH_TIMES).fetchall()
        assert [epoch for epoch, *_ in epochs] == [1, 2, 3]
        assert all(last_s < first_s for (_, _, last_s, *_), (_, first_s, *_) in itertools.pairwise(epochs))
        assert connection.execute("SELECT epoch FROM lease").fetchone() == (4,)
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (1,)
        assert_reconciled(connection)
