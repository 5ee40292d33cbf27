"""A state folder that the embedded server's own account can reach while other test runs start and end."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """An empty folder outside pytest's own tree: each new pytest run of root shuts that tree to other accounts."""
    folder = Path(tempfile.mkdtemp(prefix="fusebox-test-"))
    yield folder
    shutil.rmtree(folder)
