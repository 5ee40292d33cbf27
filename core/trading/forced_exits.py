"""Which rule wants a position closed whatever the policy says; the clock's rules, the market's and an operator's."""

import msgspec

from core.market.window import Window
from core.trading.lasting_holds import FLATTEN
from core.trading.limits import EXIT_BEFORE_S, MAX_AGE_S, exit_due, max_age_due
from core.trading.money import MICRO

RETIRED = "retired"
T_2 = "T-2"
MAX_AGE = "max age"
STALE_BOOK = "stale book"
STOP_LOSS = "stop loss"
TAKE_PROFIT = "take profit"
NOTE_LEFT_S = 10.0
"""Seconds before the close (at W = 900) at which what no rule sells is written down as held; at least two."""


class ForcedExitRules(msgspec.Struct, frozen=True):
    """When a position is sold; None: never for this reason.

    `exit_before_s` and `max_age_s` are at W = 900, `stale_book_s` is real. `take_profit` and `stop_loss` are parts of
    the cost. In the assets of `hold_to_settlement` the first three do not count.
    """

    exit_before_s: float | None = EXIT_BEFORE_S
    max_age_s: float | None = MAX_AGE_S
    stale_book_s: float | None = None
    take_profit: float | None = None
    stop_loss: float | None = None
    hold_to_settlement: tuple[str, ...] = ()


class Held(msgspec.Struct, frozen=True):
    """A position as the rules see it; shares, dollars and `bid` (its token's best, None: unknown) in 1e-6.

    `book_age_s` is the time since its book was last known to be right, None while that is not known.
    """

    window: Window
    opened_ms: int
    shares: int
    cost_usd: int
    bid: int | None = None
    book_age_s: float | None = None

    @property
    def gain(self) -> float | None:
        """What selling at the bid would bring beyond the cost, as a part of it; None without bid or cost."""
        if self.bid is None or self.cost_usd <= 0:
            return None
        return (self.shares * self.bid // MICRO - self.cost_usd) / self.cost_usd


def exit_reason(
    held: Held, rules: ForcedExitRules, now_ms: int, *, retired: bool = False, flattened: bool = False
) -> str | None:
    """Return why a position is to be sold now, the strongest reason first; None where no rule asks for it.

    After the close nothing is sold: the winner decides.
    """
    window = held.window
    if window.seconds_left(now_ms) <= 0:
        return None
    if retired:
        return RETIRED
    if flattened:
        return FLATTEN
    if window.asset not in rules.hold_to_settlement:
        timed = _timed(held, rules, now_ms)
        if timed is not None:
            return timed
    return _priced(held, rules)


def _timed(held: Held, rules: ForcedExitRules, now_ms: int) -> str | None:
    if rules.exit_before_s is not None and exit_due(held.window, now_ms, rules.exit_before_s):
        return T_2
    if rules.max_age_s is not None and max_age_due(held.window, held.opened_ms, now_ms, rules.max_age_s):
        return MAX_AGE
    if rules.stale_book_s is not None and held.book_age_s is not None and held.book_age_s > rules.stale_book_s:
        return STALE_BOOK
    return None


def _priced(held: Held, rules: ForcedExitRules) -> str | None:
    gain = held.gain
    if gain is None:
        return None
    if rules.stop_loss is not None and gain <= -rules.stop_loss:
        return STOP_LOSS
    return TAKE_PROFIT if rules.take_profit is not None and gain >= rules.take_profit else None


def held_by_choice(held: Held, rules: ForcedExitRules, now_ms: int) -> bool:
    """Return whether a position comes to the close unsold because the rules say so, or say nothing."""
    left_s = held.window.seconds_left(now_ms)
    if left_s <= 0:
        return False
    if held.window.asset in rules.hold_to_settlement:
        return exit_due(held.window, now_ms, rules.exit_before_s or EXIT_BEFORE_S)
    return rules.exit_before_s is None and left_s <= max(2.0, NOTE_LEFT_S * held.window.scale)
