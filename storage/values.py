"""How units cross into PostgreSQL and back: unix milliseconds to timestamptz, integers of 1e-6 to numeric(20,6)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from core.trading.money import decimal, micros

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def instant(unix_ms: int) -> datetime:
    """Return the instant of `unix_ms` (unix milliseconds), exactly: a float of seconds would be off by microseconds."""
    return EPOCH + unix_ms * MILLISECOND


def unix_ms(value: datetime) -> int:
    """Return unix milliseconds of an aware `value`, dropping microseconds."""
    return (value - EPOCH) // MILLISECOND


def money(value: int) -> Decimal:
    """Return integers of 1e-6 as an exact `numeric(20,6)`."""
    return decimal(value)


def units(value: Decimal) -> int:
    """Return a `numeric(20,6)` in integers of 1e-6."""
    return micros(value)
