"""What an opening order must pass, and when a position must go."""

import pytest

from core.market.views import TokenBook
from core.trading.limits import (
    OpenLimits,
    exit_due,
    max_age_due,
    open_refusal,
    price_refusal,
    time_refusal,
    two_sided_refusal,
)
from core.trading.money import micros
from tests.trading.builders import NOW_MS, OPENS_S, a_market, a_view, levels

LIMITS = OpenLimits()


def test_a_fresh_two_sided_book_early_in_the_window_passes() -> None:
    assert open_refusal(a_market(), a_view(), "UP", NOW_MS, LIMITS) is None


@pytest.mark.parametrize(("since_ms", "refused"), [(-1, True), (0, False), (720_000, False), (720_001, True)])
def test_openings_need_the_minimum_time_left(since_ms: int, refused: bool) -> None:  # noqa: FBT001
    now_ms = OPENS_S * 1000 + since_ms

    assert (open_refusal(a_market(), a_view(received_ms=now_ms), "UP", now_ms, LIMITS) is not None) == refused


def test_time_left_and_book_age_scale_with_the_window() -> None:
    market = a_market(length_s=60)
    late_ms = OPENS_S * 1000 + 48_001
    age_ms = 334

    assert "left" in str(open_refusal(market, a_view(received_ms=late_ms), "UP", late_ms, LIMITS))
    early_ms = OPENS_S * 1000 + 10_000
    assert "old" in str(open_refusal(market, a_view(received_ms=early_ms - age_ms), "UP", early_ms, LIMITS))
    assert open_refusal(a_market(), a_view(received_ms=NOW_MS - age_ms), "UP", NOW_MS, LIMITS) is None


def test_a_stale_book_is_refused() -> None:
    assert open_refusal(a_market(), a_view(received_ms=NOW_MS - 5000), "UP", NOW_MS, LIMITS) is None
    assert "old" in str(open_refusal(a_market(), a_view(received_ms=NOW_MS - 5001), "UP", NOW_MS, LIMITS))


def test_an_unknown_fee_is_refused() -> None:
    assert open_refusal(a_market(fees=None), a_view(), "UP", NOW_MS, LIMITS) == "fee unknown"


def test_an_unknown_protocol_version_is_refused() -> None:
    assert "protocol v2" in str(open_refusal(a_market(protocol="v2"), a_view(), "UP", NOW_MS, LIMITS))


def test_one_sided_and_crossed_books_are_refused() -> None:
    assert open_refusal(a_market(), a_view(bids=()), "UP", NOW_MS, LIMITS) == "book one-sided"
    assert open_refusal(a_market(), a_view(bids=levels(("0.51", 1))), "UP", NOW_MS, LIMITS) == "book crossed"


def test_no_book_or_another_markets_book_is_refused() -> None:
    assert "no book" in str(open_refusal(a_market(), None, "UP", NOW_MS, LIMITS))
    assert "no book" in str(open_refusal(a_market(), a_view(condition_id="0xd"), "UP", NOW_MS, LIMITS))


@pytest.mark.parametrize(("side", "refused"), [("UP", True), ("DOWN", False)])
def test_the_price_band_applies_to_the_token_that_would_be_bought(side: str, refused: bool) -> None:  # noqa: FBT001
    view = a_view(bids=levels(("0.90", 10)), asks=levels(("0.96", 10)))
    reason = open_refusal(a_market(), view, "UP" if side == "UP" else "DOWN", NOW_MS, LIMITS)

    assert (reason is not None) == refused
    if refused:
        assert "0.96" in str(reason)


def test_the_price_band_includes_its_ends() -> None:
    view = a_view(asks=levels(("0.95", 10)))

    assert open_refusal(a_market(), view, "UP", NOW_MS, LIMITS) is None
    assert open_refusal(a_market(), view, "UP", NOW_MS, OpenLimits(max_price=micros("0.94"))) is not None


def test_the_exit_comes_two_minutes_before_the_end_of_a_full_window() -> None:
    window = a_market().window

    assert not exit_due(window, OPENS_S * 1000 + 779_999)
    assert exit_due(window, OPENS_S * 1000 + 780_000)


def test_the_exit_and_the_age_scale_with_the_window() -> None:
    window = a_market(length_s=60).window

    assert not exit_due(window, OPENS_S * 1000 + 51_999)
    assert exit_due(window, OPENS_S * 1000 + 52_000)
    assert not max_age_due(window, NOW_MS, NOW_MS + 55_999)
    assert max_age_due(window, NOW_MS, NOW_MS + 56_000)


def test_a_position_is_too_old_after_fourteen_minutes() -> None:
    window = a_market().window

    assert not max_age_due(window, NOW_MS, NOW_MS + 839_999)
    assert max_age_due(window, NOW_MS, NOW_MS + 840_000)


def test_a_price_is_refused_outside_the_band_and_where_there_is_none() -> None:
    assert price_refusal(None, 1, 2) == "no price"
    assert [price_refusal(price, 5, 7) is None for price in (4, 5, 7, 8)] == [False, True, True, False]


def test_the_narrowest_spread_there_can_be_is_not_crossed() -> None:
    assert two_sided_refusal(TokenBook("u", ((500_000, 1),), ((500_001, 1),))) is None
    assert two_sided_refusal(TokenBook("u", ((500_000, 1),), ((500_000, 1),))) == "book crossed"


def test_before_a_window_opens_nothing_is_bought_in_it() -> None:
    window = a_market().window

    assert time_refusal(window, OPENS_S * 1000 - 1, 0) == "window not open yet"
    assert time_refusal(window, OPENS_S * 1000, 0) is None
