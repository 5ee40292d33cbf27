"""Our books against what the venue says we hold, once nothing is in flight: any difference is the venue's to decide."""

from collections.abc import Mapping

import msgspec

from core.market.market import Market
from core.trading.claims import Claim, claimable_usd
from core.trading.ledger import Ledger, position_key

CASH = "cash"


class Difference(msgspec.Struct, frozen=True):
    """One thing on which we and the venue differ: `cash`, or a position's key; both values in 1e-6."""

    subject: str
    ours: int
    venues: int


def tokens_of(ledger: Ledger, markets: Mapping[str, Market], claims: Mapping[str, Claim]) -> tuple[str, ...]:
    """Return the tokens whose balances have to be known for `differences`, sorted."""
    held = {markets[p.condition_id].token(p.side) for p in ledger.positions.values() if p.condition_id in markets}
    return tuple(sorted(held | set(claims)))


def redeemed(claims: Mapping[str, Claim], shares: Mapping[str, int]) -> dict[str, Claim]:
    """Return the claims that are left: a winner's token that the venue no longer shows has been redeemed."""
    return {token: claim for token, claim in claims.items() if shares.get(token, claim.shares) > 0}


def differences(
    ledger: Ledger,
    markets: Mapping[str, Market],
    claims: Mapping[str, Claim],
    cash_usd: int,
    shares: Mapping[str, int],
) -> tuple[Difference, ...]:
    """Return where the venue's cash (1e-6) and shares by token differ from ours; to the micro."""
    found = []
    ours_usd = ledger.cash_usd - claimable_usd(redeemed(claims, shares))
    if ours_usd != cash_usd:
        found.append(Difference(CASH, ours_usd, cash_usd))
    for position in ledger.positions.values():
        market = markets.get(position.condition_id)
        venues = None if market is None else shares.get(market.token(position.side))
        if venues is not None and venues != position.shares:
            found.append(Difference(position_key(position.condition_id, position.side), position.shares, venues))
    return tuple(found)
