"""What must last, one value per row: the DbWriter turns each into SQL, in the order it was told.

Money, prices and shares are integers of 1e-6, times unix milliseconds; storage converts both.
"""

from typing import Literal

import msgspec

from core.market.market import Side


class MarketRecord(msgspec.Struct, frozen=True):
    """Row of `markets`; written again when strike or winner become known (None never erases a known value)."""

    condition_id: str
    asset: str
    slug: str
    opens_at_ms: int
    closes_at_ms: int
    strike: float | None
    winner: Side | None
    fee_rate: float | None
    tick_size: int


class IntentRecord(msgspec.Struct, frozen=True):
    """Row of `intents`."""

    id: str
    session_id: int
    asset: str
    condition_id: str
    side: Side
    action: Literal["OPEN", "CLOSE"]
    decided_at_ms: int
    reason: str
    lease_epoch: int
    incarnation: int
    action_probs: tuple[float, ...]
    features: tuple[float, ...]


class OrderRecord(msgspec.Struct, frozen=True):
    """Row of `orders`; written again at each change of state."""

    id: str
    intent_id: str
    venue: str
    order_hash: str | None
    order_type: str
    side: Literal["BUY", "SELL"]
    token_id: str
    price: int
    shares: int
    state: str
    submitted_at_ms: int | None
    closed_at_ms: int | None
    last_error: str | None


class FillRecord(msgspec.Struct, frozen=True):
    """Row of `fills`; `(venue, trade_id, order_hash)` is unique, a second write only updates `state`."""

    id: str
    order_id: str
    venue: str
    trade_id: str
    order_hash: str
    price: int
    shares: int
    fee_usd: int
    liquidity: Literal["TAKER", "MAKER"]
    state: str
    filled_at_ms: int


class PositionRecord(msgspec.Struct, frozen=True):
    """Row of `positions`; shares 0 removes it. `cost_usd` is the net cash paid so far, fees included."""

    session_id: int
    asset: str
    condition_id: str
    side: Side
    shares: int
    cost_usd: int
    opened_at_ms: int
    updated_at_ms: int


class TradeRecord(msgspec.Struct, frozen=True):
    """Row of `trades`: one round trip, from the first share bought to the last one sold or settled."""

    id: str
    session_id: int
    asset: str
    condition_id: str
    side: Side
    opened_at_ms: int
    closed_at_ms: int
    shares: int
    entry_price: int
    exit_price: int
    fees_usd: int
    pnl_net_usd: int
    exit_reason: str
    force_closed: bool
    force_close_reason: str | None


class CheckpointRecord(msgspec.Struct, frozen=True):
    """Row of `checkpoints`: one generation of an actor's state or of a model."""

    kind: Literal["actor", "model"]
    name: str
    generation: int
    schema_version: int
    payload: bytes
    created_at_ms: int


class HealthEventRecord(msgspec.Struct, frozen=True):
    """Row of `health_events`: a transition of an actor, a feed or the gate."""

    session_id: int
    subject: str
    status: str
    detail: str
    at_ms: int


class AlertRecord(msgspec.Struct, frozen=True):
    """Row of `alerts` with the result of its delivery."""

    session_id: int
    kind: str
    text: str
    delivery: str
    at_ms: int


class MetricRecord(msgspec.Struct, frozen=True):
    """Row of `metrics`: a named number at a moment."""

    session_id: int
    name: str
    value: float
    at_ms: int


class DeadLetterRecord(msgspec.Struct, frozen=True):
    """Row of `dead_letters`: a message nobody could process, and why."""

    session_id: int
    target: str
    sender: str
    incarnation: int
    message_type: str
    reason: str
    at_ms: int


Record = (
    MarketRecord
    | IntentRecord
    | OrderRecord
    | FillRecord
    | PositionRecord
    | TradeRecord
    | CheckpointRecord
    | HealthEventRecord
    | AlertRecord
    | MetricRecord
    | DeadLetterRecord
)
