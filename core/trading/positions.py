"""What is held of one side of one market, what it has cost in cash, and the round trip it becomes when it ends."""

import msgspec
from msgspec.structs import replace

from core.market.market import FeeSchedule, Side
from core.trading.fees import taker_fee
from core.trading.money import MICRO, divided, notional_usd
from core.trading.orders import Fill, Intent
from core.trading.sizing import LOT_SHARES

SETTLEMENT = "settlement"
"""Exit reason of what was held until the venue named the winner."""


class Position(msgspec.Struct, frozen=True):
    """One side of one market since its first fill; `cost_usd` is the net cash paid so far, fees included."""

    session_id: int
    asset: str
    condition_id: str
    side: Side
    entry_intent_id: str
    opened_ms: int
    updated_ms: int
    shares: int = 0
    cost_usd: int = 0
    bought_shares: int = 0
    bought_notional: int = 0
    sold_shares: int = 0
    sold_notional: int = 0
    fees_usd: int = 0
    exit_reason: str | None = None
    force_close_reason: str | None = None

    @property
    def entry_price(self) -> int:
        """Average price paid per share in 1e-6, without fees; 0 when nothing was bought."""
        return average_price(self.bought_notional, self.bought_shares)


class ClosedTrade(msgspec.Struct, frozen=True):
    """One round trip, from the first share bought to the last one sold or settled; all money in 1e-6.

    `pnl_net_usd` is the sum of its cash flows, fees included; the prices are averages without fees.
    """

    id: str
    session_id: int
    asset: str
    condition_id: str
    side: Side
    entry_intent_id: str
    opened_ms: int
    closed_ms: int
    shares: int
    entry_price: int
    exit_price: int
    fees_usd: int
    pnl_net_usd: int
    exit_reason: str
    force_closed: bool
    force_close_reason: str | None


def average_price(notional: int, shares: int) -> int:
    """Return the price per share in 1e-6 of `shares` that cost `notional`, 0 for no shares."""
    return divided(notional * MICRO, shares) if shares else 0


def cash_flow(fill: Fill) -> int:
    """Return what a fill does to our cash in 1e-6: a BUY pays notional and fee, a SELL brings notional less fee."""
    return -fill.notional_usd - fill.fee_usd if fill.side == "BUY" else fill.notional_usd - fill.fee_usd


def with_fill(position: Position, fill: Fill, times: int = 1) -> Position:
    """Return the position after `fill`, or with `times=-1` after a fill that turned out not to have happened."""
    bought, sold = (times, 0) if fill.side == "BUY" else (0, times)
    return replace(
        position,
        updated_ms=max(position.updated_ms, fill.filled_ms),
        shares=position.shares + (bought - sold) * fill.shares,
        cost_usd=position.cost_usd - times * cash_flow(fill),
        bought_shares=position.bought_shares + bought * fill.shares,
        bought_notional=position.bought_notional + bought * fill.notional_usd,
        sold_shares=position.sold_shares + sold * fill.shares,
        sold_notional=position.sold_notional + sold * fill.notional_usd,
        fees_usd=position.fees_usd + times * fill.fee_usd,
    )


def with_exit(position: Position, intent: Intent) -> Position:
    """Return the position with the reason of the intent that is closing it."""
    return replace(position, exit_reason=intent.reason, force_close_reason=intent.reason if intent.forced else None)


def settled(position: Position, winner: Side, at_ms: int) -> Position:
    """Return the position after the venue paid 1 dollar for each share of the winner and 0 for the other.

    What is less than can be sold at all is left by most sales: that it was paid out leaves a forced exit one.
    """
    sold = bool(position.sold_shares) and position.shares < LOT_SHARES
    payout_usd = position.shares if position.side == winner else 0
    return replace(
        position,
        updated_ms=max(position.updated_ms, at_ms),
        shares=0,
        cost_usd=position.cost_usd - payout_usd,
        sold_shares=position.sold_shares + position.shares,
        sold_notional=position.sold_notional + payout_usd,
        exit_reason=SETTLEMENT if position.shares else position.exit_reason,
        force_close_reason=position.force_close_reason if sold or not position.shares else None,
    )


def closed_trade(position: Position, serial: int) -> ClosedTrade:
    """Return the round trip of a position with no shares left; `serial` makes its id unique and repeatable."""
    return ClosedTrade(
        id=f"{position.entry_intent_id}.{serial}",
        session_id=position.session_id,
        asset=position.asset,
        condition_id=position.condition_id,
        side=position.side,
        entry_intent_id=position.entry_intent_id,
        opened_ms=position.opened_ms,
        closed_ms=position.updated_ms,
        shares=position.bought_shares,
        entry_price=position.entry_price,
        exit_price=average_price(position.sold_notional, position.sold_shares),
        fees_usd=position.fees_usd,
        pnl_net_usd=-position.cost_usd,
        exit_reason=position.exit_reason or SETTLEMENT,
        force_closed=position.force_close_reason is not None,
        force_close_reason=position.force_close_reason,
    )


def mark_to_bid(position: Position, best_bid: int | None, fees: FeeSchedule | None) -> int | None:
    """Return the PnL in 1e-6 if all shares were sold at `best_bid`, net of every fee paid and of the exit's.

    None when nobody bids or the fee is unknown: a mark would be a guess.
    """
    if best_bid is None or fees is None:
        return None
    return notional_usd(position.shares, best_bid) - taker_fee(position.shares, best_bid, fees) - position.cost_usd
