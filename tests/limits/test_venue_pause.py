"""A venue that asks to wait: why is recognised, shown while it lasts, and written down once each way."""

import pytest

from actors.live_signs import BOARD
from actors.venue_holds import PAUSED
from cli.status_outstanding import venue_of, venue_text
from core.records import HealthEventRecord
from core.status import VenueStatus
from tests.limits.test_live_trips import Answers, hold_of
from tests.live_execution.world import LiveWorld
from venues.polymarket.order_errors import OrderTransientError, Reason


def sign(world: LiveWorld) -> VenueStatus:
    """Return what the status board shows of the venue."""
    read = world.runtime.board.read(BOARD)
    assert read is not None
    assert isinstance(read[0], VenueStatus)
    return read[0]


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        (Reason.RESTARTING, "maintenance, its matching engine restarts"),
        (Reason.POST_ONLY_MODE, "maintenance, it takes only orders that rest"),
        (Reason.CANCEL_ONLY, "maintenance, it takes only cancels"),
        (Reason.RATE_LIMITED, "too many requests"),
        (Reason.NOT_READY, "the market does not take orders yet"),
    ],
)
def test_why_the_venue_asks_to_wait_is_shown_and_written_down_once_each_way(reason: Reason, why: str) -> None:
    world = LiveWorld()
    Answers(world, OrderTransientError(reason, "HTTP said so", 20.0, 1))
    world.propose()
    world.run_s(3)
    hold = hold_of(world, PAUSED)
    assert hold is not None
    assert hold.detail == f"{why}: HTTP said so"
    assert f"({why})" in venue_text(venue_of(sign(world), world.now_ms), world.now_ms)

    world.run_s(25)
    assert hold_of(world, PAUSED) is None
    assert (sign(world).paused_because, sign(world).paused_until_ms) == (None, None)
    rows = [row for row in world.tables.log if isinstance(row, HealthEventRecord) and row.subject == "venue"]
    assert [(row.status, row.detail) for row in rows] == [
        ("degraded", f"{why}: HTTP said so"),
        ("recovered", "its pause is over, as far as it said"),
    ]
