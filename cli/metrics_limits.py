"""The limits as metrics: what is allowed and how much of it is used, for an alert before one is reached."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from cli.status_limits import order_failures
from core.runtime.system import ActorSystem
from core.status import LimitStatus, PortfolioStatus, VenueStatus, WatchdogStatus
from core.trading.money import MICRO

LABELS = ("limit", "asset")


def limit_metrics(system: ActorSystem, portfolio: PortfolioStatus | None) -> Iterator[Metric]:
    """Yield each limit and its use, in its own unit (dollars for USD), of the account that trades first."""
    allowed = GaugeMetricFamily("fusebox_limit", "What is allowed, in the limit's unit.", labels=LABELS)
    used = GaugeMetricFamily("fusebox_limit_used", "How much of a limit is used, in its unit.", labels=LABELS)
    seen: set[tuple[str, str]] = set()
    for each in _limits(system, portfolio):
        at = each.name.replace(" ", "_"), each.scope or "all"
        if each.limit is None or at in seen or each.used is None:
            continue
        seen.add(at)
        allowed.add_metric(at, _number(each.limit, each.unit))
        used.add_metric(at, _number(each.used, each.unit))
    yield allowed
    yield used


def _limits(system: ActorSystem, portfolio: PortfolioStatus | None) -> Iterator[LimitStatus]:
    if portfolio is not None:
        yield from portfolio.limits()
    venue = system.board.read("venue")
    yield from order_failures(venue[0] if venue is not None and isinstance(venue[0], VenueStatus) else None)
    watchdog = system.board.read("watchdog")
    if watchdog is not None and isinstance(watchdog[0], WatchdogStatus):
        yield from watchdog[0].limits


def _number(value: int, unit: str) -> float:
    return value / MICRO if unit == "USD" else float(value)
