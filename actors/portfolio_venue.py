"""What a live portfolio owes to the venue's word: winnings that wait to be redeemed, and holdings that must agree."""

from msgspec.structs import replace

from actors.portfolio_state import PortfolioState
from core.messages import HoldingsReported
from core.records import HealthEventRecord
from core.trading.booking import with_venue_cash, with_venue_shares
from core.trading.claims import claimable_usd
from core.trading.holdings import CASH, Difference, differences, redeemed, tokens_of
from core.trading.money import decimal
from core.trading.positions import ClosedTrade

HOLDINGS_EVERY_S = 30.0


class HoldingsCheck:
    """Compares what is reported with the books; a difference counts when two reports in a row show it."""

    def __init__(self) -> None:
        self._before: tuple[Difference, ...] = ()

    def wanted(self, state: PortfolioState, now_ms: int) -> tuple[str, ...] | None:
        """Return the tokens to ask for, None while anything is in flight: then nothing can be compared.

        A payout is in flight from a market's close until its winner is booked.
        """
        provisional = any(booked.fill.state == "MATCHED" for booked in state.ledger.fills.values())
        closes_s = (
            state.markets[position.condition_id].window.closes_at_s
            for position in state.ledger.positions.values()
            if position.condition_id in state.markets
        )
        if state.orders or provisional or any(at_s * 1000 <= now_ms for at_s in closes_s):
            self._before = ()
            return None
        return tokens_of(state.ledger, state.markets, state.claims)

    def confirmed(self, state: PortfolioState, report: HoldingsReported) -> tuple[Difference, ...]:
        """Return the differences of `report` that the report before showed too."""
        found = differences(state.ledger, state.markets, state.claims, report.cash_usd, report.shares)
        before, self._before = self._before, found
        return tuple(each for each in found if each in before)


def repaired(
    state: PortfolioState, found: tuple[Difference, ...], shares: dict[str, int], at_ms: int
) -> tuple[PortfolioState, list[ClosedTrade]]:
    """Return the state with the venue's values, and the round trips that this ended."""
    state = replace(state, claims=redeemed(state.claims, shares))
    ledger, trades = state.ledger, []
    for each in found:
        if each.subject == CASH:
            ledger = with_venue_cash(ledger, each.venues + claimable_usd(state.claims))
        else:
            applied = with_venue_shares(ledger, each.subject, each.venues, at_ms)
            ledger = applied.ledger
            if applied.closed_trade is not None:
                trades.append(applied.closed_trade)
    return replace(state, ledger=ledger), trades


def event_of(session_id: int, each: Difference, at_ms: int) -> HealthEventRecord:
    """Return the health event that keeps both values."""
    return HealthEventRecord(session_id, each.subject, "reconciled", text_of(each), at_ms)


def text_of(each: Difference) -> str:
    """Return a difference as one line for people."""
    return f"{each.subject}: ours {decimal(each.ours):.6f}, the venue's {decimal(each.venues):.6f}; the venue's stands"
