"""The paper broker: when orders arrive, what they meet, and what they pay."""

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.market.market import Market
from core.market.views import BookView
from core.trading.fees import taker_fee
from core.trading.lifecycle import Acknowledged, Cancelled, FillReported, Persisted, Rejected, Submitted, advance
from core.trading.money import MICRO, micros
from core.trading.orders import Fill, Order, OrderState, OrderType, is_terminal
from tests.trading.builders import CRYPTO_FEES, NOW_MS, OPENS_S, a_market, a_view, an_order, levels
from venues.paper.broker import VENUE, BrokerReport, PaperBroker, PaperState

MARKET = a_market()
CLOSE_MS = (OPENS_S + 900) * 1000
DUE_MS = NOW_MS + 50 + 150


@pytest.fixture
def broker() -> PaperBroker:
    return PaperBroker(latency_ms=50, max_book_age_ms=5000)


def traded(
    broker: PaperBroker,
    order: Order,
    view: BookView | None,
    *,
    market: Market = MARKET,
    sent_on: BookView | None = None,
) -> list[BrokerReport]:
    """Send an order and let it arrive."""
    arrival = broker.submit(order, market, sent_on or a_view(), NOW_MS)
    return broker.arrive(order.id, view, arrival.due_ms)


def fills(reports: Iterable[BrokerReport]) -> list[Fill]:
    return [report.event.fill for report in reports if isinstance(report.event, FillReported)]


def final(order: Order, reports: Iterable[BrokerReport]) -> Order:
    order = advance(advance(order, Persisted(NOW_MS, "0xhash")), Submitted(NOW_MS, 1))
    for report in reports:
        order = advance(order, report.event)
    return order


def refusal(reports: list[BrokerReport]) -> str:
    (report,) = reports
    assert isinstance(report.event, Rejected)
    return report.event.error


def test_a_post_only_order_that_would_take_is_refused_and_one_that_rests_is_taken() -> None:
    broker, market, view = PaperBroker(0, 5_000), a_market(taker_delay_ms=0), a_view()
    for limit, rests in (("0.49", False), ("0.50", True)):
        order = msgspec.structs.replace(an_order(limit, side="SELL", order_type="GTC", limit=limit), post_only=True)
        broker.submit(order, market, view, NOW_MS)
        (report,) = broker.arrive(order.id, view, NOW_MS)
        assert isinstance(report.event, Acknowledged if rests else Rejected)


def test_an_order_arrives_after_latency_and_taker_delay(broker: PaperBroker) -> None:
    assert broker.submit(an_order(), MARKET, a_view(), NOW_MS).due_ms == DUE_MS


def test_an_order_sent_twice_is_one_order(broker: PaperBroker) -> None:
    first = broker.submit(an_order(), MARKET, a_view(), NOW_MS)
    second = broker.submit(an_order(), MARKET, a_view(), NOW_MS + 10)

    assert first == second
    assert len(fills(broker.arrive("o1", a_view(), DUE_MS))) == 1
    assert broker.arrive("o1", a_view(), DUE_MS) == []


def test_it_meets_the_book_of_its_arrival_not_of_its_departure(broker: PaperBroker) -> None:
    moved = a_view(asks=levels(("0.54", 100)), received_ms=NOW_MS + 100)

    assert [fill.price for fill in fills(traded(broker, an_order(), moved))] == [micros("0.54")]


def test_each_level_pays_the_markets_own_fee(broker: PaperBroker) -> None:
    reports = traded(broker, an_order(shares=150), a_view())

    assert [(fill.price, fill.shares) for fill in fills(reports)] == [
        (micros("0.51"), 100 * MICRO),
        (micros("0.52"), 50 * MICRO),
    ]
    for fill in fills(reports):
        assert fill.fee_usd == taker_fee(fill.shares, fill.price, CRYPTO_FEES)
        assert (fill.liquidity, fill.state, fill.venue) == ("TAKER", "CONFIRMED", VENUE)
    assert final(an_order(shares=150), reports).state is OrderState.FILLED


def test_trade_ids_are_the_orders_and_repeat(broker: PaperBroker) -> None:
    reports = traded(broker, an_order(shares=150), a_view())

    assert [fill.trade_id for fill in fills(reports)] == ["o1-0", "o1-1"]


def test_a_fak_takes_what_there_is_and_the_rest_is_cancelled(broker: PaperBroker) -> None:
    order = an_order(shares=400, order_type="FAK")
    done = final(order, traded(broker, order, a_view()))

    assert (done.state, done.filled_shares) == (OrderState.PARTIALLY_FILLED, 300 * MICRO)


def test_a_fok_that_cannot_be_filled_whole_is_killed(broker: PaperBroker) -> None:
    order = an_order(shares=400, order_type="FOK")
    done = final(order, traded(broker, order, a_view()))

    assert (done.state, done.filled_shares) == (OrderState.CANCELLED, 0)
    assert "FOK" in str(done.last_error)


def test_two_orders_cannot_take_the_same_shares(broker: PaperBroker) -> None:
    first = fills(traded(broker, an_order("o1", shares=80, limit="0.51"), a_view()))
    second = fills(traded(broker, an_order("o2", shares=80, limit="0.51"), a_view()))

    assert [f.shares for f in first + second] == [80 * MICRO, 20 * MICRO]


def test_what_was_taken_through_one_token_is_gone_in_the_other(broker: PaperBroker) -> None:
    traded(broker, an_order("o1", shares=80, limit="0.51"), a_view())
    sell = an_order("o2", side="SELL", outcome="DOWN", shares=80, limit="0.49")

    assert [f.shares for f in fills(traded(broker, sell, a_view()))] == [20 * MICRO]


def test_a_moved_level_is_whole_again(broker: PaperBroker) -> None:
    traded(broker, an_order("o1", shares=80, limit="0.51"), a_view())
    broker.refresh(a_view(asks=levels(("0.51", 120))), NOW_MS)

    assert [f.shares for f in fills(traded(broker, an_order("o2", shares=80, limit="0.51"), a_view()))] == [80 * MICRO]


def test_no_fill_crosses_an_epoch(broker: PaperBroker) -> None:
    (report,) = traded(broker, an_order(), a_view(epoch=2), sent_on=a_view(epoch=1))

    assert report.event == Cancelled(DUE_MS, "continuity lost")


def test_without_a_book_nothing_fills(broker: PaperBroker) -> None:
    assert refusal(traded(broker, an_order("o1"), None)) == "no book"
    assert refusal(traded(broker, an_order("o2"), a_view(condition_id="0xnext"))) == "no book"


def test_an_order_sent_without_a_book_goes_by_the_one_it_was_sized_on(broker: PaperBroker) -> None:
    for order_id, epoch in (("o1", a_view().continuity_epoch), ("o2", a_view().continuity_epoch + 1)):
        order = msgspec.structs.replace(an_order(order_id), book_epoch=epoch)
        arrival = broker.submit(order, MARKET, None, NOW_MS)
        reports = broker.arrive(order_id, a_view(), arrival.due_ms)
        if order_id == "o1":
            assert fills(reports)
        else:
            assert [report.event for report in reports] == [Cancelled(DUE_MS, "continuity lost")]


def test_a_stale_book_fills_nothing(broker: PaperBroker) -> None:
    assert fills(traded(broker, an_order("o1"), a_view(received_ms=DUE_MS - 5000)))
    assert "stale book" in refusal(traded(broker, an_order("o2"), a_view(received_ms=DUE_MS - 5001)))


def test_the_age_of_books_scales_with_the_window(broker: PaperBroker) -> None:
    short = a_market(length_s=90)
    order = an_order()
    market = msgspec.structs.replace(short, window=msgspec.structs.replace(short.window, opens_at_s=OPENS_S + 60))

    assert "stale book" in refusal(traded(broker, order, a_view(received_ms=DUE_MS - 501), market=market))


@pytest.mark.parametrize(
    ("order", "because"),
    [
        (an_order(limit="0.555"), "breaks minimum tick size rule: 0.01"),
        (an_order(limit="1.00"), "tick"),
        (an_order(shares=4.99), "size 4.990000 lower than the minimum: 5"),
        (an_order(shares=5, limit="0.10"), "invalid amount for a marketable BUY order"),
        (an_order(shares=19.23, limit="0.55"), "invalid amounts"),
        (an_order(shares=10.00001, limit="0.50"), "invalid amounts"),
        (an_order(shares=10.005, side="SELL", limit="0.40"), "more than 2 decimals"),
        (an_order(shares=10.005, order_type="GTC", limit="0.40"), "more than 2 decimals"),
        (msgspec.structs.replace(an_order(), token_id="other"), "token"),  # noqa: S106 - a token id of a market
    ],
)
def test_what_the_venue_would_refuse_is_refused(broker: PaperBroker, order: Order, because: str) -> None:
    assert because in refusal(traded(broker, order, a_view()))


def test_an_unknown_fee_is_refused(broker: PaperBroker) -> None:
    assert refusal(traded(broker, an_order(), a_view(), market=a_market(fees=None))) == "fee unknown"


def test_a_closed_market_fills_nothing(broker: PaperBroker) -> None:
    broker.submit(an_order(), MARKET, a_view(), CLOSE_MS - 200)

    assert refusal(broker.arrive("o1", a_view(received_ms=CLOSE_MS), CLOSE_MS)) == "market closed"


def test_a_book_without_sizes_fills_whole_at_the_touch_and_says_so(broker: PaperBroker) -> None:
    view = a_view(asks=levels(("0.51", 0), ("0.52", 0)), sized=False)
    reports = traded(broker, an_order(shares=400), view)

    assert [(f.price, f.shares, f.liquidity) for f in fills(reports)] == [(micros("0.51"), 400 * MICRO, "TAKER")]
    assert [report.flag for report in reports] == ["unsized"]
    beyond = traded(broker, an_order("o2", shares=400, limit="0.50"), view)
    assert final(an_order("o2"), beyond).state is OrderState.CANCELLED


def test_a_sized_fill_carries_no_flag(broker: PaperBroker) -> None:
    assert {report.flag for report in traded(broker, an_order(), a_view())} == {None}


def resting(broker: PaperBroker, *, shares: float = 50, limit: str = "0.50") -> Order:
    order = an_order(shares=shares, limit=limit, order_type="GTC")
    assert traded(broker, order, a_view())[-1].event == Acknowledged(DUE_MS)
    return order


def test_the_remainder_of_a_gtc_order_rests(broker: PaperBroker) -> None:
    order = an_order(shares=150, limit="0.51", order_type="GTC")
    reports = traded(broker, order, a_view())
    done = final(order, reports)

    assert (done.state, done.filled_shares) == (OrderState.LIVE, 100 * MICRO)
    assert broker.refresh(a_view(), DUE_MS) == [], "the level it took is not offered again"


def test_a_resting_order_waits_until_the_other_side_crosses_its_limit(broker: PaperBroker) -> None:
    order = resting(broker)
    assert broker.refresh(a_view(), DUE_MS + 100) == []
    reports = broker.refresh(a_view(asks=levels(("0.50", 20), ("0.51", 100))), DUE_MS + 200)

    assert [(f.price, f.shares, f.fee_usd, f.liquidity) for f in fills(reports)] == [
        (micros("0.50"), 20 * MICRO, 0, "MAKER")
    ]
    through = broker.refresh(a_view(asks=levels(("0.47", 500))), DUE_MS + 300)
    assert [(f.price, f.shares) for f in fills(through)] == [(micros("0.50"), 30 * MICRO)]
    assert [f.trade_id for f in fills(reports + through)] == ["o1-0", "o1-1"]
    assert broker.refresh(a_view(asks=levels(("0.46", 500))), DUE_MS + 400) == []
    assert is_terminal(final(order, [*reports, *through]))


@pytest.mark.parametrize(
    ("view", "at_ms", "reason"),
    [(a_view(epoch=2), DUE_MS + 100, "continuity lost"), (a_view(), CLOSE_MS, "market closed")],
)
def test_a_resting_order_ends_with_its_book_or_its_market(
    broker: PaperBroker, view: BookView, at_ms: int, reason: str
) -> None:
    resting(broker)

    assert [report.event for report in broker.refresh(view, at_ms)] == [Cancelled(at_ms, reason)]


def test_a_book_of_another_market_leaves_resting_orders_alone(broker: PaperBroker) -> None:
    resting(broker)

    assert broker.refresh(a_view(condition_id="0xnext", epoch=9, asks=levels(("0.40", 9))), DUE_MS + 1) == []
    assert "o1" in broker.state.orders


def test_a_resting_order_can_be_cancelled(broker: PaperBroker) -> None:
    resting(broker)

    assert [r.event for r in broker.cancel("o1", DUE_MS + 5)] == [Cancelled(DUE_MS + 5, "cancelled")]
    assert broker.cancel("o1", DUE_MS + 6) == []
    assert broker.refresh(a_view(asks=levels(("0.40", 100))), DUE_MS + 7) == []


def test_an_order_on_its_way_is_past_recall_but_does_not_rest(broker: PaperBroker) -> None:
    order = an_order(shares=150, limit="0.51", order_type="GTC")
    broker.submit(order, MARKET, a_view(), NOW_MS)

    assert broker.cancel("o1", NOW_MS + 10) == []
    assert final(order, broker.arrive("o1", a_view(), DUE_MS)).state is OrderState.PARTIALLY_FILLED


def test_a_restarted_broker_goes_on_where_the_last_one_stopped(broker: PaperBroker) -> None:
    traded(broker, an_order("o0", shares=80, limit="0.51"), a_view())
    broker.submit(an_order("o1", shares=80, limit="0.51"), MARKET, a_view(), NOW_MS)
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(broker.state), type=PaperState)
    reports = PaperBroker(50, 5000, state).arrive("o1", a_view(), DUE_MS)

    assert state == broker.state
    assert [f.shares for f in fills(reports)] == [20 * MICRO]


def test_a_finished_market_is_forgotten(broker: PaperBroker) -> None:
    traded(broker, an_order(), a_view())
    broker.forget("0xc")

    assert broker.state == PaperState()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["FOK", "FAK", "GTC"]),
            st.sampled_from(["BUY", "SELL"]),
            st.sampled_from(["UP", "DOWN"]),
            st.integers(1, 400),
            st.integers(1, 99),
        ),
        min_size=1,
        max_size=10,
    ),
    st.booleans(),
)
def test_every_order_ends_and_nothing_is_filled_beyond_its_limit(
    specs: list[tuple[OrderType, str, str, int, int]],
    continuity_lost: bool,  # noqa: FBT001
) -> None:
    broker = PaperBroker(latency_ms=50, max_book_age_ms=5000)
    orders = [
        an_order(
            f"o{n}",
            side="BUY" if side == "BUY" else "SELL",
            outcome="UP" if outcome == "UP" else "DOWN",
            shares=shares,
            limit=f"0.{tick:02}",
            order_type=order_type,
        )
        for n, (order_type, side, outcome, shares, tick) in enumerate(specs)
    ]
    taken_up_asks = 0
    for order in orders:
        view = a_view(epoch=2 if continuity_lost else 1)
        reports = traded(broker, order, view) + broker.cancel(order.id, DUE_MS)
        done = final(order, reports)

        assert is_terminal(done)
        assert done.filled_shares <= order.shares
        if order.order_type == "FOK":
            assert done.filled_shares in {0, order.shares}
        for fill in fills(reports):
            assert fill.price <= order.limit_price if order.side == "BUY" else fill.price >= order.limit_price
        if (order.outcome == "UP") == (order.side == "BUY"):
            taken_up_asks += done.filled_shares
    assert taken_up_asks <= 300 * MICRO, "more was taken than the book ever showed"
    assert broker.state.orders == {}


def test_a_resting_order_does_not_arrive_again(broker: PaperBroker) -> None:
    resting(broker)

    assert broker.arrive("o1", a_view(asks=levels(("0.40", 100))), DUE_MS + 1) == []
    assert broker.state.orders["o1"].left_shares == 50 * MICRO


def test_an_order_on_its_way_is_not_filled_by_a_new_book(broker: PaperBroker) -> None:
    broker.submit(an_order(), MARKET, a_view(), NOW_MS)

    assert broker.refresh(a_view(), NOW_MS + 10) == []


def test_fills_carry_the_hash_of_their_order(broker: PaperBroker) -> None:
    order = msgspec.structs.replace(an_order(), order_hash="0xhash")

    assert [fill.order_hash for fill in fills(traded(broker, order, a_view()))] == ["0xhash"]


@pytest.mark.parametrize(("ask", "rests"), [("0.51", True), ("0.10", False)])
def test_one_dollar_is_the_minimum_of_what_crosses_only(broker: PaperBroker, ask: str, rests: bool) -> None:  # noqa: FBT001
    order = an_order(shares=5, limit="0.10", order_type="GTC")
    (report,) = traded(broker, order, a_view(bids=(), asks=levels((ask, 100))))

    assert isinstance(report.event, Acknowledged) == rests


def test_shares_of_a_fok_buy_have_at_most_four_decimals(broker: PaperBroker) -> None:
    # 10.015625 shares at 0.64 cost whole cents all the same
    order = an_order(shares=10.015625, limit="0.64", order_type="FOK")

    assert "invalid amounts" in refusal(traded(broker, order, a_view()))
