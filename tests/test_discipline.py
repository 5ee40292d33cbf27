"""Rules of the source itself: the runtime alone drives actors, and every module has one idea and a telling name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RUNTIME_DRIVEN = ("actors", "core/alerts", "core/market", "core/trading", "models/baselines")
PACKAGES = ("actors", "bench", "cli", "config", "core", "models", "storage", "tests", "venues", "web")

RULE = "an actor touches the clock, randomness, threads or sleep only through the runtime"
FORBIDDEN_MODULES = frozenset(
    (
        "time",
        "random",
        "secrets",
        "uuid",
        "threading",
        "_thread",
        "concurrent",
        "multiprocessing",
        "asyncio",
        "sched",
        "queue",
    )
)
FORBIDDEN_NAMES = frozenset(("os.urandom", "os.getrandom", "os.fork", "datetime.date.today"))
DATETIME_CLOCKS = frozenset(("now", "utcnow", "today"))
SEEDED_CLASSES = frozenset(("Generator", "PCG64", "Philox", "SeedSequence", "BitGenerator"))
"""What of `numpy.random` may be named: a generator that the runtime hands over, and its type."""
LONGEST_MODULE = 500
NAMELESS = frozenset(("utils", "util", "helpers", "helper", "manager", "common", "misc"))


def violations(source: str) -> list[str]:
    """Return every forbidden import, and every use of a forbidden name whatever it was imported as."""
    tree = ast.parse(source)
    known: dict[str, str] = {}
    found: list[str] = []
    for node in ast.walk(tree):
        for bound, target in _imports(node):
            known[bound] = target
            if _forbidden(target):
                found.append(f"line {getattr(node, 'lineno', 0)}: import of {target}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            used = _resolved(node, known)
            if used is not None and isinstance(node, ast.Attribute) and _forbidden(used):
                found.append(f"line {node.lineno}: use of {used}")
        if isinstance(node, ast.Call) and _dynamic_import(node):
            found.append(f"line {node.lineno}: dynamic import")
    return found


def _imports(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield (the name bound here, what it stands for) of an import statement."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0], alias.name)
            if alias.asname is None and "." in alias.name:
                yield alias.name.split(".")[0], alias.name.split(".")[0]
    elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
        for alias in node.names:
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _resolved(node: ast.expr, known: dict[str, str]) -> str | None:
    """Return the full name an expression like `a.b.c` stands for, given what was imported as `a`."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _resolved(node.value, known)
        return None if owner is None else f"{owner}.{node.attr}"
    return None


def _forbidden(name: str) -> bool:
    parts = name.split(".")
    if parts[0] in FORBIDDEN_MODULES or name in FORBIDDEN_NAMES:
        return True
    if parts[0] == "datetime":
        return parts[-1] in DATETIME_CLOCKS
    if parts[:2] == ["numpy", "random"]:
        return len(parts) > 2 and parts[2] not in SEEDED_CLASSES
    return parts[:2] == ["mlx", "core"] and parts[2:3] == ["random"]


def _dynamic_import(node: ast.Call) -> bool:
    called = node.func
    name = called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
    return name in {"__import__", "import_module", "exec", "eval"} and not isinstance(called, ast.Attribute)


def modules(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return found + [path for path in (ROOT / f"{folder}.py" for folder in folders) if path.exists()]


@pytest.mark.parametrize("path", modules(*RUNTIME_DRIVEN), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_but_the_runtime_touches_clock_randomness_or_threads(path: Path) -> None:
    found = violations(path.read_text())
    assert not found, f"{path.relative_to(ROOT)}: {RULE}: {'; '.join(found)}"


@pytest.mark.parametrize(
    "snippet",
    [
        "import time",
        "import time as clock\nclock.monotonic()",
        "from time import sleep as s\ns(1)",
        "def handler():\n    from time import sleep\n    sleep(1)",
        "import random as r\nr.random()",
        "from random import Random",
        "import secrets",
        "from uuid import uuid4",
        "import threading",
        "from threading import Thread as T",
        "from concurrent.futures import ThreadPoolExecutor",
        "import concurrent.futures",
        "import asyncio",
        "import multiprocessing.dummy",
        "import os\nos.urandom(8)",
        "from os import urandom as noise",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime as d\nd.utcnow()",
        "import datetime as dt\ndt.date.today()",
        "import numpy as np\nnp.random.default_rng(1)",
        "import numpy as np\nnp.random.seed(1)",
        "from numpy import random as nr\nnr.normal()",
        "from numpy.random import default_rng",
        "import numpy.random\nnumpy.random.rand()",
        "import mlx.core as mx\nmx.random.normal()",
        "__import__('time')",
        "from importlib import import_module\nimport_module('time')",
    ],
)
def test_the_check_catches_what_it_is_for(snippet: str) -> None:
    assert violations(snippet)


@pytest.mark.parametrize(
    "snippet",
    [
        "import numpy as np\ndef act(rng: np.random.Generator) -> float:\n    return rng.random()",
        "from numpy.random import Generator",
        "from datetime import datetime, UTC\ndatetime.fromtimestamp(0, UTC)",
        "import os\nos.environ",
        "from core.runtime import clock\nclock.now()",
        "def handler(runtime):\n    runtime.sleep(1); runtime.time.now()",
        "import re\nre.compile('time')",
    ],
)
def test_the_check_leaves_what_is_handed_over_alone(snippet: str) -> None:
    assert violations(snippet) == []


@pytest.mark.parametrize("path", modules(*PACKAGES), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_and_its_name_tells_its_idea(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_MODULE
    assert path.stem not in NAMELESS
    assert not {part.stem for part in path.parents} & NAMELESS
