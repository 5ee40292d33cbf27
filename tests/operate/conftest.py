"""A running process with a state folder of its own, and the commands of another shell."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.embedded import EmbeddedServer
from storage.pool import Connection, connect
from tests.system.process import ROOT, Supervisor
from tests.system.test_demo import reconcile

Fusebox = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def shared_dir() -> Iterator[Path]:
    """The state folder of the process that a module's tests share."""
    folder = Path(tempfile.mkdtemp(prefix="fusebox-test-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def trading(shared_dir: Path) -> Iterator[Supervisor]:
    """Start one process for all tests of a module that leave it trading; it has to end well and with exact books."""
    watched = {"FUSEBOX_METRICS_PORT": "0"}
    supervisor = Supervisor(shared_dir, "--window-s", "20", "--assets", "BTC,ETH", environ=watched)
    supervisor.wait_for("hold lifted: starting")
    yield supervisor
    took_s = supervisor.interrupt()
    supervisor.kill()
    EmbeddedServer(shared_dir).stop()
    assert (supervisor.process.returncode, took_s < 4.0) == (0, True), "\n".join(supervisor.lines[-50:])
    assert reconcile(shared_dir).ledger.trade_count > 0


@pytest.fixture
def fusebox(state_dir: Path) -> Fusebox:
    """Run a command in another shell on the state folder of this test alone."""
    return shell(state_dir)


@pytest.fixture(scope="module")
def operator(shared_dir: Path) -> Fusebox:
    """Run a command in another shell on the state folder of the shared process."""
    return shell(shared_dir)


def shell(state_dir: Path) -> Fusebox:
    """Return what runs a command and gives back its output and exit code."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("FUSEBOX_", "DATABASE_URL"))}

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "supervisor.py", *arguments],
            cwd=ROOT,
            env={**clean, "FUSEBOX_STATE_DIR": str(state_dir)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return command


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened
