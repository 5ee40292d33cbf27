"""The stage of the runtime's tests: both runtimes, or the threaded one where only threads can go wrong."""

from collections.abc import Iterator

import pykka
import pytest

from tests.runtime.stage import Stage


@pytest.fixture(params=["threaded", "stepped"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    stage = Stage(stepped=request.param == "stepped", hangs=True)
    yield stage
    stage.stop()
    for actor in pykka.ActorRegistry.get_all():  # one that hung was let go a moment ago
        actor.actor_stopped.wait(5.0)
    assert pykka.ActorRegistry.get_all() == []


@pytest.fixture
def threads() -> Iterator[Stage]:
    stage = Stage(stepped=False)
    yield stage
    stage.stop()
