"""What a report or a winner makes of the portfolio's state: the state after it, the round trips it ended, its rows."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec.structs import replace

from actors.portfolio_state import PortfolioState
from core.messages import OrderReported, WinnerKnown
from core.records import PositionRecord, Record
from core.trading.booking import apply_fill, settle
from core.trading.claims import claims_of
from core.trading.ledger import position_key, release
from core.trading.orders import is_terminal
from core.trading.positions import ClosedTrade, Position
from core.trading.records import fill_record, intent_record, market_record, order_record, position_record


class Booked(msgspec.Struct, frozen=True):
    """The state after something happened, the round trips that ended with it, and what to write first."""

    state: PortfolioState
    trades: list[ClosedTrade]
    rows: tuple[Record, ...] = ()


def reported(state: PortfolioState, report: OrderReported, venue: str) -> Booked | None:
    """Book what became of an order; None where it is all known.

    Raises:
        RejectedError: when a fill contradicts the account.
    """
    order = report.order
    intent = state.intents.get(order.intent_id)
    forgotten = intent is None
    if intent is None:  # terminal before: what is said again is booked already, what is new of a fill is not
        if not state.has_news(report.fills):
            return None
        intent = report.intent
        state = state.with_market(report.market)
    trades: list[ClosedTrade] = []
    ledger = state.ledger
    for fill in report.fills:
        applied = apply_fill(ledger, fill, order, intent)
        ledger = applied.ledger
        if applied.closed_trade is not None:
            trades.append(applied.closed_trade)
    if is_terminal(order):
        state = replace(state, ledger=release(ledger, intent.id)).without_order(order)
    else:
        state = replace(state, ledger=ledger).with_order(order, intent, None)
    rows: tuple[Record, ...] = (order_record(order, venue), *(fill_record(fill) for fill in report.fills))
    if forgotten:  # an adopted one was never written
        rows = (market_record(report.market), intent_record(intent), *rows)
    return Booked(state, trades, rows)


def settled(state: PortfolioState, winner: WinnerKnown, *, redeemed_later: bool) -> Booked:
    """Book what a market's winner pays; `redeemed_later` where the venue owes it until somebody redeems it.

    Raises:
        RejectedError: while a fill of the market is not final, or when another winner was settled.
    """
    condition_id = winner.condition_id
    before, market = state.positions(condition_id), state.markets.get(condition_id)
    ledger, trades = settle(state.ledger, condition_id, winner.winner, winner.at_ms)
    if redeemed_later and market is not None:
        owed = claims_of(market, winner.winner, before, winner.at_ms)
        state = replace(state, claims={**state.claims, **owed})
    return Booked(replace(state, ledger=ledger).without_idle_market(condition_id), trades)


def position_rows(before: Iterable[Position], after: Iterable[Position], now_ms: int) -> Iterator[PositionRecord]:
    """Yield the rows of a market's positions; those that are gone first, which removes theirs."""
    held = {position_key(position.condition_id, position.side): position for position in after}
    for position in before:
        if position_key(position.condition_id, position.side) not in held:
            yield position_record(replace(position, shares=0), now_ms)
    for position in held.values():
        yield position_record(position, now_ms)
