"""The venue's side of the account, from reported fills and winners alone: what cash and shares must be."""

from collections import Counter
from collections.abc import Iterable, Mapping

from actors.portfolio_state import PortfolioState
from core.market.market import Side
from core.trading.orders import Fill


class VenueBooks:
    """Every fill that the broker reported, by its key; no code of the trader's ledger is used."""

    def __init__(self, start_usd: int, winners: Mapping[str, Side]) -> None:
        self._start_usd = start_usd
        self._winners = winners
        self.fills: dict[str, Fill] = {}

    def report(self, fill: Fill) -> str | None:
        """Note a fill; return what is wrong when the same key was reported with another content."""
        known = self.fills.setdefault(fill.key, fill)
        return None if known == fill else f"fill {fill.key!r} was reported as {known} and as {fill}"

    def keep(self, booked: set[str]) -> set[str]:
        """Forget every other fill: a paper fill that no commit holds ends with its process. Return what is kept."""
        self.fills = {key: fill for key, fill in self.fills.items() if key in booked}
        return set(self.fills)

    def cash_usd(self, booked: Iterable[str], settled: Iterable[str]) -> int:
        """Return the cash of an account with these fills, after these markets were settled."""
        cash, shares = self._start_usd, Counter[str]()
        for key in booked:
            fill = self.fills[key]
            sign = 1 if fill.side == "BUY" else -1
            cash -= sign * ((2 * fill.shares * fill.price + 1_000_000) // 2_000_000) + fill.fee_usd
            shares[fill.token_id] += sign * fill.shares
        for condition_id in settled:
            winner = self._winners[condition_id]
            cash += shares[f"{condition_id}.{winner.lower()}"]
        return cash

    def shares(self, booked: Iterable[str], token_id: str) -> int:
        """Return the shares of a token that the booked fills leave."""
        fills = [self.fills[key] for key in booked]
        return sum(f.shares if f.side == "BUY" else -f.shares for f in fills if f.token_id == token_id)


def booked_fills(state: PortfolioState) -> set[str]:
    """Return the keys of all fills in the account, those of settled markets included."""
    settled = (key for market in state.ledger.settled for key in market.fill_keys)
    return {*state.ledger.fills, *settled}


def settled_markets(state: PortfolioState) -> list[str]:
    """Return the markets that have paid out."""
    return [market.condition_id for market in state.ledger.settled]
