"""The constants of the world: what each asset is like, and how slow the slow venue is in each named variant."""

import msgspec

SECONDS_PER_YEAR = 365 * 86_400


class Asset(msgspec.Struct, frozen=True):
    """One asset: long-run price in dollars, annualised volatility, and the fast venue's tick and lot."""

    ticker: str
    name: str
    price_usd: float
    annual_volatility: float
    market_correlation: float
    tick_usd: float
    price_decimals: int
    quantity_decimals: int
    median_trade_usd: float


class Variant(msgspec.Struct, frozen=True):
    """One world: the age, in seconds, of the newest spot price the slow venue's makers quote from, and the fee rate."""

    name: str
    lag_low_s: float
    lag_high_s: float
    fee_rate: float = 0.07


ASSETS = {
    "BTC": Asset("BTC", "Bitcoin", 92_000.0, 0.45, 0.90, 0.1, 2, 3, 1_800.0),
    "ETH": Asset("ETH", "Ethereum", 3_100.0, 0.60, 0.85, 0.01, 2, 3, 1_200.0),
    "SOL": Asset("SOL", "Solana", 145.0, 0.75, 0.80, 0.01, 4, 2, 800.0),
    "XRP": Asset("XRP", "XRP", 2.20, 0.70, 0.75, 0.0001, 4, 1, 600.0),
}

VARIANTS = {
    "today": Variant("today", 0.0, 0.4),
    "lagged": Variant("lagged", 4.2, 6.0),
}
