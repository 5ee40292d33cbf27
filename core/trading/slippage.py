"""What fills cost beyond the price that the decision saw, and how far they stayed within the order's limit."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from core.market.market import Side
from core.trading.exits import ExitStep
from core.trading.money import MICRO, divided, micros
from core.trading.orders import IntentAction

Kind = Literal["open", "close", "forced exit"]
KINDS: tuple[Kind, ...] = ("open", "close", "forced exit")
_WHOLE_SPREAD = 1.0
_SPREAD_SCALE = 20.0
_STEPS = tuple(f", {step}" for step in ExitStep)


class Execution(msgspec.Struct, frozen=True):
    """One order with what filled of it; shares, prices and dollars in 1e-6.

    `touch_price` is what the decision saw offered to a buyer, or bid to a seller; None where it is not stored. `forced`
    is an exit that no policy decided. `notional_usd` is the dollars of the fills without `fees_usd`.
    """

    order_id: str
    intent_id: str
    session_id: int
    asset: str
    condition_id: str
    side: Side
    action: IntentAction
    decided_ms: int
    reason: str
    forced: bool
    ended: bool
    limit_price: int
    touch_price: int | None = None
    filled_shares: int = 0
    notional_usd: int = 0
    fees_usd: int = 0
    first_fill_ms: int | None = None
    last_fill_ms: int | None = None

    @property
    def kind(self) -> Kind:
        """What the order was for."""
        if self.action == "OPEN":
            return "open"
        return "forced exit" if self.forced else "close"

    @property
    def exit_reason(self) -> str:
        """The reason without the step of the escalation."""
        step = next((each for each in _STEPS if self.reason.endswith(each)), "")
        return self.reason.removesuffix(step)


class Slippage(msgspec.Struct, frozen=True):
    """Some orders, added up; dollars and shares in 1e-6, positive where the fill was worse.

    `measured_shares` are the filled ones whose decision's price is stored: `decision_usd` at that price,
    `worse_usd` what the fills cost beyond it. `within_limit_usd` is how much better than the limit all fills were.
    """

    orders: int
    unfilled: int
    filled_shares: int
    measured_shares: int
    decision_usd: int
    worse_usd: int
    within_limit_usd: int

    @property
    def decision_price(self) -> int | None:
        """The average price that the decisions saw, None when none is stored."""
        return divided(self.decision_usd * MICRO, self.measured_shares) if self.measured_shares else None

    @property
    def worse_price(self) -> int | None:
        """What a share cost beyond the decision's price on average, None when none is stored."""
        return divided(self.worse_usd * MICRO, self.measured_shares) if self.measured_shares else None


def decision_touch(price: float, spread: float, side: Side, action: IntentAction) -> int | None:
    """Return the best offer (OPEN) or bid (CLOSE) of `side` in 1e-6, from the features `price` and `spread`.

    They are those of `core.market.fused_features`: the Up token's mid as `2 mid - 1`, its spread times 20, which says
    nothing from 0.05 on: None. The Down token's touch is the mirror of Up's: both trade in one book at the venue.
    """
    if not 0.0 <= spread < _WHOLE_SPREAD or not -1.0 <= price <= 1.0:
        return None
    mid, half = (price + 1.0) / 2.0, spread / _SPREAD_SCALE / 2.0
    up_bid, up_ask = mid - half, mid + half
    if side == "UP":
        return micros(up_ask if action == "OPEN" else up_bid)
    return micros(1.0 - up_bid if action == "OPEN" else 1.0 - up_ask)


def slippage(executions: Iterable[Execution]) -> Slippage:
    """Return what some orders come to; one that may still fill is not counted as unfilled."""
    orders = unfilled = filled = measured = decision_usd = worse_usd = within_usd = 0
    for each in executions:
        orders += 1
        unfilled += each.ended and not each.filled_shares
        filled += each.filled_shares
        sign = 1 if each.action == "OPEN" else -1
        within_usd += sign * (_dollars(each.filled_shares, each.limit_price) - each.notional_usd)
        if each.touch_price is not None:
            seen_usd = _dollars(each.filled_shares, each.touch_price)
            measured += each.filled_shares
            decision_usd += seen_usd
            worse_usd += sign * (each.notional_usd - seen_usd)
    return Slippage(orders, unfilled, filled, measured, decision_usd, worse_usd, within_usd)


def _dollars(shares: int, price: int) -> int:
    return divided(shares * price, MICRO)
