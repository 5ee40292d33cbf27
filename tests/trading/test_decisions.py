"""What the policy's actions mean."""

import pytest

from core.market.market import Side
from core.trading.decisions import BUY, HOLD, SELL, interpret


@pytest.mark.parametrize(
    ("action", "held", "meaning"),
    [
        (HOLD, None, None),
        (HOLD, "UP", None),
        (HOLD, "DOWN", None),
        (BUY, None, ("UP", "OPEN")),
        (BUY, "UP", None),
        (BUY, "DOWN", ("DOWN", "CLOSE")),
        (SELL, None, ("DOWN", "OPEN")),
        (SELL, "UP", ("UP", "CLOSE")),
        (SELL, "DOWN", None),
    ],
)
def test_actions_open_close_or_leave_but_never_flip(
    action: int, held: Side | None, meaning: tuple[str, str] | None
) -> None:
    assert interpret(action, held) == meaning


def test_an_unknown_action_is_an_error() -> None:
    with pytest.raises(ValueError, match="action 3"):
        interpret(3, None)
