"""Simulated windows under faults, with dice for a policy, at full size: runs of many windows with trips and resumes."""

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import msgspec

from bench.safety.bounds import TIGHT, Bounds, default_bounds, tight_bounds
from bench.safety.watch import SafetyAuditor, Seen
from bench.simulation.chaos import Chaos, Quiet
from bench.simulation.run import Plant, Result, Simulation
from bench.simulation.scenario import FIRST_OPENS_S, SESSION_ID, Scenario
from bench.simulation.watched import WatchedRuntime
from cli.rules import rules_of
from cli.wiring import Rules
from config.load import load_settings
from core.runtime.address import Address
from core.runtime.faults import SkewedClock
from core.runtime.supervision import DeadLetter, SystemEvent
from core.trading.lasting_holds import resumed
from core.trading.limits import EXIT_BEFORE_S
from core.trading.money import MICRO
from storage.queries import Session

TRADE_USD = 100
WINDOW_S = 30
LOOK_MS = 1_000
TRIPPED_FOR_MS = 6_000
"""A person who looks and resumes: later than the two seconds within which the hold is stored."""
WRITTEN_WITHIN_MS = 8_000
"""What was held at the close is written down by then, also by a portfolio that was dead at the close."""
PROCESS = "the process"
NEEDED = ("portfolio", "watchdog", "executor", "db_writer")
AWAY_MS = (50, 500, 2_000)
SKEWS_MS = (-700, -150, 0, 150, 700)
"""A killed process is away, and a clock is off, for less than in `bench.simulation`: four seconds are T-2 here."""

Limits = Literal["default", "tight"]


class ScaledChaos(Chaos):
    """Everything fails by the seed; what a clock or an absence costs is kept below the scaled T-2."""

    def __init__(self, seed: int, clock: SkewedClock) -> None:
        super().__init__(seed, clock)
        self._draw = random.Random(f"scaled {seed}")

    def away_ms(self) -> int:
        """Return how long a killed process stays away."""
        return self._draw.choice(AWAY_MS)

    def skews_clock(self) -> None:
        """Move the wall clock by less than a second, or back to the right time."""
        before = self._clock.skew_ms
        super().skews_clock()
        if self._clock.skew_ms != before:
            self._clock.skew_ms = self._draw.choice(SKEWS_MS)


class Run(msgspec.Struct, frozen=True):
    """One run: what came of it, and what was looked at."""

    result: Result
    seen: Seen
    windows: int


class SafetySimulation(Simulation):
    """Looks at each window's end, and resumes what has tripped as a person would."""

    def __init__(
        self,
        scenario: Scenario,
        limits: Limits = "default",
        chaos: Callable[[SkewedClock], Quiet] = lambda _clock: Quiet(),
        *,
        plants: Mapping[Address, Plant] | None = None,
        log: Callable[[str], None] | None = None,
        rules: Rules | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self._tripped_ms: int | None = None
        self._ended: set[str] = set()
        self._dead_ms: dict[str, list[int]] = {}
        super().__init__(
            scenario,
            chaos,
            plants=plants,
            log=log,
            rules=rules or rules_for(scenario, limits),
            auditor=partial(SafetyAuditor, bounds=bounds or bounds_for(scenario, limits)),
        )

    @property
    def safety(self) -> SafetyAuditor:
        """The auditor as what it is."""
        assert isinstance(self.auditor, SafetyAuditor)  # noqa: S101 -- made here
        return self.auditor

    def _run_until(self, until_ms: int) -> None:
        """Stop at every second and at every close, and look."""
        opens_ms, length_ms = FIRST_OPENS_S * 1000, self.scenario.window_s * 1000
        while (now_ms := self.clock.true_ms()) < until_ms:
            closes_ms = opens_ms + ((now_ms - opens_ms) // length_ms + 1) * length_ms
            super()._run_until(min(until_ms, closes_ms, now_ms + LOOK_MS))
            self._resume()
            self._look()

    def _resume(self) -> None:
        now_ms = self.clock.true_ms()
        if not self.safety.tripped:
            self._tripped_ms = None
        elif self._tripped_ms is None:
            self._tripped_ms = now_ms
        elif now_ms - self._tripped_ms >= TRIPPED_FOR_MS:
            self._line("a person resumes")
            self._tripped_ms = None
            self.safety.resumes()
            self.runtime.gate.change(resumed)

    def _look(self) -> None:
        now_ms = self.clock.true_ms()
        for market in self.venue.markets.values():
            closes_ms = market.window.closes_at_s * 1000
            if closes_ms <= now_ms and market.condition_id not in self._ended:
                self._ended.add(market.condition_id)
                self.safety.window_ends(market)
            if closes_ms + WRITTEN_WITHIN_MS <= now_ms:
                self.safety.look_back(market, self._excuse(closes_ms))

    def _excuse(self, closes_ms: int) -> str | None:
        """Return who died from shortly before T-2 on until the close: exits take a moment to be asked for anew."""
        from_ms = closes_ms - 2 * EXIT_BEFORE_S * 1000 * self.scenario.window_s // 900
        for who in (PROCESS, *NEEDED):
            if any(from_ms <= at_ms <= closes_ms for at_ms in self._dead_ms.get(who, ())):
                return who
        return None

    def _new_process(self) -> WatchedRuntime:
        self._dead_ms.setdefault(PROCESS, []).append(self.clock.true_ms())
        return super()._new_process()

    def _announced(self, event: SystemEvent | DeadLetter) -> None:
        super()._announced(event)
        if isinstance(event, SystemEvent) and event.kind != "started":
            self._dead_ms.setdefault(event.address, []).append(self.clock.true_ms())

    def _rest(self) -> None:
        self._look()
        super()._rest()
        for market in self.venue.markets.values():
            self.safety.look_back(market, self._excuse(market.window.closes_at_s * 1000))


def scenario_for(seed: int, windows: int) -> Scenario:
    """Return the run of a seed: two assets, everything but the policy by chance."""
    rng = random.Random(f"safety {seed}")
    return Scenario(
        seed=seed,
        assets=("BTC", "ETH"),
        windows=windows,
        window_s=WINDOW_S,
        policy="random",
        order_type=rng.choice(("FAK", "FAK", "FOK", "GTC")),
        held=rng.choice(((), (), ("ETH",))),
        start_usd=100_000 * MICRO,
        trade_usd=TRADE_USD * MICRO,
        work_ms=rng.choice((0, 3, 40)),
    )


def run_seed(seed: int, windows: int, limits: Limits = "default", log: Callable[[str], None] | None = None) -> Run:
    """Run one seed for `windows` windows of each of two assets."""
    scenario = scenario_for(seed, windows)
    simulation = SafetySimulation(scenario, limits, lambda clock: ScaledChaos(seed, clock), log=log)
    result = simulation.run()
    return Run(result, simulation.safety.seen, simulation.safety.seen.ends)


def rules_for(scenario: Scenario, limits: Limits) -> Rules:
    """Return the rules that a run would have by its settings: the defaults, or the tight ones."""
    overrides = {
        "profile": "demo", "assets": ",".join(scenario.assets), "window_s": scenario.window_s,
        "order_type": scenario.order_type, "hold_to_settlement": ",".join(scenario.held), "sample_actions": True,
        "trade_size_usd": str(scenario.trade_usd // MICRO), "paper_latency_ms": 50,
        **({**TIGHT, "max_positions": _positions(scenario)} if limits == "tight" else {}),
    }  # fmt: skip
    settings = load_settings({}, overrides)
    session = Session(SESSION_ID, "paper", resumed=False, started_at_ms=scenario.start_ms, config={})
    return rules_of(settings, session, None, scenario.start_usd)


def bounds_for(scenario: Scenario, limits: Limits) -> Bounds:
    """Return what must not be exceeded in a run."""
    if limits == "tight":
        return tight_bounds(scenario.window_s, _positions(scenario))
    return default_bounds(scenario.trade_usd // MICRO, scenario.window_s)


def _positions(scenario: Scenario) -> int:
    """Return how many positions the tight limits allow: one, or as many as the exposure does."""
    return 1 if scenario.seed % 2 else 8
