"""The executor's own judgement of an order just before it is sent: the portfolio's may be a second old, or wrong."""

import msgspec

from actors.execution import Working
from core.market.views import BookView
from core.trading.limits import OpenLimits, open_refusal, price_refusal
from core.trading.order_limits import OrderLimits, order_refusal


class SendLimits(msgspec.Struct, frozen=True):
    """The limits that the portfolio sizes by, for a second look."""

    opening: OpenLimits
    order: OrderLimits


def send_refusal(
    working: Working, view: BookView | None, opened_ms: tuple[int, ...], now_ms: int, limits: SendLimits
) -> str | None:
    """Return the first limit that sending an order now would exceed, or None.

    Args:
        working: the order, with the account's exposure when it was sized.
        view: the executor's newest book of its market.
        opened_ms: when (unix milliseconds) the executor sent the opening orders of the last minute.
        now_ms: unix milliseconds.
        limits: the limits.
    """
    order, intent = working.order, working.intent
    if intent.action == "OPEN":
        refusal = open_refusal(working.market, view, intent.side, now_ms, limits.opening)
        refusal = refusal or price_refusal(order.limit_price, 0, limits.opening.max_price)
        if refusal is not None:
            return refusal
    return order_refusal(order, intent, working.exposure, opened_ms, now_ms, limits.order)
