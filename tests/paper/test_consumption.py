"""What our fills took is gone until the book itself moves."""

from hypothesis import given
from hypothesis import strategies as st

from core.market.market import Side
from core.trading.money import MICRO, micros
from core.trading.orders import OrderSide
from tests.trading.builders import a_view, levels
from venues.paper.consumption import Consumption, current, taken_by_price, token_book, with_taken
from venues.paper.matching import walk

TOOK = [(micros("0.51"), 60 * MICRO)]
VIEW = a_view()
AFTER = with_taken(current(None, VIEW), VIEW, "UP", "BUY", TOOK)


def test_it_stays_taken_while_the_level_shows_the_same_size() -> None:
    later = a_view(bids=levels(("0.50", 7)))

    assert taken_by_price(current(AFTER, later), "UP", "BUY") == {micros("0.51"): 60 * MICRO}


def test_it_is_back_when_the_level_shows_another_size() -> None:
    for asks in (levels(("0.51", 99)), levels(("0.51", 101)), levels(("0.52", 100))):
        assert taken_by_price(current(AFTER, a_view(asks=asks)), "UP", "BUY") == {}


def test_a_change_once_seen_is_not_forgotten() -> None:
    moved = current(AFTER, a_view(asks=levels(("0.51", 99))))

    assert taken_by_price(current(moved, VIEW), "UP", "BUY") == {}


def test_a_new_epoch_or_market_starts_afresh() -> None:
    assert current(AFTER, a_view(epoch=2)) == Consumption("0xc", 2)
    assert current(AFTER, a_view(condition_id="0xd")) == Consumption("0xd", 1)


def test_both_tokens_share_their_resting_orders() -> None:
    assert taken_by_price(AFTER, "DOWN", "SELL") == {micros("0.49"): 60 * MICRO}
    assert taken_by_price(AFTER, "DOWN", "BUY") == {}
    assert taken_by_price(AFTER, "UP", "SELL") == {}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["UP", "DOWN"]), st.sampled_from(["BUY", "SELL"]), st.integers(1, 200), st.integers(1, 99)
        ),
        max_size=12,
    )
)
def test_together_our_orders_never_take_more_than_was_shown(orders: list[tuple[Side, OrderSide, int, int]]) -> None:
    consumption = current(None, VIEW)
    total: dict[bool, int] = {True: 0, False: 0}
    for outcome, side, shares, tick in orders:
        consumed = taken_by_price(current(consumption, VIEW), outcome, side)
        fills = walk(token_book(VIEW, outcome), side, shares * MICRO, tick * 10_000, "FAK", consumed)
        consumption = with_taken(consumption, VIEW, outcome, side, fills)
        total[(outcome == "UP") == (side == "BUY")] += sum(size for _, size in fills)

    assert total[True] <= sum(size for _, size in VIEW.up.asks)
    assert total[False] <= sum(size for _, size in VIEW.up.bids)
