"""The kill switch: losses, and a ledger that is not the venue's, shut the gate before the portfolio's next order.

Only a person's `resume` opens it again.
"""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace

from actors.portfolio_state import PortfolioState
from core.market.views import BookView
from core.messages import Tick
from core.runtime.context import Context
from core.trading.gate import GateLevel, is_held
from core.trading.holdings import Difference
from core.trading.lasting_holds import MISMATCH
from core.trading.losses import REASONS, Losses, LossLimits, exceeded, lifted, seen
from core.trading.money import MICRO, decimal

STORED_AFTER_S = 2.0
"""By then a hold is in the gate's file, or its failure was told; what is missing after that was lifted by a person."""
TIMER = "tripped"


class Trips(msgspec.Struct, frozen=True):
    """What shuts the gate for good.

    `tolerance_usd` (1e-6) is how far the venue's ledger may be from ours; None: as far as it likes.
    """

    losses: LossLimits = LossLimits()
    tolerance_usd: int | None = None


def result_usd(state: PortfolioState, views: Mapping[str, BookView]) -> int:
    """Return what the session came to (1e-6 dollars), net of fees, if what is open and would lose were sold at the bid.

    Gains that are open do not count, and what has no bid counts as worth its cost.
    """
    return state.ledger.realised_usd - open_loss_usd(state, views)


def open_loss_usd(state: PortfolioState, views: Mapping[str, BookView]) -> int:
    """Return what the positions that would lose would lose at the best bid, in 1e-6 dollars, before fees."""
    total = 0
    for position in state.ledger.positions.values():
        view = views.get(position.condition_id)
        book = None if view is None else view.up if position.side == "UP" else view.down
        if book is not None and book.best_bid is not None:
            total += max(0, position.cost_usd - position.shares * book.best_bid // MICRO)
    return total


class KillSwitch:
    """Judges one portfolio; one without limits, as of the paper account beside a live one, shuts nothing."""

    def __init__(self, context: Context, trips: Trips) -> None:
        self._context = context
        self._trips = trips
        self._noting = False

    def judged(self, state: PortfolioState, views: Mapping[str, BookView]) -> PortfolioState:
        """Shut the gate where a limit is reached, and return the state that remembers what was seen."""
        result, gate = result_usd(state, views), self._context.gate
        losses = state.losses
        for reason in losses.tripped:
            if not is_held(gate.state, reason):
                losses = lifted(losses, reason, result)
        losses = seen(losses, result, self._context.clock.now_ms())
        for reason, text in exceeded(losses, result, self._trips.losses):
            if reason not in losses.tripped:
                gate.hold(None, reason, GateLevel.REDUCE_ONLY, text)
        self._note_later(losses)
        return state if losses == state.losses else replace(state, losses=losses)

    def _note_later(self, losses: Losses) -> None:
        """See to it that a hold of ours is noted once it is kept; asked again meanwhile, it is not put off."""
        ours = self._trips.losses != LossLimits()
        if ours and not self._noting and self._held() - set(losses.tripped):
            self._noting = True
            self._context.timer(TIMER, STORED_AFTER_S, Tick(TIMER))

    def stored(self, state: PortfolioState) -> PortfolioState:
        """Note which holds of ours are kept by now: their absence means from then on that a person lifted them."""
        self._noting = False
        tripped = tuple(sorted({*state.losses.tripped, *self._held()}))
        return replace(state, losses=replace(state.losses, tripped=tripped))

    def _held(self) -> set[str]:
        return {reason for reason in REASONS if is_held(self._context.gate.state, reason)}

    def disagreed(self, found: Iterable[Difference]) -> None:
        """Shut the gate where the venue's ledger differed from ours beyond the tolerance; a share counts a dollar."""
        off_usd = sum(abs(each.ours - each.venues) for each in found)
        if self._trips.tolerance_usd is not None and off_usd > self._trips.tolerance_usd:
            text = f"the venue's ledger and ours differed by {decimal(off_usd):.2f}"
            self._context.gate.hold(None, MISMATCH, GateLevel.REDUCE_ONLY, text)
