"""Limits on an order's way, judged twice: by the portfolio when it sizes, and by the executor just before it sends.

They bound what is opened. What is closed is bounded by its price alone: exposure must be able to end at any time.
"""

from collections.abc import Iterable, Iterator

import msgspec

from core.trading.ledger import Ledger, provisional_fills
from core.trading.money import decimal, notional_usd
from core.trading.orders import Intent, Order
from core.trading.positions import Position, cash_flow

MINUTE_MS = 61_000
"""A second more than a minute: of two orders that are sized a minute apart, the first may have been sent that late."""


class OrderLimits(msgspec.Struct, frozen=True):
    """Largest values still allowed; dollars at cost and prices in 1e-6, None where there is no such limit.

    `slippage` is how much worse than the price of its decision an order's limit may be. `per_minute` counts opening
    orders in any 60 s.
    """

    trade_usd: int | None = None
    position_usd: int | None = None
    asset_usd: int | None = None
    total_usd: int | None = None
    positions: int | None = None
    per_minute: int | None = None
    slippage: int | None = None


class Exposure(msgspec.Struct, frozen=True):
    """What is at stake at cost: money in positions and reserved for opening orders, fees included; dollars in 1e-6.

    In the market and the asset of one order, and in all; `markets` counts where anything is held or being bought. A
    position that has returned more than it cost counts as nothing: it makes no room for others. What a sale brought
    that may still be undone counts as not received.
    """

    market_usd: int = 0
    asset_usd: int = 0
    total_usd: int = 0
    markets: int = 0


def exposure_of(ledger: Ledger, asset: str, condition_id: str) -> Exposure:
    """Return the exposure of the account, with that of one market and of one asset."""
    stakes = [(p.asset, p.condition_id, _stake(ledger, p)) for p in ledger.positions.values() if _held(ledger, p)]
    stakes += [(r.asset, r.condition_id, r.usd) for r in ledger.reservations.values() if r.action == "OPEN"]
    return Exposure(
        market_usd=sum(usd for _, of, usd in stakes if of == condition_id),
        asset_usd=sum(usd for of, _, usd in stakes if of == asset),
        total_usd=sum(usd for _, _, usd in stakes),
        markets=len({of for _, of, _ in stakes}),
    )


def _held(ledger: Ledger, position: Position) -> bool:
    return bool(position.shares or _undoable_usd(ledger, position))


def _stake(ledger: Ledger, position: Position) -> int:
    return max(0, position.cost_usd + _undoable_usd(ledger, position))


def _undoable_usd(ledger: Ledger, position: Position) -> int:
    fills = provisional_fills(ledger, position.condition_id, position.side)
    return sum(cash_flow(booked.fill) for booked in fills if booked.fill.side == "SELL")


def order_refusal(
    order: Order, intent: Intent, exposure: Exposure, opened_ms: Iterable[int], now_ms: int, limits: OrderLimits
) -> str | None:
    """Return the first limit that sending `order` would exceed, or None.

    Args:
        order: what would be sent.
        intent: what it came from.
        exposure: of the account, this order's reservation included.
        opened_ms: when (unix milliseconds) the opening orders before it were sent.
        now_ms: unix milliseconds.
        limits: the limits.
    """
    checks = _opening(order, exposure, opened_ms, now_ms, limits) if intent.action == "OPEN" else iter(())
    return next((text for text in (*checks, slippage_refusal(order, intent, limits)) if text is not None), None)


def slippage_refusal(order: Order, intent: Intent, limits: OrderLimits) -> str | None:
    """Return a refusal when the limit is too far from the decision's price; a forced exit has a floor of its own."""
    if limits.slippage is None or intent.decision_price is None or intent.forced:
        return None
    worse = order.limit_price - intent.decision_price
    if order.side == "SELL":
        worse = -worse
    if worse <= limits.slippage:
        return None
    return f"price {decimal(worse)} worse than decided at, {decimal(limits.slippage)} allowed"


def worst_price(intent: Intent, limits: OrderLimits) -> int | None:
    """Return the worst price (1e-6) at which the order of an intent may be sent; None where nothing bounds it."""
    if limits.slippage is None or intent.decision_price is None or intent.forced:
        return None
    away = limits.slippage if intent.action == "OPEN" else -limits.slippage
    return intent.decision_price + away


def recent(opened_ms: Iterable[int], now_ms: int) -> tuple[int, ...]:
    """Return the opening orders that still count; a clock that was set back forgets none of them."""
    return tuple(at_ms for at_ms in opened_ms if now_ms - at_ms < MINUTE_MS)


def _opening(
    order: Order, exposure: Exposure, opened_ms: Iterable[int], now_ms: int, limits: OrderLimits
) -> Iterator[str | None]:
    yield _above("trade size", notional_usd(order.shares, order.limit_price), limits.trade_usd)
    yield _above("position size", exposure.market_usd, limits.position_usd)
    yield _above(f"{order.asset} exposure", exposure.asset_usd, limits.asset_usd)
    yield _above("total exposure", exposure.total_usd, limits.total_usd)
    if limits.positions is not None and exposure.markets > limits.positions:
        yield f"{exposure.markets} positions, {limits.positions} allowed"
    if limits.per_minute is not None and len(recent(opened_ms, now_ms)) >= limits.per_minute:
        yield f"{limits.per_minute} orders opened within a minute, no more allowed"


def _above(what: str, usd: int, limit_usd: int | None) -> str | None:
    if limit_usd is None or usd <= limit_usd:
        return None
    return f"{what} {decimal(usd):.2f} USD, {decimal(limit_usd):.2f} allowed"


def fits(limits: OrderLimits, exposure: Exposure) -> int | None:
    """Return the dollars (1e-6) that may still be reserved beside `exposure`; None where nothing bounds them.

    At least 0. The order that asks is not in `exposure`.
    """
    room = [
        limit - used
        for limit, used in (
            (limits.position_usd, exposure.market_usd),
            (limits.asset_usd, exposure.asset_usd),
            (limits.total_usd, exposure.total_usd),
        )
        if limit is not None
    ]
    return max(0, min(room)) if room else None
