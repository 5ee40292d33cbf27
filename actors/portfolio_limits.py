"""The portfolio's limits as `status` shows them: how much of each is used."""

from collections.abc import Iterator, Mapping

from actors.kill_switch import Trips, result_usd
from actors.portfolio_sizing import Sizing, weighted_size
from actors.portfolio_state import PortfolioState
from core.market.views import BookView
from core.status import LimitStatus
from core.trading.lasting_holds import MISMATCH
from core.trading.losses import DAILY, DRAWDOWN, STREAK, seen
from core.trading.money import notional_usd
from core.trading.order_limits import exposure_of, recent


def limits_of(
    state: PortfolioState, sizing: Sizing, trips: Trips, views: Mapping[str, BookView], now_ms: int
) -> tuple[LimitStatus, ...]:
    """Return every limit of a portfolio; off ones are left out."""
    every = (*_on_the_way(state, sizing, now_ms), *_fixed(sizing), *_losses(state, trips, views, now_ms))
    return tuple(limit for limit in every if limit.limit is not None)


def _on_the_way(state: PortfolioState, sizing: Sizing, now_ms: int) -> Iterator[LimitStatus]:
    limits, ledger = sizing.order_limits, state.ledger
    opening = [order for order in state.orders.values() if order.side == "BUY"]
    largest = max((notional_usd(order.shares, order.limit_price) for order in opening), default=0)
    yield LimitStatus("trade size", "", "USD", limits.trade_usd, largest, note="per order, without its fee")
    if sizing.weighting is not None:
        for asset in sorted(state.tallies):
            full = weighted_size(state, sizing, asset)
            note = f"weight {full / sizing.trade_size_usd:.2f} by its results"
            yield LimitStatus("trade size", asset, "USD", full, None, note=note)
    held = {(p.asset, p.condition_id) for p in ledger.positions.values()}
    held |= {(r.asset, r.condition_id) for r in ledger.reservations.values() if r.action == "OPEN"}
    exposures = {place: exposure_of(ledger, *place) for place in sorted(held)}
    most = max((each.market_usd for each in exposures.values()), default=0)
    yield LimitStatus("position size", "", "USD", limits.position_usd, most, note="the largest, at cost")
    for asset in sorted({asset for asset, _ in exposures}):
        used = next(each.asset_usd for (of, _), each in exposures.items() if of == asset)
        yield LimitStatus("asset exposure", asset, "USD", limits.asset_usd, used, note="at cost")
    if not exposures:
        yield LimitStatus("asset exposure", "", "USD", limits.asset_usd, 0, note="at cost, each asset")
    total = exposure_of(ledger, "", "")
    yield LimitStatus("total exposure", "", "USD", limits.total_usd, total.total_usd, note="at cost")
    yield LimitStatus("positions", "", "markets", limits.positions, total.markets)
    opened = len(recent(state.opened_ms, now_ms))
    yield LimitStatus("orders per minute", "", "orders", limits.per_minute, opened, note="opening ones")
    yield LimitStatus("slippage", "", "USD", limits.slippage, None, note="a share, beyond the decision's price")


def _fixed(sizing: Sizing) -> Iterator[LimitStatus]:
    limits = sizing.limits
    yield LimitStatus("time left to open", "", "s", round(limits.min_left_s), None, note="at least, at W = 900")
    yield LimitStatus("lowest price to open", "", "USD", limits.min_price, None)
    yield LimitStatus("highest price to open", "", "USD", limits.max_price, None)
    yield LimitStatus("book age to open", "", "s", round(limits.max_book_age_s), None, note="at most, at W = 900")


def _losses(state: PortfolioState, trips: Trips, views: Mapping[str, BookView], now_ms: int) -> Iterator[LimitStatus]:
    result = result_usd(state, views)
    losses, limits = seen(state.losses, result, now_ms), trips.losses
    yield LimitStatus(
        DAILY, "", "USD", limits.daily_usd, losses.lost_today_usd(result), trips=True, note="UTC day, net"
    )
    yield LimitStatus(DRAWDOWN, "", "USD", limits.drawdown_usd, losses.drawdown_usd(result), trips=True, note="net")
    yield LimitStatus(STREAK, "", "trades", limits.streak, losses.streak, trips=True)
    yield LimitStatus(MISMATCH, "", "USD", trips.tolerance_usd, None, trips=True, note="live only")
