"""`run`: starts everything in order, shows it until it is told to stop, and ends it in reverse, losing nothing."""

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from loguru import logger

from actors import addresses
from cli.alerting import channels_of, post_of, scrubber_of, started
from cli.client import conninfo_of
from cli.control import Control
from cli.database import Database, SessionTerms, open_database
from cli.divergence import lines
from cli.dump import Dumper
from cli.exchange import Endpoints, Exchange
from cli.exit_codes import EXIT_ESCALATED, EXIT_LEASE_LOST
from cli.following import Follower, TimedWrite, log_step
from cli.gate_commands import GateCommands
from cli.gate_keeper import GateKeeper, open_keeper
from cli.heartbeat import HeartbeatFile
from cli.keeping import Keeping
from cli.live_venues import Patience, live_venues, public_endpoints
from cli.live_wallet import wallet_of
from cli.log_subject import Subject
from cli.metrics import Metrics
from cli.observing import Observer, OneOfAKind
from cli.operations import Operations
from cli.page_place import refuse_open
from cli.page_server import PageServer
from cli.policy_choice import choice_of, learning_of, policy_of
from cli.policy_files import policy_in
from cli.rollback import Rollback
from cli.rules import rules_of
from cli.screen import Screen
from cli.snapshots import Snapshots, snapshot_of
from cli.status_report import Process
from cli.trade_story import TradeStory
from cli.watchdog_watch import WatchdogWatch
from cli.wiring import Services, Venues, assemble, start_all
from cli.wiring import Trading as ExecutionTrading
from config.limits import KNOWN_ASSETS
from config.load import load_settings
from config.settings import PROJECT_ROOT, Settings
from core.alerts.kinds import GAVE_UP, STOP
from core.errors import FuseboxError
from core.messages import Alert
from core.runtime.clock import SystemClock
from core.runtime.gate import GateCell
from core.runtime.threaded import ThreadedRuntime
from core.trading.gate import GateLevel
from core.trading.money import decimal

if TYPE_CHECKING:
    from cli.live_trading import Live

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a host that stops us, a terminal that is closed: all end in the same orderly way."""
STOP_WITHIN_S = 2.0
SWITCH_INTERVAL_S = 0.0005
"""CPython hands the interpreter lock over every 5 ms by default: ten ticks of latency under load."""


def run(
    profile: Annotated[str | None, typer.Option(help="demo (embedded database and exchange) or real.")] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            help="paper; live: real orders, refused without keys and an opt-in; dual: live, and paper beside."
        ),
    ] = None,
    assets: Annotated[str | None, typer.Option(help="Assets to trade, such as BTC,ETH.")] = None,
    world: Annotated[
        str | None, typer.Option(help="Demo world: lagged (pays more than the real one) or today.")
    ] = None,
    window_s: Annotated[int | None, typer.Option(help="Window length of the demo in seconds.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the demo's world and of the actors.")] = None,
    policy: Annotated[
        str | None, typer.Option(help="shipped (trained), fresh (untrained), or a baseline, such as fair-value.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="File of policy weights to trade with, instead.")] = None,
    shadow: Annotated[
        Path | None, typer.Option(help="File of another policy: what it would have done is written down beside.")
    ] = None,
    new_session: Annotated[bool, typer.Option("--new-session", help="Start a session instead of resuming.")] = False,
    no_wait: Annotated[
        bool,
        typer.Option("--no-wait", help="Refuse at once if another process trades, instead of waiting for its end."),
    ] = False,
) -> None:
    """Start trading and resume the last session. Without options: paper money on the embedded exchange.

    Stop with Ctrl-C. Exit codes: 0 stopped, 1 could not start, 2 bad settings, 70 gave up so that a host restarts it,
    75 another process has taken over.
    """
    given = {"profile": profile, "mode": mode, "assets": assets, "world": world, "window_s": window_s}
    deciding = {"policy": policy, "weights": weights, "shadow": shadow}
    overrides = {**given, **deciding, "seed": seed, "lease_wait_s": 0.0 if no_wait else None}
    settings = load_settings(os.environ, overrides, PROJECT_ROOT / ".env")
    if settings.mode != "paper":
        wallet_of(settings)  # what the settings lack is said before anything is started
    sys.exit(Trading(settings, new_session=new_session).run())


class Trading:
    """One process that trades: every part registers its own end as soon as it exists."""

    def __init__(self, settings: Settings, *, new_session: bool) -> None:
        self._settings = settings
        self._new_session = new_session
        self._stop = threading.Event()
        self._gate = GateCell(now_ms=SystemClock().now_ms)
        self._live: Live | None = None
        self._choice = choice_of(settings)
        channels_of(settings)  # what is wrong with one is said before anything is started
        if settings.dashboard:
            refuse_open(settings, settings.dashboard_host)
        shadow = settings.shadow
        self._shadow = None if shadow is None else partial(policy_in, shadow)
        if self._shadow is not None:
            self._shadow()  # what is wrong with the file is said before anything is started

    def run(self) -> int:
        """Start, wait, stop; return the exit code."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        screen = Screen(self._settings)
        for number in STOP_SIGNALS:
            signal.signal(number, _interrupt)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until there is something to dump; by default it would kill
        code = 0
        with contextlib.ExitStack() as ends:
            ends.callback(_ignore_signals)
            self._metrics = Metrics(self._settings, ends)
            self._metrics.announce()
            try:
                database = self._open_database(ends, screen)
                self._serve_page(ends, screen)
                keeper = open_keeper(self._settings, self._gate, database.lease.epoch, ends)
                system = self._start(ends, screen, database, keeper)
                self._on_signal_stop()
                heartbeat = HeartbeatFile(self._settings.state_dir, system, database.session.id)
                ends.callback(heartbeat.end)
                code = self._wait(system, screen, database, heartbeat)
            except KeyboardInterrupt:
                logger.info("stopped while starting")
            finally:
                _ignore_signals()
        logger.complete()
        return code

    def _serve_page(self, ends: contextlib.ExitStack, screen: Screen) -> None:
        settings = self._settings
        if settings.dashboard:
            log_file = settings.state_dir / "dashboard.log"
            page = PageServer(settings.dashboard_host, settings.dashboard_port, log_file, screen.say)
            ends.callback(page.stop)
            page.start()

    def _on_signal_stop(self) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, lambda *_: self._stop.set())

    def _wait(self, system: ThreadedRuntime, screen: Screen, database: Database, heartbeat: HeartbeatFile) -> int:
        watch = WatchdogWatch(system, database.session.id)
        while not self._stop.wait(screen.refresh_s):
            heartbeat.beat()
            watch.look()
            screen.show(system)
            database.keep_alive()
            if database.watch.lost is not None:
                break
            if system.failure is not None:
                logger.error("giving up: {}", system.failure)
                system.tell(addresses.NOTIFIER, Alert(GAVE_UP, f"{system.failure}; the process ends with 70"))
                return EXIT_ESCALATED
        if database.watch.lost is not None:
            logger.error("giving up: {}", database.watch.lost)
            system.tell(addresses.NOTIFIER, Alert(GAVE_UP, f"{database.watch.lost}; the process ends with 75"))
            return EXIT_LEASE_LOST
        logger.info("stopping: no new orders, positions are kept")
        system.tell(addresses.NOTIFIER, Alert(STOP, f"session {database.session.id} stops; positions are kept"))
        self._gate.hold(None, "stopping", GateLevel.CLOSED)
        return 0

    def _open_database(self, ends: contextlib.ExitStack, screen: Screen) -> Database:
        screen.say("starting the database")
        database = open_database(
            self._settings,
            new_session=self._new_session,
            ends=ends,
            gate=self._gate,
            on_lost=lambda _reason: self._stop.set(),
            report=screen.say,
            terms=lambda: self._terms(ends, screen),
        )
        session = database.session
        screen.say(f"{'resuming' if session.resumed else 'starting'} session {session.id}")
        ends.callback(_tell_divergence, database)
        return database

    def _terms(self, ends: contextlib.ExitStack, screen: Screen) -> SessionTerms:
        """Find the venues, and for live trading the account, before a session is resumed or started."""
        settings = self._settings
        self._endpoints = self._find_venues(ends, screen)
        if settings.mode == "paper":
            return SessionTerms("paper", settings.venue, settings.public())
        # with it come the vendor's packages: seconds and megabytes that paper trading has no use for
        from cli.live_trading import open_live  # noqa: PLC0415

        screen.say("checking the account")
        live = self._live = open_live(settings, self._endpoints.clob, self._endpoints.user_ws, SystemClock().now_ms)
        ends.callback(live.close)
        config = settings.public() | {"starting_cash_usd": str(decimal(live.cash_usd))}
        return SessionTerms("live", f"{settings.venue}, {live.funder}", config, settings.mode == "dual")

    def _trading(self, database: Database, log: Callable[[str], None]) -> ExecutionTrading | None:
        if self._live is None:
            return None
        session = database.session
        return self._live.trading(
            session.id,
            session.started_at_ms // 1000,
            database.order_hashes(),
            log,
            database.unconfirmed(),
            database.final_fills(self._live.asks_from_ms(SystemClock().now_ms())),
        )

    def _start(
        self, ends: contextlib.ExitStack, screen: Screen, database: Database, keeper: GateKeeper
    ) -> ThreadedRuntime:
        settings, session = self._settings, database.session
        venues = self._venues()
        ends.callback(venues.close)
        system = ThreadedRuntime(
            SystemClock(),
            seed=settings.seed,
            lease_epoch=database.lease.epoch,
            gate=self._gate,
            lane_width={"rest": 4, "policy": 1},
        )
        follower = self._follow(system, database, ends)
        observer = Observer(system, session.id, scrubber_of(settings))
        keeping = Keeping(system, database, self._choice)
        cash_usd = settings.starting_cash if self._live is None else self._live.cash_usd
        rules = rules_of(settings, session, database.beside, cash_usd)
        services = self._services(system, database, keeping, follower)
        assemble(system, rules, venues, services)
        keeping.begin(ends)
        ends.callback(_stop_system, system)
        start_all(system)
        operations = Operations(system, rules, venues, services, KNOWN_ASSETS, self._process(database))
        gate = GateCommands(system, keeper, KNOWN_ASSETS, session.id)
        keeper.audit = gate.audit
        self._take_commands(ends, system, database, operations, keeping, gate)
        saved = system.cells[addresses.PORTFOLIO].saved if session.resumed else None
        observer.announce(started(settings, session.id, saved, self._gate.state), resumed=session.resumed)
        ends.enter_context(screen.live(system, session))
        self._metrics.show(system, lambda: database.journal.last - database.journal.confirmed)
        gc.freeze()  # what start-up made stays: later collections need not walk it
        return system

    def _follow(self, system: ThreadedRuntime, database: Database, ends: contextlib.ExitStack) -> Follower:
        """Let every order's way be counted and told in the log file, to its end after everything else has stopped."""
        accounts = {database.session.id: "paper" if self._live is None else "live"}
        if database.beside is not None:
            accounts[database.beside.id] = "paper"
        follower = Follower(TradeStory(accounts), system.clock, self._metrics.events.hear, log_step)
        ends.callback(follower.stop)
        follower.start()
        system.on_send = follower.told
        return follower

    def _take_commands(
        self,
        ends: contextlib.ExitStack,
        system: ThreadedRuntime,
        database: Database,
        operations: Operations,
        keeping: Keeping,
        gate: GateCommands,
    ) -> None:
        """Let operators in, over the database and by signal; out again before anything stops."""
        handlers = operations.handlers() | gate.handlers()
        kept = keeping.models, keeping.refusal, keeping.keeper.copy
        handlers |= Rollback(system, operations.restart, database.session.id, *kept).handlers()
        control = Control(lambda: conninfo_of(self._settings), database.lease.epoch, handlers, operations.tick)
        dumper = Dumper(system)
        snapshots = Snapshots(
            lambda: conninfo_of(self._settings),
            database.lease.epoch,
            lambda: snapshot_of(operations.picture(), system.board),
        )
        for part in (control, dumper, snapshots):
            ends.callback(part.stop)
            part.start()

    def _process(self, database: Database) -> Process:
        settings, session = self._settings, database.session
        return Process(
            session.id,
            settings.mode,
            settings.profile,
            os.getpid(),
            session.started_at_ms,
            SystemClock().now_ms(),
            None if database.beside is None else database.beside.id,
        )

    def _find_venues(self, ends: contextlib.ExitStack, screen: Screen) -> Endpoints:
        settings = self._settings
        if settings.profile == "real":
            return public_endpoints(settings)
        screen.say(f"starting the embedded exchange, world {settings.world}")
        exchange = Exchange(
            seed=settings.seed,
            window_s=settings.window_s,
            world=settings.world,
            assets=KNOWN_ASSETS,  # what is not traded now may be added later
            log_file=settings.state_dir / "exchange.log",
            log=logger.info,
            ledger=None if settings.mode == "paper" else settings.state_dir / "exchange-ledger.jsonl",
            faults=settings.exchange_faults,
        )
        ends.callback(exchange.stop)
        return exchange.start()

    def _venues(self) -> Venues:
        settings = self._settings
        patience = Patience(book_silence_s=settings.silence_s, flow_silence_s=settings.silence_s)
        clock = SystemClock()
        return live_venues(self._endpoints, KNOWN_ASSETS, patience, clock.now_ms, routed=settings.profile == "real")

    def _services(self, system: ThreadedRuntime, database: Database, keeping: Keeping, follower: Follower) -> Services:
        settings = self._settings
        log = OneOfAKind(subject=Subject(system))
        return Services(
            write=TimedWrite(database.write, self._metrics.events.committed, follower.wrote),
            load_weights=self._choice.load(keeping.models),
            weights_source=self._choice.source,
            make_policy=policy_of,
            learning=learning_of(settings, self._choice, keeping.store, database.session.id),
            shadow=self._shadow,
            post=post_of(settings, database.round_trips, database.pending_alerts),
            log=log,
            journal=database.journal,
            trading=self._trading(database, log),
        )


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    """Let the stop itself not be stopped: a second Ctrl-C must not lose what is being written."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _tell_divergence(database: Database) -> None:
    """Say how live and paper came to differ, once every row is written."""
    try:
        found = database.divergence()
    except FuseboxError as error:
        logger.warning("the divergence of live and paper cannot be read now, `status` shows it: {}", error)
        return
    for line in () if found is None else lines(found):
        logger.info("divergence: {}", line)


def _stop_system(system: ThreadedRuntime) -> None:
    system.gate.observer = None
    system.gate.hold(None, "stopping", GateLevel.CLOSED)
    stuck = system.stop(STOP_WITHIN_S)
    if stuck:
        logger.warning("did not end in time: {}", ", ".join(stuck))
