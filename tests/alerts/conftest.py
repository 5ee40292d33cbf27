"""Waiting for what other threads do."""

from collections.abc import Callable

import pytest

from tests.system.test_demo import wait_until


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait until something is so, ten seconds at most."""
    return wait_until
