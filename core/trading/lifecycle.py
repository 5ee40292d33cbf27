"""The one state machine every order goes through, paper or live: events in, the next order out."""

from typing import Literal

import msgspec
from msgspec.structs import replace

from core.errors import RejectedError
from core.trading.money import MICRO
from core.trading.orders import IN_FLIGHT, TERMINAL, Fill, FillState, Order, OrderState, is_terminal

FillNews = Literal["NEW", "CONFIRMED", "UNDONE", "KNOWN"]

ROUNDING_SHARES = MICRO // 100
"""Venues round a complete fill by up to 0.01 share: a closed order short by no more than that is filled."""


class IllegalTransitionError(RejectedError):
    """Raised when an event cannot happen to an order in its state; the order is unchanged."""


class Persisted(msgspec.Struct, frozen=True, tag=True):
    """The intent, the order and its hash are committed: from here on it may be sent."""

    at_ms: int
    order_hash: str | None = None


class Submitted(msgspec.Struct, frozen=True, tag=True):
    """The order was handed to the socket under the gate's lock."""

    at_ms: int
    gate_sequence: int


class Acknowledged(msgspec.Struct, frozen=True, tag=True):
    """The venue holds the order and it rests."""

    at_ms: int


class Postponed(msgspec.Struct, frozen=True, tag=True):
    """The venue holds the order and will match it later."""

    at_ms: int


class OutcomeUnknown(msgspec.Struct, frozen=True, tag=True):
    """A request may or may not have taken effect."""

    at_ms: int
    error: str


class FillReported(msgspec.Struct, frozen=True, tag=True):
    """A fill, or a change of its state."""

    fill: Fill


class Cancelled(msgspec.Struct, frozen=True, tag=True):
    """The venue closed the order: cancelled, killed or expired."""

    at_ms: int
    reason: str


class Rejected(msgspec.Struct, frozen=True, tag=True):
    """The venue refused the order."""

    at_ms: int
    error: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The order ended on our side: never sent, or its window closed with the outcome unknown."""

    at_ms: int
    error: str


OrderEvent = (
    Persisted | Submitted | Acknowledged | Postponed | OutcomeUnknown | FillReported | Cancelled | Rejected | Failed
)

_S = OrderState
_UNSENT = frozenset({_S.NEW, _S.DURABLE})
_HAS_FILLS = frozenset({_S.FILLED, _S.PARTIALLY_FILLED})
# A restart can find an order DURABLE that was sent a moment before the crash, hence DURABLE wherever the states in
# flight are. The states an event itself leads to are there so that its repetition is harmless.
_MAY_FOLLOW: dict[type[OrderEvent], frozenset[OrderState]] = {
    Persisted: frozenset({_S.NEW}),
    Submitted: frozenset({_S.DURABLE}),
    Acknowledged: IN_FLIGHT | {_S.DURABLE},
    Postponed: (IN_FLIGHT | {_S.DURABLE}) - {_S.LIVE},
    OutcomeUnknown: IN_FLIGHT | {_S.DURABLE},
    FillReported: IN_FLIGHT | {_S.DURABLE} | TERMINAL,
    Cancelled: _UNSENT | IN_FLIGHT | _HAS_FILLS | {_S.CANCELLED},
    Rejected: (_UNSENT | IN_FLIGHT | _HAS_FILLS | {_S.REJECTED}) - {_S.LIVE},
    Failed: _UNSENT | IN_FLIGHT | _HAS_FILLS | {_S.FAILED},
}


def may_advance(order: Order, event: OrderEvent) -> bool:
    """Return whether `event` can happen to `order` as it stands."""
    return order.state in _MAY_FOLLOW[type(event)]


def advance(order: Order, event: OrderEvent) -> Order:
    """Return `order` after `event`. The repetition of an event changes nothing; a late fill is adopted.

    Raises:
        IllegalTransitionError: when the event cannot follow the order's state, or contradicts a known fill.
    """
    if not may_advance(order, event):
        raise IllegalTransitionError(f"order {order.id}: {type(event).__name__} cannot follow {order.state}")
    match event:
        case FillReported():
            return _with_fill(order, event.fill)
        case Cancelled():
            return _closed(order, OrderState.CANCELLED, event.at_ms, event.reason)
        case Rejected():
            return _closed(order, OrderState.REJECTED, event.at_ms, event.error)
        case Failed():
            return _closed(order, OrderState.FAILED, event.at_ms, event.error)
        case _:
            return _moved(order, event)


def _moved(order: Order, event: Persisted | Submitted | Acknowledged | Postponed | OutcomeUnknown) -> Order:
    match event:
        case Persisted():
            return replace(order, state=OrderState.DURABLE, order_hash=event.order_hash or order.order_hash)
        case Submitted():
            sent = replace(order, submitted_ms=event.at_ms, gate_sequence=event.gate_sequence)
            return replace(sent, state=OrderState.SUBMITTED)
        case Acknowledged():
            return replace(order, state=OrderState.LIVE)
        case Postponed():
            return replace(order, state=OrderState.DELAYED)
        case OutcomeUnknown():
            since_ms = order.unknown_since_ms if order.state is OrderState.UNKNOWN else event.at_ms
            return replace(order, state=OrderState.UNKNOWN, last_error=event.error, unknown_since_ms=since_ms)


def fill_news(known: FillState | None, reported: FillState) -> FillNews:
    """Return what a report of a fill in state `reported` says beyond the state `known` of the same fill.

    Raises:
        IllegalTransitionError: for CONFIRMED after FAILED or the reverse, which no venue may say.
    """
    if known is None:
        return "NEW"
    if {known, reported} == {"CONFIRMED", "FAILED"}:
        raise IllegalTransitionError(f"a fill cannot be {reported} after it was {known}: reconcile with the venue")
    if reported in (known, "MATCHED"):
        return "KNOWN"
    return "CONFIRMED" if reported == "CONFIRMED" else "UNDONE"


def _with_fill(order: Order, fill: Fill) -> Order:
    if fill.order_id != order.id or fill.token_id != order.token_id or fill.side != order.side:
        raise IllegalTransitionError(f"fill {fill.id} does not belong to order {order.id}")
    known = next((old.state for old in order.fills if old.key == fill.key), None)
    if fill_news(known, fill.state) == "KNOWN":
        return order
    fills = (*(old for old in order.fills if old.key != fill.key), fill)
    counted = [f for f in fills if f.state != "FAILED"]
    filled = replace(
        order,
        fills=fills,
        filled_shares=sum(f.shares for f in counted),
        filled_notional=sum(f.notional_usd for f in counted),
        fees_usd=sum(f.fee_usd for f in counted),
    )
    if is_terminal(order):
        return replace(filled, state=_closing_state(filled, OrderState.FAILED if known else order.state))
    if filled.filled_shares >= filled.shares:
        return replace(filled, state=OrderState.FILLED, closed_ms=fill.filled_ms)
    return filled


def _closed(order: Order, state: OrderState, at_ms: int, reason: str) -> Order:
    if is_terminal(order):
        return order
    return replace(order, state=_closing_state(order, state), closed_ms=at_ms, last_error=reason)


def _closing_state(order: Order, when_unfilled: OrderState) -> OrderState:
    if order.filled_shares == 0:
        return when_unfilled
    short = order.shares - order.filled_shares
    return OrderState.FILLED if short <= ROUNDING_SHARES else OrderState.PARTIALLY_FILLED
