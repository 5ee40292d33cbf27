"""What a policy sees at one step of the grid: the features of its networks, and the plain numbers behind them."""

import msgspec
import numpy as np
import numpy.typing as npt

from core.market.market import Side


class MarketState(msgspec.Struct, frozen=True, kw_only=True):
    """One asset at one grid step. Prices, dollars and shares are plain floats: nothing here is booked.

    `features` has shape (n,) and `history` (5, n), float32, in the order of the policy's feature schema.
    """

    asset: str
    condition_id: str
    opens_at_s: int
    window_s: int
    at_ms: int
    seconds_left: float
    up_bid: float
    up_ask: float
    down_bid: float
    down_ask: float
    up_mid: float
    fee_rate: float
    fee_exponent: int
    spot: float | None
    """The fast venue's price; None without a feed of it."""
    strike: float | None
    """The price to beat; None until the venue has stated it."""
    volatility: float
    """Standard deviation of the log return of one second; 0 until it can be told."""
    moves: tuple[float, ...]
    """Log returns of spot over the last 1, 2, 5 and 10 seconds."""
    fair: float | None
    """P(Up) by `core.market.fair`; None where spot, strike or volatility is not known."""
    held_side: Side | None
    held_shares: float
    held_cost_usd: float
    """Net cash paid so far for what is held, fees included."""
    equity_usd: float
    """Net liquidation value of everything done in this market: cash flows, and what is held at the bid less the fee."""
    can_open: bool
    """Whether an opening would pass the time and price limits."""
    busy: bool
    """Whether an order of this market is at work: an action has no effect then."""
    features: npt.NDArray[np.float32]
    history: npt.NDArray[np.float32]
