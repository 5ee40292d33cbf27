"""The kill switch's arithmetic: a UTC day's loss, the fall from the session's best result, losing trades in a row.

Every result is net of fees: what closed trades came to, less what open positions would lose if sold at the bid.
"""

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from core.trading.money import decimal

DAY_MS = 86_400_000
DAILY, DRAWDOWN, STREAK = "daily loss", "session drawdown", "consecutive losses"
REASONS = (DAILY, DRAWDOWN, STREAK)


class LossLimits(msgspec.Struct, frozen=True):
    """Dollars in 1e-6, trades in a row; None where there is no such limit."""

    daily_usd: int | None = None
    drawdown_usd: int | None = None
    streak: int | None = None


class Losses(msgspec.Struct, frozen=True):
    """What is remembered to judge by; results in 1e-6 dollars.

    `day` counts UTC days since 1970, None before the first look; `day_from_usd` is the result it began with, `peak_usd`
    the best result. `tripped` are the limits that shut the gate and whose hold a person has not lifted yet.
    """

    day: int | None = None
    day_from_usd: int = 0
    peak_usd: int = 0
    streak: int = 0
    tripped: tuple[str, ...] = ()

    def lost_today_usd(self, result_usd: int) -> int:
        """Return the loss since midnight UTC, at least 0."""
        return max(0, self.day_from_usd - result_usd)

    def drawdown_usd(self, result_usd: int) -> int:
        """Return the fall from the best result, at least 0."""
        return max(0, self.peak_usd - result_usd)


def seen(losses: Losses, result_usd: int, now_ms: int) -> Losses:
    """Return what is remembered after a look at the result: a new day begins with it, a new best is kept.

    A clock that was set back does not begin a day again.
    """
    day = now_ms // DAY_MS
    if losses.day is None or day > losses.day:
        losses = replace(losses, day=day, day_from_usd=result_usd)
    return replace(losses, peak_usd=result_usd) if result_usd > losses.peak_usd else losses


def with_trade(losses: Losses, pnl_net_usd: int) -> Losses:
    """Return what is remembered after a round trip; one that came to nothing neither counts nor ends a streak."""
    if pnl_net_usd == 0:
        return losses
    return replace(losses, streak=losses.streak + 1 if pnl_net_usd < 0 else 0)


def exceeded(losses: Losses, result_usd: int, limits: LossLimits) -> Iterator[tuple[str, str]]:
    """Yield each limit that is reached, with what it came to for people."""
    lost, fallen = losses.lost_today_usd(result_usd), losses.drawdown_usd(result_usd)
    if limits.daily_usd is not None and lost >= limits.daily_usd:
        yield DAILY, f"{decimal(lost):.2f} USD lost since midnight UTC, limit {decimal(limits.daily_usd):.2f}"
    if limits.drawdown_usd is not None and fallen >= limits.drawdown_usd:
        yield DRAWDOWN, f"{decimal(fallen):.2f} USD below the session's best, limit {decimal(limits.drawdown_usd):.2f}"
    if limits.streak is not None and losses.streak >= limits.streak:
        yield STREAK, f"{losses.streak} losing trades in a row, limit {limits.streak}"


def lifted(losses: Losses, reason: str, result_usd: int) -> Losses:
    """Return what is remembered after a person lifted the hold of a limit: it counts anew from here."""
    after = replace(losses, tripped=tuple(kept for kept in losses.tripped if kept != reason))
    match reason:
        case "daily loss":
            return replace(after, day_from_usd=result_usd)
        case "session drawdown":
            return replace(after, peak_usd=result_usd)
        case _:
            return replace(after, streak=0)
