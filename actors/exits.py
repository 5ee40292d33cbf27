"""A forced exit as the portfolio carries it out: the intent of a step, what is remembered, what is written down."""

from collections.abc import Iterator

from actors.portfolio_state import BY_CHOICE, PortfolioState
from core.market.market import Market
from core.records import HealthEventRecord
from core.runtime.context import Context
from core.trading.exits import HOLD_LEFT_S, Attempt, Quote, Wait, told
from core.trading.ledger import position_key
from core.trading.money import decimal
from core.trading.orders import Intent
from core.trading.positions import ClosedTrade, Position

__all__ = [
    "BY_CHOICE",
    "CLOSED",
    "HELD",
    "OVER",
    "UNASKED",
    "attempted",
    "exit_events",
    "exit_intent",
    "hold_event",
    "last_exit_ms",
]

HELD = "held to settlement"
HELD_BY_CHOICE = "held to settlement by choice"
CLOSED = "closed"
UNASKED, OVER = "not asked for in time", "the window is over"
"""What is written down of a position that reached the close while nobody was there to sell it."""


def last_exit_ms(market: Market) -> int:
    """Return when (unix milliseconds) an exit comes to its end: from then on nothing is sent."""
    return market.window.closes_at_s * 1000 - round(HOLD_LEFT_S * 1000)


def exit_intent(context: Context, session_id: int, position: Position, reason: str, step: Quote | Wait) -> Intent:
    """Return the intent of one step of a forced exit; of one that cannot be taken now, it says no step."""
    now_ms = context.clock.now_ms()
    return Intent(
        id=(f"{session_id}.{position.asset}.{now_ms}.{context.lease_epoch}.{context.receipt}.{reason}.{position.side}"),
        session_id=session_id,
        asset=position.asset,
        condition_id=position.condition_id,
        side=position.side,
        action="CLOSE",
        decided_ms=now_ms,
        reason=reason,
        probabilities=(),
        features=(),
        lease_epoch=context.lease_epoch,
        incarnation=context.incarnation,
        forced=True,
        step=step.step.value if isinstance(step, Quote) else "",
    )


def attempted(state: PortfolioState, intent: Intent, quote: Quote, at_ms: int) -> PortfolioState:
    """Return the state that remembers one more attempt, the order of `intent`."""
    for position in state.positions(intent.condition_id):
        if position.side == intent.side:
            progress = state.exit_of(position, intent.reason).tried(Attempt(quote.step, quote.limit_price, at_ms))
            state = state.with_exit(position, progress)
    return state


def hold_event(state: PortfolioState, session_id: int, position: Position, at_ms: int) -> HealthEventRecord:
    """Return the health event of an exit that ends in holding: what is left, why, what was tried at which prices."""
    progress = state.exit_of(position)
    detail = (
        f"{position.asset} {position.side} {decimal(position.shares)} shares of {position.condition_id} "
        f"({progress.reason}): {progress.held}; {told(progress)}"
    )
    status = HELD_BY_CHOICE if progress.held == BY_CHOICE else HELD
    return HealthEventRecord(session_id, f"exit {position.asset}", status, detail, at_ms)


def exit_events(before: PortfolioState, trade: ClosedTrade) -> Iterator[HealthEventRecord]:
    """Yield the health event of a forced exit that ended in a round trip: why, and what was tried at which prices."""
    progress = before.exits.get(position_key(trade.condition_id, trade.side))
    if not trade.force_closed or progress is None:
        return
    detail = (
        f"{trade.asset} {trade.side} {decimal(trade.shares)} shares of {trade.condition_id} "
        f"({trade.force_close_reason}): sold at {decimal(trade.exit_price)} on average; {told(progress)}"
    )
    yield HealthEventRecord(trade.session_id, f"exit {trade.asset}", CLOSED, detail, trade.closed_ms)
