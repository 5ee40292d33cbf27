"""A small account with its rows, made by the code that trades: what a rebuild from the rows has to find again."""

import msgspec

from actors.portfolio_state import PortfolioState, tallied
from core.records import Record
from core.trading.booking import apply_fill
from core.trading.ledger import new_ledger, release, reserve
from core.trading.money import MICRO, micros
from core.trading.orders import Fill, Intent, Order, OrderState
from core.trading.records import (
    fill_record,
    intent_record,
    market_record,
    order_record,
    position_record,
    trade_record,
)
from core.trading.sizing import Sized
from tests.trading.builders import NOW_MS, a_fill, a_market, an_intent, an_order

MARKET = a_market()


def traded_rows(session_id: int, start_usd: int) -> tuple[PortfolioState, list[Record]]:
    """Return the state and the rows of: bought and sold again, bought once more, and a sale half filled."""
    state = PortfolioState(new_ledger(start_usd))
    rows: list[Record] = [market_record(MARKET)]
    steps = (
        ("i1", "OPEN", 10, (("0.50", 10),)),
        ("i2", "CLOSE", 10, (("0.60", 4), ("0.59", 6))),
        ("i3", "OPEN", 20, (("0.40", 20),)),
        ("i4", "CLOSE", 20, (("0.45", 5),)),
    )
    for at, (intent_id, action, shares, prices) in enumerate(steps):
        wish = an_intent(intent_id, action="OPEN" if action == "OPEN" else "CLOSE")
        reason = "signal" if at != 3 else "T-2"
        intent = msgspec.structs.replace(wish, session_id=session_id, reason=reason, forced=at == 3)
        intent = msgspec.structs.replace(intent, decided_ms=NOW_MS + at * 1000)
        side = "BUY" if action == "OPEN" else "SELL"
        order = an_order(f"o{at}", intent_id=intent_id, side="BUY" if side == "BUY" else "SELL", shares=shares)
        order = msgspec.structs.replace(order, created_ms=intent.decided_ms)
        sized = Sized(micros(shares), order.limit_price, shares * MICRO if side == "BUY" else 0)
        state = msgspec.structs.replace(state, ledger=reserve(state.ledger, intent, sized))
        fills = tuple(
            a_fill(order, n, shares=size, price=price, fee_usd=1_000 * (n + 1), at_ms=NOW_MS + at * 1000 + n)
            for n, (price, size) in enumerate(prices)
        )
        state, order, more = _booked(state, order, intent, fills)
        rows += [intent_record(intent), order_record(order, "paper"), *map(fill_record, fills), *more]
    rows += [position_record(position, NOW_MS) for position in state.ledger.positions.values()]
    return state, rows


def _booked(
    state: PortfolioState, order: Order, intent: Intent, fills: tuple[Fill, ...]
) -> tuple[PortfolioState, Order, list[Record]]:
    rows: list[Record] = []
    ledger, tallies = state.ledger, state.tallies
    for fill in fills:
        applied = apply_fill(ledger, fill, order, intent)
        ledger = applied.ledger
        if applied.closed_trade is not None:
            rows.append(trade_record(applied.closed_trade))
            tallies = tallied(tallies, applied.closed_trade)
    filled = sum(fill.shares for fill in fills)
    done = filled == order.shares
    order = msgspec.structs.replace(
        order,
        fills=fills,
        filled_shares=filled,
        filled_notional=sum(fill.notional_usd for fill in fills),
        fees_usd=sum(fill.fee_usd for fill in fills),
        state=OrderState.FILLED if done else OrderState.LIVE,
        submitted_ms=order.created_ms,
        closed_ms=fills[-1].filled_ms if done else None,
    )
    ledger = release(ledger, intent.id) if done else ledger
    state = msgspec.structs.replace(state, ledger=ledger, tallies=tallies)
    return (state if done else state.with_order(order, intent, MARKET)), order, rows
