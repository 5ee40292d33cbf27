"""Who tells what: each alert comes from where it happens, once, and with nothing secret in what is stored beside it."""

from collections.abc import Callable

import pytest

from actors import addresses
from actors.exits import HELD as HELD_ROW
from actors.feed_watch import FeedLimits
from actors.watchdog import WatchdogLimits
from cli.observing import Observer
from core.alerts.kinds import HELD, KILL_SWITCH
from core.alerts.milestones import Standing
from core.messages import Alert, Persist, RecorderPulse
from core.records import HealthEventRecord
from core.runtime.actor import Actor
from core.runtime.cell import Spec
from core.runtime.clock import SystemClock
from core.runtime.threaded import ThreadedRuntime
from core.trading.gate import GateLevel, with_hold
from tests.actors.builders import BIDS, START_USD, World, a_market
from tests.actors.neighbours import Recording
from tests.actors.test_exits import PHANTOM, ask
from tests.actors.test_watchdog import run_fresh

MARKET = a_market()


def alerts(world: World) -> list[Alert]:
    return [said for said in world.heard["notifier"] if isinstance(said, Alert)]


def test_a_trade_is_told_when_it_opens_and_when_it_closes_with_where_the_account_stands() -> None:
    world = World()
    world.opened(MARKET)
    world.run_s(2)
    (opened,) = alerts(world)
    assert (opened.kind, opened.standing) == ("trade opened", None)
    assert opened.text.startswith("BTC UP opened: ")
    world.propose(MARKET, "UP", "CLOSE")
    world.run_s(1)

    closed = alerts(world)[1:]
    assert [alert.kind for alert in closed] == ["trade closed"]
    assert closed[0].text.startswith("BTC UP closed by ")
    (trade,) = world.tables.trades.values()
    assert closed[0].standing == Standing(1, START_USD, START_USD + trade.pnl_net_usd)


def test_a_forced_exit_is_told_as_one() -> None:
    world = World()
    world.opened(MARKET)
    ask(world)

    assert [alert.kind for alert in alerts(world)] == ["trade opened", "forced exit"]
    assert "closed by T-2" in alerts(world)[1].text


def test_what_could_not_be_sold_is_told_once() -> None:
    market = a_market(length_s=60)
    world = World(start_ms=market.window.opens_at_s * 1000 + 1_000)
    world.opened(market)
    world.quote(market, bids=PHANTOM)
    while world.now_ms < market.window.closes_at_s * 1000 - 2_000:
        world.force(market)
        world.run_s(2)
    world.run_s(3)

    (event,) = [row for row in world.events() if row.status == HELD_ROW]
    assert [alert.text for alert in alerts(world) if alert.kind == HELD] == [event.detail]
    assert HELD == HELD_ROW


def test_a_crash_of_the_portfolio_tells_no_trade_again() -> None:
    world = World()
    world.opened(MARKET)
    world.crash(addresses.PORTFOLIO)
    world.run_s(1)
    world.quote(MARKET, bids=BIDS)
    world.run_s(1)

    assert [alert.kind for alert in alerts(world)] == ["trade opened"]


def test_an_outage_of_a_feed_is_told_once_and_so_is_its_end() -> None:
    world = World(limits=WatchdogLimits(FeedLimits(book_stale_s=2.0, flow_stale_s=1.5)))
    run_fresh(world, 1)
    assert alerts(world) == []
    for _ in range(6):
        world.pulse(addresses.book_feed("BTC"), "BTC")
        world.pulse(addresses.flow_feed("BTC"), "BTC", connected=False)
        world.runtime.tell(addresses.WATCHDOG, RecorderPulse(0.0, 0, None))
        world.run_s(0.5)
    told = [(alert.kind, alert.text) for alert in alerts(world)]
    assert told == [("feed outage", "feed.binance BTC critical: refused")]
    run_fresh(world, 1)

    assert [alert.kind for alert in alerts(world)] == ["feed outage", "feed recovered"]


@pytest.mark.parametrize("pulse", [RecorderPulse(1.2, 0, None), RecorderPulse(0.0, 0, None, "no space left")])
def test_a_recorder_that_does_not_record_is_told_once_and_so_is_its_end(pulse: RecorderPulse) -> None:
    world = World(limits=WatchdogLimits(FeedLimits(book_stale_s=2.0, flow_stale_s=1.5)))
    run_fresh(world, 1)
    for _ in range(3):
        world.runtime.tell(addresses.WATCHDOG, pulse)
        world.run_ms(100)
    run_fresh(world, 1)

    assert [alert.kind for alert in alerts(world)] == ["recorder outage", "recorder recovered"]


class Fragile(Actor):
    """Does not bear a text, and says it in its last words."""

    def receive(self, message: object) -> None:
        raise OSError(f"cannot bear {message}")


@pytest.fixture
def observed() -> tuple[ThreadedRuntime, list[object]]:
    """A runtime whose notifier and recorder keep what they hear, stopped when it is read."""
    heard: list[object] = []
    runtime = ThreadedRuntime(SystemClock())
    for address in (addresses.DB_WRITER, addresses.NOTIFIER):
        runtime.add(Spec(address, lambda context: Recording(context, heard)))
        runtime.start(address)
    return runtime, heard


def kinds(heard: list[object]) -> list[str]:
    return [said.kind for said in heard if isinstance(said, Alert)]


def test_the_kill_switch_is_told_when_the_program_pulls_it_and_not_when_a_person_does(
    observed: tuple[ThreadedRuntime, list[object]],
) -> None:
    runtime, heard = observed
    Observer(runtime, 7)
    runtime.gate.hold(None, "feed.binance.BTC stale", GateLevel.REDUCE_ONLY)
    runtime.gate.change(lambda state: with_hold(state, None, "halt", GateLevel.CLOSED, set_by="me"))
    runtime.gate.change(
        lambda state: with_hold(state, None, "daily loss", GateLevel.REDUCE_ONLY, detail="-120.00 of 100.00 USD")
    )
    assert runtime.stop(5.0) == []

    assert [said for said in heard if isinstance(said, Alert)] == [
        Alert(KILL_SWITCH, "all reduce-only: daily loss (-120.00 of 100.00 USD)")
    ]


def test_a_crash_is_told_with_the_restart_that_follows_and_rows_hold_no_secret(
    observed: tuple[ThreadedRuntime, list[object]], until: Callable[[Callable[[], bool]], None]
) -> None:
    runtime, heard = observed
    Observer(runtime, 7, lambda text: text.replace("hunter2", "***"))
    address = addresses.market("BTC")
    runtime.add(Spec(address, Fragile, "BTC"))
    runtime.start(address)
    runtime.tell(address, "hunter2")
    until(lambda: "actor restarted" in kinds(heard))
    runtime.restart(address)
    until(lambda: kinds(heard).count("actor restarted") == 2)
    assert runtime.stop(5.0) == []

    assert kinds(heard) == ["actor crashed", "actor restarted", "actor replaced", "actor restarted"]
    rows = [row for said in heard if isinstance(said, Persist) for row in said.rows]
    assert "OSError: cannot bear ***" in f"{[row for row in rows if isinstance(row, HealthEventRecord)]}"
    assert "hunter2" not in f"{rows}"
    health = [row.status for row in rows if isinstance(row, HealthEventRecord) and row.subject == "market.BTC"]
    assert health == ["degraded", "recovered", "degraded", "recovered"]


def test_a_retired_actor_is_told(
    observed: tuple[ThreadedRuntime, list[object]], until: Callable[[Callable[[], bool]], None]
) -> None:
    runtime, heard = observed
    Observer(runtime, 7)
    address = addresses.market("BTC")
    runtime.add(Spec(address, Fragile, "BTC"))
    runtime.start(address)
    for _ in range(6):
        runtime.tell(address, "x")
    until(lambda: "actor retired" in kinds(heard))
    assert runtime.stop(5.0) == []

    assert kinds(heard).count("actor crashed") == 6
    rows = [row for said in heard if isinstance(said, Persist) for row in said.rows]
    health = [row.status for row in rows if isinstance(row, HealthEventRecord) and row.subject == "market.BTC"]
    assert health[-1] == "critical"
