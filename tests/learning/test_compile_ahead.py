"""The gradient step is compiled in another process; what goes wrong there costs the run nothing but time."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from loguru import logger

from cli.compile_ahead import compile_ahead
from config.settings import PROJECT_ROOT
from core.market.features import SCHEMAS
from models.ppo.hyper import Hyperparameters

FEATURES = next(iter(SCHEMAS.values())).size


@pytest.fixture
def said() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="WARNING")
    yield lines
    logger.remove(sink)


def test_what_is_compiled_is_waited_for(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")  # the way there and back is what is tested here
    compile_ahead(Hyperparameters(), FEATURES)
    assert said == []


def test_a_child_that_fails_is_one_line_with_its_reason(said: list[str]) -> None:
    compile_ahead(Hyperparameters(), 999)
    (line,) = said
    assert "was not compiled ahead (exit 1): " in line
    assert "999" in line


def test_the_child_ends_with_its_parent() -> None:
    child = subprocess.Popen([sys.executable, "-m", "models.ppo.ahead"], cwd=PROJECT_ROOT, stdin=subprocess.PIPE)
    child.communicate(b"")
    assert child.returncode == 1
