"""The shared recordings, and one market to hold a book of."""

from pathlib import Path

import pytest

from core.market.market import Market
from core.market.window import Window


@pytest.fixture(scope="session")
def recordings() -> Path:
    folder = Path(__file__).resolve().parents[2] / ".." / "shared" / "recordings"
    if not folder.exists():
        pytest.skip("the shared recordings are not beside the repository")
    return folder


@pytest.fixture
def market() -> Market:
    return Market(Window("BTC", 1_776_727_800, 900), "0xc0", "up", "down", 10_000, 5_000_000, None, 150)
