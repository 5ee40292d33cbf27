"""Sizes, limits and reserves of orders, and the venue's minimums."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.market.events import Level
from core.market.market import FeeSchedule
from core.market.views import TokenBook
from core.trading.fees import taker_fee
from core.trading.money import MICRO, decimal, micros, notional_usd
from core.trading.orders import OrderType
from core.trading.sizing import Refusal, Sized, buy_lot, confidence, reserve_usd, size_close, size_open, too_small
from tests.trading.builders import CRYPTO_FEES, a_market, a_view, levels

EVEN = MICRO // 2


def opened(
    *,
    asks: tuple[Level, ...] = levels(("0.51", 100)),
    up_mid: int = EVEN,
    trade_usd: str = "40",
    cash: str = "1000",
    slippage: int = 1,
    fees: FeeSchedule | None = CRYPTO_FEES,
    order_type: OrderType = "FOK",
) -> Sized | Refusal:
    return size_open(
        a_market(fees=fees),
        TokenBook("u", (), asks),
        up_mid,
        trade_size_usd=micros(trade_usd),
        cash_usd=micros(cash),
        slippage_ticks=slippage,
        order_type=order_type,
    )


@pytest.mark.parametrize(
    ("mid", "share"), [("0.5", "0.25"), ("0.75", "0.625"), ("0.25", "0.625"), ("1", "1"), ("0", "1"), ("0.6", "0.4")]
)
def test_confidence_grows_from_a_quarter_to_all(mid: str, share: str) -> None:
    assert confidence(micros(mid)) == micros(share)


def test_an_opening_order_is_sized_at_its_worst_price() -> None:
    # a quarter of $40 at even odds, at 0.51 plus one tick: 10 / 0.52 = 19.23, in lots that cost whole cents 19.00
    sized = opened()

    assert isinstance(sized, Sized)
    assert (sized.shares, sized.limit_price) == (19 * MICRO, micros("0.52"))


def test_the_reserve_of_a_resting_buy_covers_notional_and_worst_fee() -> None:
    shares, limit = 19 * MICRO, micros("0.52")
    needed = notional_usd(shares, limit) + taker_fee(shares, EVEN, CRYPTO_FEES)

    assert needed <= reserve_usd(shares, limit, MICRO // 100, CRYPTO_FEES, "GTC") <= needed + 300


@given(
    limit=st.integers(1, 99),
    price=st.integers(1, 99),
    lots=st.integers(1, 1_000),
    rate=st.sampled_from([0.0, 0.07, 0.25]),
    exponent=st.integers(0, 3),
    order_type=st.sampled_from(["FOK", "FAK"]),
)
def test_the_reserve_covers_a_buy_that_spends_its_dollars_at_any_better_price(
    limit: int, price: int, lots: int, rate: float, exponent: int, order_type: OrderType
) -> None:
    limit_price, better = limit * 10_000, min(limit, price) * 10_000
    fees = FeeSchedule(rate, exponent)
    shares = lots * buy_lot(limit_price, order_type)
    dollars = shares * limit_price // MICRO
    bought = dollars * MICRO // better

    assert dollars + taker_fee(bought, better, fees) <= reserve_usd(shares, limit_price, 10_000, fees, order_type)


def test_a_buy_that_may_get_its_shares_for_less_is_sized_as_ever_while_there_is_cash() -> None:
    taking, resting = opened(), opened(order_type="GTC")

    assert isinstance(taking, Sized)
    assert isinstance(resting, Sized)
    assert (taking.shares, taking.limit_price) == (19 * MICRO, micros("0.52"))
    assert taking.reserve_usd == pytest.approx(19 * 520_000 * (1 + 0.07 * 0.99), rel=1e-4)
    assert resting.reserve_usd < taking.reserve_usd


def test_cash_bounds_the_size_fee_included() -> None:
    sized = opened(cash="8")

    assert isinstance(sized, Sized)
    assert sized.reserve_usd <= 8 * MICRO
    more = opened(cash="8.60")
    assert isinstance(more, Sized)
    assert more.shares > sized.shares


@pytest.mark.parametrize(
    ("refused", "because"),
    [
        (opened(fees=None), "fee unknown"),
        (opened(asks=()), "no ask"),
        (opened(trade_usd="8"), "minimum 5"),
        (opened(cash="1"), "minimum 5"),
        (opened(cash="-1"), "minimum 5"),
        (opened(asks=levels(("0.10", 100)), trade_usd="3.2"), "below the minimum of $1"),
    ],
)
def test_what_the_venue_would_not_take_is_refused(refused: Sized | Refusal, because: str) -> None:
    assert isinstance(refused, Refusal)
    assert because in refused.reason


def test_the_limit_stays_below_one_and_above_zero() -> None:
    high = opened(asks=levels(("0.98", 100)), slippage=5, trade_usd="400")
    low = size_close(a_market(), TokenBook("u", levels(("0.02", 9)), ()), 10 * MICRO, slippage_ticks=5)

    assert isinstance(high, Sized)
    assert high.limit_price == micros("0.99")
    assert isinstance(low, Sized)
    assert low.limit_price == micros("0.01")


@pytest.mark.parametrize(
    ("limit", "lot"), [("0.50", "0.02"), ("0.53", "1"), ("0.60", "0.05"), ("0.01", "1"), ("0.971", "10")]
)
def test_a_lot_costs_whole_cents(limit: str, lot: str) -> None:
    assert buy_lot(micros(limit), "FOK") == micros(lot)
    assert buy_lot(micros(limit), "GTC") == micros("0.01")


@given(
    ask=st.integers(1, 99),
    up_mid=st.integers(0, MICRO),
    trade_usd=st.integers(0, 10_000 * MICRO),
    cash_usd=st.integers(-MICRO, 10_000 * MICRO),
    slippage=st.integers(0, 5),
    rate=st.sampled_from([0.0, 0.07, 0.25]),
)
def test_whatever_is_sized_keeps_every_rule(
    ask: int, up_mid: int, trade_usd: int, cash_usd: int, slippage: int, rate: float
) -> None:
    market = a_market(fees=FeeSchedule(rate))
    book = TokenBook("u", (), ((ask * 10_000, MICRO),))
    sized = size_open(market, book, up_mid, trade_size_usd=trade_usd, cash_usd=cash_usd, slippage_ticks=slippage)

    if isinstance(sized, Refusal):
        return
    assert 0 < sized.limit_price < MICRO
    assert sized.limit_price % market.tick_size == 0
    assert sized.limit_price >= ask * 10_000
    assert sized.shares >= market.min_order_shares
    assert sized.shares % 10_000 == 0
    dollars, remainder = divmod(sized.shares * sized.limit_price, MICRO)
    assert (remainder, dollars % 10_000) == (0, 0)
    assert MICRO <= dollars <= trade_usd
    assert dollars + taker_fee(sized.shares, sized.limit_price, FeeSchedule(rate)) <= sized.reserve_usd <= cash_usd


def test_closing_sells_everything_sellable_in_whole_hundredths() -> None:
    sized = size_close(a_market(), a_view().up, micros("12.349999"), slippage_ticks=2)

    assert sized == Sized(micros("12.34"), micros("0.47"), 0)


def test_closing_goes_on_without_a_known_fee() -> None:
    assert isinstance(size_close(a_market(fees=None), a_view().up, 10 * MICRO, slippage_ticks=2), Sized)


@pytest.mark.parametrize("shares", ["0", "4.99", "4.999999"])
def test_dust_is_held_to_settlement(shares: str) -> None:
    assert size_close(a_market(), a_view().up, micros(shares), slippage_ticks=2) == Refusal("dust")


def test_without_a_bid_nothing_is_sold() -> None:
    assert size_close(a_market(), a_view(bids=()).up, 10 * MICRO, slippage_ticks=2) == Refusal("no bid to sell to")


def test_a_finer_tick_in_force_is_used_instead_of_the_listed_one() -> None:
    sized = size_close(
        a_market(), TokenBook("u", levels(("0.035", 9)), ()), 10 * MICRO, slippage_ticks=2, tick_size=1000
    )

    assert isinstance(sized, Sized)
    assert sized.limit_price == micros("0.033")


def test_a_buy_uses_the_tick_in_force_and_lands_on_it() -> None:
    book = TokenBook("u", (), levels(("0.965", 500)))
    fine = size_open(
        a_market(), book, MICRO, trade_size_usd=200 * MICRO, cash_usd=900 * MICRO, slippage_ticks=1, tick_size=1000
    )
    coarse = size_open(a_market(), book, MICRO, trade_size_usd=200 * MICRO, cash_usd=900 * MICRO, slippage_ticks=0)

    assert isinstance(fine, Sized)
    assert isinstance(coarse, Sized)
    assert (fine.limit_price, coarse.limit_price) == (micros("0.966"), micros("0.97"))


def test_an_ask_beyond_the_last_tick_cannot_be_bought() -> None:
    assert opened(asks=levels(("0.995", 500)), trade_usd="400") == Refusal("no ask to buy from")


def test_nothing_is_dust_even_where_the_market_has_no_minimum() -> None:
    market = msgspec.structs.replace(a_market(), min_order_shares=0)

    assert size_close(market, a_view().up, 9_999, slippage_ticks=1) == Refusal("dust")


def test_the_smallest_order_that_the_venue_takes_is_no_dust() -> None:
    assert size_close(a_market(), a_view().up, 5 * MICRO, slippage_ticks=1) == Sized(5 * MICRO, micros("0.48"), 0)


@pytest.mark.parametrize(
    ("worst", "limit"), [("0.40", "0.47"), ("0.475", "0.48"), ("0.48", "0.48"), ("0.485", "0.49"), ("0.49", "0.49")]
)
def test_a_close_is_at_its_worst_price_at_least_and_on_the_tick(worst: str, limit: str) -> None:
    sized = size_close(a_market(), a_view().up, 10 * MICRO, slippage_ticks=2, worst_price=micros(worst))

    assert sized == Sized(10 * MICRO, micros(limit), 0)


def test_a_close_that_would_have_to_be_cheaper_is_refused() -> None:
    sized = size_close(a_market(), a_view().up, 10 * MICRO, slippage_ticks=2, worst_price=micros("0.495"))

    assert sized == Refusal("bid for at 0.490000, 0.495000 allowed")


def test_a_market_whose_fee_is_not_known_is_not_sized() -> None:
    assert opened(fees=None) == Refusal("fee unknown")


def test_without_slippage_the_limit_is_the_ask() -> None:
    sized = opened(slippage=0)

    assert isinstance(sized, Sized)
    assert sized.limit_price == micros("0.51")


def test_what_rests_is_in_hundredths_of_a_share_and_reserves_no_more_than_its_own_fee() -> None:
    sized = opened(order_type="GTC", asks=levels(("0.53", 100)), slippage=0)
    assert isinstance(sized, Sized)
    assert sized.shares == micros("18.86")  # ten dollars
    tight = opened(order_type="GTC", asks=levels(("0.53", 100)), slippage=0, cash=str(decimal(sized.reserve_usd)))
    assert tight == sized
    reserves = [
        reserve_usd(sized.shares, sized.limit_price, MICRO // 100, CRYPTO_FEES, *kind) for kind in ((), ("GTC",))
    ]
    assert reserves == [sized.reserve_usd] * 2


def test_the_smallest_order_in_shares_and_in_dollars_is_not_too_small() -> None:
    assert too_small(a_market(), 5 * MICRO, micros("0.30")) is None
    assert too_small(a_market(), 5 * MICRO, micros("0.20")) is None
    assert too_small(a_market(), 5 * MICRO, micros("0.19")) == "$0.950000 is below the minimum of $1"
    assert too_small(a_market(), 5 * MICRO - 1, micros("0.30")) == "4.999999 shares, minimum 5.000000"
