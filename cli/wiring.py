"""Which actors there are, what each is handed, and in which order they start: the same for a live run and a replay."""

from collections.abc import Callable, Sequence

import msgspec

from actors import addresses
from actors.addresses import Account
from actors.book_check import FetchBook
from actors.book_feed import BookFeedActor
from actors.calendar import Calendar
from actors.db_writer import DbWriterActor
from actors.discovery import DiscoveryActor
from actors.execution import ExecutionClient
from actors.execution_paper import PaperExecutionClient
from actors.executor import ExecutorActor
from actors.flow_feed import FlowFeedActor
from actors.kill_switch import Trips
from actors.learner import LearnerActor, Learning
from actors.market import MarketActor, MarketRules, Policy
from actors.notifier import NotifierActor, Post
from actors.portfolio import PortfolioActor, Sizing
from actors.send_limits import SendLimits
from actors.states import state_of
from actors.watchdog import WatchdogActor, WatchdogLimits
from actors.write_jobs import Journal, Write
from core.market.book import LocalBook
from core.market.events import Kline
from core.market.market import Market
from core.messages import AssetRetiring
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.cell import Spec
from core.runtime.context import Context
from core.runtime.stream import Stream
from core.runtime.system import ActorSystem
from core.trading.gate import GateLevel
from models.policy import Policy as ModelPolicy
from models.weights import Weights
from venues.paper.broker import VENUE


class Venues(msgspec.Struct, frozen=True):
    """How the actors reach the outside world; a recording stands in for it in a replay."""

    book_stream: Callable[[Market], Stream]
    make_book: Callable[[Market, int], LocalBook]
    flow_streams: Callable[[str], Sequence[Stream]]
    candles: Callable[[str], tuple[Kline, ...]] | None
    calendar: Calendar
    prices: Callable[[], Stream] | None
    book: FetchBook | None = None
    """Asks the venue for a book that has been quiet for too long; None: it is stale then."""
    close: Callable[[], None] = lambda: None
    """Lets go of pooled connections, once no worker uses them any more."""


class Trading(msgspec.Struct, frozen=True):
    """Who executes orders: the venue's name in the rows, what makes the client, whether its ledger is not our own."""

    venue: str
    make_client: Callable[[bytes, bool], ExecutionClient]
    live: bool = False


class Beside(msgspec.Struct, frozen=True):
    """The paper session that goes along with a live one: its account, and what that began with (1e-6 dollars)."""

    account: Account
    starting_cash_usd: int


class Rules(msgspec.Struct, frozen=True):
    """Everything that was decided by settings; ages in real seconds, money in 1e-6."""

    assets: tuple[str, ...]
    window_s: int
    session_id: int
    starting_cash_usd: int
    """Of an account without a checkpoint."""
    sizing: Sizing
    market: MarketRules
    watchdog: WatchdogLimits
    paper_latency_ms: int
    paper_book_age_ms: int
    beside: Beside | None = None
    trips: Trips = Trips()

    @property
    def account_beside(self) -> Account | None:
        """The paper account beside the live one, None when there is none."""
        return None if self.beside is None else self.beside.account


class Services(msgspec.Struct, frozen=True):
    """What is not a venue: the database, the weights, the channel to a person, the log."""

    write: Write
    load_weights: Callable[[], object]
    weights_source: str
    make_policy: Callable[[object], Policy]
    post: Post | None
    """None: alerts are recorded and not sent."""
    log: Callable[[str], None]
    journal: Journal | None = None
    trading: Trading | None = None
    """None: on paper."""
    learner: Callable[[Context], Actor] | None = None
    """What stands at the learner's address; None: the learner."""
    learning: Learning | None = None
    """How the learner learns; None: the weights stay as they are."""
    shadow: Callable[[], Policy] | None = None
    """Makes a policy that is asked beside the one that decides, and not followed."""


def assemble(system: ActorSystem, rules: Rules, venues: Venues, services: Services) -> None:
    """Add every actor in start order: what must last first, what decides last. Nothing is started."""
    log = services.log

    trading = services.trading or paper_trading(rules)
    markets = tuple(addresses.market(asset) for asset in rules.assets)

    def add(address: Address, make: Callable[[Context], Actor]) -> None:
        system.add(Spec(address, make, state=state_of(address)))

    add(addresses.DB_WRITER, lambda context: DbWriterActor(context, services.write, log, services.journal))
    add(addresses.NOTIFIER, lambda context: NotifierActor(context, rules.session_id, services.post))
    add(
        addresses.PORTFOLIO,
        lambda context: PortfolioActor(
            context,
            rules.session_id,
            rules.starting_cash_usd,
            rules.sizing,
            trading.venue,
            log,
            live=trading.live,
            trips=rules.trips,
        ),
    )
    add(
        addresses.EXECUTOR,
        lambda context: ExecutorActor(context, trading.make_client, log, limits=send_limits(rules)),
    )
    if rules.beside is not None:
        for spec in paper_specs(rules.beside, rules, log):
            system.add(spec)
    add(addresses.WATCHDOG, watchdog_of(rules.assets, rules, log))
    add(
        addresses.LEARNER,
        services.learner
        or (
            lambda context: LearnerActor(
                context, services.load_weights, services.weights_source, markets, services.learning, log
            )
        ),
    )
    add(addresses.DISCOVERY, discovery_of(rules.assets, rules, venues, log))
    for asset in rules.assets:
        for spec in asset_specs(asset, rules, venues, services):
            system.add(spec)
    system.on_retire = lambda asset, reason: _retire(system, asset, reason)


def paper_trading(rules: Rules) -> Trading:
    """Return execution against the books that are heard, with nobody else's ledger to agree with."""

    def client(saved: bytes, of_this_process: bool) -> ExecutionClient:  # noqa: FBT001 -- the executor's hook
        return PaperExecutionClient(
            rules.paper_latency_ms, rules.paper_book_age_ms, saved, of_this_process=of_this_process
        )

    return Trading(VENUE, client)


def send_limits(rules: Rules) -> SendLimits:
    """Return what the executor judges by: the very limits that orders are sized by."""
    return SendLimits(rules.sizing.limits, rules.sizing.order_limits)


def paper_specs(beside: Beside, rules: Rules, log: Callable[[str], None]) -> list[Spec]:
    """Return the actors of the paper account beside the live one; the live one goes on without them if it must."""
    account, paper = beside.account, paper_trading(rules)

    def say(text: str) -> None:
        log(f"paper beside: {text}")

    def portfolio(context: Context) -> PortfolioActor:
        return PortfolioActor(
            context,
            account.session_id,
            beside.starting_cash_usd,
            rules.sizing,
            paper.venue,
            say,
            executor=account.executor,
            alerts=False,
            learns=False,
        )

    def executor(context: Context) -> ExecutorActor:
        return ExecutorActor(context, paper.make_client, say, account.portfolio, send_limits(rules))

    return [
        Spec(account.portfolio, portfolio, state=state_of(account.portfolio), expendable=True),
        Spec(account.executor, executor, state=state_of(account.executor), expendable=True),
    ]


def watchdog_of(
    assets: tuple[str, ...], rules: Rules, log: Callable[[str], None]
) -> Callable[[Context], WatchdogActor]:
    """Return what makes the watchdog over `assets` and every account."""
    beside = rules.account_beside
    return lambda context: WatchdogActor(context, assets, rules.session_id, rules.watchdog, log, beside)


def discovery_of(
    assets: tuple[str, ...], rules: Rules, venues: Venues, log: Callable[[str], None]
) -> Callable[[Context], DiscoveryActor]:
    """Return what makes the discovery of `assets`, which tells every account."""
    beside = rules.account_beside
    return lambda context: DiscoveryActor(
        context, assets, rules.window_s, venues.calendar, venues.prices, log, beside
    )  # fmt: skip


def asset_specs(asset: str, rules: Rules, venues: Venues, services: Services) -> list[Spec]:
    """Return the actors of one asset in start order: both feeds, then the one that decides."""
    candles, beside = venues.candles, rules.account_beside
    check = None if venues.book is None else (venues.book, rules.watchdog.feeds.book_stale_s)
    return [
        Spec(
            addresses.book_feed(asset),
            lambda context: BookFeedActor(
                context, asset, venues.book_stream, venues.make_book, services.log, beside, check
            ),
            asset,
        ),
        Spec(
            addresses.flow_feed(asset),
            lambda context: FlowFeedActor(
                context,
                asset,
                lambda: venues.flow_streams(asset),
                None if candles is None else lambda: candles(asset),
                window_scale=rules.window_s / 900,
                log=services.log,
            ),
            asset,
        ),
        Spec(
            addresses.market(asset),
            lambda context: MarketActor(
                context,
                asset,
                rules.session_id,
                rules.market,
                services.make_policy,
                services.log,
                beside,
                shadow=services.shadow,
            ),
            asset,
            state=state_of(addresses.market(asset)),
        ),
    ]


def warm_policy(weights: object) -> Policy:
    """Return a policy on these weights, compiled and warm; takes seconds on a new host, so run it in a worker."""
    if not isinstance(weights, Weights):
        raise TypeError(f"expected Weights, was {type(weights).__name__}")
    policy = ModelPolicy(weights)
    policy.warm_up()
    return policy


def start_all(system: ActorSystem) -> None:
    """Start every assembled actor in order."""
    for address in list(system.cells):
        system.start(address)


def _retire(system: ActorSystem, asset: str, reason: str) -> None:
    """Take an asset out of trading: reduce-only at once, and the watchdog asks for the exit of what is held."""
    system.gate.hold(asset, "retired", GateLevel.REDUCE_ONLY)
    system.tell(addresses.WATCHDOG, AssetRetiring(asset, reason))
