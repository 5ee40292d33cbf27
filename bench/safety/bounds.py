"""What must not be exceeded, as docs/configuration.md states the defaults, and once much tighter."""

import msgspec

from bench.safety.stakes import UNIT, Use

SLACK_USD = 1_000
"""Dollars in 1e-6 (a tenth of a cent) for rounding: fees are rounded in ways that are not recomputed here."""


class Bounds(msgspec.Struct, frozen=True):
    """Dollars and prices in 1e-6; `min_left_s` in real seconds."""

    trade_usd: int
    position_usd: int
    asset_usd: int
    total_usd: int
    positions: int
    per_minute: int
    slippage: int
    min_price: int
    max_price: int
    min_left_s: float
    daily_loss_usd: int
    drawdown_usd: int
    losses_in_a_row: int


def default_bounds(trade_usd: int, window_s: int) -> Bounds:
    """Return the defaults for a trade size in whole dollars: multiples of it, and what is fixed."""
    size = trade_usd * UNIT
    return Bounds(
        trade_usd=size,
        position_usd=3 * size // 2,
        asset_usd=3 * size,
        total_usd=6 * size,
        positions=8,
        per_minute=60,
        slippage=50_000,
        min_price=50_000,
        max_price=950_000,
        min_left_s=180 * window_s / 900,
        daily_loss_usd=5 * size,
        drawdown_usd=10 * size,
        losses_in_a_row=12,
    )


TIGHT = {
    "max_position_usd": "100", "max_asset_exposure_usd": "101", "max_exposure_usd": "102", "max_positions": 1,
    "max_orders_per_minute": 4, "max_slippage_usd": "0.01", "min_price_to_open_usd": "0.2",
    "max_price_to_open_usd": "0.8", "max_daily_loss_usd": "60", "max_drawdown_usd": "90", "max_consecutive_losses": 4,
}  # fmt: skip
"""Settings under which every limit refuses something all the time."""


def tight_bounds(window_s: int, positions: int) -> Bounds:
    """Return what `TIGHT` comes to, with that many positions."""
    return Bounds(
        trade_usd=100 * UNIT,
        position_usd=100 * UNIT,
        asset_usd=101 * UNIT,
        total_usd=102 * UNIT,
        positions=positions,
        per_minute=4,
        slippage=10_000,
        min_price=200_000,
        max_price=800_000,
        min_left_s=180 * window_s / 900,
        daily_loss_usd=60 * UNIT,
        drawdown_usd=90 * UNIT,
        losses_in_a_row=4,
    )


def beyond(use: Use, bounds: Bounds) -> str | None:
    """Return the first limit on exposure that what is at stake exceeds."""
    for what, usd, limit_usd in (
        ("position", use.market_usd, bounds.position_usd),
        ("asset exposure", use.asset_usd, bounds.asset_usd),
        ("total exposure", use.total_usd, bounds.total_usd),
    ):
        if usd > limit_usd + SLACK_USD:
            return f"{what}: {usd / UNIT:.2f} USD, {limit_usd / UNIT:.2f} allowed"
    return None if use.markets <= bounds.positions else f"positions: {use.markets}, {bounds.positions} allowed"
