"""The shared recordings."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def recordings() -> Path:
    folder = Path(__file__).resolve().parents[2] / ".." / "shared" / "recordings"
    if not folder.exists():
        pytest.skip("the shared recordings are not beside the repository")
    return folder
