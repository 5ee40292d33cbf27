"""The order's state machine: legal paths, fills that come late, twice or not at all, and an end to every order."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trading.lifecycle import (
    Acknowledged,
    Cancelled,
    Failed,
    FillReported,
    IllegalTransitionError,
    OrderEvent,
    OutcomeUnknown,
    Persisted,
    Postponed,
    Rejected,
    Submitted,
    advance,
    fill_news,
    may_advance,
)
from core.trading.money import MICRO, micros
from core.trading.orders import Fill, FillState, Order, OrderState, is_terminal
from tests.trading.builders import NOW_MS, a_fill, an_order


def after(*events: OrderEvent, order: Order | None = None) -> Order:
    order = order or an_order()
    for event in events:
        order = advance(order, event)
    return order


SENT = (Persisted(NOW_MS, "0xhash"), Submitted(NOW_MS, 7))
PART = FillReported(a_fill(an_order(), 0, shares=4))
REST = FillReported(a_fill(an_order(), 1, shares=6))
CLOSING: list[OrderEvent] = [
    Cancelled(NOW_MS, "killed"),
    Rejected(NOW_MS, "too small"),
    Failed(NOW_MS, "window closed"),
]


def test_an_order_is_durable_before_it_is_sent() -> None:
    with pytest.raises(IllegalTransitionError, match="Submitted cannot follow NEW"):
        advance(an_order(), Submitted(NOW_MS, 1))


def test_the_hash_and_the_gates_sequence_stay_with_the_order() -> None:
    order = after(*SENT)

    assert (order.order_hash, order.gate_sequence, order.submitted_ms) == ("0xhash", 7, NOW_MS)
    assert order.state is OrderState.SUBMITTED


def test_fills_add_up_and_the_last_one_fills_the_order() -> None:
    part = after(*SENT, PART)
    whole = advance(part, REST)

    assert part.state is OrderState.SUBMITTED
    assert (whole.state, whole.filled_shares, whole.filled_notional) == (OrderState.FILLED, 10 * MICRO, 5 * MICRO)
    assert whole.closed_ms == NOW_MS


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (CLOSING[0], OrderState.CANCELLED),
        (CLOSING[1], OrderState.REJECTED),
        (CLOSING[2], OrderState.FAILED),
    ],
)
def test_closing_without_a_fill_names_the_cause(event: OrderEvent, state: OrderState) -> None:
    assert after(*SENT, event).state is state


@pytest.mark.parametrize("event", CLOSING)
def test_closing_with_a_fill_is_partially_filled(event: OrderEvent) -> None:
    assert after(*SENT, PART, event).state is OrderState.PARTIALLY_FILLED


def test_a_remainder_of_the_venues_rounding_counts_as_filled() -> None:
    fill = FillReported(a_fill(an_order(), shares=9.99))

    assert after(*SENT, fill, Cancelled(NOW_MS, "done")).state is OrderState.FILLED


@pytest.mark.parametrize("event", CLOSING)
def test_a_late_fill_is_adopted_by_a_closed_order(event: OrderEvent) -> None:
    assert after(*SENT, event, PART).state is OrderState.PARTIALLY_FILLED
    assert after(*SENT, event, PART, REST).state is OrderState.FILLED


def test_a_timed_out_order_is_unknown_until_something_is_heard() -> None:
    unknown = after(*SENT, OutcomeUnknown(NOW_MS, "timeout"))

    assert not is_terminal(unknown)
    assert after(Acknowledged(NOW_MS), order=unknown).state is OrderState.LIVE
    assert after(PART, REST, order=unknown).state is OrderState.FILLED


def test_an_order_found_durable_after_a_restart_may_have_been_sent() -> None:
    durable = after(SENT[0])

    assert after(OutcomeUnknown(NOW_MS, "restart"), order=durable).state is OrderState.UNKNOWN
    assert after(PART, REST, order=durable).state is OrderState.FILLED


def test_a_fill_before_anything_was_committed_is_impossible() -> None:
    with pytest.raises(IllegalTransitionError):
        advance(an_order(), PART)


def test_a_resting_order_cannot_be_rejected() -> None:
    with pytest.raises(IllegalTransitionError):
        after(*SENT, Acknowledged(NOW_MS), Rejected(NOW_MS, "no"))


def test_a_fill_of_another_order_is_refused() -> None:
    with pytest.raises(IllegalTransitionError, match="does not belong"):
        after(*SENT, FillReported(a_fill(an_order("o2"))))


def test_a_failed_trade_takes_its_shares_back() -> None:
    matched = FillReported(a_fill(an_order(), state="MATCHED"))
    failed = FillReported(a_fill(an_order(), state="FAILED"))
    order = after(*SENT, matched, failed)

    assert (order.state, order.filled_shares, order.fees_usd) == (OrderState.FAILED, 0, 0)


def test_a_trade_that_failed_first_is_not_revived_by_an_older_report() -> None:
    matched = FillReported(a_fill(an_order(), state="MATCHED"))
    failed = FillReported(a_fill(an_order(), state="FAILED"))

    assert after(*SENT, failed, matched).filled_shares == 0


@pytest.mark.parametrize(("known", "reported"), [("CONFIRMED", "FAILED"), ("FAILED", "CONFIRMED")])
def test_a_final_state_of_a_fill_cannot_be_contradicted(known: FillState, reported: FillState) -> None:
    with pytest.raises(IllegalTransitionError, match="reconcile"):
        fill_news(known, reported)


FILLS = st.builds(
    lambda n, state: FillReported(a_fill(an_order(), n, shares=n + 0.5, fee_usd=n, state=state)),
    st.integers(0, 6),
    st.sampled_from(["MATCHED", "CONFIRMED", "FAILED"]),
)
EVENTS: st.SearchStrategy[OrderEvent] = st.one_of(
    st.just(Persisted(NOW_MS)),
    st.just(Submitted(NOW_MS, 1)),
    st.just(Acknowledged(NOW_MS)),
    st.just(Postponed(NOW_MS)),
    st.just(OutcomeUnknown(NOW_MS, "timeout")),
    st.sampled_from(CLOSING),
    FILLS,
)


def legal(order: Order, event: OrderEvent) -> Order:
    try:
        return advance(order, event)
    except IllegalTransitionError:
        return order


@given(st.lists(EVENTS, max_size=30))
def test_no_sequence_of_events_breaks_the_order(events: list[OrderEvent]) -> None:
    order = an_order()
    for event in events:
        before, order = order, legal(order, event)

        counted = [f for f in order.fills if f.state != "FAILED"]
        assert order.filled_shares == sum(f.shares for f in counted) >= 0
        assert order.fees_usd == sum(f.fee_usd for f in counted)
        assert len({f.key for f in order.fills}) == len(order.fills)
        assert not is_terminal(before) or is_terminal(order), "a closed order stays closed"
        assert (order.closed_ms is not None) == is_terminal(order)
        if order.state in {OrderState.CANCELLED, OrderState.REJECTED, OrderState.FAILED}:
            assert order.filled_shares == 0


@given(st.lists(EVENTS, max_size=30))
def test_repeating_an_event_changes_nothing(events: list[OrderEvent]) -> None:
    order = an_order()
    for event in events:
        order = legal(order, event)
        if may_advance(order, event):
            assert legal(order, event) == order


@given(st.lists(EVENTS, max_size=30))
def test_from_anywhere_one_failure_ends_the_order(events: list[OrderEvent]) -> None:
    order = an_order()
    for event in events:
        order = legal(order, event)

    assert is_terminal(order) or is_terminal(advance(order, Failed(NOW_MS, "deadline")))


@given(st.lists(EVENTS, max_size=30))
def test_an_order_survives_its_encoding(events: list[OrderEvent]) -> None:
    order = an_order()
    for event in events:
        order = legal(order, event)

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(order), type=Order) == order
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(events), type=list[OrderEvent]) == events


def test_filled_notional_is_the_sum_of_the_fills() -> None:
    cheap = FillReported(a_fill(an_order(), 0, shares=4, price="0.40"))
    dear = FillReported(a_fill(an_order(), 1, shares=6, price="0.55"))

    assert after(*SENT, cheap, dear).filled_notional == micros("4.90")


def test_a_hash_known_before_the_commit_is_kept() -> None:
    order = msgspec.structs.replace(an_order(), order_hash="0xearly")

    assert advance(order, Persisted(NOW_MS)).order_hash == "0xearly"


def test_a_resting_order_is_not_postponed() -> None:
    with pytest.raises(IllegalTransitionError):
        after(*SENT, Acknowledged(NOW_MS), Postponed(NOW_MS))


def test_an_order_that_the_venue_matches_later_is_delayed() -> None:
    assert after(*SENT, Postponed(NOW_MS)).state is OrderState.DELAYED


def test_an_order_is_unknown_since_the_first_time_it_was() -> None:
    order = after(*SENT, OutcomeUnknown(NOW_MS + 5, "timed out"))
    assert order.unknown_since_ms == NOW_MS + 5
    assert after(OutcomeUnknown(NOW_MS + 9, "again"), order=order).unknown_since_ms == NOW_MS + 5


@pytest.mark.parametrize(
    "wrong",
    [
        msgspec.structs.replace(a_fill(an_order()), token_id="d"),  # noqa: S106 -- of the market
        msgspec.structs.replace(a_fill(an_order()), side="SELL"),
        msgspec.structs.replace(a_fill(an_order()), order_id="o9"),
    ],
)
def test_a_fill_has_to_be_of_the_order_its_token_and_its_side(wrong: Fill) -> None:
    with pytest.raises(IllegalTransitionError, match="does not belong to order o1"):
        after(*SENT, FillReported(wrong))


@pytest.mark.parametrize("event", CLOSING)
def test_a_closed_order_stays_what_it_was_when_a_fill_turns_up_that_never_happened(event: OrderEvent) -> None:
    closed = after(*SENT, event)
    never = FillReported(a_fill(an_order(), state="FAILED"))

    assert after(never, order=closed).state is closed.state


def test_what_went_wrong_stays_with_the_order() -> None:
    assert after(*SENT, Rejected(NOW_MS, "too small")).last_error == "too small"
    assert after(*SENT, Failed(NOW_MS, "window closed")).last_error == "window closed"
    assert after(*SENT, Cancelled(NOW_MS, "killed")).last_error == "killed"
    assert after(*SENT, OutcomeUnknown(NOW_MS, "timed out")).last_error == "timed out"
