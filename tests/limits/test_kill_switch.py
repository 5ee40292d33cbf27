"""The kill switch: losses shut the gate before the next order leaves, and only a person opens it again."""

import pytest
from msgspec.structs import replace

from actors import addresses
from actors.kill_switch import STORED_AFTER_S, Trips, open_loss_usd, result_usd
from actors.portfolio_state import PortfolioState
from core.market.market import Market, Side
from core.runtime.gate import GateCell
from core.trading.gate import GateLevel
from core.trading.lasting_holds import lasting, resumed
from core.trading.ledger import new_ledger
from core.trading.losses import DAILY, DAY_MS, DRAWDOWN, REASONS, STREAK, LossLimits
from core.trading.money import MICRO
from core.trading.positions import Position
from tests.actors.builders import ASKS, BIDS, SESSION, START_MS, World, a_book, a_market
from tests.trading.builders import OPENS_S, levels

MARKET, ETH = a_market(), a_market("ETH")
ALL = Trips(LossLimits(10 * MICRO, 10 * MICRO, 2))
LOW = levels(("0.40", 500)), levels(("0.42", 500))
"""The book after a fall: what was bought at 0.51 is bid for at 0.40."""


def a_world(trips: Trips = ALL, **rest: object) -> World:
    return World(assets=("BTC", "ETH"), trips=trips, **rest)  # type: ignore[arg-type]


def only(reason: str) -> Trips:
    """Return a limit that the round trip of `lose` exceeds."""
    return Trips(
        LossLimits(
            10 * MICRO if reason == DAILY else None,
            10 * MICRO if reason == DRAWDOWN else None,
            1 if reason == STREAK else None,
        )
    )


def lose(world: World) -> None:
    """Buy at 0.51 and sell at 0.40: about fourteen dollars."""
    world.quote(MARKET)
    world.propose(MARKET)
    world.run_s(1)
    world.quote(MARKET, bids=LOW[0], asks=LOW[1])
    world.propose(MARKET, "UP", "CLOSE")
    world.run_s(1)


def buys(world: World) -> bool:
    """Quote a calm book, propose to buy, and return whether an order left."""
    world.quote(MARKET)
    before = len(world.orders("BUY"))
    world.propose(MARKET)
    world.run_s(0.1)
    return len(world.orders("BUY")) > before


def tripped(world: World) -> set[str]:
    return {hold.reason for hold in world.runtime.gate.state.holds}


def resume(world: World) -> None:
    """Let a person lift what only a person lifts."""
    world.runtime.gate.change(resumed)


# -- what trips it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "detail"),
    [
        (DAILY, "USD lost since midnight UTC, limit 10.00"),
        (DRAWDOWN, "USD below the session's best, limit 10.00"),
        (STREAK, "1 losing trades in a row, limit 1"),
    ],
)
def test_a_loss_beyond_a_limit_shuts_the_gate_with_the_trade_that_made_it(reason: str, detail: str) -> None:
    world = a_world(only(reason))
    lose(world)
    (hold,) = world.runtime.gate.state.holds
    assert (hold.scope, hold.reason, hold.level) == ("", reason, GateLevel.REDUCE_ONLY)
    assert detail in hold.detail
    assert lasting(world.runtime.gate.state) == (hold,)
    assert not buys(world)


def test_without_limits_nothing_trips() -> None:
    world = a_world(Trips())
    lose(world)
    assert tripped(world) == set()
    assert buys(world)


@pytest.mark.parametrize("reason", [DAILY, DRAWDOWN])
def test_an_open_loss_at_the_bid_trips_before_the_order_that_was_just_wished_for(reason: str) -> None:
    world = a_world(only(reason))
    world.opened(MARKET)
    world.quote(MARKET, bids=LOW[0], asks=LOW[1])
    world.quote(ETH)
    world.propose(ETH)
    world.run_ms(1)
    assert tripped(world) == {reason}
    assert [order.asset for order in world.state.orders.values()] == []
    assert [asked.market.asset for asked in world.told_of_orders()] == ["BTC"]


def test_an_open_gain_neither_hides_a_loss_nor_becomes_a_best_to_fall_from() -> None:
    world = a_world(Trips(LossLimits(daily_usd=13 * MICRO, drawdown_usd=20 * MICRO)))
    world.quote(ETH)
    world.propose(ETH)
    world.run_s(0.5)
    world.quote(ETH, bids=levels(("0.90", 500)), asks=levels(("0.92", 500)))
    world.propose(ETH)
    world.run_s(0.5)
    assert world.state.losses.peak_usd == 0
    lose(world)
    assert tripped(world) == {DAILY}


def test_what_has_no_bid_counts_as_worth_its_cost() -> None:
    world = a_world()
    world.opened(MARKET)
    world.quote(MARKET, bids=())
    world.quote(ETH)
    world.propose(ETH)
    world.run_s(0.5)
    assert tripped(world) == set()
    assert len(world.orders("BUY")) == 2


def test_the_down_token_is_marked_at_its_own_bid() -> None:
    world = a_world(only(DAILY))
    world.opened(MARKET, "DOWN")
    world.quote(MARKET, bids=levels(("0.60", 500)), asks=levels(("0.62", 500)))  # DOWN is bid for at 0.38
    world.quote(ETH)
    world.propose(ETH)
    world.run_s(0.5)
    assert tripped(world) == {DAILY}


def test_an_exit_is_sent_behind_it_and_the_trade_it_ends_counts() -> None:
    world = a_world()
    world.opened(MARKET)
    world.quote(MARKET, bids=LOW[0], asks=LOW[1])
    world.force(MARKET)
    world.run_s(1)
    assert world.shares(MARKET) == 0
    assert tripped(world) == {DAILY, DRAWDOWN}
    assert world.state.losses.streak == 1


def test_losing_trades_in_a_row_trip_it_and_a_gain_between_them_does_not() -> None:
    world = a_world(Trips(LossLimits(streak=2)))
    lose(world)
    win(world)
    lose(world)
    assert tripped(world) == set()
    lose(world)
    assert tripped(world) == {STREAK}


def win(world: World) -> None:
    """Buy at 0.51 and sell at 0.60."""
    world.quote(MARKET)
    world.propose(MARKET)
    world.run_s(1)
    world.quote(MARKET, bids=levels(("0.60", 500)), asks=levels(("0.62", 500)))
    world.propose(MARKET, "UP", "CLOSE")
    world.run_s(1)


def test_a_settlement_that_loses_counts_as_well() -> None:
    world = a_world(only(STREAK))
    world.opened(MARKET)
    world.run_to(MARKET.window.closes_at_s + 1)
    world.win(MARKET, "DOWN")
    world.run_ms(100)
    assert tripped(world) == {STREAK}


def test_a_days_loss_is_forgotten_at_midnight_utc_and_the_fall_from_the_best_is_not() -> None:
    midnight_s = (OPENS_S * 1000 // DAY_MS + 1) * DAY_MS // 1000
    market = a_market(opens_s=midnight_s - 450)
    world = World(
        trips=Trips(LossLimits(daily_usd=25 * MICRO, drawdown_usd=40 * MICRO)), start_ms=(midnight_s - 400) * 1000
    )

    def lose_again() -> None:
        world.quote(market, bids=BIDS, asks=ASKS)
        world.propose(market)
        world.run_s(1)
        world.quote(market, bids=LOW[0], asks=LOW[1])
        world.propose(market, "UP", "CLOSE")
        world.run_s(1)

    lose_again()
    assert world.state.losses.day == midnight_s * 1000 // DAY_MS - 1
    world.run_to(midnight_s + 1)
    lose_again()
    assert tripped(world) == set()
    assert world.state.losses.day == midnight_s * 1000 // DAY_MS
    lose_again()
    assert tripped(world) == {DAILY, DRAWDOWN}


def test_open_losses_add_up_to_the_micro_dollar_and_open_gains_count_for_nothing() -> None:
    def held(market: Market, side: Side, cost_usd: int) -> Position:
        return Position(SESSION, market.asset, market.condition_id, side, "i", 0, 0, 3_000_001, cost_usd)

    sol = a_market("SOL")
    positions = (held(MARKET, "UP", 1_500_000), held(ETH, "DOWN", 2_000_000), held(sol, "UP", 7))
    ledger = replace(new_ledger(0), realised_usd=-11, positions={each.condition_id: each for each in positions})
    views = {market.condition_id: a_book(market, START_MS) for market in (MARKET, ETH, sol)}  # both bid for at 0.49
    state = PortfolioState(ledger)
    assert open_loss_usd(state, views) == (1_500_000 - 1_470_000) + (2_000_000 - 1_470_000)
    assert isinstance(open_loss_usd(state, views), int)
    assert result_usd(state, views) == -11 - 560_000
    assert open_loss_usd(state, {sol.condition_id: views[sol.condition_id]}) == 0


# -- what outlasts what -----------------------------------------------------------------------------------------------


def test_what_was_lost_outlasts_a_crash_and_a_new_process() -> None:
    world = a_world(Trips(LossLimits(daily_usd=25 * MICRO, streak=2)))
    lose(world)
    assert tripped(world) == set()
    world.crash(addresses.PORTFOLIO)
    world.run_s(0.5)
    later = a_world(
        Trips(LossLimits(daily_usd=25 * MICRO, streak=2)),
        start_ms=world.now_ms + 5_000,
        saved=dict(world.tables.saved),
        tables=world.tables,
    )
    lose(later)
    assert tripped(later) == {DAILY, STREAK}


def test_a_new_process_behind_the_stored_hold_takes_nothing_for_lifted() -> None:
    world = a_world()
    lose(world)
    world.run_s(STORED_AFTER_S + 1)
    later = a_world(
        gate=GateCell(world.runtime.gate.state),
        start_ms=world.now_ms + 5_000,
        saved=dict(world.tables.saved),
        tables=world.tables,
    )
    assert not buys(later)
    assert tripped(later) == {DAILY, DRAWDOWN}
    assert later.state.losses.tripped == tuple(sorted((DAILY, DRAWDOWN)))


# -- what a person lifts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", REASONS)
def test_after_resume_the_limit_counts_anew(reason: str) -> None:
    world = a_world(only(reason))
    lose(world)
    world.run_s(STORED_AFTER_S + 1)
    assert world.state.losses.tripped == (reason,)
    resume(world)
    assert buys(world)
    world.run_s(1)
    assert tripped(world) == set(world.state.losses.tripped) == set()
    world.quote(MARKET, bids=LOW[0], asks=LOW[1])
    world.propose(MARKET, "UP", "CLOSE")
    world.run_s(1)
    assert tripped(world) == {reason}
    world.run_s(STORED_AFTER_S + 1)
    assert world.state.losses.tripped == (reason,)
    resume(world)
    assert buys(world)


@pytest.mark.parametrize("reason", REASONS)
def test_resume_while_the_process_is_away_counts_as_resume(reason: str) -> None:
    world = a_world(only(reason))
    lose(world)
    world.run_s(STORED_AFTER_S + 1)
    later = a_world(only(reason), start_ms=world.now_ms + 5_000, saved=dict(world.tables.saved), tables=world.tables)
    assert buys(later)
    assert tripped(later) == set()


def test_wishes_twice_a_second_do_not_put_off_that_the_hold_is_kept() -> None:
    world = a_world()
    lose(world)
    for _ in range(8):
        assert not buys(world)
        world.run_s(0.4)
    assert world.state.losses.tripped == tuple(sorted((DAILY, DRAWDOWN)))
    resume(world)
    assert buys(world)


def test_a_loss_that_recovers_after_the_trip_was_a_trip_all_the_same() -> None:
    world = a_world(only(DAILY))
    world.opened(MARKET)
    world.quote(MARKET, bids=LOW[0], asks=LOW[1])
    world.propose(MARKET)
    world.run_ms(1)
    assert tripped(world) == {DAILY}
    world.quote(MARKET)
    world.run_s(STORED_AFTER_S + 1)
    assert world.state.losses.tripped == (DAILY,)


def test_a_crash_before_the_hold_was_stored_trips_again_instead_of_counting_as_resumed() -> None:
    world = a_world()
    lose(world)
    saved = dict(world.tables.saved)  # of a process that was killed at once, its gate file not written yet
    later = a_world(start_ms=world.now_ms + 1_000, saved=saved, tables=world.tables)
    assert not buys(later)
    assert tripped(later) == {DAILY, DRAWDOWN}


def test_a_crash_of_the_portfolio_alone_loses_neither_the_hold_nor_that_it_was_stored() -> None:
    world = a_world()
    lose(world)
    world.crash(addresses.PORTFOLIO)
    world.run_s(0.1)
    assert not buys(world)
    world.run_s(STORED_AFTER_S + 1)
    assert world.state.losses.tripped == tuple(sorted((DAILY, DRAWDOWN)))


def test_one_limit_lifted_leaves_the_others_in_force() -> None:
    world = a_world()
    lose(world)
    world.run_s(STORED_AFTER_S + 1)
    world.runtime.gate.release(None, DAILY)
    assert not buys(world)
    assert tripped(world) == {DRAWDOWN}
    assert world.state.losses.tripped == (DRAWDOWN,)


def test_the_paper_account_beside_a_live_one_trips_nothing_and_forgets_nothing() -> None:
    world = a_world(Trips())
    world.runtime.gate.hold(None, DAILY, GateLevel.REDUCE_ONLY, "of the live account")
    world.quote(MARKET)
    world.propose(MARKET)
    world.run_s(STORED_AFTER_S + 1)
    assert world.state.losses.tripped == ()
    assert tripped(world) == {DAILY}
    assert replace(world.state.losses, day=None) == replace(world.state.losses, day=None, day_from_usd=0, peak_usd=0)
    assert world.now_ms > START_MS
