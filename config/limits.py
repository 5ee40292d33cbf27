"""The settings of the watchdog and of every limit on an order's way, with what they come to for a given trade size."""

from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from core.trading.money import decimal, micros

KNOWN_ASSETS = ("BTC", "ETH", "SOL", "XRP")
Usd = Annotated[Decimal, Field(max_digits=14, decimal_places=6, allow_inf_nan=False)]


class LimitFields(BaseModel):
    """What `Settings` inherits. Seconds "at W = 900" shrink with the window."""

    trade_size_usd: Usd = Field(
        Decimal(100), ge=1, le=10**6, description="dollars of a full-size position, 1 to 1,000,000"
    )
    max_position_usd: Usd | None = Field(
        None,
        ge=1,
        le=10**7,
        description="most dollars in one position, fees included, 1 to 10,000,000; none for 1.5 trade sizes",
    )
    max_asset_exposure_usd: Usd | None = Field(
        None, ge=1, le=10**7, description="most dollars at cost in one asset, 1 to 10,000,000; none for 3 trade sizes"
    )
    max_exposure_usd: Usd | None = Field(
        None, ge=1, le=10**8, description="most dollars at cost in all assets, 1 to 100,000,000; none for 6 trade sizes"
    )
    max_positions: int = Field(
        8, ge=1, le=100, description="markets in which something is held or being bought, 1 to 100"
    )
    max_orders_per_minute: int = Field(
        60, ge=1, le=10_000, description="opening orders within any 60 s, 1 to 10000; exits are never refused by it"
    )
    max_slippage_usd: Usd = Field(
        Decimal("0.05"),
        ge=0,
        lt=1,
        description="dollars a share that an order's limit may be worse than the price it was decided at, 0 to below 1",
    )
    min_price_to_open_usd: Usd = Field(
        Decimal("0.05"), gt=0, lt=1, description="nothing is bought below this price, above 0 to below 1 dollar"
    )
    max_price_to_open_usd: Usd = Field(
        Decimal("0.95"), gt=0, lt=1, description="nothing is bought above this price, above 0 to below 1 dollar"
    )
    max_clock_skew_ms: int = Field(
        2_000,
        ge=100,
        le=60_000,
        description="nothing is opened while our clock and the venues' differ by more, 100 to 60000 ms",
    )
    max_daily_loss_usd: Usd | None = Field(
        None,
        ge=1,
        le=10**8,
        description="net loss since midnight UTC that trips the kill switch, 1 to 100,000,000; none for 5 trade sizes",
    )
    max_drawdown_usd: Usd | None = Field(
        None,
        ge=1,
        le=10**8,
        description="fall from the session's best result that trips it, 1 to 100,000,000; none for 10 trade sizes",
    )
    max_consecutive_losses: int = Field(
        12, ge=0, le=1_000, description="losing trades in a row that trip it, 1 to 1000; 0 for no such limit"
    )
    max_order_failures: int = Field(
        5, ge=0, le=1_000, description="orders in a row that fail and trip it, 1 to 1000; 0 for no such limit"
    )
    reconcile_tolerance_usd: Usd = Field(
        Decimal(1),
        ge=0,
        le=10**6,
        description="difference between the venue's ledger and ours above which it trips, 0 to 1,000,000 dollars",
    )
    asset_weighting: bool = Field(
        default=False, description="true: assets that lose are traded smaller, by their net results so far"
    )
    min_asset_weight: float = Field(
        0.25, gt=0, le=1, description="smallest part of the trade size that weighting leaves, above 0 to 1"
    )
    min_seconds_left_to_open: float = Field(
        180.0, ge=0, le=900, description="no opening later than this before the close, 0 to 900 s at W = 900"
    )
    exit_seconds_before_close: float = Field(
        120.0, ge=0, le=900, description="open positions are sold this long before the close, 0 to 900 s at W = 900"
    )
    max_position_age_s: float = Field(
        840.0, ge=0, le=900, description="positions held this long are sold, above 0 to 900 s at W = 900; 0 for never"
    )
    take_profit_percent: float | None = Field(
        None, gt=0, le=10_000, description="gain at the bid, in percent of the cost, that is taken; none for not at all"
    )
    stop_loss_percent: float | None = Field(
        None, gt=0, le=100, description="loss at the bid, in percent of the cost, that is cut; none for not at all"
    )
    stale_book_exit_s: float = Field(
        60.0,
        gt=0,
        le=900,
        description="age of a book at which what is held is sold, above 0 to 900 s at W = 900, never below 4 s",
    )
    hold_to_settlement: tuple[str, ...] = Field(
        (), description="tickers whose positions are not sold before the close but settle at 1 or 0, comma-separated"
    )
    book_stale_s: float = Field(
        30.0, gt=0, le=900, description="age that makes a book stale, above 0 to 900 s at W = 900, never below 2 s"
    )

    @field_validator("hold_to_settlement")
    @classmethod
    def _tickers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(asset not in KNOWN_ASSETS for asset in value):
            raise ValueError("no such ticker")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_seconds_left_to_open <= self.exit_seconds_before_close:
            raise ValueError(
                f"FUSEBOX_MIN_SECONDS_LEFT_TO_OPEN={self.min_seconds_left_to_open:g}: must be more than "
                f"FUSEBOX_EXIT_SECONDS_BEFORE_CLOSE ({self.exit_seconds_before_close:g}), "
                "or positions are sold as they open"
            )
        if self.min_price_to_open_usd >= self.max_price_to_open_usd:
            raise ValueError(
                f"FUSEBOX_MIN_PRICE_TO_OPEN_USD={self.min_price_to_open_usd}: must be below "
                f"FUSEBOX_MAX_PRICE_TO_OPEN_USD ({self.max_price_to_open_usd})"
            )
        if self.stale_book_exit_s < self.book_stale_s:
            raise ValueError(
                f"FUSEBOX_STALE_BOOK_EXIT_S={self.stale_book_exit_s:g}: must not be below "
                f"FUSEBOX_BOOK_STALE_S ({self.book_stale_s:g})"
            )
        nested = (
            ("FUSEBOX_TRADE_SIZE_USD", self.trade_size),
            ("FUSEBOX_MAX_POSITION_USD", self.max_position),
            ("FUSEBOX_MAX_ASSET_EXPOSURE_USD", self.max_asset_exposure),
            ("FUSEBOX_MAX_EXPOSURE_USD", self.max_exposure),
        )
        for (inner, smaller), (outer, larger) in pairwise(nested):
            if smaller > larger:
                raise ValueError(
                    f"{inner}={decimal(smaller).normalize():f}: must not exceed {outer} "
                    f"({decimal(larger).normalize():f})"
                )
        return self

    @property
    def trade_size(self) -> int:
        """Full position size in 1e-6 dollars."""
        return micros(self.trade_size_usd)

    @property
    def max_position(self) -> int:
        """Limit on one position at cost in 1e-6 dollars."""
        return 3 * self.trade_size // 2 if self.max_position_usd is None else micros(self.max_position_usd)

    @property
    def max_asset_exposure(self) -> int:
        """Limit on one asset at cost in 1e-6 dollars."""
        return 3 * self.trade_size if self.max_asset_exposure_usd is None else micros(self.max_asset_exposure_usd)

    @property
    def max_exposure(self) -> int:
        """Limit on everything at cost in 1e-6 dollars."""
        return 6 * self.trade_size if self.max_exposure_usd is None else micros(self.max_exposure_usd)

    @property
    def max_daily_loss(self) -> int:
        """Net loss of a UTC day that trips the kill switch in 1e-6 dollars."""
        return 5 * self.trade_size if self.max_daily_loss_usd is None else micros(self.max_daily_loss_usd)

    @property
    def max_drawdown(self) -> int:
        """Fall from the session's best result that trips the kill switch in 1e-6 dollars."""
        return 10 * self.trade_size if self.max_drawdown_usd is None else micros(self.max_drawdown_usd)
