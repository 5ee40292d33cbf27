"""Winnings that wait to be redeemed."""

from core.trading.claims import Claim, claimable_usd, claims_of
from core.trading.money import MICRO
from core.trading.positions import Position
from tests.trading.builders import NOW_MS, a_market

MARKET = a_market()


def held(side: str, shares: int) -> Position:
    return Position(1, "BTC", "0xc", "UP" if side == "UP" else "DOWN", "i", NOW_MS, NOW_MS, shares, 1)


def test_the_winners_shares_are_claimed_by_token_and_the_losers_are_not() -> None:
    found = claims_of(MARKET, "UP", [held("UP", 3 * MICRO), held("DOWN", 9 * MICRO), held("UP", 1)], NOW_MS)
    claim = Claim("BTC", MARKET.window.slug, "0xc", "u", 3 * MICRO + 1, NOW_MS)
    assert found == {"u": claim}
    assert claims_of(MARKET, "DOWN", [held("DOWN", 1)], NOW_MS)["d"].shares == 1


def test_who_holds_no_winner_claims_nothing() -> None:
    assert claims_of(MARKET, "UP", [held("DOWN", MICRO), held("UP", 0)], NOW_MS) == {}
    assert claims_of(MARKET, "UP", [], NOW_MS) == {}


def test_every_share_claimed_is_a_dollar() -> None:
    claims = {token: Claim("BTC", "slug", "0xc", token, shares, NOW_MS) for token, shares in (("u", 5), ("v", 7))}
    assert claimable_usd(claims) == 12
    assert claimable_usd({}) == 0
