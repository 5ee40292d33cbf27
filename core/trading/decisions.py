"""What the policy's three actions mean, given what is held."""

from core.market.market import Side
from core.trading.orders import IntentAction

HOLD, BUY, SELL = 0, 1, 2
"""The policy's actions, in the order of its outputs."""


def interpret(action: int, held: Side | None) -> tuple[Side, IntentAction] | None:
    """Return which side to open or close, or None for nothing to do.

    BUY opens UP or closes DOWN, SELL opens DOWN or closes UP; a side already held stays, and a position never flips
    in one step.

    Raises:
        ValueError: for an action that is not 0, 1 or 2.
    """
    if action not in (HOLD, BUY, SELL):
        raise ValueError(f"action {action} is none of HOLD (0), BUY (1), SELL (2)")
    if action == HOLD:
        return None
    wanted: Side = "UP" if action == BUY else "DOWN"
    if held is None:
        return wanted, "OPEN"
    return None if held == wanted else (held, "CLOSE")
