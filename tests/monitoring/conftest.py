"""The assembled system of a dual run in virtual time, followed and scraped as `run` does it."""

import contextlib
from collections.abc import Iterator, Sequence

import pytest

from cli.following import Follower, TimedWrite
from cli.metrics import Metrics
from cli.trade_story import Step, TradeStory
from config.load import load_settings
from core.records import Record
from core.status import VenueStatus
from tests.actors_data.builders import BUYS, Chooser
from tests.dual.builders import LIVE, PAPER, Dual

COMMIT_S = 0.003


class Followed(Dual):
    """A dual system whose orders are followed; `steps` are what was told so far."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(Chooser(BUYS))
        self.metrics = metrics
        self.steps: list[Step] = []
        story = TradeStory({LIVE: "live", PAPER: "paper"})
        self.follower = Follower(story, self.clock, metrics.events.hear, self.steps.append)
        self.system.on_send = self.follower.told
        times_s = (index * COMMIT_S for index in range(10**9))
        self._timed = TimedWrite(
            super()._write, metrics.events.committed, self.follower.wrote, lambda: next(times_s)
        )  # fmt: skip

    def _write(self, rows: Sequence[Record]) -> None:
        self._timed(rows)

    def run_to(self, second: float) -> None:
        """Let time pass until `second` of the first window, and have everything told that happened."""
        super().run_to(second)
        self.follower.drain()


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    """Metrics of a dual run, served at a free port of this host."""
    with contextlib.ExitStack() as ends:
        yield Metrics(load_settings({"FUSEBOX_METRICS_PORT": "0", "FUSEBOX_MODE": "dual"}), ends)


@pytest.fixture
def followed(metrics: Metrics) -> Followed:
    """A system that has not begun yet, shown by `metrics`; a live venue has shown itself."""
    system = Followed(metrics)
    system.system.board.publish("venue", VenueStatus(heartbeat_ms=0, reconciled_ms=0, user_channel=True), 0)
    metrics.show(system.system, lambda: 7)
    return system
