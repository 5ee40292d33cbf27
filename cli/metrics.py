"""The metrics of a process that trades: one registry, one server, and what follows the orders."""

import contextlib
from collections.abc import Callable

from loguru import logger
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from actors.addresses import PAPER_PORTFOLIO, PORTFOLIO
from cli.metrics_board import BoardCollector
from cli.metrics_events import EventMetrics
from cli.metrics_server import MetricsServer
from config.settings import Settings
from core.runtime.system import ActorSystem


class Metrics:
    """Counts whether or not somebody serves them: that costs microseconds an order.

    Args:
        settings: where to serve them, if at all, and what runs.
        ends: the server is closed by it.

    Raises:
        ConfigError: nothing can listen at that address.
    """

    def __init__(self, settings: Settings, ends: contextlib.ExitStack) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # when a series began is a series more for each
        registry = CollectorRegistry()
        self.events = EventMetrics(registry)
        self._board = BoardCollector()
        self._mode = settings.mode
        registry.register(self._board)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        run = Info("fusebox_run", "What runs.", registry=registry)
        run.info({"mode": settings.mode, "profile": settings.profile})
        self._server: MetricsServer | None = None
        if settings.metrics_port is not None:
            self._server = MetricsServer(settings.metrics_host, settings.metrics_port, registry)
            ends.callback(self._server.stop)
            self._server.start()

    @property
    def url(self) -> str | None:
        """Where they are, None where nobody serves them."""
        return None if self._server is None else self._server.url

    def announce(self) -> None:
        """Say where they are."""
        if self._server is not None:
            logger.info("metrics at {}", self._server.url)

    def show(self, system: ActorSystem, backlog: Callable[[], int]) -> None:
        """Read this system from now on, and how many entries its journal holds for the database."""
        self._board.backlog = backlog
        self._board.accounts = {PORTFOLIO.name: "paper" if self._mode == "paper" else "live"}
        if self._mode == "dual":
            self._board.accounts[PAPER_PORTFOLIO.name] = "paper"
        self._board.system = system
