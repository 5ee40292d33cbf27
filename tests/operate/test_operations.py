"""What commands do to a system of threads: real discovery and watchdog, stand-ins for the rest, a clock set by hand."""

import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest

from actors import addresses
from actors.addresses import paper_beside
from actors.discovery import DiscoveryActor
from actors.feed_watch import FeedLimits
from actors.market import MarketRules
from actors.portfolio import Sizing
from actors.portfolio_state import PortfolioState
from actors.watchdog import WatchdogActor, WatchdogLimits
from cli.operations import FLAT_FOR_MS, Operations
from cli.rollback import Rollback
from cli.status_outstanding import Outstanding
from cli.status_report import Process, Status, status_of
from cli.wiring import Beside, Rules, Services, Venues
from core.errors import RejectedError
from core.market.book import LocalBook
from core.market.market import Market
from core.market.window import Window
from core.messages import FeedPulse, Persist, Tick
from core.records import CheckpointRecord
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.cell import Spec
from core.runtime.clock import SystemClock
from core.runtime.context import Context
from core.runtime.stream import Stream
from core.runtime.threaded import ThreadedRuntime
from core.status import AssetStatus, HoldingStatus, PortfolioStatus
from core.trading.gate import GateLevel
from core.trading.limits import OpenLimits
from storage.checkpoints import generations
from storage.pool import Connection
from storage.queries import open_session
from storage.writer import write
from tests.trading.builders import NOW_MS, a_market, an_intent, an_order

ASSETS = ("BTC", "ETH")
KNOWN = ("BTC", "ETH", "SOL")
PROCESS = Process(1, "paper", "demo", 4711, NOW_MS, NOW_MS)
HELD = PortfolioState.new(10_000_000_000).with_order(an_order(), an_intent(), a_market())
FLAT = PortfolioState.new(10_000_000_000)


class HandClock(SystemClock):
    """Wall time is set by hand, so that a window ends when the test says so."""

    def __init__(self) -> None:
        self.wall_ms = NOW_MS

    def now_ms(self) -> int:
        return self.wall_ms

    def until_s(self, at_ms: int) -> float:
        return (at_ms - self.wall_ms) / 1000


class Quiet(Actor):
    """Saves what it is told to save."""

    def receive(self, message: object) -> None:
        if isinstance(message, bytes):
            self.context.save(message)


class NoCalendar:
    """Lists nothing, and notes which assets it was asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def market(self, window: Window) -> Market | None:
        self.asked.add(window.asset)
        return None

    def outcome(self, slug: str) -> object:
        raise AssertionError(slug)


def no_stream(_market: Market) -> Stream:
    raise AssertionError("nothing is listed")


def no_book(_market: Market, _epoch: int) -> LocalBook:
    raise AssertionError("nothing is listed")


def no_write(_rows: object) -> None:
    raise AssertionError("the stand-in for the database writer writes nothing")


RULES = Rules(
    assets=ASSETS,
    window_s=900,
    session_id=1,
    starting_cash_usd=10_000_000_000,
    sizing=Sizing(100_000_000, 2, "FAK", OpenLimits()),
    market=MarketRules(500, 2.0, 2.0, sample_actions=True),
    watchdog=WatchdogLimits(FeedLimits(2.0, 2.0)),
    paper_latency_ms=50,
    paper_book_age_ms=30_000,
)
CALENDAR = NoCalendar()
VENUES = Venues(no_stream, no_book, lambda _asset: (), None, CALENDAR, None)  # type: ignore[arg-type]  # asked for no outcome
SERVICES = Services(no_write, object, "test", lambda _weights: None, None, lambda _text: None)  # type: ignore[arg-type, return-value]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def system(clock: HandClock) -> Iterator[ThreadedRuntime]:
    system = ThreadedRuntime(clock, seed=1)
    for address in (addresses.DB_WRITER, addresses.NOTIFIER, addresses.PORTFOLIO, addresses.EXECUTOR):
        system.add(Spec(address, Quiet))
    system.add(Spec(addresses.WATCHDOG, lambda c: WatchdogActor(c, ASSETS, 1, RULES.watchdog, SERVICES.log)))
    system.add(Spec(addresses.LEARNER, Quiet))
    discovery = Spec(
        addresses.DISCOVERY, lambda c: DiscoveryActor(c, ASSETS, 900, VENUES.calendar, None, SERVICES.log)
    )  # fmt: skip
    system.add(discovery)
    for asset in ASSETS:
        for of in (addresses.book_feed, addresses.flow_feed, addresses.market):
            system.add(Spec(of(asset), Quiet, asset))
    for address in list(system.cells):
        system.start(address)
    yield system
    system.stop(5.0)


@pytest.fixture
def operations(system: ThreadedRuntime) -> Operations:
    return Operations(system, RULES, VENUES, SERVICES, KNOWN, PROCESS)


def soon(ready: Callable[[], object]) -> None:
    deadline_s, turn = time.monotonic() + 10, threading.Event()
    while not ready():
        assert time.monotonic() < deadline_s
        turn.wait(0.005)


def holds(system: ThreadedRuntime) -> set[tuple[str, str]]:
    return {(hold.scope, hold.reason) for hold in system.gate.state.holds}


def incarnations(system: ThreadedRuntime) -> set[int]:
    """Return those of the actors that serve every asset."""
    return {system.cells[address].incarnation for address in (addresses.WATCHDOG, addresses.DISCOVERY)}


def traded(operations: Operations) -> list[str]:
    return list(operations.assets)


def hold_a_position(system: ThreadedRuntime, state: PortfolioState, portfolio: Address = addresses.PORTFOLIO) -> None:
    system.tell(portfolio, msgspec.msgpack.encode(state))
    cell, wanted = system.cells[portfolio], msgspec.msgpack.encode(state)
    soon(lambda: cell.saved == wanted)


def test_an_asset_means_its_three_actors_and_any_address_means_itself(
    system: ThreadedRuntime, operations: Operations, connection: Connection
) -> None:
    for name, expected in (
        ("btc", ["feed.polymarket.BTC", "feed.binance.BTC", "market.BTC"]),
        ("executor", ["executor"]),
        ("feed.binance.ETH", ["feed.binance.ETH"]),
    ):
        restarted = operations.restart({"name": name}, connection)["restarted"]
        assert [each["address"] for each in restarted] == expected
        assert {each["incarnation"] for each in restarted} == {2}
    assert system.cells[addresses.market("ETH")].incarnation == 1
    assert {report.last_failure for report in system.reports()} == {None}


def test_an_actor_that_does_not_come_up_is_the_answer(
    system: ThreadedRuntime, operations: Operations, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(context: Context) -> Actor:
        if context.incarnation > 1:
            raise ValueError("the disk is gone")
        return Quiet(context)

    monkeypatch.setattr("cli.operations.RUNNING_WITHIN_S", 0.2)
    system.add(Spec(Address("market.SOL"), make, "SOL"))
    system.start(Address("market.SOL"))
    soon(lambda: system.cells[Address("market.SOL")].life == "running")

    with pytest.raises(Exception, match=r"market.SOL is \w+, last failure: ValueError: the disk is gone"):
        operations.restart({"name": "SOL"}, connection)


def test_a_retired_asset_that_is_restarted_trades_again(
    system: ThreadedRuntime, operations: Operations, connection: Connection
) -> None:
    operations.remove({"asset": "BTC"}, connection)
    operations._leaving.clear()
    operations.restart({"name": "BTC"}, connection)

    assert ("BTC", "retired") not in holds(system)
    assert ("BTC", "starting") in holds(system)
    assert incarnations(system) == {1}


def test_removing_shuts_the_assets_gate_first_and_ends_its_actors_only_when_it_is_flat(
    system: ThreadedRuntime, operations: Operations, connection: Connection, clock: HandClock
) -> None:
    hold_a_position(system, HELD)
    told = operations.remove({"asset": "BTC"}, connection)
    assert (told["held"], told["until_ms"]) == (True, (NOW_MS // 900_000 + 1) * 900_000)
    assert system.gate.level("BTC") is GateLevel.REDUCE_ONLY
    for wait_ms in (0, FLAT_FOR_MS, FLAT_FOR_MS):
        clock.wall_ms += wait_ms
        operations.tick()
    assert traded(operations) == [*ASSETS]

    hold_a_position(system, FLAT)
    operations.tick()
    assert traded(operations) == [*ASSETS]  # an order under way may still fill
    clock.wall_ms += FLAT_FOR_MS
    operations.tick()
    assert traded(operations) == ["ETH"]
    assert addresses.market("BTC") not in system.cells
    assert {reason for scope, reason in holds(system) if scope == "BTC"} == {"retired"}


def test_what_paper_beside_live_holds_keeps_an_asset_from_being_dropped(
    system: ThreadedRuntime, operations: Operations, connection: Connection
) -> None:
    system.add(Spec(addresses.PAPER_PORTFOLIO, Quiet))
    system.start(addresses.PAPER_PORTFOLIO)
    hold_a_position(system, FLAT)
    hold_a_position(system, HELD, addresses.PAPER_PORTFOLIO)
    assert operations.remove({"asset": "BTC"}, connection)["held"]


def test_what_the_actors_of_every_asset_are_made_of_anew_still_knows_the_paper_account(
    system: ThreadedRuntime, connection: Connection
) -> None:
    system.add(Spec(addresses.PAPER_PORTFOLIO, Quiet))
    system.start(addresses.PAPER_PORTFOLIO)
    rules = msgspec.structs.replace(RULES, beside=Beside(paper_beside(2), RULES.starting_cash_usd))
    operations = Operations(system, rules, VENUES, SERVICES, KNOWN, PROCESS)
    operations.remove({"asset": "BTC"}, connection)
    operations.add({"asset": "BTC"}, connection)  # it keeps the asset and hands out the list
    before = system.cells[addresses.PAPER_PORTFOLIO].receipts
    operations.restart({"name": "watchdog"}, connection)
    soon(lambda: system.cells[addresses.PAPER_PORTFOLIO].receipts > before)  # it is asked what it holds


def test_removing_ends_with_the_window_whatever_is_held_then(
    system: ThreadedRuntime, operations: Operations, connection: Connection, clock: HandClock
) -> None:
    hold_a_position(system, HELD)
    clock.wall_ms = operations.remove({"asset": "BTC"}, connection)["until_ms"] - 1
    operations.tick()
    assert traded(operations) == [*ASSETS]
    clock.wall_ms += 1
    operations.tick()

    assert traded(operations) == ["ETH"]


def test_what_only_resume_lifts_stays_on_a_removed_asset(
    system: ThreadedRuntime, operations: Operations, connection: Connection, clock: HandClock
) -> None:
    system.gate.hold("BTC", "flatten", GateLevel.REDUCE_ONLY)
    operations.remove({"asset": "BTC"}, connection)
    for wait_ms in (0, FLAT_FOR_MS):
        clock.wall_ms += wait_ms
        operations.tick()

    assert traded(operations) == ["ETH"]
    assert {reason for scope, reason in holds(system) if scope == "BTC"} == {"retired", "flatten"}


def test_an_asset_that_is_being_removed_stays_when_it_is_added_again(
    system: ThreadedRuntime, operations: Operations, connection: Connection, clock: HandClock
) -> None:
    operations.remove({"asset": "BTC"}, connection)
    with pytest.raises(RejectedError, match="is being removed: `add BTC` keeps it"):
        operations.restart({"name": "BTC"}, connection)
    with pytest.raises(RejectedError, match="ETH is the last asset"):
        operations.remove({"asset": "ETH"}, connection)
    operations.add({"asset": "btc"}, connection)
    clock.wall_ms += 900_000
    operations.tick()

    assert traded(operations) == [*ASSETS]
    assert ("BTC", "retired") not in holds(system)


def test_an_added_asset_gets_its_actors_and_opens_nothing_before_its_data_is_fresh(
    system: ThreadedRuntime, operations: Operations, connection: Connection
) -> None:
    said = operations.add({"asset": "SOL"}, connection)

    assert said == {"asset": "SOL", "assets": ["BTC", "ETH", "SOL"]}
    assert {system.cells[of("SOL")].life for of in (addresses.market, addresses.book_feed, addresses.flow_feed)} == {
        "running"
    }
    assert ("SOL", "starting") in holds(system)
    assert incarnations(system) == {1}
    for name, why in (("SOL", "traded already"), ("DOGE", "choose from BTC, ETH, SOL")):
        with pytest.raises(RejectedError, match=why):
            operations.add({"asset": name}, connection)


def pulse_and_judge(system: ThreadedRuntime, asset: str) -> object:
    """Let an asset's book feed say that it is fresh, and return what the watchdog makes of it."""
    feed = addresses.book_feed(asset).name
    pulse = FeedPulse(
        feed, asset, connected=True, has_data=True, age_s=0.0, frames=1, bad_frames=0, reconnects=0, detail=""
    )
    system.ask(addresses.WATCHDOG, pulse, 5.0)
    system.ask(addresses.WATCHDOG, Tick("check"), 5.0)
    return system.board.read(f"feed {feed}")


def test_discovery_and_watchdog_take_up_an_added_asset_and_their_later_incarnations_know_it(
    system: ThreadedRuntime, operations: Operations, connection: Connection
) -> None:
    CALENDAR.asked.clear()
    assert pulse_and_judge(system, "SOL") is None
    operations.add({"asset": "SOL"}, connection)
    soon(lambda: "SOL" in CALENDAR.asked)
    assert pulse_and_judge(system, "SOL") is not None
    assert incarnations(system) == {1}

    CALENDAR.asked.clear()
    for address in (addresses.WATCHDOG, addresses.DISCOVERY):
        system.restart(address)
    soon(lambda: incarnations(system) == {2} and "SOL" in CALENDAR.asked)
    assert pulse_and_judge(system, "SOL") is not None


def test_discovery_and_watchdog_forget_a_removed_asset_and_stay_who_they_are(
    system: ThreadedRuntime, operations: Operations, connection: Connection, clock: HandClock
) -> None:
    assert pulse_and_judge(system, "BTC") is not None
    clock.wall_ms = operations.remove({"asset": "BTC"}, connection)["until_ms"]
    operations.tick()
    assert traded(operations) == ["ETH"]
    CALENDAR.asked.clear()
    system.ask(addresses.DISCOVERY, Tick("plan"), 5.0)
    soon(lambda: "ETH" in CALENDAR.asked)

    assert pulse_and_judge(system, "BTC") is None
    assert "BTC" not in CALENDAR.asked
    assert incarnations(system) == {1}


def test_status_survives_the_way_through_the_database(system: ThreadedRuntime, operations: Operations) -> None:
    now_ms = system.clock.monotonic_ms()
    system.board.publish(
        "asset BTC",
        AssetStatus("BTC", "btc-w", 10, 510_000, 20_000, 1.5, None, 0.25, (0.1, 0.7, 0.2), 1, 7, -5, None,
                    NOW_MS - 400),
        now_ms,
    )  # fmt: skip
    holding = HoldingStatus("UP", 2_000_000, 1_030_000, 500_000, 250_000, 30_000, 3, 1)
    account = PortfolioStatus(1, 9_000_000, 0, 1_030_000, 250_000, 30_000, 3, 2, {"BTC": holding}, "the gate is shut")
    system.board.publish("portfolio", account, now_ms)
    system.gate.hold("ETH", "feed.binance.ETH stale", GateLevel.REDUCE_ONLY)
    status = status_of(system, PROCESS, ("ETH",))

    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(status))), type=Status) == status
    btc, eth = status.assets
    assert btc.position is not None
    assert (btc.position.shares, btc.position.open_pnl_usd, btc.pnl_net_usd) == ("2.000000", "-0.000005", "0.250000")
    assert (btc.decisions, btc.closes_at_ms, btc.last_state_age_s, btc.unsettled) == (7, 10_000, 0.4, 1)
    assert (eth.leaving, eth.gate, eth.waiting_for, eth.position) == (True, "reduce-only", "no state yet", None)
    assert status.portfolio is not None
    assert (status.portfolio.cash_usd, status.portfolio.open_pnl_usd) == ("9.000000", "-0.000005")
    assert (status.portfolio.outstanding, status.venue) == (Outstanding(), None)
    assert ("ETH", "feed.binance.ETH stale", "reduce-only") in {
        (hold.scope, hold.reason, hold.level) for hold in status.gate.holds
    }


class Counter(Actor):
    """Counts from its checkpoint, and cannot read `bad`; it saves at every message."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        if context.saved == b"bad":
            raise ValueError("cannot be read")
        self.count = int(context.saved or b"0")

    def receive(self, message: object) -> int:
        self.count += 1
        self.context.save(str(self.count).encode())
        return self.count


class Writer(Actor):
    """Writes checkpoints to the real table."""

    def __init__(self, context: Context, connection: Connection) -> None:
        super().__init__(context)
        self._connection = connection

    def receive(self, message: object) -> None:
        if isinstance(message, Persist):
            write(self._connection, message.rows)


@pytest.fixture
def counting(system: ThreadedRuntime, operations: Operations, connection: Connection) -> Rollback:
    """Return the command, for an actor that counted to 5; stored are generations 3 (at 30), 4 (unreadable) and 5."""
    open_session(connection, "paper", {}, venue="paper", new=False, now_ms=NOW_MS)
    operations.remake(addresses.DB_WRITER, lambda context: Writer(context, connection))
    system.add(Spec(Address("counter"), Counter))
    system.start(Address("counter"))
    for _ in range(5):
        system.ask(Address("counter"), "count", 5.0)
    for number, payload in ((3, b"30"), (4, b"bad"), (5, b"5")):
        write(connection, (CheckpointRecord("actor", "1/counter", number, 1, payload, NOW_MS),))
    return Rollback(system, operations.restart, session_id=1)


def test_a_rollback_restarts_the_actor_from_the_older_generation_which_becomes_the_newest(
    system: ThreadedRuntime, counting: Rollback, database: str, connection: Connection
) -> None:
    said = counting({"name": "1/counter", "generation": 3}, connection)

    assert said == {"name": "1/counter", "from": 3, "before": 5, "generation": 6, "actor": "counter"}
    assert system.ask(Address("counter"), "count", 5.0) == 31
    assert [each.generation for each in generations(connection, "1/counter")] == [6, 5, 4]
    system.restart(Address("counter"))
    assert system.ask(Address("counter"), "count", 5.0) == 32  # and never again from the one rolled back to


def test_an_actor_that_cannot_start_from_the_older_generation_goes_on_as_it_was(
    system: ThreadedRuntime, counting: Rollback, connection: Connection
) -> None:
    with pytest.raises(RejectedError, match=r"does not start from generation 4 .* ValueError: cannot be read"):
        counting({"name": "1/counter", "generation": 4}, connection)

    assert system.ask(Address("counter"), "count", 5.0) == 6
    assert [each.generation for each in generations(connection, "1/counter")] == [5, 4, 3]


def test_a_rollback_of_another_session_or_of_nobody_is_refused(counting: Rollback, connection: Connection) -> None:
    for name in ("2/counter", "1/nobody"):
        for number in (1, 2):
            write(connection, (CheckpointRecord("actor", name, number, 1, b"1", NOW_MS),))
        with pytest.raises(RejectedError, match=f"{name} is no actor of the running session 1"):
            counting({"name": name}, connection)
