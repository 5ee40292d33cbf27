"""What is worth a word of its own: each hundredth trade, and each time the account has grown by another 5 %."""

import msgspec

from core.trading.money import decimal

EVERY_TRADES = 100
GROWTH_PERCENT = 5


class Standing(msgspec.Struct, frozen=True):
    """Where an account stands after a round trip: `equity_usd` is what it began with and what was realised (1e-6)."""

    trades: int
    start_usd: int
    equity_usd: int


class Marks(msgspec.Struct, frozen=True):
    """What was told last: hundreds of trades, and the equity (1e-6 dollars) that the next high is measured from."""

    hundreds: int
    high_usd: int


def first_marks(standing: Standing) -> Marks:
    """Return the marks of an account nobody has watched so far: what it reached before is no news."""
    before = standing.trades - 1
    high_usd = standing.start_usd if before <= 0 else max(standing.start_usd, standing.equity_usd)
    return Marks(max(0, before) // EVERY_TRADES, high_usd)


def reached(marks: Marks | None, standing: Standing) -> tuple[Marks, tuple[str, ...]]:
    """Return the marks after a round trip, and a line for each milestone that it brought."""
    marks = first_marks(standing) if marks is None else marks
    told = []
    hundreds, high_usd = standing.trades // EVERY_TRADES, marks.high_usd
    grown_usd = standing.equity_usd - standing.start_usd
    if hundreds > marks.hundreds:
        told.append(f"{hundreds * EVERY_TRADES} trades in this session, PnL net {decimal(grown_usd):+.2f} USD")
    if standing.equity_usd * 100 >= marks.high_usd * (100 + GROWTH_PERCENT):
        high_usd = standing.equity_usd
        told.append(
            f"new equity high {decimal(high_usd):,.2f} USD, {GROWTH_PERCENT} % or more above the last one "
            f"({decimal(marks.high_usd):,.2f}); PnL net {decimal(grown_usd):+.2f}"
        )
    return Marks(max(hundreds, marks.hundreds), high_usd), tuple(told)
