"""States for baselines: a book around a mid, a fair value, a position."""

import numpy as np

from core.market.features import FUSED_FEATURES
from core.market.market import Side
from core.market.state import MarketState


def state(
    mid: float = 0.50,
    *,
    fair: float | None = None,
    held: Side | None = None,
    at_ms: int = 0,
    condition_id: str = "0xc",
    spread: float = 0.01,
    fee_rate: float = 0.07,
    can_open: bool = True,
) -> MarketState:
    """Return one state of BTC; without a fair value nothing is known of it."""
    bid, ask = mid - spread / 2, mid + spread / 2
    return MarketState(
        asset="BTC",
        condition_id=condition_id,
        opens_at_s=0,
        window_s=900,
        at_ms=at_ms,
        seconds_left=900 - at_ms / 1000,
        up_bid=bid,
        up_ask=ask,
        down_bid=1 - ask,
        down_ask=1 - bid,
        up_mid=mid,
        fee_rate=fee_rate,
        fee_exponent=1,
        spot=100.0,
        strike=100.0,
        volatility=1e-4,
        moves=(0.0, 0.0, 0.0, 0.0),
        fair=fair,
        held_side=held,
        held_shares=10.0 if held else 0.0,
        held_cost_usd=5.0 if held else 0.0,
        equity_usd=0.0,
        can_open=can_open,
        busy=False,
        features=np.zeros(FUSED_FEATURES.size, np.float32),
        history=np.zeros((5, FUSED_FEATURES.size), np.float32),
    )
