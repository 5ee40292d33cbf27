"""The limits of a run as `status` says them: what is allowed, how much of it is used, what is left."""

from collections.abc import Iterable

import msgspec

from core.status import LimitStatus, VenueStatus
from core.trading.lasting_holds import ORDER_FAILURES
from core.trading.money import decimal


class LimitLine(msgspec.Struct, frozen=True):
    """One limit; dollars are decimal strings, other units whole numbers. `used` is None where nothing is counted.

    `scope` is an asset, or empty for all; `trips` where reaching it shuts the gate until `resume`.
    """

    name: str
    scope: str
    unit: str
    limit: str
    used: str | None
    headroom: str | None
    trips: bool
    note: str


def limit_lines(limits: Iterable[LimitStatus]) -> list[LimitLine]:
    """Return the lines of limits; those that are off are left out."""
    return [_line(each, each.limit) for each in limits if each.limit is not None]


def order_failures(venue: VenueStatus | None) -> tuple[LimitStatus, ...]:
    """Return the limit on failing orders, which only a live venue has."""
    if venue is None or venue.max_order_failures is None:
        return ()
    note = "in a row"
    return (
        LimitStatus(
            ORDER_FAILURES, "", "orders", venue.max_order_failures, venue.order_failures, trips=True, note=note
        ),
    )


def _line(each: LimitStatus, limit: int) -> LimitLine:
    left = None if each.used is None else limit - each.used
    return LimitLine(
        each.name,
        each.scope,
        each.unit,
        _said(limit, each.unit),
        None if each.used is None else _said(each.used, each.unit),
        None if left is None else _said(left, each.unit),
        each.trips,
        each.note,
    )


def _said(value: int, unit: str) -> str:
    return f"{decimal(value):.2f}" if unit == "USD" else str(value)
