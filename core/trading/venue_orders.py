"""What a venue says about an order of ours, and which events of its life follow from that."""

from typing import Literal

import msgspec

from core.trading.lifecycle import Acknowledged, Cancelled, FillReported, OrderEvent, fill_news
from core.trading.orders import Fill, Order, OrderState

SeenStatus = Literal["LIVE", "CLOSED"]


class SeenOrder(msgspec.Struct, frozen=True):
    """The venue's own record of an order: whether it still rests, and how many shares (1e-6) have matched."""

    order_hash: str
    status: SeenStatus
    matched_shares: int
    reason: str = ""


class Inspection(msgspec.Struct, frozen=True):
    """Everything the venue knows of one order at one moment; no record proves nothing, it may merely be late."""

    order_hash: str
    record: SeenOrder | None
    fills: tuple[Fill, ...]


def news(order: Order, seen: Inspection, now_ms: int) -> tuple[OrderEvent, ...]:
    """Return what `order` has not heard yet, in order; empty when `seen` adds nothing.

    An order is closed only when every share that the venue matched is among its fills: until then a fill is on its
    way, and what it bought must not be forgotten.

    Raises:
        IllegalTransitionError: when the venue contradicts a fill that was final.
    """
    states = {fill.key: fill.state for fill in order.fills}
    fresh = [fill for fill in seen.fills if fill_news(states.get(fill.key), fill.state) != "KNOWN"]
    events: list[OrderEvent] = [FillReported(fill) for fill in fresh]
    record = seen.record
    if record is None:
        return tuple(events)
    if record.status == "LIVE":
        if order.state in (OrderState.DURABLE, OrderState.SUBMITTED, OrderState.DELAYED, OrderState.UNKNOWN):
            events.append(Acknowledged(now_ms))
        return tuple(events)
    known = {fill.key: fill for fill in (*order.fills, *fresh)}
    if sum(fill.shares for fill in known.values()) >= record.matched_shares:
        events.append(Cancelled(now_ms, record.reason or "closed by the venue"))
    return tuple(events)
