"""Walking a book: depth, limits, all or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.market.events import Level
from core.market.views import TokenBook
from core.trading.money import MICRO, micros
from core.trading.orders import OrderSide, OrderType
from tests.trading.builders import levels
from venues.paper.matching import crosses, opposite_levels, walk

BOOK = TokenBook("u", levels(("0.49", 10), ("0.48", 20)), levels(("0.51", 10), ("0.52", 20), ("0.53", 30)))
PRICES = st.lists(st.integers(1, 99), min_size=1, max_size=12, unique=True)


@st.composite
def books(draw: st.DrawFn) -> TokenBook:
    """Draw an uncrossed book with sizes of any fineness."""
    prices = sorted(draw(PRICES))
    split = draw(st.integers(0, len(prices)))
    sizes = [draw(st.integers(1, 500 * MICRO)) for _ in prices]
    full: list[Level] = [(price * 10_000, size) for price, size in zip(prices, sizes, strict=True)]
    return TokenBook("u", tuple(reversed(full[:split])), tuple(full[split:]))


SIDES: st.SearchStrategy[OrderSide] = st.sampled_from(["BUY", "SELL"])
TYPES: st.SearchStrategy[OrderType] = st.sampled_from(["FOK", "FAK", "GTC"])
SHARES = st.integers(1, 1000 * MICRO)
LIMITS = st.integers(1, 99).map(lambda tick: tick * 10_000)


def test_a_buy_walks_up_the_asks() -> None:
    taken = walk(BOOK, "BUY", micros(25), micros("0.53"), "FAK", {})

    assert taken == [(micros("0.51"), micros(10)), (micros("0.52"), micros(15))]


def test_a_sell_walks_down_the_bids() -> None:
    assert walk(BOOK, "SELL", micros(12), micros("0.01"), "FOK", {}) == [
        (micros("0.49"), micros(10)),
        (micros("0.48"), micros(2)),
    ]


@pytest.mark.parametrize(("order_type", "shares"), [("FOK", 0), ("FAK", 30), ("GTC", 30)])
def test_beyond_the_limit_nothing_is_taken(order_type: OrderType, shares: int) -> None:
    taken = walk(BOOK, "BUY", micros(40), micros("0.52"), order_type, {})

    assert sum(size for _, size in taken) == micros(shares)


def test_what_was_consumed_is_not_there() -> None:
    assert walk(BOOK, "BUY", micros(12), micros("0.52"), "FAK", {micros("0.51"): micros(9)}) == [
        (micros("0.51"), micros(1)),
        (micros("0.52"), micros(11)),
    ]


@given(books(), SIDES, SHARES, LIMITS, TYPES, st.integers(0, 100))
def test_no_order_gets_more_or_worse_than_it_asked_for(
    book: TokenBook, side: OrderSide, shares: int, limit: int, order_type: OrderType, percent: int
) -> None:
    shown = dict(opposite_levels(book, side))
    consumed = {price: size * percent // 100 for price, size in shown.items()}
    taken = walk(book, side, shares, limit, order_type, consumed)

    assert all(crosses(price, limit, side) for price, _ in taken)
    assert all(0 < size <= shown[price] - consumed[price] for price, size in taken)
    assert [price for price, _ in taken] == sorted((price for price, _ in taken), reverse=side == "SELL")
    filled = sum(size for _, size in taken)
    assert filled <= shares
    offered = sum(size - consumed[price] for price, size in shown.items() if crosses(price, limit, side))
    if order_type == "FOK":
        assert filled == (shares if offered >= shares else 0)
    else:
        assert filled == min(shares, offered)
