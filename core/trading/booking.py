"""What moves the account: fills and settlements. Every transition returns a new ledger.

At any time `cash == start + pnl of closed trades - cost of open positions`, to the micro.
"""

import msgspec
from msgspec.structs import replace

from core.errors import RejectedError
from core.market.market import Side
from core.trading.ledger import (
    BookedFill,
    Ledger,
    Reservation,
    SettledMarket,
    position_key,
    provisional_fills,
    settlement_of,
    unconfirmed_fills,
)
from core.trading.lifecycle import fill_news
from core.trading.orders import Fill, Intent, Order
from core.trading.positions import (
    ClosedTrade,
    Position,
    cash_flow,
    closed_trade,
    settled,
    with_exit,
    with_fill,
)

RECONCILED = "reconciled"
"""Exit reason of a position that the venue says we do not have."""
REMEMBERED_MARKETS = 64
"""Settled markets whose fills are still recognised: a redelivered one must not count again."""


class Applied(msgspec.Struct, frozen=True):
    """The ledger after a fill, and the round trip it ended, if it did."""

    ledger: Ledger
    closed_trade: ClosedTrade | None = None


def apply_fill(ledger: Ledger, fill: Fill, order: Order, intent: Intent) -> Applied:
    """Return the account after a report about `fill`: each fill counts once, a FAILED one not at all.

    A BUY adds shares and pays notional plus fee; a SELL removes them and brings notional less fee. The round trip
    ends when no shares are left and every fill of the position is confirmed.

    Raises:
        RejectedError: when fill, order and intent do not belong together, or more is sold than is held.
        IllegalTransitionError: when the report contradicts a confirmed or failed fill.
    """
    if fill.order_id != order.id or order.intent_id != intent.id or fill.side != order.side:
        raise RejectedError(f"fill {fill.id} is not one of order {order.id} for intent {intent.id}")
    paid = settlement_of(ledger, order.condition_id)
    if paid is not None and fill.key in paid.fill_keys:
        return Applied(ledger)
    known = ledger.fills.get(fill.key)
    news = fill_news(known.fill.state if known else None, fill.state)
    if news == "KNOWN":
        return Applied(ledger)
    booked = known.fill if known else fill
    times = {"NEW": 0 if fill.state == "FAILED" else 1, "CONFIRMED": 0, "UNDONE": -1}[news]
    moved = _moved(ledger, booked, order, intent, times)
    entry = BookedFill(replace(booked, state=fill.state), order.condition_id, order.outcome, intent.id)
    after = replace(moved, fills={**moved.fills, fill.key: entry})
    applied = _closed_if_done(after, position_key(order.condition_id, order.outcome))
    if paid is None or unconfirmed_fills(applied.ledger, order.condition_id):
        return applied
    after, trades = settle(applied.ledger, order.condition_id, paid.winner, fill.filled_ms)
    return Applied(after, applied.closed_trade or next(iter(trades), None))


def settle(ledger: Ledger, condition_id: str, winner: Side, at_ms: int) -> tuple[Ledger, list[ClosedTrade]]:
    """Return the account after the market paid 1 for each share of `winner` and 0 for the others, and what it ended.

    Reservations of the market end with it, and its fills are forgotten but for their keys.

    Raises:
        RejectedError: while a fill of the market is neither confirmed nor failed, or when another winner was settled.
    """
    before = settlement_of(ledger, condition_id)
    if before is not None and before.winner != winner:
        raise RejectedError(f"{condition_id} was settled for {before.winner}, cannot be settled for {winner}")
    if unconfirmed_fills(ledger, condition_id):
        raise RejectedError(f"{condition_id} has fills that are not confirmed yet: settle it when they are")
    trades: list[ClosedTrade] = []
    for key, position in ledger.positions.items():
        if position.condition_id == condition_id:
            paid = settled(position, winner, at_ms)
            ledger = replace(ledger, cash_usd=ledger.cash_usd + position.cost_usd - paid.cost_usd)
            ledger, trade = _ended(ledger, key, paid)
            trades.append(trade)
    return _forgotten(ledger, condition_id, winner), trades


def with_venue_shares(ledger: Ledger, key: str, shares: int, at_ms: int) -> Applied:
    """Return the account holding `shares` (1e-6) of the position `key`, because that is what the venue has.

    Nothing was paid or received that we know of, so the cost stays: it is the venue's word against our books, and the
    difference shows as profit or loss when the position ends.
    """
    position = replace(ledger.positions[key], shares=shares, updated_ms=at_ms)
    if shares == 0:
        return Applied(*_ended(ledger, key, replace(position, exit_reason=RECONCILED)))
    return Applied(replace(ledger, positions={**ledger.positions, key: position}))


def with_venue_cash(ledger: Ledger, cash_usd: int) -> Ledger:
    """Return the account with the venue's cash (1e-6): a deposit or a withdrawal, never a profit or a loss."""
    moved = cash_usd - ledger.cash_usd
    return replace(ledger, start_usd=ledger.start_usd + moved, cash_usd=cash_usd)


def _moved(ledger: Ledger, fill: Fill, order: Order, intent: Intent, times: int) -> Ledger:
    """Apply the fill's cash, shares and use of the reservation once, or take them back with `times=-1`."""
    if times == 0:
        return ledger
    key = position_key(order.condition_id, order.outcome)
    position = ledger.positions.get(key) or Position(
        session_id=intent.session_id,
        asset=order.asset,
        condition_id=order.condition_id,
        side=order.outcome,
        entry_intent_id=intent.id,
        opened_ms=fill.filled_ms,
        updated_ms=fill.filled_ms,
    )
    after = with_fill(position, fill, times)
    if after.shares < 0 and settlement_of(ledger, order.condition_id) is None:  # what was paid out is taken back there
        raise RejectedError(f"fill {fill.id} leaves {after.shares} shares of {key}: reconcile with the venue")
    if fill.side == "SELL" and times > 0:
        after = with_exit(after, intent)
    return replace(
        ledger,
        cash_usd=ledger.cash_usd + times * cash_flow(fill),
        positions={**ledger.positions, key: after},
        reservations=_used(ledger.reservations, fill, intent.id, times),
    )


def _used(reservations: dict[str, Reservation], fill: Fill, intent_id: str, times: int) -> dict[str, Reservation]:
    held = reservations.get(intent_id)
    if held is None:
        return reservations
    usd = -cash_flow(fill) if fill.side == "BUY" else 0
    left = replace(held, usd=max(0, held.usd - times * usd), shares=max(0, held.shares - times * fill.shares))
    return {**reservations, intent_id: left}


def _closed_if_done(ledger: Ledger, key: str) -> Applied:
    position = ledger.positions.get(key)
    if position is None or position.shares or provisional_fills(ledger, position.condition_id, position.side):
        return Applied(ledger)
    if position.bought_shares == 0:
        return Applied(replace(ledger, positions={k: p for k, p in ledger.positions.items() if k != key}))
    return Applied(*_ended(ledger, key, position))


def _ended(ledger: Ledger, key: str, position: Position) -> tuple[Ledger, ClosedTrade]:
    trade = closed_trade(position, ledger.trade_count)
    after = replace(
        ledger,
        realised_usd=ledger.realised_usd + trade.pnl_net_usd,
        trade_count=ledger.trade_count + 1,
        positions={k: p for k, p in ledger.positions.items() if k != key},
    )
    return after, trade


def _forgotten(ledger: Ledger, condition_id: str, winner: Side) -> Ledger:
    before = settlement_of(ledger, condition_id)
    keys = before.fill_keys if before else ()
    keys += tuple(key for key, b in ledger.fills.items() if b.condition_id == condition_id)
    others = tuple(m for m in ledger.settled if m.condition_id != condition_id)
    return replace(
        ledger,
        reservations={k: r for k, r in ledger.reservations.items() if r.condition_id != condition_id},
        fills={key: b for key, b in ledger.fills.items() if b.condition_id != condition_id},
        settled=(*others, SettledMarket(condition_id, winner, keys))[-REMEMBERED_MARKETS:],
    )
