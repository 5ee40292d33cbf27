"""From what a market actor has heard to the state of one grid step: where the two venues are fused."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from core.market.fair import deviation, fair_up
from core.market.features import FUSED_FEATURES, FeatureSchema, MarketInputs, reference_features
from core.market.fused_features import FusedInputs, fused_features
from core.market.market import Market
from core.market.signal import fused_signal
from core.market.state import MarketState
from core.market.views import BookView, FlowView, TokenBook
from core.messages import PositionPublished
from core.trading.limits import OpenLimits, price_refusal, time_refusal
from core.trading.money import MICRO
from core.trading.positions import Position, mark_to_bid

LOOKBACK_S = 60.0
"""The settlement is the mean of this many seconds at W = 900; scaled."""


class Heard(msgspec.Struct, frozen=True):
    """What is known at a grid step besides book and flow; `prices` are the Up mids of the steps before, oldest first.

    `basis` is the log of the settlement stream's price over the fast venue's: 0 where the stream is not heard.
    """

    strike: float | None
    held: PositionPublished | None
    prices: Sequence[float] = ()
    basis: float = 0.0


class Fused(msgspec.Struct, frozen=True):
    """One step: the state without its history, the signal for people, the Up mid in 1e-6, equity in 1e-6 dollars."""

    state: MarketState
    signal: float
    up_price: int
    equity_usd: int

    @property
    def features(self) -> np.ndarray:
        """The features, shape (n,), float32."""
        return self.state.features


def fuse(
    market: Market,
    view: BookView,
    flow: FlowView | None,
    heard: Heard,
    at_ms: int,
    *,
    schema: FeatureSchema,
    limits: OpenLimits,
) -> Fused:
    """Return the state of one asset at `at_ms`; without flow its features are 0, as before its lookbacks fill.

    Raises:
        RejectedError: an input is not finite.
        ValueError: the view is one-sided.
    """
    up_mid = view.up.mid
    if up_mid is None or view.up.spread is None or view.down.spread is None:
        raise ValueError(f"{market.window.slug}: a state needs a two-sided book")
    held, window = heard.held, market.window
    position = None if held is None or held.side is None else held.position
    distance, spread_of_logs = _distance(flow, heard, window.seconds_left(at_ms), LOOKBACK_S * window.scale)
    reference = reference_features(_reference_inputs(market, view, flow, position, heard.prices, at_ms))
    fees = market.fees
    equity_usd = equity(market, view, held)
    state = MarketState(
        asset=market.asset,
        condition_id=market.condition_id,
        opens_at_s=window.opens_at_s,
        window_s=window.length_s,
        at_ms=at_ms,
        seconds_left=window.seconds_left(at_ms),
        up_bid=(view.up.best_bid or 0) / MICRO,
        up_ask=(view.up.best_ask or 0) / MICRO,
        down_bid=(view.down.best_bid or 0) / MICRO,
        down_ask=(view.down.best_ask or 0) / MICRO,
        up_mid=up_mid / MICRO,
        fee_rate=0.0 if fees is None else fees.rate,
        fee_exponent=1 if fees is None else fees.exponent,
        spot=None if flow is None else flow.spot * math.exp(heard.basis),
        strike=heard.strike,
        volatility=0.0 if flow is None else flow.volatility,
        moves=() if flow is None else flow.moves,
        fair=None if distance is None else fair_up(distance),
        held_side=None if position is None else position.side,
        held_shares=0.0 if position is None else position.shares / MICRO,
        held_cost_usd=0.0 if position is None else position.cost_usd / MICRO,
        equity_usd=equity_usd / MICRO,
        can_open=_can_open(market, view, at_ms, limits),
        busy=held is not None and held.busy,
        features=reference,
        history=np.zeros((0, 0), np.float32),
    )
    if schema == FUSED_FEATURES:
        inputs = _fused_inputs(state, market, view, flow, position, distance, spread_of_logs)
        state = msgspec.structs.replace(state, features=fused_features(inputs))
    return Fused(state, fused_signal(reference), up_mid, equity_usd)


def equity(market: Market, view: BookView, held: PositionPublished | None) -> int:
    """Return the net liquidation value of everything done in a market, in 1e-6 dollars.

    What earlier round trips brought, and the position sold at the bid less all its fees; a side nobody bids for is
    worth nothing.
    """
    if held is None:
        return 0
    marked = 0
    for position in (held.position, *held.others):
        if position is not None:
            book = view.up if position.side == "UP" else view.down
            mark = mark_to_bid(position, book.best_bid, market.fees)
            marked += -position.cost_usd if mark is None else mark
    return held.realised_usd + marked


def _distance(flow: FlowView | None, heard: Heard, left_s: float, lookback_s: float) -> tuple[float | None, float]:
    """Return how many standard deviations spot lies above the strike, and one such deviation of its log."""
    if flow is None or heard.strike is None or min(flow.volatility, flow.spot, heard.strike) <= 0.0:
        return None, 1.0
    spread_of_logs = deviation(flow.volatility, left_s, lookback_s)
    return (math.log(flow.spot / heard.strike) + heard.basis) / spread_of_logs, spread_of_logs


def _can_open(market: Market, view: BookView, at_ms: int, limits: OpenLimits) -> bool:
    if time_refusal(market.window, at_ms, limits.min_left_s) is not None:
        return False
    asks = (view.up.best_ask, view.down.best_ask)
    return any(price_refusal(ask, limits.min_price, limits.max_price) is None for ask in asks)


def _fused_inputs(
    state: MarketState,
    market: Market,
    view: BookView,
    flow: FlowView | None,
    position: Position | None,
    distance: float | None,
    spread_of_logs: float,
) -> FusedInputs:
    moves = (0.0, 0.0, 0.0, 0.0)
    if flow is not None and distance is not None and state.fair is not None:
        one, two, five, ten = (state.fair - fair_up(distance - move / spread_of_logs) for move in flow.moves)
        moves = (one, two, five, ten)
    value_usd = 0
    if position is not None:
        bid = (view.up if position.side == "UP" else view.down).best_bid
        value_usd = (mark_to_bid(position, bid, market.fees) or -position.cost_usd) + position.cost_usd
    return FusedInputs(
        asset=state.asset,
        up_bid=state.up_bid,
        up_ask=state.up_ask,
        down_bid=state.down_bid,
        down_ask=state.down_ask,
        fee_rate=state.fee_rate,
        fee_exponent=state.fee_exponent,
        fair=state.fair,
        fair_moves=moves,
        distance=0.0 if distance is None else distance,
        volatility=state.volatility,
        volatility_expansion=0.0 if flow is None else flow.volatility_expansion,
        book_imbalance_l1=imbalance(view.up, 1),
        book_imbalance_l5=imbalance(view.up, 5),
        trade_flow_imbalance=0.0 if flow is None else flow.trade_flow_imbalance,
        cvd_acceleration=0.0 if flow is None else flow.cvd_acceleration,
        trade_intensity=0.0 if flow is None else flow.trade_intensity,
        large_trade_flag=0.0 if flow is None else flow.large_trade_flag,
        held_side=state.held_side,
        held_value_usd=value_usd / MICRO,
        held_cost_usd=state.held_cost_usd,
        time_remaining=market.window.fraction_left(state.at_ms),
        can_open=state.can_open,
        book_age_s=max(0.0, (state.at_ms - view.received_ms) / 1000),
    )


def _reference_inputs(
    market: Market,
    view: BookView,
    flow: FlowView | None,
    position: Position | None,
    prices: Sequence[float],
    at_ms: int,
) -> MarketInputs:
    price = (view.up.mid or 0) / MICRO
    pnl_usd = 0.0
    if position is not None:
        book = view.up if position.side == "UP" else view.down
        pnl_usd = (mark_to_bid(position, book.best_bid, market.fees) or 0) / MICRO
    return MarketInputs(
        asset=market.asset,
        prob=price,
        prob_history=(*prices, price)[-100:],
        time_remaining=market.window.fraction_left(at_ms),
        spread=(view.up.spread or 0) / MICRO,
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


def imbalance(book: TokenBook, levels: int) -> float:
    """Return (bid size - ask size) / (bid size + ask size) over the best `levels`, in [-1, 1]; 0 for an empty book."""
    bids = sum(size for _, size in book.bids[:levels])
    asks = sum(size for _, size in book.asks[:levels])
    return (bids - asks) / (bids + asks) if bids + asks else 0.0
