"""The steps of a forced exit: each goes no higher than the one before, none below what holding is worth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.market.views import TokenBook
from core.trading.exits import (
    HOLD_LEFT_S,
    REMEMBERED_ATTEMPTS,
    Attempt,
    ExitRules,
    ExitStep,
    Hold,
    Progress,
    Quote,
    Situation,
    Wait,
    fair_price,
    floor_price,
    next_step,
    rests_well,
    told,
)
from core.trading.money import MICRO, micros
from core.trading.orders import Order, OrderState
from tests.trading.builders import an_order, levels

CENT = MICRO // 100
RULES = ExitRules(slippage_ticks=2)
NOW = Situation(
    attempts=0,
    left_s=100.0,
    held_shares=20 * MICRO,
    sellable_shares=20 * MICRO,
    min_shares=5 * MICRO,
    book=TokenBook("u", levels(("0.49", 100)), levels(("0.51", 100))),
    tick_size=CENT,
)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Draw any book, crossed ones included, any inventory, any time."""
    tick = draw(st.sampled_from([CENT, MICRO // 1000]))
    price = st.integers(1, MICRO // tick - 1).map(lambda ticks: ticks * tick)
    side = st.lists(price, max_size=3).map(lambda prices: tuple((each, 10 * MICRO) for each in prices))
    bids, asks = sorted(draw(side), reverse=True), sorted(draw(side))
    shares = st.integers(0, 30 * MICRO)
    return Situation(
        attempts=draw(st.integers(0, 6)),
        left_s=draw(st.floats(-1, 200)),
        held_shares=draw(shares),
        sellable_shares=draw(shares),
        min_shares=draw(st.sampled_from([0, 5 * MICRO])),
        book=TokenBook("u", tuple(bids), tuple(asks)),
        tick_size=tick,
        takers_refused=draw(st.booleans()),
    )


RULE_SETS = st.builds(ExitRules, st.integers(0, 50), st.integers(CENT, MICRO))


@given(situations(), RULE_SETS)
def test_an_order_is_on_the_tick_and_never_given_away(now: Situation, rules: ExitRules) -> None:
    step = next_step(rules, now)
    if not isinstance(step, Quote):
        return
    assert now.tick_size <= step.limit_price <= MICRO - now.tick_size
    assert step.limit_price % now.tick_size == 0
    assert min(now.held_shares, now.sellable_shares) >= now.min_shares
    assert now.left_s > HOLD_LEFT_S
    fair = fair_price(now.book)
    if fair is not None:
        assert step.limit_price >= fair - rules.max_discount
    if step.post_only:
        assert step.order_type == "GTC"
        assert now.book.best_bid is None or step.limit_price > now.book.best_bid
    else:
        assert now.book.best_bid is not None
        assert step.limit_price <= now.book.best_bid
        assert not now.takers_refused


@given(situations(), RULE_SETS)
def test_what_takes_goes_deeper_with_each_attempt(now: Situation, rules: ExitRules) -> None:
    steps = [next_step(rules, replace(now, attempts=attempts)) for attempts in range(3)]
    prices = [step.limit_price for step in steps if isinstance(step, Quote)]

    assert prices == sorted(prices, reverse=True)
    if any(isinstance(step, Quote) and step.order_type == "FAK" for step in steps):
        assert [step.step for step in steps if isinstance(step, Quote)] == list(ExitStep)[:3]
        later = next_step(rules, replace(now, attempts=3))
        assert isinstance(later, Quote)
        assert later.step is ExitStep.RESTING


@given(situations(), RULE_SETS)
def test_the_end_is_always_holding(now: Situation, rules: ExitRules) -> None:
    assert isinstance(next_step(rules, replace(now, left_s=HOLD_LEFT_S)), Hold)


def test_the_steps_from_the_touch_to_a_resting_order() -> None:
    steps = [next_step(RULES, replace(NOW, attempts=attempts)) for attempts in range(5)]

    assert steps == [
        Quote(ExitStep.TOUCH, "FAK", micros("0.47")),
        Quote(ExitStep.DEEPER, "FAK", micros("0.43")),
        Quote(ExitStep.DEEPEST, "FAK", micros("0.40")),
        Quote(ExitStep.RESTING, "GTC", micros("0.49")),
        Quote(ExitStep.RESTING, "GTC", micros("0.49")),
    ]


@pytest.mark.parametrize(
    ("bids", "asks", "price"),
    [
        ((), levels(("0.51", 9)), "0.50"),  # nobody bids: just below the best offer
        ((), levels(("0.01", 9)), "0.01"),
        (levels(("0.05", 9)), levels(("0.60", 9)), "0.33"),  # the bid is far below what the shares are worth
    ],
)
def test_where_nobody_bids_what_it_is_worth_it_rests(bids: tuple[()], asks: tuple[()], price: str) -> None:
    step = next_step(RULES, replace(NOW, book=TokenBook("u", bids, asks)))

    assert step == Quote(ExitStep.RESTING, "GTC", micros(price), post_only=True)


def test_while_the_venue_takes_only_what_rests_it_rests_above_the_bid() -> None:
    step = next_step(RULES, replace(NOW, takers_refused=True))

    assert step == Quote(ExitStep.RESTING, "GTC", micros("0.50"), post_only=True)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (replace(NOW, held_shares=5 * MICRO - 1), Hold("dust")),
        (replace(NOW, left_s=1.0), Hold("the window ends")),
        (replace(NOW, sellable_shares=4 * MICRO), Wait("what was bought is not confirmed yet")),
        (replace(NOW, book=TokenBook("u", (), ())), Wait("nobody bids or offers")),
        (
            replace(NOW, book=TokenBook("u", levels(("0.99", 9)), ()), takers_refused=True),
            Wait("no price to rest at below one dollar"),
        ),
    ],
)
def test_when_nothing_is_sent(changed: Situation, expected: Wait | Hold) -> None:
    assert next_step(RULES, changed) == expected


def test_a_floor_is_never_below_one_tick() -> None:
    assert floor_price(TokenBook("u", levels(("0.04", 9)), levels(("0.05", 9))), CENT, MICRO // 10) == CENT


def resting(limit: str, state: OrderState = OrderState.LIVE) -> Order:
    return replace(an_order(side="SELL", order_type="GTC", limit=limit), state=state)


def test_a_resting_order_keeps_its_place_until_the_price_has_moved() -> None:
    middle = Quote(ExitStep.RESTING, "GTC", micros("0.50"), post_only=True)
    taking = Quote(ExitStep.RESTING, "GTC", micros("0.50"))

    assert rests_well([resting("0.51")], middle, CENT)
    assert not rests_well([resting("0.52")], middle, CENT)
    assert not rests_well([resting("0.51")], taking, CENT)
    assert rests_well([resting("0.50")], taking, CENT)
    assert not rests_well([resting("0.50")], Quote(ExitStep.TOUCH, "FAK", micros("0.50")), CENT)
    assert not rests_well([resting("0.50")], Hold("the window ends"), CENT)
    assert not rests_well([resting("0.50", OrderState.UNKNOWN)], middle, CENT)
    assert not rests_well([resting("0.50"), resting("0.50")], middle, CENT)
    assert not rests_well([an_order(order_type="GTC", limit="0.50")], middle, CENT)


def test_attempts_are_told_in_order_with_their_prices() -> None:
    progress = Progress("i1", "T-2")
    assert told(progress) == "no attempt"
    for step, price in ((ExitStep.TOUCH, "0.47"), (ExitStep.RESTING, "0.5"), (ExitStep.RESTING, "0.5")):
        progress = progress.tried(Attempt(step, micros(price), 0))

    assert told(progress) == "3 attempts: touch 0.47, resting 0.5 x2"


def test_only_the_latest_attempts_are_kept_but_all_are_counted() -> None:
    progress = Progress("i1", "T-2", held="dust")
    for number in range(REMEMBERED_ATTEMPTS + 5):
        progress = progress.tried(Attempt(ExitStep.RESTING, CENT, number))

    assert (progress.count, len(progress.attempts), progress.held) == (REMEMBERED_ATTEMPTS + 5, REMEMBERED_ATTEMPTS, "")


@pytest.mark.parametrize("field", ["held_shares", "sellable_shares"])
def test_the_smallest_amount_that_can_be_sold_is_sold(field: str) -> None:
    assert isinstance(next_step(RULES, replace(NOW, **{field: 5 * MICRO})), Quote)


def test_without_an_offer_the_bid_is_the_fair_price_and_without_a_bid_nothing_is() -> None:
    assert fair_price(TokenBook("u", levels(("0.40", 9)), ())) == micros("0.40")
    assert fair_price(TokenBook("u", (), levels(("0.40", 9)))) is None
    assert floor_price(TokenBook("u", levels(("0.40", 9)), ()), CENT, CENT) == micros("0.39")


def test_it_rests_a_tick_above_the_bid_even_where_bid_and_offer_meet_and_up_to_the_last_tick() -> None:
    locked = TokenBook("u", levels(("0.50", 9)), levels(("0.50", 9)))
    high = TokenBook("u", levels(("0.98", 9)), ())
    off_tick = TokenBook("u", (), ((400_001, 9),))
    prices = [next_step(RULES, replace(NOW, book=book, takers_refused=True)) for book in (locked, high, off_tick)]

    assert prices == [Quote(ExitStep.RESTING, "GTC", micros(at), post_only=True) for at in ("0.51", "0.99", "0.40")]


def test_an_order_that_rests_elsewhere_by_a_hair_or_is_of_another_kind_does_not_rest_well() -> None:
    taking = Quote(ExitStep.RESTING, "GTC", micros("0.50"))
    hair = replace(resting("0.50"), limit_price=500_001)

    assert not rests_well([hair], taking, CENT)
    assert not rests_well([replace(resting("0.50"), side="BUY")], taking, CENT)
    assert not rests_well([replace(resting("0.50"), order_type="FAK")], taking, CENT)


def test_a_bid_at_the_floor_itself_is_taken() -> None:
    book = TokenBook("u", levels(("0.40", 9)), levels(("0.60", 9)))

    assert next_step(RULES, replace(NOW, book=book)) == Quote(ExitStep.TOUCH, "FAK", micros("0.40"))


def test_only_the_last_step_counts_its_repetitions() -> None:
    progress = Progress("i1", "T-2")
    steps = ((ExitStep.TOUCH, 2), (ExitStep.DEEPER, 1), (ExitStep.DEEPEST, 3))
    for step, times in steps:
        for _ in range(times):
            progress = progress.tried(Attempt(step, micros("0.4"), 0))

    assert told(progress) == "6 attempts: touch 0.4 x2, deeper 0.4, deepest 0.4 x3"
