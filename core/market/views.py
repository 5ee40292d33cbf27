"""The immutable views that feeds publish: a book of both tokens, and the fast venue's flow."""

import msgspec

from core.market.events import Level


class TokenBook(msgspec.Struct, frozen=True):
    """Full depth of one token, best level first on both sides; integers of 1e-6."""

    token_id: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    @property
    def best_bid(self) -> int | None:
        """Highest bid price, None when nobody bids."""
        return self.bids[0][0] if self.bids else None

    @property
    def best_ask(self) -> int | None:
        """Lowest ask price, None when nobody offers."""
        return self.asks[0][0] if self.asks else None

    @property
    def mid(self) -> int | None:
        """Midpoint of the touch in 1e-6, None when one side is empty."""
        if not self.bids or not self.asks:
            return None
        return (self.bids[0][0] + self.asks[0][0]) // 2

    @property
    def spread(self) -> int | None:
        """Best ask less best bid in 1e-6, None when one side is empty."""
        if not self.bids or not self.asks:
            return None
        return self.asks[0][0] - self.bids[0][0]


class BookView(msgspec.Struct, frozen=True):
    """Both tokens' books of one market at one moment.

    `continuity_epoch` grows with every reconnect, resnapshot after a gap and tick change: two views of one epoch are
    joined by every delta in between. `sized` is False where a recording has only prices.
    """

    asset: str
    condition_id: str
    up: TokenBook
    down: TokenBook
    tick_size: int
    venue_ms: int
    received_ms: int
    continuity_epoch: int
    sized: bool = True
    last_trade_price: int | None = None

    def book(self, token_id: str) -> TokenBook | None:
        """Return the book of `token_id`, None when it is not one of this market's tokens."""
        if token_id == self.up.token_id:
            return self.up
        return self.down if token_id == self.down.token_id else None


class FlowView(msgspec.Struct, frozen=True):
    """The fast venue's order flow for one asset, already reduced to what the features need.

    Lookbacks are the reference's (60 s, 300 s, 600 s, ...) scaled by W / 900. A value whose lookback is not filled
    yet is 0.0, and `warm` is False until the longest one is.
    """

    asset: str
    spot: float
    returns_1m: float
    returns_5m: float
    returns_10m: float
    trade_flow_imbalance: float
    cvd: float
    cvd_acceleration: float
    trade_intensity: float
    large_trade_flag: float
    volatility_expansion: float
    volatility_regime: float
    trend_regime: float
    warm: bool
    venue_ms: int
    received_ms: int
    continuity_epoch: int
    moves: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    """Log returns of spot over 1, 2, 5 and 10 s, whatever the window's length."""
    volatility: float = 0.0
    """Standard deviation of the log return of one second; 0 until it can be told."""
    mean_price: float = 0.0
    """Mean price over 60 s: what the settlement's price is a mean of, seen from here."""
