"""Intents, orders and fills: what is wished, what is sent, and what came of it."""

from enum import StrEnum
from typing import Literal

import msgspec

from core.market.market import Side
from core.trading.money import MICRO

IntentAction = Literal["OPEN", "CLOSE"]
OrderSide = Literal["BUY", "SELL"]
OrderType = Literal["FOK", "FAK", "GTC"]
Liquidity = Literal["TAKER", "MAKER"]
FillState = Literal["MATCHED", "CONFIRMED", "FAILED"]


class OrderState(StrEnum):
    """Where an order stands; a PARTIALLY_FILLED one is closed, its remainder will never fill."""

    NEW = "NEW"
    DURABLE = "DURABLE"
    SUBMITTED = "SUBMITTED"
    LIVE = "LIVE"
    DELAYED = "DELAYED"
    UNKNOWN = "UNKNOWN"
    FILLED = "FILLED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"


TERMINAL = frozenset(
    {
        OrderState.FILLED,
        OrderState.PARTIALLY_FILLED,
        OrderState.CANCELLED,
        OrderState.REJECTED,
        OrderState.FAILED,
    }
)
"""States in which nothing more can happen, except news about a fill."""
IN_FLIGHT = frozenset({OrderState.SUBMITTED, OrderState.LIVE, OrderState.DELAYED, OrderState.UNKNOWN})
"""States in which the venue may hold the order."""


class Intent(msgspec.Struct, frozen=True):
    """A wish to open or close `side` of one market, with what it was decided from.

    `forced` when not by the policy: then `step` says how far the exit has escalated. `decision_price` is the touch
    (1e-6) that the decision saw on the side it would trade with; None where nobody was there.
    """

    id: str
    session_id: int
    asset: str
    condition_id: str
    side: Side
    action: IntentAction
    decided_ms: int
    reason: str
    probabilities: tuple[float, ...]
    features: tuple[float, ...]
    lease_epoch: int
    incarnation: int
    forced: bool = False
    step: str = ""
    decision_price: int | None = None


class Fill(msgspec.Struct, frozen=True):
    """One execution. MATCHED is provisional; CONFIRMED stands; FAILED never happened."""

    id: str
    order_id: str
    venue: str
    trade_id: str
    order_hash: str
    token_id: str
    side: OrderSide
    price: int
    shares: int
    fee_usd: int
    liquidity: Liquidity
    state: FillState
    filled_ms: int

    @property
    def key(self) -> str:
        """What makes a fill unique at a venue: `(venue, trade_id, order_hash)`."""
        return f"{self.venue}\x1f{self.trade_id}\x1f{self.order_hash}"

    @property
    def notional_usd(self) -> int:
        """Dollars (1e-6) exchanged for the shares, without the fee.

        Less than a micro-dollar can be left over only where the venue gave more shares than were asked for, at a better
        price: it is the taker's loss.
        """
        rounded_up = (self.side == "BUY") == (self.liquidity == "TAKER")
        exact = self.shares * self.price
        return -(-exact // MICRO) if rounded_up else exact // MICRO


class Order(msgspec.Struct, frozen=True):
    """One order at one venue, with every fill reported for it so far.

    A `post_only` one is refused rather than take liquidity; `unknown_since_ms` counts while its state is UNKNOWN.
    """

    id: str
    intent_id: str
    asset: str
    condition_id: str
    token_id: str
    outcome: Side
    side: OrderSide
    order_type: OrderType
    limit_price: int
    shares: int
    created_ms: int
    book_epoch: int
    gate_sequence: int = 0
    state: OrderState = OrderState.NEW
    filled_shares: int = 0
    filled_notional: int = 0
    fees_usd: int = 0
    submitted_ms: int | None = None
    closed_ms: int | None = None
    order_hash: str | None = None
    last_error: str | None = None
    fills: tuple[Fill, ...] = ()
    post_only: bool = False
    unknown_since_ms: int | None = None


def is_terminal(order: Order) -> bool:
    """Return whether the order is closed: only a late report about a fill can still change it."""
    return order.state in TERMINAL
