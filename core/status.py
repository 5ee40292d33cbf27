"""What actors show on the status board: small views for the live table and for `status`."""

import msgspec

from core.market.market import Side


class AssetStatus(msgspec.Struct, frozen=True):
    """One asset as its market actor sees it. Prices in 1e-6, dollars in 1e-6, probabilities HOLD, BUY, SELL."""

    asset: str
    slug: str | None
    closes_at_s: int
    up_price: int | None
    spread: int | None
    spot: float | None
    strike: float | None
    signal: float | None
    probabilities: tuple[float, ...] | None
    action: int | None
    decisions: int
    unrealised_usd: int
    waiting_for: str | None
    at_ms: int


class HoldingStatus(msgspec.Struct, frozen=True):
    """One asset's position and result as the portfolio books it; dollars and shares in 1e-6, net of fees."""

    side: Side | None
    shares: int
    cost_usd: int
    entry_price: int
    realised_usd: int
    fees_usd: int
    trades: int
    unsettled: int


class PortfolioStatus(msgspec.Struct, frozen=True):
    """The whole portfolio; dollars in 1e-6."""

    session_id: int
    cash_usd: int
    reserved_usd: int
    cost_usd: int
    realised_usd: int
    fees_usd: int
    trades: int
    wins: int
    holdings: dict[str, HoldingStatus]
    last_refusal: str | None


class FeedStatus(msgspec.Struct, frozen=True):
    """One feed's freshness."""

    feed: str
    connected: bool
    stale: bool
    age_s: float
    frames: int
    bad_frames: int
    reconnects: int
    detail: str


class LearnerStatus(msgspec.Struct, frozen=True):
    """Which weights are in use and how many transitions were heard."""

    version: int
    source: str
    transitions: int


class RecorderStatus(msgspec.Struct, frozen=True):
    """How far the database is behind; `refused` counts batches set aside for a person, `error` is why it waits."""

    queued: int
    lag_s: float
    written: int
    error: str | None
    journal_error: str | None = None
    refused: int = 0
