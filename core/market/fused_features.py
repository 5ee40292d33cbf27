"""The features of the shipped policy: the book held against a fair value made of the fast venue's price.

Unlike the reference's they hold the price itself, what a trade would earn after its fee, and moves of a second or two.
"""

import math

import msgspec
import numpy as np
import numpy.typing as npt

from core.errors import RejectedError
from core.market.fair import fee_per_share
from core.market.features import FUSED_FEATURES
from core.market.market import Side

_SIDES: dict[Side | None, float] = {"UP": 1.0, "DOWN": -1.0, None: 0.0}
_NO_EDGE = -1.0
_CALM = 1e-4
"""A volatility per root second at which its feature is 0: about 56 % a year."""


class FusedInputs(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The raw numbers of one asset at one moment; prices and values in [0, 1], money in dollars.

    `fair` is None where it is unknown. `fair_moves` are the changes of the fair value by spot's moves of the last 1, 2,
    5 and 10 seconds. `held_value_usd` is what selling all that is held would bring after the fee.
    """

    asset: str
    up_bid: float
    up_ask: float
    down_bid: float
    down_ask: float
    fee_rate: float
    fee_exponent: int
    fair: float | None
    fair_moves: tuple[float, float, float, float]
    distance: float
    volatility: float
    volatility_expansion: float
    book_imbalance_l1: float
    book_imbalance_l5: float
    trade_flow_imbalance: float
    cvd_acceleration: float
    trade_intensity: float
    large_trade_flag: float
    held_side: Side | None
    held_value_usd: float
    held_cost_usd: float
    time_remaining: float
    can_open: bool
    book_age_s: float


def fused_features(x: FusedInputs) -> npt.NDArray[np.float32]:
    """Return the features of `FUSED_FEATURES`, shape (26,), each scaled and clamped to [-1, 1].

    An edge is what a share would earn on average if it were taken at the touch and settled: its value less price and
    fee, times 10. Without a fair value there is no edge.

    Raises:
        RejectedError: when an input is not finite; names the asset.
    """
    mid = (x.up_bid + x.up_ask) / 2.0
    fair = mid if x.fair is None else x.fair
    up_cost = x.up_ask + fee_per_share(x.up_ask, x.fee_rate, x.fee_exponent)
    down_cost = x.down_ask + fee_per_share(x.down_ask, x.fee_rate, x.fee_exponent)
    if x.held_side is None:
        edge_exit = 0.0
    else:
        bid, value = (x.up_bid, fair) if x.held_side == "UP" else (x.down_bid, 1.0 - fair)
        edge_exit = bid - fee_per_share(bid, x.fee_rate, x.fee_exponent) - value
    scaled = (
        2.0 * fair - 1.0,
        2.0 * mid - 1.0,
        (fair - mid) * 10.0,
        _NO_EDGE if x.fair is None else (fair - up_cost) * 10.0,
        _NO_EDGE if x.fair is None else (1.0 - fair - down_cost) * 10.0,
        edge_exit * 10.0,
        *(move * 10.0 for move in x.fair_moves),
        x.distance / 3.0,
        math.log(max(x.volatility, _CALM / 20.0) / _CALM) / 2.0,
        x.volatility_expansion / 2.0,
        x.book_imbalance_l1,
        x.book_imbalance_l5,
        x.trade_flow_imbalance,
        x.cvd_acceleration * 10.0,
        math.log1p(max(0.0, x.trade_intensity)) / 5.0,
        x.large_trade_flag,
        (x.up_ask - x.up_bid) * 20.0,
        _SIDES[x.held_side],
        (x.held_value_usd / x.held_cost_usd - 1.0) if x.held_cost_usd > 0.0 else 0.0,
        x.time_remaining,
        1.0 if x.can_open else 0.0,
        fee_per_share(mid, x.fee_rate, x.fee_exponent) * 20.0,
        x.book_age_s / 5.0,
    )
    if not math.isfinite(sum(scaled)):
        worst = next(name for name, value in zip(FUSED_FEATURES.names, scaled, strict=True) if not math.isfinite(value))
        raise RejectedError(f"{x.asset}: feature {worst} is not finite; the state is not usable")
    return np.array([min(1.0, max(-1.0, value)) for value in scaled], np.float32)
