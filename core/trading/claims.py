"""Winnings that the venue owes and that have not been redeemed: booked as cash, but nothing can be bought with them."""

from collections.abc import Iterable, Mapping

import msgspec

from core.market.market import Market, Side
from core.trading.positions import Position


class Claim(msgspec.Struct, frozen=True):
    """Shares (1e-6) of a winner that pay one dollar each once they are redeemed."""

    asset: str
    slug: str
    condition_id: str
    token_id: str
    shares: int
    since_ms: int


def claims_of(market: Market, winner: Side, positions: Iterable[Position], at_ms: int) -> dict[str, Claim]:
    """Return what `positions` in a market that `winner` won leave to be redeemed, by token."""
    token_id = market.token(winner)
    shares = sum(position.shares for position in positions if position.side == winner)
    if shares <= 0:
        return {}
    return {token_id: Claim(market.asset, market.window.slug, market.condition_id, token_id, shares, at_ms)}


def claimable_usd(claims: Mapping[str, Claim]) -> int:
    """Return the dollars (1e-6) that redeeming everything would bring."""
    return sum(claim.shares for claim in claims.values())
