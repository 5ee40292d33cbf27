"""Money is counted in integers of one millionth: shares, dollars, prices and fees alike."""

from decimal import Decimal

MICRO = 1_000_000
"""Units per dollar, per share, and per 1.0 of price."""


def micros(value: float | str | Decimal) -> int:
    """Return `value` in integers of 1e-6, rounded half to even.

    Raises:
        decimal.InvalidOperation: for a string that is not a number.
        ValueError, OverflowError: for NaN or an infinity.
    """
    return int((Decimal(str(value)) * MICRO).to_integral_value())


def decimal(value: int) -> Decimal:
    """Return integers of 1e-6 as an exact decimal, for `numeric(20,6)` columns and for people."""
    return Decimal(value).scaleb(-6)


def divided(numerator: int, denominator: int) -> int:
    """Return `numerator / denominator` rounded half up, in exact integers; the denominator is positive."""
    return (2 * numerator + denominator) // (2 * denominator)


def notional_usd(shares: int, price: int) -> int:
    """Return the dollars (1e-6) that `shares` (1e-6) cost at `price` (1e-6), rounded half up to the micro.

    Amounts the venue accepts (0.01 shares on a tick of 0.0001 or coarser) come out without any rounding.
    """
    return divided(shares * price, MICRO)
