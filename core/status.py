"""What actors show on the status board: small views for the live table and for `status`."""

from collections.abc import Callable

import msgspec

from core.market.events import Level
from core.market.market import Side
from core.trading.claims import Claim


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
    condition_id: str | None = None
    opens_at_s: int = 0
    fair: float | None = None
    """Fair value of an Up share, in [0, 1]."""
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    """The best levels of the Up token: price and shares in 1e-6."""


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
    claims: tuple[Claim, ...] = ()
    unknown: tuple["UnknownOrder", ...] = ()
    held: tuple["HeldToSettlement", ...] = ()
    limits: Callable[[], tuple["LimitStatus", ...]] = tuple
    """Works out every limit and its use when somebody looks, in their thread: no order has to wait for that."""


class UnknownOrder(msgspec.Struct, frozen=True):
    """An order that the venue may or may not have: nothing more is sent for its token until that is known."""

    order_id: str
    asset: str
    side: Side
    action: str
    shares: int
    since_ms: int
    error: str | None


class HeldToSettlement(msgspec.Struct, frozen=True):
    """What will not be sold any more, and why: dust, or an exit that came to its end; shares in 1e-6."""

    asset: str
    condition_id: str
    side: Side
    shares: int
    reason: str


class VenueStatus(msgspec.Struct, frozen=True):
    """How a live venue takes us; moments in unix milliseconds, None: not, or not yet."""

    paused_until_ms: int | None = None
    refusal: str | None = None
    heartbeat_ms: int | None = None
    reconciled_ms: int | None = None
    user_channel: bool = False
    paused_because: str | None = None
    """What the venue said when it asked to wait: restarting, post-only, cancel-only, too many requests."""
    order_failures: int = 0
    max_order_failures: int | None = None


class LimitStatus(msgspec.Struct, frozen=True):
    """One limit and how much of it is used, in `unit` (USD: 1e-6 dollars); None where it is off, or nothing counts yet.

    `scope` is an asset, or empty for all; `trips` where reaching it shuts the gate until `resume`.
    """

    name: str
    scope: str
    unit: str
    limit: int | None
    used: int | None
    trips: bool = False
    note: str = ""


class WatchdogStatus(msgspec.Struct, frozen=True):
    """When the watchdog looked last (monotonic milliseconds), and the limits that it keeps."""

    checked_ms: float
    limits: tuple[LimitStatus, ...] = ()


class FeedStatus(msgspec.Struct, frozen=True):
    """One feed's freshness; `health` is healthy, degraded or critical."""

    feed: str
    connected: bool
    stale: bool
    age_s: float
    frames: int
    bad_frames: int
    reconnects: int
    detail: str
    health: str = "healthy"


class LearnerStatus(msgspec.Struct, frozen=True):
    """Which weights are in use, how many transitions were heard, and the last update in numbers.

    `waiting` of `buffer` transitions are there for the next one; `refused` were of no use. `reward_usd` is the change
    of the net liquidation value over the last batch; `rolled_back` why the last update was undone.
    """

    version: int
    source: str
    transitions: int
    learns: bool = False
    waiting: int = 0
    buffer: int = 0
    refused: int = 0
    updates: int = 0
    entropy: float | None = None
    kl: float | None = None
    explained_variance: float | None = None
    reward_usd: float | None = None
    rolled_back: str | None = None


class RecorderStatus(msgspec.Struct, frozen=True):
    """How far the database is behind; `refused` counts batches set aside for a person, `error` is why it waits."""

    queued: int
    lag_s: float
    written: int
    error: str | None
    journal_error: str | None = None
    refused: int = 0
