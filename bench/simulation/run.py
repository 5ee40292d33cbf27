"""One run: the complete system wired as the command line wires it, driven step by step through its faults to rest."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from actors import addresses
from actors.feed_watch import FeedLimits
from actors.market import MarketRules
from actors.notifier import Post
from actors.portfolio import Sizing
from actors.watchdog import WatchdogLimits
from bench.simulation.audit import PORTFOLIO_CHECKPOINT, Auditor, InvariantError
from bench.simulation.chaos import Chaos, Quiet
from bench.simulation.database import Database
from bench.simulation.policy import make_policy
from bench.simulation.scenario import SESSION_ID, Scenario, scenario_of
from bench.simulation.unheard import Unheard
from bench.simulation.venue import Venue
from bench.simulation.watched import WatchedRuntime
from cli.wiring import Rules, Services, Venues, assemble, start_all
from core.errors import RejectedError, TransientError, UnknownOutcomeError
from core.market.book import LocalBook
from core.market.market import Side
from core.records import Record
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.context import Context
from core.runtime.faults import SkewedClock
from core.runtime.gate import GateCell
from core.runtime.message import Envelope
from core.runtime.supervision import DeadLetter, SystemEvent
from core.trading.forced_exits import ForcedExitRules
from core.trading.gate import GateState
from core.trading.lasting_holds import lasting
from core.trading.limits import OpenLimits

SETTLE_STEP_MS = 5_000
SETTLE_STEPS = 30
BOOK_STALE_S = 1.5

Plant = Callable[[Context, Actor], Actor]
"""Puts a defect into an actor, to see whether the simulation finds it."""


class Result(msgspec.Struct, frozen=True):
    """What came of a run: the broken promise if there is one, the event log's digest, and what happened.

    `messages` counts those before the final stop.
    """

    seed: int
    broken: str | None
    at_ms: int
    digest: str
    messages: int
    cash_usd: int
    fills: int
    trades: int
    faults: dict[str, int]


class Simulation:
    """A world, a database that outlives processes, and the process that is killed and started again."""

    def __init__(
        self,
        scenario: Scenario,
        chaos: Callable[[SkewedClock], Quiet] = lambda _clock: Quiet(),
        *,
        database: Database | None = None,
        plants: Mapping[Address, Plant] | None = None,
        log: Callable[[str], None] | None = None,
        rules: Rules | None = None,
        auditor: Callable[[Database, int, Mapping[str, Side]], Auditor] = Auditor,
    ) -> None:
        self.scenario = scenario
        self.clock = SkewedClock(scenario.start_ms)
        self.chaos = chaos(self.clock)
        self.venue = Venue(scenario, self.clock)
        self.database = database if database is not None else Database()
        self.auditor = auditor(self.database, scenario.start_usd, self.venue.winners())
        self._plants = dict(plants or {})
        self._log = log
        self._digest = hashlib.sha256()
        self._messages = 0
        self._rules = rules if rules is not None else _rules(scenario)
        self._gate = GateState()
        self.runtime = self._new_process()

    # -- processes ----------------------------------------------------------------------------------------------

    def _new_process(self) -> WatchedRuntime:
        """Start from what outlasts a process: the portfolio's committed checkpoint, holds that only a person lifts."""
        self.clock.skew_ms = 0
        self.database.lease_epoch += 1
        epoch = self.database.lease_epoch
        latest = self.database.latest(PORTFOLIO_CHECKPOINT)
        saved = {} if latest is None else {addresses.PORTFOLIO.name: (latest.generation, latest.payload)}
        runtime = WatchedRuntime(
            self.clock,
            self.auditor,
            self.chaos,
            seed=self.scenario.seed,
            lease_epoch=epoch,
            gate=GateCell(self._gate),
            saved=saved,
            work_ms=self.scenario.work_ms,
            trace=self._trace,
        )
        self.auditor.process_starts(runtime.gate.state, saved.get(addresses.PORTFOLIO.name))
        runtime.observers.append(self._announced)
        assemble(runtime, self._rules, self._venues(), self._services(epoch))
        for address, plant in self._plants.items():
            cell = runtime.cells[address]
            cell.spec = msgspec.structs.replace(cell.spec, make=_planted(cell.spec.make, plant))
        self._before_start(runtime)
        start_all(runtime)
        return runtime

    def _before_start(self, runtime: WatchedRuntime) -> None:
        """Do what else belongs to a process; here nothing does."""

    def _venues(self) -> Venues:
        return Venues(
            book_stream=self.venue.book_stream,
            make_book=lambda market, epoch: LocalBook(market, continuous_snapshots=True, epoch=epoch),
            flow_streams=self.venue.flow_streams,
            candles=None,
            calendar=self.venue,
            prices=self.venue.prices,
        )

    def _services(self, epoch: int) -> Services:
        return Services(
            write=lambda rows: self._write(rows, epoch),
            load_weights=lambda: "no weights",
            weights_source="simulation",
            make_policy=lambda _weights: make_policy(self.scenario.policy),
            post=Post((Unheard(),)),
            log=self._line,
        )

    def _write(self, rows: Sequence[Record], epoch: int) -> None:
        trouble = self.chaos.database()
        if trouble == "before":
            raise TransientError("the database is away on purpose")
        try:
            self.database.commit(rows, epoch)
        except RejectedError as error:
            self.auditor.refused(error)
        self._line(f"committed {len(rows)} rows")
        self.auditor.committed(rows)
        if trouble == "after":
            raise UnknownOutcomeError("the commit's answer was lost on purpose")

    # -- the log ------------------------------------------------------------------------------------------------

    def _line(self, text: str) -> None:
        line = f"{self.clock.true_ms()} {text}\n"
        self._digest.update(line.encode())
        if self._log is not None:
            self._log(line)

    def _trace(self, at_ms: int, address: str, envelope: Envelope) -> None:
        if self._log is not None:
            self._log(f"{at_ms} {address} {envelope}\n")
        kind = type(envelope.message).__name__
        head = f"{at_ms} {address} {envelope.sequence} {envelope.sender} {envelope.sender_incarnation} {kind}\n"
        self._digest.update(head.encode())

    def _announced(self, event: SystemEvent | DeadLetter) -> None:
        self._line(str(event))
        if isinstance(event, SystemEvent) and event.kind == "retired":
            raise InvariantError(f"escalation: {event.address}: {event.detail}")

    # -- running ------------------------------------------------------------------------------------------------

    def run(self) -> Result:
        """Run to rest and return what came of it."""
        broken = None
        try:
            self._run_until(self.scenario.ends_ms)
            self._rest()
        except InvariantError as error:
            broken = str(error)
            self._line(f"BROKEN {broken}")
        state = self.auditor.committed_state()
        return Result(
            seed=self.scenario.seed,
            broken=broken,
            at_ms=self.clock.true_ms(),
            digest=self._digest.hexdigest(),
            messages=self._messages or self.chaos.messages,
            cash_usd=self.scenario.start_usd if state is None else state.ledger.cash_usd,
            fills=len(self.database.tables.fills),
            trades=len(self.database.tables.trades),
            faults={kind: count for kind, count in sorted(self.chaos.done.items()) if count},
        )

    def _run_until(self, until_ms: int) -> None:
        """Step to the world's `until_ms`, through deaths of the process and jumps of its clock."""
        while self.runtime.step(until_ms):
            self.chaos.skews_clock()
            if self.chaos.kills_process():
                self._line("the process is killed")
                self._gate = GateState(lasting(self.runtime.gate.state), self.runtime.gate.state.sequence)
                self.clock.advance_to(self.clock.true_ms() + self.chaos.away_ms())
                self.runtime = self._new_process()
        self.runtime.run_until(until_ms)

    def _rest(self) -> None:
        """Let nothing fail any more, and wait for what must come to rest; then stop in order and look once more."""
        self.chaos.rest()
        reason: str | None = "not looked yet"
        for _ in range(SETTLE_STEPS):
            self._run_until(self.clock.true_ms() + SETTLE_STEP_MS)
            reason = self._unrest()
            if reason is None:
                break
        if reason is not None:
            raise InvariantError(f"not at rest: {reason}")
        self._messages = self.chaos.messages
        self.runtime.ending = True
        self.runtime.stop()
        reason = self._unrest()
        if reason is not None:
            raise InvariantError(f"not at rest after the stop: {reason}")

    def _unrest(self) -> str | None:
        cells = self.runtime.cells
        unread = self.runtime.unread()
        if unread and not self.runtime.ending:
            return f"no message lost: {Counter(unread)} were never handled"
        return self.auditor.unrest(cells[addresses.PORTFOLIO].saved, cells[addresses.EXECUTOR].saved)


def run_seed(seed: int, log: Callable[[str], None] | None = None) -> Result:
    """Run one seed with everything failing by it."""
    return Simulation(scenario_of(seed), lambda clock: Chaos(seed, clock), log=log).run()


def _planted(make: Callable[[Context], Actor], plant: Plant) -> Callable[[Context], Actor]:
    return lambda context: plant(context, make(context))


def _rules(scenario: Scenario) -> Rules:
    stale_scaled_s = BOOK_STALE_S * 900 / scenario.window_s
    return Rules(
        assets=scenario.assets,
        window_s=scenario.window_s,
        session_id=SESSION_ID,
        starting_cash_usd=scenario.start_usd,
        sizing=Sizing(
            trade_size_usd=scenario.trade_usd,
            slippage_ticks=2,
            order_type=scenario.order_type,
            limits=OpenLimits(max_book_age_s=stale_scaled_s),
        ),
        market=MarketRules(
            grid_ms=500,
            book_stale_s=BOOK_STALE_S,
            flow_stale_s=3.0,
            sample_actions=scenario.policy == "random",
        ),
        watchdog=WatchdogLimits(
            FeedLimits(book_stale_s=BOOK_STALE_S, flow_stale_s=3.0), ForcedExitRules(hold_to_settlement=scenario.held)
        ),
        paper_latency_ms=50,
        paper_book_age_ms=round(stale_scaled_s * 1000),
    )
