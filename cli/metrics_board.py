"""Metrics that are read when somebody scrapes: the status board, the runtime's reports and the gate. Asks no actor."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from actors import addresses
from cli.metrics_account import account_metrics
from cli.metrics_limits import limit_metrics
from core.market.health import Health
from core.runtime.system import ActorSystem
from core.runtime.threaded import ThreadedRuntime
from core.status import AssetStatus, FeedStatus, LearnerStatus, PortfolioStatus, RecorderStatus, VenueStatus
from core.trading.gate import level
from core.trading.lasting_holds import LASTING
from core.trading.money import MICRO

View = TypeVar("View")
Sample = tuple[tuple[str, ...], float]
BOOK, FLOW = "polymarket", "binance"


class BoardCollector(Collector):
    """Shows little until `system` is set: a process may wait long for its lease.

    `accounts` says which account each portfolio keeps, by its key on the board; `backlog` how many entries the local
    journal holds that the database has not.

    Args:
        monotonic_s: times the reading.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.perf_counter) -> None:
        self.system: ActorSystem | None = None
        self.accounts: dict[str, str] = {}
        self.backlog: Callable[[], int] = lambda: 0
        self._monotonic_s = monotonic_s

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering must not read."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield everything as it is now."""
        began_s = self._monotonic_s()
        system = self.system
        yield gauge("ready", "1 once every actor was started.", float(system is not None))
        yield gauge("threads", "Threads of Python.", threading.active_count())
        native = _native_threads()
        if native is not None:
            yield gauge("native_threads", "Threads of the operating system.", native)
        if system is not None:
            yield from _runtime(system)
            yield from _gate(system)
            yield from _feeds(system)
            yield from _assets(system)
            yield from self._accounts(system)
            yield from limit_metrics(system, view(system, addresses.PORTFOLIO.name, PortfolioStatus))
            yield from _venue(system)
            yield from _recorder(system)
            yield gauge("journal_entries", "Entries that the journal holds and the database not yet.", self.backlog())
            yield from _learner(system)
        yield gauge("scrape_seconds", "Time that reading all of this took.", self._monotonic_s() - began_s)

    def _accounts(self, system: ActorSystem) -> Iterator[Metric]:
        found = ((account, view(system, key, PortfolioStatus)) for key, account in self.accounts.items())
        yield from account_metrics({account: shown for account, shown in found if shown is not None})


def gauge(name: str, text: str, value: float) -> Metric:
    """Return one number."""
    return gauges(name, text, (), [((), value)])


def gauges(name: str, text: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> Metric:
    """Return a number for each set of labels."""
    family = GaugeMetricFamily(f"fusebox_{name}", text, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def counters(name: str, text: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> Metric:
    """Return a growing number for each set of labels; `name` has no `_total`."""
    family = CounterMetricFamily(f"fusebox_{name}", text, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def view(system: ActorSystem, key: str, kind: type[View]) -> View | None:
    """Return what is shown on the board under `key`, None where that is nothing of this kind."""
    shown = system.board.read(key)
    return shown[0] if shown is not None and isinstance(shown[0], kind) else None


def _runtime(system: ActorSystem) -> Iterator[Metric]:
    reports = [(report, (report.address,)) for report in system.reports()]
    by = ("actor",)
    yield gauge("failed", "1 when the process gives up and is about to end.", float(system.failure is not None))
    yield gauge("lease_epoch", "Epoch of the lease under which this process trades.", system.lease_epoch)
    yield counters("dead_letters", "Messages nobody processed.", (), [((), system.dead_letter_count)])
    hung = system.hung_threads if isinstance(system, ThreadedRuntime) else 0
    yield counters("hung_threads", "Threads that were given up.", (), [((), hung)])
    yield gauges("actor_up", "1 while the actor runs.", by, [(at, float(r.life == "running")) for r, at in reports])
    yield gauges(
        "actor_retired", "1 for an actor that crashed too often.", by, [(at, r.life == "retired") for r, at in reports]
    )
    yield gauges("actor_incarnation", "Number of the incarnation.", by, [(at, r.incarnation) for r, at in reports])
    yield counters("actor_restarts", "Restarts, wished ones included.", by, [(at, r.restarts) for r, at in reports])
    yield gauges("mailbox_messages", "Messages that wait.", by, [(at, r.mailbox) for r, at in reports])
    yield gauges(
        "actor_busy_seconds", "How long the message at hand has taken.", by, [(at, r.busy_s or 0) for r, at in reports]
    )


def _gate(system: ActorSystem) -> Iterator[Metric]:
    state = system.gate.state
    text = "0 open, 1 reduce-only, 2 closed"
    yield gauge("gate_level", f"The gate of all assets: {text}.", int(system.gate.level()))
    traded = _traded(system)
    levels = [((asset,), max(int(level(state, asset)), int(system.gate.level()))) for asset in traded]
    yield gauges("asset_gate_level", f"The gate of one asset: {text}.", ("asset",), levels)
    kinds = [(scope, lasting) for scope in ("all", *traded) for lasting in ("true", "false")]
    held = [(hold.scope or "all", "true" if hold.reason in LASTING else "false") for hold in state.holds]
    counted = [(kind, float(held.count(kind))) for kind in kinds]
    yield gauges(
        "gate_holds", "Reasons that shut the gate; only `resume` lifts lasting ones.", ("asset", "lasting"), counted
    )


def _feeds(system: ActorSystem) -> Iterator[Metric]:
    now_ms = system.clock.monotonic_ms()
    shown: list[tuple[FeedStatus, tuple[str, str], float]] = []
    for asset in _traded(system):
        for venue in (BOOK, FLOW):
            read = system.board.read(f"feed feed.{venue}.{asset}")
            if read is not None and isinstance(read[0], FeedStatus):
                # the watchdog shows a feed every half second; its silence makes the feed older, as it should
                shown.append((read[0], (venue, asset), read[0].age_s + max(0.0, now_ms - read[1]) / 1000))
    by = ("venue", "asset")
    yield gauges("feed_connected", "1 while the socket is connected.", by, [(at, f.connected) for f, at, _ in shown])
    yield gauges("feed_stale", "1 while too old to open a position on.", by, [(at, f.stale) for f, at, _ in shown])
    levels = {health.value: number for number, health in enumerate(Health)}
    health = [(at, levels.get(f.health, 0)) for f, at, _ in shown]
    yield gauges("feed_health", "0 healthy, 1 degraded, 2 critical.", by, health)
    yield gauges("feed_age_seconds", "Age of the newest data.", by, [(at, age_s) for _, at, age_s in shown])
    yield counters("feed_frames", "Frames received.", by, [(at, f.frames) for f, at, _ in shown])
    yield counters("feed_bad_frames", "Frames that were no use.", by, [(at, f.bad_frames) for f, at, _ in shown])
    yield counters("feed_reconnects", "Connections after the first.", by, [(at, f.reconnects) for f, at, _ in shown])


def _assets(system: ActorSystem) -> Iterator[Metric]:
    found = [(asset, view(system, f"asset {asset}", AssetStatus)) for asset in _traded(system)]
    shown = [(status, (asset,)) for asset, status in found if status is not None]
    now_ms, by = system.clock.now_ms(), ("asset",)
    yield counters("decisions", "Steps that the policy decided.", by, [(at, s.decisions) for s, at in shown])
    yield gauges(
        "asset_waiting", "1 while no decision can be made.", by, [(at, s.waiting_for is not None) for s, at in shown]
    )
    yield gauges(
        "asset_step_age_seconds", "Age of the newest step.", by, [(at, (now_ms - s.at_ms) / 1000) for s, at in shown]
    )
    yield gauges(
        "pnl_open_usd",
        "PnL of what is held, sold at the best bid, fees paid; the account that trades first.",
        by,
        [(at, s.unrealised_usd / MICRO) for s, at in shown],
    )


def _venue(system: ActorSystem) -> Iterator[Metric]:
    shown = view(system, "venue", VenueStatus)
    if shown is None:
        return
    now_ms = system.clock.now_ms()
    yield gauge("venue_paused", "1 while a live venue is paused.", float((shown.paused_until_ms or 0) > now_ms))
    yield gauge("venue_user_channel", "1 while the account's own channel is connected.", float(shown.user_channel))
    for name, at_ms in (("heartbeat", shown.heartbeat_ms), ("reconciled", shown.reconciled_ms)):
        if at_ms is not None:
            yield gauge(f"venue_{name}_age_seconds", f"Age of the last {name} at the venue.", (now_ms - at_ms) / 1000)


def _recorder(system: ActorSystem) -> Iterator[Metric]:
    shown = view(system, "recorder", RecorderStatus)
    if shown is None:
        return
    yield gauge("database_up", "1 while the database records.", float(shown.error is None))
    yield gauge("database_lag_seconds", "How long the oldest row has waited.", shown.lag_s)
    yield gauge("database_queued_messages", "Messages whose rows are not committed yet.", shown.queued)
    yield counters("database_rows_written", "Rows committed.", (), [((), shown.written)])
    yield gauge("journal_up", "1 while the local journal can be written.", float(shown.journal_error is None))
    yield gauge("journal_refused_batches", "Batches that the database refused; a person has to look.", shown.refused)


def _learner(system: ActorSystem) -> Iterator[Metric]:
    shown = view(system, "learner", LearnerStatus)
    if shown is None:
        return
    yield gauge("learner_learns", "1 while the policy learns.", float(shown.learns))
    yield gauge("learner_version", "Version of the weights in use.", shown.version)
    yield counters("learner_updates", "Updates of the weights.", (), [((), shown.updates)])
    yield counters("learner_transitions", "Transitions heard.", (), [((), shown.transitions)])
    yield gauge("learner_waiting_transitions", "Transitions that wait for the next update.", shown.waiting)
    yield gauge("learner_rolled_back", "1 when the last update was undone.", float(shown.rolled_back is not None))
    for name, text, value in (
        ("entropy", "Entropy of the policy in the last update, nats.", shown.entropy),
        ("kl", "Approximate KL divergence of the last update, nats.", shown.kl),
        ("explained_variance", "Explained variance of the last update's values.", shown.explained_variance),
        ("reward_usd", "Change of the net liquidation value over the last batch.", shown.reward_usd),
    ):
        if value is not None:
            yield gauge(f"learner_{name}", text, value)


def _traded(system: ActorSystem) -> list[str]:
    cells = list(system.cells.values())
    return list(dict.fromkeys(cell.spec.asset for cell in cells if cell.spec.asset is not None))


def _native_threads() -> int | None:
    """Return how many threads the kernel knows, None where it does not say."""
    tasks = Path("/proc/self/task")
    return sum(1 for _ in tasks.iterdir()) if tasks.is_dir() else None
