"""Lines for people about what an account did."""

from collections.abc import Iterable, Iterator

from core.alerts.milestones import Standing
from core.trading.ledger import Ledger
from core.trading.money import decimal
from core.trading.positions import Position


def opened(before: Iterable[Position], after: Iterable[Position]) -> Iterator[str]:
    """Yield a line for each position that its first fill has made; what is bought later adds to it without a word."""
    known = {position.entry_intent_id for position in before}
    for position in after:
        if position.shares and position.entry_intent_id not in known:
            yield (
                f"{position.asset} {position.side} opened: {decimal(position.shares):.2f} shares at "
                f"{decimal(position.entry_price):.3f}, cost {decimal(position.cost_usd):.2f} USD with fees"
            )


def standing_of(ledger: Ledger) -> Standing:
    """Return where an account stands; what it holds counts with what it cost."""
    return Standing(ledger.trade_count, ledger.start_usd, ledger.start_usd + ledger.realised_usd)
