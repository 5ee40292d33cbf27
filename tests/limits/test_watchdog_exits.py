"""The watchdog sells by age, stale book, price and order, whatever else is dead, and writes down how it went."""

import pytest
from msgspec.structs import replace

from actors import addresses
from actors.exit_watch import SETTLE_AGAIN_S
from actors.exits import BY_CHOICE, CLOSED, HELD, HELD_BY_CHOICE
from actors.watchdog import CHECK_S, WatchdogActor, WatchdogLimits
from core.alerts.kinds import SETTLEMENT_OVERDUE
from core.market.events import Level
from core.messages import Alert, AssetRetiring, AwaitWinner, CancelRequested, HeldByChoice, PositionPublished
from core.trading.forced_exits import MAX_AGE, STALE_BOOK, STOP_LOSS, T_2, TAKE_PROFIT, ForcedExitRules
from core.trading.gate import GateLevel
from core.trading.lasting_holds import FLATTEN, flattened
from core.trading.money import MICRO
from core.trading.positions import Position
from tests.actors.builders import World, a_market
from tests.actors_data.builders import OPENS_MS, WINDOW_S, Stage, market_of
from tests.limits.watching import (
    BOOKS,
    FEEDS,
    FLOW,
    MARKET,
    NEVER,
    asked_for,
    holding,
    notes,
    pulse_for,
    pulse_to,
    watched,
)
from tests.trading.builders import levels

CLOSES_S = MARKET.window.closes_at_s
LONG = a_market()
T_2_S = 120 / 3


def sold(world: World) -> bool:
    return world.shares(MARKET) == 0


def at(price: str) -> tuple[Level, ...]:
    return levels((price, 500))


# -- the rules --------------------------------------------------------------------------------------------------------


def test_where_no_rule_applies_nothing_is_asked_for() -> None:
    world = holding()
    pulse_to(world, CLOSES_S + 1)
    assert asked_for(world) == []
    assert not sold(world)


@pytest.mark.parametrize(("length_s", "age_s"), [(900, 60.0), (300, 20.0)])
def test_the_largest_age_is_a_backstop_where_nothing_is_sold_before_the_close(length_s: int, age_s: float) -> None:
    market = a_market(length_s=length_s)
    world = holding(replace(NEVER, max_age_s=60.0), market)
    opened_s = next(iter(world.state.ledger.positions.values())).opened_ms / 1000
    pulse_to(world, opened_s + age_s - 0.5)
    assert asked_for(world) == []
    pulse_for(world, 1.5)
    assert asked_for(world) == [MAX_AGE]
    assert world.shares(market) == 0


def test_a_book_that_nobody_has_confirmed_for_a_minute_is_sold_into_while_it_lasts() -> None:
    world = holding(replace(NEVER, stale_book_s=60.0), LONG)
    silent_for(world, 59, age_s=0.0)
    assert asked_for(world) == []
    silent_for(world, 2, age_s=59.0)
    assert asked_for(world) == [STALE_BOOK]
    assert world.shares(LONG) == 0


def silent_for(world: World, seconds: int, age_s: float) -> None:
    """Let time pass while the book feed lives and its book grows older."""
    for second in range(seconds):
        world.pulse(BOOKS, "BTC", age_s=age_s + second)
        world.pulse(FLOW, "BTC")
        world.run_s(1)


def test_the_age_goes_on_when_the_feeds_actor_falls_silent() -> None:
    world = holding(replace(NEVER, stale_book_s=60.0))
    world.pulse(BOOKS, "BTC", age_s=50.0)
    world.run_s(9.5)
    assert asked_for(world) == []
    world.run_s(1)
    assert asked_for(world) == [STALE_BOOK]


def test_a_feed_that_has_no_data_counts_from_when_it_lost_it() -> None:
    world = holding(replace(NEVER, stale_book_s=10.0))
    pulse_for(world, 9, has_data=False, touch=None)
    assert asked_for(world) == []
    pulse_for(world, 2, has_data=False, touch=None)
    assert asked_for(world) == [STALE_BOOK]


def test_a_book_that_comes_back_in_time_is_not_sold_into() -> None:
    world = holding(replace(NEVER, stale_book_s=10.0))
    for _ in range(3):
        pulse_for(world, 8, has_data=False, touch=None)
        pulse_for(world, 1)
    assert asked_for(world) == []


def test_after_a_restart_of_the_watchdog_a_feed_that_is_dead_is_given_the_same_time() -> None:
    world = holding(replace(NEVER, stale_book_s=10.0))
    world.crash(addresses.WATCHDOG)
    world.run_s(9)
    assert asked_for(world) == []
    world.run_s(3)
    assert asked_for(world) == [STALE_BOOK]


@pytest.mark.parametrize(
    ("rules", "calm", "far", "reason"),
    [
        (replace(NEVER, stop_loss=0.25), ("0.41", "0.43"), ("0.38", "0.40"), STOP_LOSS),
        (replace(NEVER, take_profit=0.25), ("0.64", "0.66"), ("0.67", "0.69"), TAKE_PROFIT),
    ],
)
def test_a_loss_is_cut_and_a_profit_taken_at_the_bid(
    rules: ForcedExitRules, calm: tuple[str, str], far: tuple[str, str], reason: str
) -> None:
    world = holding(rules)
    world.quote(MARKET, bids=at(calm[0]), asks=at(calm[1]))
    pulse_for(world, 3)
    assert asked_for(world) == []
    world.quote(MARKET, bids=at(far[0]), asks=at(far[1]))
    pulse_for(world, 2)
    assert asked_for(world) == [reason]
    assert sold(world)
    (trade,) = world.tables.trades.values()
    assert (trade.force_closed, trade.force_close_reason) == (True, reason)


def test_the_down_token_is_judged_by_its_own_bid() -> None:
    world = watched(replace(NEVER, stop_loss=0.25))
    world.opened(MARKET, "DOWN")
    world.quote(MARKET, bids=at("0.60"), asks=at("0.65"))  # DOWN is bid for at 0.35
    pulse_for(world, 2)
    assert asked_for(world) == [STOP_LOSS]


def test_a_bid_of_another_market_says_nothing_of_what_is_held() -> None:
    world = holding(replace(NEVER, stop_loss=0.25))
    following = a_market(opens_s=CLOSES_S)
    world.quote(following, bids=at("0.02"), asks=at("0.04"))
    pulse_for(world, 2)
    assert asked_for(world) == []


def test_an_operator_flattens_one_asset_and_the_other_keeps_what_it_holds() -> None:
    world = watched(assets=("BTC", "ETH"))
    eth = a_market("ETH")
    world.opened(MARKET)
    world.opened(eth)
    world.runtime.gate.change(lambda state: flattened(state, "BTC", "me", 1))
    pulse_for(world, 3, ("BTC", "ETH"))
    assert asked_for(world) == [FLATTEN]
    assert sold(world)
    assert world.shares(eth) > 0


# -- however dead the rest is -----------------------------------------------------------------------------------------


def test_the_exit_needs_no_market_actor_and_survives_a_crash_of_the_watchdog() -> None:
    world = holding(ForcedExitRules(exit_before_s=120.0))  # market.BTC only records here
    pulse_to(world, CLOSES_S - T_2_S - 5)
    world.crash(addresses.WATCHDOG)
    pulse_to(world, CLOSES_S - T_2_S - 0.5)
    assert asked_for(world) == []
    pulse_for(world, 1.5)
    assert asked_for(world) == [T_2]
    assert sold(world)


def test_a_crash_right_after_the_watchdog_has_asked_asks_again_and_sells_once() -> None:
    world = holding(ForcedExitRules(exit_before_s=120.0))
    world.quote(MARKET, bids=())
    pulse_to(world, CLOSES_S - T_2_S + 1)
    world.crash(addresses.WATCHDOG)
    pulse_for(world, 1)
    world.quote(MARKET)
    pulse_for(world, 4)
    assert sold(world)
    bought, gone = (sum(fill.shares for fill in world.tables.fills.values() if of_buy(world, fill.order_id) is buys)
                    for buys in (True, False))  # fmt: skip
    assert bought == gone


def of_buy(world: World, order_id: str) -> bool:
    return world.tables.orders[order_id].side == "BUY"


# -- what is written down ---------------------------------------------------------------------------------------------


def test_a_forced_exit_is_written_down_with_its_reason_its_attempts_and_their_prices() -> None:
    world = holding(ForcedExitRules(exit_before_s=120.0))
    world.quote(MARKET, bids=levels(("0.49", 20)), asks=at("0.51"))
    pulse_to(world, CLOSES_S - T_2_S + 2)
    world.quote(MARKET)
    pulse_for(world, 4)
    assert sold(world)
    ((status, detail),) = notes(world, "exit BTC")
    assert status == CLOSED
    assert f"of {MARKET.condition_id} (T-2): sold at 0.49" in detail
    assert "attempts: touch 0.48" in detail
    rows = [world.tables.intents[order.intent_id] for order in world.orders("SELL")]
    assert rows[0].reason == "T-2, touch"
    assert len(rows) == int(detail.partition("average; ")[2].split(" ")[0])


def test_what_could_not_be_sold_is_written_down_as_held_to_settlement() -> None:
    world = holding(ForcedExitRules(exit_before_s=120.0))
    world.quote(MARKET, bids=(), asks=())
    pulse_to(world, CLOSES_S + 1)
    ((status, detail),) = notes(world, "exit BTC")
    assert status == HELD
    assert detail.endswith("(T-2): the window ends; no attempt")


@pytest.mark.parametrize(
    ("rules", "before_s"),
    [
        (ForcedExitRules(hold_to_settlement=("BTC",)), T_2_S),
        (NEVER, 10 / 3),
    ],
)
def test_what_nobody_wants_sold_is_written_down_once_as_held_by_choice(rules: ForcedExitRules, before_s: float) -> None:
    world = holding(rules)
    pulse_to(world, CLOSES_S - before_s - 0.5)
    assert notes(world, "exit BTC") == []
    pulse_to(world, CLOSES_S + 1)
    ((status, detail),) = notes(world, "exit BTC")
    assert status == HELD_BY_CHOICE
    assert detail.endswith(f"({BY_CHOICE}): {BY_CHOICE}; no attempt")
    assert sum(isinstance(message, HeldByChoice) for _, _, message in world.traffic) > 1
    assert asked_for(world) == []


def test_a_restarted_watchdog_does_not_have_the_choice_written_down_twice() -> None:
    world = holding(ForcedExitRules(hold_to_settlement=("BTC",)))
    pulse_to(world, CLOSES_S - T_2_S + 1)
    world.crash(addresses.WATCHDOG)
    pulse_for(world, 4)
    assert len(notes(world, "exit BTC")) == 1
    assert sum(isinstance(message, HeldByChoice) for _, _, message in world.traffic) > 1


# -- after the close --------------------------------------------------------------------------------------------------


def test_a_settlement_that_is_overdue_is_told_once() -> None:
    market, world = MARKET, holding()
    overdue_s = market.window.closes_at_s + market.window.length_s
    pulse_to(world, overdue_s - 0.5)
    assert notes(world, "settlement") == []
    pulse_to(world, overdue_s + 150)
    ((status, detail),) = notes(world, "settlement")
    assert status == "overdue"
    assert detail == f"{market.window.slug} closed 300 s ago and has no winner yet; what is held waits for it"
    (alert,) = (told for told in world.told(addresses.NOTIFIER, Alert) if told.kind == SETTLEMENT_OVERDUE)
    assert alert.text == f"settlement overdue: {detail}"
    assert alert.text in world.said
    world.win(market, "UP")
    pulse_for(world, 1)
    assert world.shares(market) == 0


@pytest.mark.parametrize("started_s", [0, 2 * WINDOW_S])
def test_the_winner_of_an_overdue_market_is_asked_for_each_minute_by_the_watchdog_too(started_s: int) -> None:
    """Also by one that starts when the market is long over."""
    stage = Stage(OPENS_MS + started_s * 1000)
    stage.listen(addresses.PORTFOLIO, addresses.DISCOVERY, addresses.DB_WRITER, addresses.NOTIFIER)
    limits = WatchdogLimits(FEEDS)
    stage.play(addresses.WATCHDOG, lambda context: WatchdogActor(context, ("BTC",), 1, limits, stage.said.append))
    market = market_of()
    held = Position(1, "BTC", market.condition_id, "UP", "i", OPENS_MS, OPENS_MS, 10 * MICRO, MICRO)
    published = PositionPublished("BTC", market.condition_id, held, busy=False, portfolio=addresses.PORTFOLIO)
    stage.tell(addresses.WATCHDOG, replace(published, market=market))
    stage.run(2 * WINDOW_S - started_s + 2 * SETTLE_AGAIN_S + 1)
    window = market.window
    wish = AwaitWinner("BTC", market.condition_id, window.slug, window.closes_at_s)
    assert stage.told(addresses.DISCOVERY, AwaitWinner) == [wish] * 3
    since_s = [(at_ms - OPENS_MS) / 1000 for at_ms in stage.told_at(addresses.DISCOVERY, AwaitWinner)]
    assert since_s[0] - 2 * WINDOW_S == (CHECK_S if started_s else 0)
    assert since_s[1:] == [since_s[0] + SETTLE_AGAIN_S, since_s[0] + 2 * SETTLE_AGAIN_S]


# -- behind a closed gate ---------------------------------------------------------------------------------------------


def test_behind_a_closed_gate_what_rests_is_taken_back_and_asked_again_until_it_is() -> None:
    world = watched(order_type="GTC", executes=False)
    world.quote(MARKET)
    world.propose(MARKET)
    pulse_for(world, 1)
    assert world.told(addresses.EXECUTOR, CancelRequested) == []
    world.runtime.gate.hold(None, "test", GateLevel.CLOSED)
    pulse_for(world, 0.5)
    assert world.told(addresses.EXECUTOR, CancelRequested) == [CancelRequested(MARKET.condition_id)]
    pulse_for(world, 4)
    assert len(world.told(addresses.EXECUTOR, CancelRequested)) == 3
    world.runtime.gate.release(None, "test")
    pulse_for(world, 0.5)
    world.runtime.gate.hold("BTC", "test", GateLevel.CLOSED)
    pulse_for(world, 0.5)
    assert len(world.told(addresses.EXECUTOR, CancelRequested)) == 4


def test_a_retired_asset_tells_a_person() -> None:
    world = holding()
    world.runtime.tell(addresses.WATCHDOG, AssetRetiring("BTC", "market.BTC: too many crashes"))
    pulse_for(world, 2)
    assert sold(world)
    assert Alert("asset retired", "market.BTC: too many crashes") in world.told(addresses.NOTIFIER, Alert)
