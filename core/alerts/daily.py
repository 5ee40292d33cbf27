"""The summary of one UTC day: what its round trips came to, in all and by asset, net of fees."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby

import numpy as np

from core.trading.money import decimal
from core.trading.performance import RoundTrip, added_up, max_drawdown

DAY_MS = 86_400_000


def day_of(at_ms: int) -> int:
    """Return the UTC day of a moment, counted from 1970-01-01."""
    return at_ms // DAY_MS


def summary(day: int, trips: Sequence[RoundTrip]) -> str:
    """Return the lines for people: the whole, then each asset; the drawdown is of the result closed that day."""
    date = datetime.fromtimestamp(day * DAY_MS // 1000, UTC).date()
    if not trips:
        return f"{date} UTC: no trades"
    in_order = sorted(trips, key=lambda trip: trip.closed_ms)
    by_asset = sorted(in_order, key=lambda trip: trip.asset)  # stable: each asset's stay in order
    lines = [f"{date} UTC: {_line(in_order)}"]
    lines += [f"{asset}: {_line(list(own))}" for asset, own in groupby(by_asset, key=lambda trip: trip.asset)]
    return "\n".join(lines)


def _line(trips: Sequence[RoundTrip]) -> str:
    total = added_up(trips)
    drawdown_usd = max_drawdown(np.cumsum(np.array([trip.pnl_net_usd for trip in trips], np.int64)))
    won = 0.0 if total.win_rate is None else total.win_rate * 100
    many = "1 trade" if total.trades == 1 else f"{total.trades} trades"
    return (
        f"PnL net {decimal(total.pnl_net_usd):+.2f} USD, fees {decimal(total.fees_usd):.2f}, "
        f"{many}, {won:.0f} % won, drawdown {decimal(drawdown_usd):.2f}"
    )
