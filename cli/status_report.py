"""What `status` says of a running process: its values, which are also the fields of `status --json`.

Dollars, shares and prices are decimal strings, ages are seconds, moments are unix milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from actors.addresses import PAPER_PORTFOLIO, PORTFOLIO
from cli.divergence import Divergence
from cli.hold_lines import HoldLine, hold_line, word
from cli.status_limits import LimitLine, limit_lines, order_failures
from cli.status_outstanding import Outstanding, VenueLine, outstanding_of, venue_of
from core.market.events import Level
from core.market.health import Health
from core.status import (
    AssetStatus,
    FeedStatus,
    HoldingStatus,
    LearnerStatus,
    PortfolioStatus,
    RecorderStatus,
    VenueStatus,
    WatchdogStatus,
)
from core.trading.gate import GateState, level
from core.trading.money import decimal

if TYPE_CHECKING:  # `status` reads these values without the runtime
    from core.runtime.supervision import ActorReport
    from core.runtime.threaded import ThreadedRuntime

View = TypeVar("View")

SCHEMA = 1
"""Grows when a field goes away or changes its meaning; new fields do not change it."""


class Process(msgspec.Struct, frozen=True):
    """Which process and session answers."""

    session: int
    mode: str
    profile: str
    pid: int
    session_started_ms: int
    process_started_ms: int
    paper_session: int | None = None
    """The paper session beside this live one."""


class LeaseLine(msgspec.Struct, frozen=True):
    """Who holds the lease."""

    epoch: int
    pid: int
    host: str
    since_ms: int


class GateLine(msgspec.Struct, frozen=True):
    """The gate: the level that applies to all assets, and every hold."""

    level: str
    sequence: int
    holds: list[HoldLine]


class ActorLine(msgspec.Struct, frozen=True):
    """One address."""

    address: str
    life: str
    incarnation: int
    restarts: int
    last_failure: str | None
    mailbox: int
    last_message_age_s: float | None
    busy_s: float | None
    busy_since_ms: int | None
    up_s: float | None
    health: str = Health.HEALTHY.value


class PositionLine(msgspec.Struct, frozen=True):
    """What is held in an asset's open window; `open_pnl_usd` is at the best bid, fees of selling paid."""

    side: str
    shares: str
    entry_price: str
    cost_usd: str
    open_pnl_usd: str | None


class AssetLine(msgspec.Struct, frozen=True):
    """One asset; PnL is net of fees, of closed trades of this session."""

    asset: str
    gate: str
    leaving: bool
    window: str | None
    closes_at_ms: int | None
    up_price: str | None
    spread: str | None
    spot: float | None
    strike: float | None
    signal: float | None
    probabilities: list[float] | None
    decisions: int
    last_state_age_s: float | None
    waiting_for: str | None
    position: PositionLine | None
    unsettled: int
    trades: int
    pnl_net_usd: str
    fees_usd: str
    stale_feeds: list[str]
    opens_at_ms: int | None = None
    condition_id: str | None = None
    fair_value: float | None = None
    bids: list[tuple[str, str]] = []
    """The best levels of the Up token, best first: price and shares."""
    asks: list[tuple[str, str]] = []


class PortfolioLine(msgspec.Struct, frozen=True):
    """An account; PnL is net of fees, `open_pnl_usd` None for paper beside live: its positions are not marked."""

    cash_usd: str
    reserved_usd: str
    open_cost_usd: str
    pnl_net_usd: str
    open_pnl_usd: str | None
    fees_usd: str
    trades: int
    wins: int
    last_refusal: str | None
    outstanding: Outstanding = Outstanding()


class Status(msgspec.Struct, frozen=True):
    """The whole answer of a running process; lease and divergence are added by whoever asked."""

    schema: int
    running: bool
    at_ms: int
    process: Process
    gate: GateLine
    actors: list[ActorLine]
    assets: list[AssetLine]
    portfolio: PortfolioLine | None
    recorder: RecorderStatus | None
    learner: LearnerStatus | None
    dead_letters: int
    hung_threads: int
    failure: str | None
    lease: LeaseLine | None = None
    venue: VenueLine | None = None
    paper_beside: PortfolioLine | None = None
    divergence: Divergence | None = None
    limits: list[LimitLine] = []
    feeds: list[FeedStatus] = []


def status_of(system: ThreadedRuntime, process: Process, leaving: tuple[str, ...] = ()) -> Status:
    """Return how the system is; reads the status board, the runtime's reports and the gate, asks nobody."""
    now_ms = system.clock.now_ms()
    assets = tuple(dict.fromkeys(cell.spec.asset for cell in list(system.cells.values()) if cell.spec.asset))
    held = _view(system, PORTFOLIO.name, PortfolioStatus)
    paper = _view(system, PAPER_PORTFOLIO.name, PortfolioStatus)
    venue = _view(system, "venue", VenueStatus)
    watch = _view(system, "watchdog", WatchdogStatus)
    state = system.gate.state
    shown = [_view(system, f"asset {asset}", AssetStatus) for asset in assets]
    return Status(
        schema=SCHEMA,
        running=True,
        at_ms=now_ms,
        process=process,
        gate=GateLine(
            word(system.gate.level()),
            state.sequence,
            [hold_line(hold) for hold in state.holds],
        ),
        actors=[_actor(report, now_ms) for report in system.reports()],
        assets=[
            _asset(
                asset,
                status,
                None if held is None else held.holdings.get(asset),
                state,
                _stale(system, asset),
                now_ms,
                leaving=asset in leaving,
            )
            for asset, status in zip(assets, shown, strict=True)
        ],
        portfolio=None if held is None else _portfolio(held, sum(s.unrealised_usd for s in shown if s is not None)),
        recorder=_view(system, "recorder", RecorderStatus),
        learner=_view(system, "learner", LearnerStatus),
        dead_letters=system.dead_letter_count,
        hung_threads=system.hung_threads,
        failure=system.failure,
        venue=None if venue is None else venue_of(venue, now_ms),
        paper_beside=None if paper is None else _portfolio(paper, None),
        limits=limit_lines(
            (
                *(() if held is None else held.limits()),
                *order_failures(venue),
                *(() if watch is None else watch.limits),
            )
        ),
        feeds=[feed for asset in assets for feed in _feeds(system, asset)],
    )


def _view(system: ThreadedRuntime, key: str, kind: type[View]) -> View | None:
    shown = system.board.read(key)
    return shown[0] if shown is not None and isinstance(shown[0], kind) else None


def _feeds(system: ThreadedRuntime, asset: str) -> list[FeedStatus]:
    feeds = (_view(system, f"feed feed.{venue}.{asset}", FeedStatus) for venue in ("polymarket", "binance"))
    return [feed for feed in feeds if feed is not None]


def _stale(system: ThreadedRuntime, asset: str) -> list[str]:
    return [feed.feed for feed in _feeds(system, asset) if feed.stale]


def actor_health(life: str) -> str:
    """Return how well an actor is by where it stands in its life."""
    if life in ("running", "stopped"):
        return Health.HEALTHY.value
    return (Health.CRITICAL if life in ("retired", "failed") else Health.DEGRADED).value


def _actor(report: ActorReport, now_ms: int) -> ActorLine:
    busy_s = report.busy_s
    return ActorLine(
        address=report.address,
        life=report.life,
        incarnation=report.incarnation,
        restarts=report.restarts,
        last_failure=report.last_failure,
        mailbox=report.mailbox,
        last_message_age_s=_rounded(report.last_message_age_s),
        busy_s=_rounded(busy_s),
        busy_since_ms=None if busy_s is None else round(now_ms - busy_s * 1000),
        up_s=_rounded(report.started_age_s),
        health=actor_health(report.life),
    )


def _asset(
    asset: str,
    status: AssetStatus | None,
    holding: HoldingStatus | None,
    state: GateState,
    stale_feeds: list[str],
    now_ms: int,
    *,
    leaving: bool,
) -> AssetLine:
    in_window = status is not None and status.slug is not None
    return AssetLine(
        asset=asset,
        gate=word(level(state, asset)),
        leaving=leaving,
        window=None if status is None else status.slug,
        closes_at_ms=status.closes_at_s * 1000 if status is not None and in_window else None,
        up_price=_money(None if status is None else status.up_price),
        spread=_money(None if status is None else status.spread),
        spot=None if status is None else status.spot,
        strike=None if status is None else status.strike,
        signal=None if status is None else status.signal,
        probabilities=None if status is None or status.probabilities is None else list(status.probabilities),
        decisions=0 if status is None else status.decisions,
        last_state_age_s=None if status is None else _rounded((now_ms - status.at_ms) / 1000),
        waiting_for="no state yet" if status is None else status.waiting_for,
        position=_position(holding, status),
        unsettled=0 if holding is None else holding.unsettled,
        trades=0 if holding is None else holding.trades,
        pnl_net_usd=_usd(0 if holding is None else holding.realised_usd),
        fees_usd=_usd(0 if holding is None else holding.fees_usd),
        stale_feeds=stale_feeds,
        opens_at_ms=status.opens_at_s * 1000 if status is not None and in_window else None,
        condition_id=None if status is None else status.condition_id,
        fair_value=None if status is None or status.fair is None else round(status.fair, 6),
        bids=[] if status is None else _levels(status.bids),
        asks=[] if status is None else _levels(status.asks),
    )


def _position(holding: HoldingStatus | None, status: AssetStatus | None) -> PositionLine | None:
    if holding is None or holding.side is None:
        return None
    return PositionLine(
        side=holding.side,
        shares=_usd(holding.shares),
        entry_price=_usd(holding.entry_price),
        cost_usd=_usd(holding.cost_usd),
        open_pnl_usd=None if status is None else _usd(status.unrealised_usd),
    )


def _portfolio(held: PortfolioStatus, open_pnl_usd: int | None) -> PortfolioLine:
    return PortfolioLine(
        cash_usd=_usd(held.cash_usd),
        reserved_usd=_usd(held.reserved_usd),
        open_cost_usd=_usd(held.cost_usd),
        pnl_net_usd=_usd(held.realised_usd),
        open_pnl_usd=_money(open_pnl_usd),
        fees_usd=_usd(held.fees_usd),
        trades=held.trades,
        wins=held.wins,
        last_refusal=held.last_refusal,
        outstanding=outstanding_of(held),
    )


def _levels(levels: tuple[Level, ...]) -> list[tuple[str, str]]:
    return [(_usd(price), _usd(shares)) for price, shares in levels]


def _usd(value: int) -> str:
    return str(decimal(value))


def _money(value: int | None) -> str | None:
    return None if value is None else _usd(value)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
