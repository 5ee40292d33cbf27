"""What a taker pays: the market's own fee schedule, in exact integers."""

from decimal import Decimal

from core.errors import RejectedError
from core.market.market import FeeSchedule
from core.trading.money import MICRO, divided

FEE_STEP_USD = 10
"""The venue charges in steps of 0.00001 dollars (five decimals), and nothing below one step."""


def taker_fee(shares: int, price: int, fees: FeeSchedule) -> int:
    """Return the taker's fee in dollars of 1e-6 for one fill of `shares` (1e-6) at `price` (1e-6).

    `shares * rate * (p * (1 - p)) ** exponent`, rounded to five decimals, and zero where it is less than 0.00001
    (Polymarket's fee page). A BUY pays it on top of its dollars, a SELL out of its proceeds; makers pay none.

    Raises:
        RejectedError: for negative shares, a price outside [0, 1], or a schedule that is not a number.
    """
    numerator, denominator = _exact(shares, price, fees)
    if numerator < denominator:
        return 0
    return divided(numerator, denominator) * FEE_STEP_USD


def worst_fee(shares: int, limit_price: int, fees: FeeSchedule, fills: int) -> int:
    """Return a bound in dollars of 1e-6 on what a BUY of `shares` pays in at most `fills` fills up to `limit_price`.

    The fee per share is largest where p is nearest to 0.5, and each fill is rounded by half a step at most.

    Raises:
        RejectedError: as `taker_fee`.
    """
    return _bound(shares, min(limit_price, MICRO // 2), fees, fills)


def worst_fee_of_dollars(dollars: int, limit_price: int, tick_size: int, fees: FeeSchedule, fills: int) -> int:
    """Return a bound in dollars of 1e-6 on the fee of a BUY that spends `dollars` (1e-6) up to `limit_price`.

    The cheaper the shares, the more of them: per dollar the fee is `rate * p ** (exponent - 1) * (1 - p) ** exponent`,
    which for the venue's exponent of 1 is largest at the lowest price, one tick.

    Raises:
        RejectedError: as `taker_fee`.
    """
    exponent = fees.exponent
    peak = (exponent - 1) * MICRO // (2 * exponent - 1) if exponent > 0 else 0
    prices = {min(max(price, tick_size), limit_price) for price in (peak, peak + 1)}
    return max(_bound(-(-dollars * MICRO // price), price, fees, fills) for price in prices)


def _bound(shares: int, price: int, fees: FeeSchedule, fills: int) -> int:
    """Return the fee of all shares at one price, rounded up, and half a step for each fill."""
    numerator, denominator = _exact(shares, price, fees)
    rounded_up = -(-numerator // denominator) * FEE_STEP_USD
    return rounded_up + fills * FEE_STEP_USD // 2 if numerator else 0


def _exact(shares: int, price: int, fees: FeeSchedule) -> tuple[int, int]:
    """Return the fee before rounding as a fraction, in steps of 0.00001 dollars."""
    rate = Decimal(str(fees.rate))
    if not rate.is_finite() or rate < 0 or fees.exponent < 0:
        raise RejectedError(f"fee schedule {fees} is not usable: read it from the market again")
    if shares < 0 or not 0 <= price <= MICRO:
        raise RejectedError(f"no fee for {shares} shares at {price}: expected shares >= 0 and a price in [0, 1e6]")
    rate_numerator, rate_denominator = rate.as_integer_ratio()
    numerator = shares * rate_numerator * (price * (MICRO - price)) ** fees.exponent
    return numerator, rate_denominator * FEE_STEP_USD * MICRO ** (2 * fees.exponent)
