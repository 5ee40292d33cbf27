"""What the venue says of our orders and trades, from REST and from the user channel alike. Money and shares in 1e-6."""

from enum import StrEnum

import msgspec

from core.trading.orders import FillState, OrderSide


class VenueOrderStatus(StrEnum):
    """Where the venue sees an order; INVALID and UNMATCHED were never in the book."""

    LIVE = "LIVE"
    MATCHED = "MATCHED"
    DELAYED = "DELAYED"
    UNMATCHED = "UNMATCHED"
    CANCELED = "CANCELED"
    INVALID = "INVALID"
    OTHER = "OTHER"


class VenueOrder(msgspec.Struct, frozen=True):
    """An order as the venue sees it; None for a number it did not state. `reason` is why it ended, if it said so."""

    order_hash: str
    status: VenueOrderStatus
    condition_id: str
    token_id: str
    side: OrderSide
    price: int | None
    shares: int | None
    filled_shares: int | None
    order_type: str
    trade_ids: tuple[str, ...] = ()
    created_ms: int = 0
    reason: str = ""


class TradeState(StrEnum):
    """Where a trade stands on its way to the chain."""

    MATCHED = "MATCHED"
    MINED = "MINED"
    RETRYING = "RETRYING"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"

    @property
    def fill_state(self) -> FillState:
        """What the state means for a fill: provisional until CONFIRMED, undone by FAILED."""
        match self:
            case TradeState.CONFIRMED:
                return "CONFIRMED"
            case TradeState.FAILED:
                return "FAILED"
            case _:
                return "MATCHED"

    @property
    def is_final(self) -> bool:
        """Whether the state can no longer change."""
        return self in {TradeState.CONFIRMED, TradeState.FAILED}

    @property
    def on_chain(self) -> bool:
        """Whether the balance the venue checks sells against should hold it by now."""
        return self in {TradeState.MINED, TradeState.CONFIRMED}


class Leg(msgspec.Struct, frozen=True):
    """One order's part in a trade, in that order's own terms: its token, its side, its price."""

    order_hash: str
    owner: str
    maker_address: str
    token_id: str
    side: OrderSide
    price: int
    shares: int


class VenueTrade(msgspec.Struct, frozen=True):
    """A trade: the taker's leg and each maker's. `we_take` is None where the venue does not say which one is ours."""

    trade_id: str
    condition_id: str
    state: TradeState
    taker: Leg
    makers: tuple[Leg, ...]
    we_take: bool | None
    matched_ms: int
    updated_ms: int = 0
    transaction_hash: str = ""


class OrderUpdate(msgspec.Struct, frozen=True):
    """A user event about one order; `kind` is PLACEMENT, UPDATE, CANCELLATION or what the venue invents next."""

    kind: str
    order: VenueOrder
    at_ms: int


class TradeUpdate(msgspec.Struct, frozen=True):
    """A user event about one trade: new, or at its next state."""

    trade: VenueTrade
    at_ms: int


UserEvent = OrderUpdate | TradeUpdate
