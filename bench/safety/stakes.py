"""What is at stake by the venue's side of the account alone: orders it may still fill, fills it made, winners it named.

No code of the trader's ledger, sizing or limits is used: the two must agree by being right. All amounts are in 1e-6.
"""

from collections import defaultdict

import msgspec

UNIT = 1_000_000
LOT = 10_000
"""A hundredth of a share: less cannot be ordered, so nothing can be done about it before the winner is named."""


class Pending(msgspec.Struct, frozen=True):
    """A BUY that the venue may still fill: where, and the most it may still cost."""

    asset: str
    market: str
    usd: int


class Holding(msgspec.Struct):
    """Shares of one token, and what they have cost so far: paid less received, fees included."""

    asset: str
    shares: int = 0
    net_usd: int = 0


class Use(msgspec.Struct, frozen=True):
    """What is at stake in one market, in its asset and in all, dollars; and in how many markets."""

    market_usd: int
    asset_usd: int
    total_usd: int
    markets: int


class Stakes:
    """Changes with what the venue sees. `results` are the round trips' net results in the order in which they ended.

    With `undone` a fill may turn out not to have happened: then a position ends with its winner, or as the next begins.
    """

    def __init__(self, *, undone: bool = False) -> None:
        self._undone = undone
        self.pending: dict[str, Pending] = {}
        self.held: dict[tuple[str, str], Holding] = {}
        self.results: list[int] = []
        self.realised_usd = 0

    def ordered(self, order_id: str, asset: str, market: str, usd: int) -> None:
        """Note what a BUY may still cost; 0 once it may cost nothing any more."""
        if usd > 0:
            self.pending[order_id] = Pending(asset, market, usd)
        else:
            self.pending.pop(order_id, None)

    def filled(self, asset: str, market: str, token: str, shares: int, usd: int, *, returns: bool = False) -> None:
        """Book a fill: shares got (negative: given), dollars paid (negative: received), the fee included.

        `returns` where it takes back one that did not happen.
        """
        holding = self.held.setdefault((market, token), Holding(asset))
        if holding.shares == 0 and usd > 0 and not returns:
            holding.net_usd = 0
        holding.shares += shares
        holding.net_usd += usd
        if holding.shares == 0 and not self._undone:
            self._ended((market, token), 0)

    def paid(self, market: str, winning_token: str) -> None:
        """Let a market's winner pay a dollar a share."""
        for key in [key for key in self.held if key[0] == market]:
            self._ended(key, self.held[key].shares if key[1] == winning_token else 0)
        for order_id in [order_id for order_id, each in self.pending.items() if each.market == market]:
            del self.pending[order_id]

    def _ended(self, key: tuple[str, str], payout_usd: int) -> None:
        result = payout_usd - self.held.pop(key).net_usd
        self.realised_usd += result
        self.results.append(result)

    def shares(self, market: str) -> dict[str, int]:
        """Return what is held of each token of a market, where it is enough to be ordered."""
        return {key[1]: each.shares for key, each in self.held.items() if key[0] == market and each.shares >= LOT}

    def use(self, market: str, asset: str) -> Use:
        """Return what is at stake; a position that has already returned more than it cost counts as nothing."""
        by_market: defaultdict[tuple[str, str], int] = defaultdict(int)
        for (of, _), holding in self.held.items():
            if holding.shares > 0:
                by_market[of, holding.asset] += max(0, holding.net_usd)
        for each in self.pending.values():
            by_market[each.market, each.asset] += each.usd
        return Use(
            market_usd=sum(usd for (of, _), usd in by_market.items() if of == market),
            asset_usd=sum(usd for (_, of), usd in by_market.items() if of == asset),
            total_usd=sum(by_market.values()),
            markets=len(by_market),
        )

    @property
    def open_usd(self) -> int:
        """What has been paid for what is still held."""
        return sum(max(0, holding.net_usd) for holding in self.held.values())

    def losing_streak(self, since: int) -> int:
        """Return how many of the latest results, of those from number `since` on, are losses in a row."""
        streak = 0
        for result in self.results[since:]:
            streak = 0 if result > 0 else streak + (result < 0)
        return streak


def most_usd(shares: int, price: int, fee_rate: float) -> int:
    """Return what buying `shares` at `price` costs with the venue's fee, rate * p * (1 - p) a share, rounded down."""
    p = price / UNIT
    return shares * price // UNIT + int(shares * fee_rate * p * (1 - p))
