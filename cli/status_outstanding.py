"""What is unfinished, for `status` and the live table: winnings to redeem, unknown orders, what is held, the venue."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from core.status import PortfolioStatus, VenueStatus
from core.trading.claims import Claim
from core.trading.money import decimal


class ClaimLine(msgspec.Struct, frozen=True):
    """Winnings of one market: redeeming its shares brings `claimable_usd`."""

    asset: str
    market: str
    condition_id: str
    claimable_usd: str
    since_ms: int


class UnknownLine(msgspec.Struct, frozen=True):
    """An order whose outcome is unknown since `since_ms`; nothing more is sent for its market until it is known."""

    order: str
    asset: str
    side: str
    action: str
    shares: str
    since_ms: int
    error: str | None


class HeldLine(msgspec.Struct, frozen=True):
    """Shares that wait for their market's winner, and why they are not sold."""

    asset: str
    condition_id: str
    side: str
    shares: str
    reason: str


class Outstanding(msgspec.Struct, frozen=True):
    """What an account has open besides its positions and orders."""

    claimable_usd: str = "0.000000"
    claims: list[ClaimLine] = []
    unknown_orders: list[UnknownLine] = []
    held_to_settlement: list[HeldLine] = []


class VenueLine(msgspec.Struct, frozen=True):
    """How a live venue takes us; ages in seconds, None: not yet."""

    paused_until_ms: int | None
    refusal: str | None
    heartbeat_age_s: float | None
    reconciled_age_s: float | None
    user_channel: bool
    paused_because: str | None = None


def outstanding_of(held: PortfolioStatus) -> Outstanding:
    """Return what an account has open."""
    return Outstanding(
        claimable_usd=str(decimal(sum(claim.shares for claim in held.claims))),
        claims=[_claim(claim) for claim in held.claims],
        unknown_orders=[
            UnknownLine(o.order_id, o.asset, o.side, o.action, str(decimal(o.shares)), o.since_ms, o.error)
            for o in held.unknown
        ],
        held_to_settlement=[
            HeldLine(each.asset, each.condition_id, each.side, str(decimal(each.shares)), each.reason)
            for each in held.held
        ],
    )


def venue_of(seen: VenueStatus, now_ms: int) -> VenueLine:
    """Return how the venue takes us, as of `now_ms` (unix milliseconds)."""
    return VenueLine(
        paused_until_ms=seen.paused_until_ms,
        refusal=seen.refusal,
        heartbeat_age_s=_age_s(seen.heartbeat_ms, now_ms),
        reconciled_age_s=_age_s(seen.reconciled_ms, now_ms),
        user_channel=seen.user_channel,
        paused_because=seen.paused_because,
    )


def outstanding_texts(outstanding: Outstanding, now_ms: int) -> Iterator[str]:
    """Yield a line for each thing that is open."""
    for claim in outstanding.claims:
        yield f"to redeem: {_usd(claim.claimable_usd)} USD of {claim.market}"
    for order in outstanding.unknown_orders:
        since_s = max(0.0, (now_ms - order.since_ms) / 1000)
        why = f" ({order.error})" if order.error else ""
        what = f"{order.asset} {order.action} {order.side} {_usd(order.shares)} shares"
        yield f"outcome unknown for {since_s:.0f} s: {what}{why}"
    for each in outstanding.held_to_settlement:
        yield f"held to settlement: {each.asset} {each.side} {_usd(each.shares)} shares ({each.reason})"


def venue_text(venue: VenueLine, now_ms: int) -> str:
    """Return how the venue takes us as one line."""
    parts = [
        f"heartbeat {_ago(venue.heartbeat_age_s)}",
        f"reconciled {_ago(venue.reconciled_age_s)}",
        f"user channel {'open' if venue.user_channel else 'closed'}",
    ]
    if venue.paused_until_ms is not None:
        why = f" ({venue.paused_because})" if venue.paused_because else ""
        parts.append(f"asks to wait, {max(0.0, (venue.paused_until_ms - now_ms) / 1000):.0f} s more{why}")
    if venue.refusal is not None:
        parts.append(f"refuses orders: {venue.refusal}")
    return f"venue: {', '.join(parts)}"


def _claim(claim: Claim) -> ClaimLine:
    return ClaimLine(claim.asset, claim.slug, claim.condition_id, str(decimal(claim.shares)), claim.since_ms)


def _age_s(at_ms: int | None, now_ms: int) -> float | None:
    return None if at_ms is None else round((now_ms - at_ms) / 1000, 3)


def _ago(age_s: float | None) -> str:
    return "not yet" if age_s is None else f"{age_s:.1f} s ago"


def _usd(value: str) -> str:
    return f"{Decimal(value):,.2f}"
