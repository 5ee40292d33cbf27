"""What the settings of a run come to: the rules that its actors are handed."""

from actors.addresses import paper_beside
from actors.feed_watch import FeedLimits
from actors.kill_switch import Trips
from actors.market import MarketRules
from actors.portfolio import Sizing
from actors.watchdog import WatchdogLimits
from cli.wiring import Beside, Rules
from config.settings import Settings
from core.trading.forced_exits import ForcedExitRules
from core.trading.limits import OpenLimits
from core.trading.losses import LossLimits
from core.trading.money import micros
from core.trading.order_limits import OrderLimits
from core.trading.weighting import Weighting
from storage.queries import Session

PHASE_MS = 25
"""What an order takes from its grid step to the venue's answer, the commit included, on a host that is not busy."""


def grid_phases(assets: tuple[str, ...], grid_ms: int) -> dict[str, int]:
    """Return how long after a multiple of `grid_ms` each asset decides.

    All would wait for the one interpreter lock, portfolio, executor and database if all decided at once.
    """
    apart_ms = min(PHASE_MS, grid_ms // len(assets))
    return {asset: number * apart_ms for number, asset in enumerate(assets)}


def rules_of(settings: Settings, session: Session, beside: Session | None, starting_cash_usd: int) -> Rules:
    """Return the rules of a session that starts with `starting_cash_usd` (1e-6), with a paper one beside it or none."""
    stale_s = settings.book_stale_after_s
    limits = OpenLimits(
        min_left_s=settings.min_seconds_left_to_open,
        max_book_age_s=stale_s / settings.scale,
        min_price=micros(settings.min_price_to_open_usd),
        max_price=micros(settings.max_price_to_open_usd),
    )
    return Rules(
        assets=settings.assets,
        window_s=settings.window_s,
        session_id=session.id,
        starting_cash_usd=starting_cash_usd,
        sizing=Sizing(
            trade_size_usd=settings.trade_size,
            slippage_ticks=settings.max_slippage_ticks,
            order_type=settings.order_type,
            exit_max_discount=settings.exit_max_discount,
            limits=limits,
            order_limits=order_limits_of(settings),
            weighting=Weighting(settings.min_asset_weight) if settings.asset_weighting else None,
        ),
        market=MarketRules(
            grid_ms=settings.decision_grid_ms,
            book_stale_s=stale_s,
            flow_stale_s=settings.flow_stale_after_s,
            sample_actions=settings.sample_actions,
            learn=settings.learns,
            limits=limits,
            phases_ms=grid_phases(settings.assets, settings.decision_grid_ms),
        ),
        watchdog=WatchdogLimits(
            FeedLimits(stale_s, settings.flow_stale_after_s, settings.max_clock_skew_ms), exit_rules_of(settings)
        ),
        paper_latency_ms=settings.paper_latency_ms,
        paper_book_age_ms=round(stale_s / settings.scale * 1000),
        beside=None if beside is None else _beside(beside),
        trips=trips_of(settings),
    )


def order_limits_of(settings: Settings) -> OrderLimits:
    """Return what an order must not exceed."""
    return OrderLimits(
        trade_usd=settings.trade_size,
        position_usd=settings.max_position,
        asset_usd=settings.max_asset_exposure,
        total_usd=settings.max_exposure,
        positions=settings.max_positions,
        per_minute=settings.max_orders_per_minute,
        slippage=micros(settings.max_slippage_usd),
    )


def exit_rules_of(settings: Settings) -> ForcedExitRules:
    """Return when a position is sold whatever the policy says."""
    profit, loss = settings.take_profit_percent, settings.stop_loss_percent
    return ForcedExitRules(
        exit_before_s=settings.exit_seconds_before_close or None,
        max_age_s=settings.max_position_age_s or None,
        stale_book_s=settings.book_exit_after_s,
        take_profit=None if profit is None else profit / 100,
        stop_loss=None if loss is None else loss / 100,
        hold_to_settlement=settings.hold_to_settlement,
    )


def trips_of(settings: Settings) -> Trips:
    """Return what shuts the gate until a person opens it."""
    losses = LossLimits(settings.max_daily_loss, settings.max_drawdown, settings.max_consecutive_losses or None)
    return Trips(losses, micros(settings.reconcile_tolerance_usd))


def _beside(session: Session) -> Beside:
    return Beside(paper_beside(session.id), micros(str(session.config["starting_cash_usd"])))
