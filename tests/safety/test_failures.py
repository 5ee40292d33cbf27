"""A frozen book, a dead market actor, exits that fail: the position is closed or knowingly settled, and rows say so.

Windows of the real length, 900 s, in the stepped runtime: every limit in seconds is the one of the real venue.
"""

from core.alerts.kinds import FEED_OUTAGE, FEED_RECOVERED, FORCED_EXIT, HELD
from tests.safety.failing import BTC, Failing, Span, answering, unavailable

TWO_MINUTES = Span(300.0, 180.0)
BOOK = "feed.polymarket.BTC"


def ran(failing: Failing) -> Failing:
    """Run to rest; the auditor has found nothing wrong at any step."""
    assert failing.run().broken is None
    return failing


def on_time(failing: Failing) -> bool:
    """Return whether the other asset was sold at T-2 as if nothing had happened."""
    trade = failing.trade("ETH")
    return trade.force_close_reason == "T-2" and 119 < failing.left_s(trade.closed_at_ms) < 120


# -- the book of one asset is frozen for two minutes -------------------------------------------------------------------


def test_a_book_that_is_frozen_at_the_venue_too_ends_in_a_sale_once_it_thaws() -> None:
    failing = ran(Failing(frozen=TWO_MINUTES, book=unavailable))

    assert failing.trade().force_close_reason == "T-2"  # the book thawed meanwhile: the reason that remained sold it
    assert 119 < failing.left_s(failing.trade().closed_at_ms) < 120
    assert [status for status, _ in failing.health(BOOK)][:2] == ["critical", "recovered"]
    assert failing.health(BOOK)[0][1] == "stale, last data 30.2 s ago, limit 30 s"
    assert ("changed", f"reduce-only: {BOOK} stale") in failing.health("gate BTC")
    refused = failing.sells("REJECTED")  # each try during the freeze is a row with its reason
    assert len(refused) > 20
    assert all(str(order.last_error).startswith("stale book") for order in refused)
    ((status, detail),) = failing.health("exit BTC")
    assert status == "closed"
    assert "attempts: touch" in detail
    assert [kind for kind, _ in failing.alerts("polymarket BTC")][:2] == [FEED_OUTAGE, FEED_RECOVERED]
    assert FORCED_EXIT in [kind for kind, _ in failing.alerts("BTC DOWN")]
    assert on_time(failing)


def test_a_book_whose_socket_is_frozen_is_taken_from_the_venue_and_goes_on() -> None:
    failing = ran(Failing(frozen=TWO_MINUTES, all_sockets=False, book=answering))

    (stale, well), *_ = zip(failing.health(BOOK), failing.health(BOOK)[1:], strict=False)
    assert stale == ("critical", "stale, last data 30.2 s ago, limit 30 s")
    assert well == ("recovered", "data flows")
    assert failing.sells("REJECTED") == []
    assert failing.trade().force_close_reason == "T-2"
    assert 119 < failing.left_s(failing.trade().closed_at_ms) < 120
    assert on_time(failing)


def test_a_book_that_no_socket_brings_is_sold_from_after_a_minute() -> None:
    failing = ran(Failing(frozen=TWO_MINUTES, book=answering))

    trade = failing.trade()
    assert trade.exit_reason == trade.force_close_reason == "stale book"
    assert 179 < failing.left_s(trade.closed_at_ms) < 180
    ((status, detail),) = failing.health("exit BTC")
    assert (status, "(stale book): sold at" in detail) == ("closed", True)
    assert FORCED_EXIT in [kind for kind, _ in failing.alerts("BTC DOWN", "stale book")]
    assert on_time(failing)


# -- the market actor dies three minutes before the close --------------------------------------------------------------


def test_a_market_actor_that_dies_for_good_has_its_position_sold_at_once() -> None:
    failing = ran(Failing(dying=Span(180.0)))

    assert failing.retired == ["market.BTC"]
    trade = failing.trade()
    assert trade.force_close_reason == "retired"
    assert 120 < failing.left_s(trade.closed_at_ms) < 180  # before T-2
    told = [status for status, _ in failing.health("market.BTC")]
    assert told.count("degraded") >= 5
    assert "critical" in told
    assert ("changed", "reduce-only: retired") in failing.health("gate BTC")
    assert [status for status, _ in failing.health("exit BTC")] == ["closed"]
    kinds = [kind for kind, _ in failing.alerts()]
    assert {"actor crashed", "actor retired", "asset retired", FORCED_EXIT} <= set(kinds)
    assert on_time(failing)


def test_a_market_actor_that_is_replaced_every_second_until_the_close_delays_no_exit() -> None:
    failing = ran(Failing(restarted=Span(180.0, 0.0)))

    trade = failing.trade()
    assert trade.force_close_reason == "T-2"
    assert 119 < failing.left_s(trade.closed_at_ms) < 120
    assert len(failing.health("market.BTC")) > 300
    assert [status for status, _ in failing.health("exit BTC")] == ["closed"]
    assert on_time(failing)


# -- exits fail --------------------------------------------------------------------------------------------------------


def test_a_minute_in_which_every_exit_fails_ends_in_a_sale() -> None:
    failing = ran(Failing(refused=Span(120.0, 60.0)))

    trade = failing.trade()
    assert trade.force_close_reason == "T-2"
    assert 50 < failing.left_s(trade.closed_at_ms) < 60
    refused = failing.sells("REJECTED")
    assert len(refused) > 20
    assert {order.last_error for order in refused} == {"the venue refuses every sell"}
    ((status, detail),) = failing.health("exit BTC")
    assert status == "closed"
    assert "deepest" in detail
    assert FORCED_EXIT in [kind for kind, _ in failing.alerts("BTC DOWN", "T-2")]


def test_exits_that_fail_until_the_close_end_in_a_settlement_that_was_told_before_it() -> None:
    failing = ran(Failing(refused=Span(120.0)))

    trade = failing.trade()
    assert (trade.exit_reason, trade.exit_price in (0, 1_000_000)) == ("settlement", True)
    ((status, detail),) = failing.health("exit BTC")
    assert status == "held to settlement"
    assert f"{BTC} (T-2): the window ends; 60 attempts: touch" in detail
    ((kind, text),) = failing.alerts(f"shares of {BTC}")
    assert (kind, text) == (HELD, detail)
