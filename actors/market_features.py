"""From what a market actor has heard to the features of one grid step: where the two venues are fused."""

from collections.abc import Sequence

import msgspec
import numpy as np

from core.market.features import MarketInputs, reference_features
from core.market.market import Market
from core.market.signal import fused_signal
from core.market.views import BookView, FlowView, TokenBook
from core.messages import PositionPublished
from core.trading.money import MICRO
from core.trading.positions import mark_to_bid


class Fused(msgspec.Struct, frozen=True):
    """One state: features (18,) float32, the signal for people, the Up mid in 1e-6."""

    features: np.ndarray
    signal: float
    up_price: int


def fuse(
    market: Market,
    view: BookView,
    flow: FlowView | None,
    held: PositionPublished | None,
    prices: Sequence[float],
    at_ms: int,
) -> Fused:
    """Return the state of one asset at `at_ms`; without flow its features are 0, as before its lookbacks fill.

    `prices` are the Up mids of the grid steps before, oldest first. The view must be two-sided.
    """
    up_mid = view.up.mid
    if up_mid is None or view.up.spread is None:
        raise ValueError(f"{market.window.slug}: a state needs a two-sided book")
    price = up_mid / MICRO
    position = None if held is None or held.side is None else held.position
    pnl_usd = 0.0
    if position is not None:
        book = view.up if position.side == "UP" else view.down
        pnl_usd = (mark_to_bid(position, book.best_bid, market.fees) or 0) / MICRO
    inputs = MarketInputs(
        asset=market.asset,
        prob=price,
        prob_history=(*prices, price)[-100:],
        time_remaining=market.window.fraction_left(at_ms),
        spread=view.up.spread / MICRO,
        order_book_imbalance_l1=imbalance(view.up, 1),
        order_book_imbalance_l5=imbalance(view.up, 5),
        has_position=position is not None,
        position_side=None if position is None else position.side,
        position_pnl=pnl_usd,
        returns_1m=0.0 if flow is None else flow.returns_1m,
        returns_5m=0.0 if flow is None else flow.returns_5m,
        returns_10m=0.0 if flow is None else flow.returns_10m,
        trade_flow_imbalance=0.0 if flow is None else flow.trade_flow_imbalance,
        cvd_acceleration=0.0 if flow is None else flow.cvd_acceleration,
        trade_intensity=0.0 if flow is None else flow.trade_intensity,
        large_trade_flag=0.0 if flow is None else flow.large_trade_flag,
        vol_expansion=0.0 if flow is None else flow.volatility_expansion,
        vol_regime=0.0 if flow is None else flow.volatility_regime,
        trend_regime=0.0 if flow is None else flow.trend_regime,
    )
    features = reference_features(inputs)
    return Fused(features, fused_signal(features), up_mid)


def imbalance(book: TokenBook, levels: int) -> float:
    """Return (bid size - ask size) / (bid size + ask size) over the best `levels`, in [-1, 1]; 0 for an empty book."""
    bids = sum(size for _, size in book.bids[:levels])
    asks = sum(size for _, size in book.asks[:levels])
    return (bids - asks) / (bids + asks) if bids + asks else 0.0
