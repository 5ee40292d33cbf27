"""What of the container file can be checked without building it: what it copies is all that a run needs."""

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.embedded import EmbeddedServer
from tests.system.process import ROOT, Supervisor, environ_of
from tests.system.test_demo import SHORT

TEXT = (ROOT / "Containerfile").read_text().replace("\\\n", " ")
COPIES = [line.split()[1:] for line in TEXT.splitlines() if line.startswith("COPY ")]
DEVELOPMENT = {"mypy", "ruff", "playwright", "honcho", "hypothesis", "mkdocs", "mutmut", "import-linter"}


def instruction(name: str) -> str:
    """Return what the last line of an instruction says."""
    return str(re.findall(rf"^{name} +(.*)$", TEXT, re.MULTILINE)[-1])


def command(text: str) -> list[str]:
    """Return the command in its JSON form, with the interpreter of the tests."""
    program, *arguments = json.loads(text[text.index("[") :])
    assert program == "python"
    return [sys.executable, *arguments]


def pinned(name: str) -> dict[str, str]:
    """Return each requirement of a file, by package, with its hashes."""
    blocks = re.split(r"\n(?=\S)", (ROOT / name).read_text().strip())
    return {re.split(r"[=\[; ]", block)[0]: block for block in blocks}


@pytest.fixture
def image() -> Iterator[Path]:
    """A folder with what the container file copies, and nothing else."""
    with tempfile.TemporaryDirectory(prefix="fusebox-test-") as name:
        folder = Path(name)
        for *sources, target in COPIES:
            for source in sources:
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / source, folder / target)
        yield folder


def test_what_it_copies_runs_and_is_healthy_by_its_own_check_and_stops_by_its_own_signal(
    image: Path, state_dir: Path
) -> None:
    environ = {"FUSEBOX_PROFILE": "demo", "FUSEBOX_DASHBOARD": "false"}
    supervisor = Supervisor(state_dir, *SHORT, environ=environ, command=tuple(command(instruction("CMD"))), cwd=image)
    try:
        supervisor.wait_for("hold lifted: starting")
        check = subprocess.run(
            command(instruction("HEALTHCHECK").partition("CMD")[2]),
            cwd=image,
            env=environ_of(state_dir, environ),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        took_s = supervisor.interrupt(signal.Signals[instruction("STOPSIGNAL")])
    finally:
        supervisor.kill()
        EmbeddedServer(state_dir).stop()

    assert check.returncode == 0, check.stdout + check.stderr
    assert "heartbeat" in check.stdout
    assert supervisor.process.returncode == 0
    assert took_s < 4.0  # no container engine gives less than ten seconds unless it is told to


def test_it_copies_every_package_of_the_program() -> None:
    """The run above would find a package that is missing where the program is installed for development."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}

    assert {source for *sources, _target in COPIES for source in sources if (ROOT / source).is_dir()} == packages


def test_it_trades_as_nobody_special_on_the_real_venue_and_serves_no_page_by_itself() -> None:
    assert instruction("USER") == "fusebox"
    assert "useradd" in TEXT
    assert "FUSEBOX_PROFILE=real" in TEXT
    assert "FUSEBOX_DASHBOARD=false" in TEXT


def test_it_sends_no_more_to_the_engine_than_it_copies() -> None:
    sent = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}

    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()
    assert sent == {source for *sources, _target in COPIES for source in sources}


def test_it_installs_the_pins_of_the_lock_without_what_only_development_needs() -> None:
    runtime, everything = pinned("requirements.txt"), pinned("requirements.lock")

    assert "--require-hashes" in TEXT
    assert "requirements.txt" in TEXT
    assert {name: everything.get(name) for name in runtime} == runtime
    assert {"pykka", "numpy", "mlx", "psycopg", "starlette", "uvicorn", "prometheus-client"} <= runtime.keys()
    assert everything.keys() >= DEVELOPMENT
    assert not DEVELOPMENT & runtime.keys()
    assert all("--hash=sha256:" in block for block in runtime.values())
