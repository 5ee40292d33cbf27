"""How well a feed is, and whether two clocks can both be right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.market.health import FeedRules, FeedSigns, Health, faulty_because, health_of, skew_refusal, stale_because

RULES = FeedRules(stale_s=30.0)
WELL = FeedSigns(silent_s=0.5, connected=True, has_data=True, age_s=1.0, detail="connected")


def test_a_feed_whose_data_flows_is_healthy() -> None:
    assert health_of(WELL, RULES) == (Health.HEALTHY, "data flows")


@pytest.mark.parametrize(
    ("signs", "detail"),
    [
        (None, "not heard yet"),
        (replace(WELL, silent_s=3.1), "silent for 3.1 s: its actor is dead or hung"),
        (replace(WELL, connected=False, detail="refused"), "refused"),
        (replace(WELL, has_data=False), "connected, no data yet"),
        (replace(WELL, age_s=30.04), "stale, last data 30.0 s ago, limit 30 s"),
    ],
)
def test_a_feed_that_must_not_be_traded_on_is_critical_and_says_why(signs: FeedSigns | None, detail: str) -> None:
    assert health_of(signs, RULES) == (Health.CRITICAL, detail)
    assert stale_because(signs, RULES) == detail


def test_silence_and_age_count_from_beyond_their_limits() -> None:
    assert stale_because(replace(WELL, silent_s=3.0, age_s=30.0), RULES) is None


def test_what_is_worst_is_told_first() -> None:
    bad = FeedSigns(silent_s=9.0, connected=False, has_data=False, age_s=99.0, detail="refused")
    assert "silent" in str(stale_because(bad, RULES))
    assert stale_because(replace(bad, silent_s=0.0), RULES) == "refused"
    assert stale_because(replace(bad, silent_s=0.0, connected=True), RULES) == "connected, no data yet"


@pytest.mark.parametrize(
    ("signs", "detail"),
    [
        (replace(WELL, bad_frames=1), "1 frames of late could not be read"),
        (replace(WELL, reconnects=3), "reconnected 3 times of late"),
    ],
)
def test_a_feed_that_works_with_faults_is_degraded(signs: FeedSigns, detail: str) -> None:
    assert health_of(signs, RULES) == (Health.DEGRADED, detail)
    assert faulty_because(signs, RULES) == detail


def test_two_reconnects_are_no_fault() -> None:
    assert health_of(replace(WELL, reconnects=2), RULES)[0] is Health.HEALTHY


def test_what_is_critical_is_not_merely_degraded() -> None:
    assert health_of(replace(WELL, connected=False, bad_frames=9, reconnects=9), RULES)[0] is Health.CRITICAL


# -- clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", [True, False])
def test_data_stamped_in_our_future_means_that_one_clock_is_wrong(*, prompt: bool) -> None:
    assert skew_refusal(-2_000, 2_000, prompt=prompt) is None
    text = "the venue's clock is 2001 ms ahead of ours, 2000 allowed"
    assert skew_refusal(-2_001, 2_000, prompt=prompt) == text


def test_data_that_is_always_late_counts_only_where_the_venue_stamps_what_it_sends() -> None:
    assert skew_refusal(2_000, 2_000, prompt=True) is None
    text = "our clock is 2001 ms ahead of the venue's, or its data comes that late; 2000 allowed"
    assert skew_refusal(2_001, 2_000, prompt=True) == text
    assert skew_refusal(10**9, 2_000, prompt=False) is None


@given(st.none() | st.integers(-(10**9), 10**9), st.none() | st.integers(0, 10**6), st.booleans())
def test_clocks_disagree_only_where_both_are_known_and_beyond_what_is_tolerated(
    lag_ms: int | None,
    allowed_ms: int | None,
    prompt: bool,  # noqa: FBT001
) -> None:
    refusal = skew_refusal(lag_ms, allowed_ms, prompt=prompt)
    expected = (
        lag_ms is not None and allowed_ms is not None and (lag_ms < -allowed_ms or (prompt and lag_ms > allowed_ms))
    )
    assert (refusal is not None) == expected
