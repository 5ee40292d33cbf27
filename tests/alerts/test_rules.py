"""The pure rules: importance, grouping, rates, what is dropped, milestones, and what a text never shows."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.alerts.bucket import Bucket, ready_ms, spent, tokens_at
from core.alerts.channel import Rate
from core.alerts.grouping import AGAIN, LONGEST_TEXT, composed
from core.alerts.kinds import FEED_OUTAGE, KINDS, TRADE_CLOSED, TRADE_OPENED, Importance, kind_of
from core.alerts.lines import opened
from core.alerts.milestones import Marks, Standing, reached
from core.alerts.outbox import (
    LONGEST_GROUP_S,
    Noted,
    Outbox,
    added,
    delivered,
    due_ms,
    expired,
    group_wait_s,
    inherited,
    limited,
    postponed,
    sent_off,
    taken_up,
)
from core.alerts.scrubbing import Scrubber
from core.trading.money import MICRO
from core.trading.positions import Position

ROOT = Path(__file__).resolve().parents[2]
NOW_MS = 1_795_869_000_000  # 2026-11-28 11:50:00 UTC
RATE = Rate(burst=4, per_s=0.4)
NAMES = sorted(KINDS)


def noted(number: int, kind: str = TRADE_CLOSED, text: str = "", at_ms: int = NOW_MS) -> Noted:
    return Noted(number, kind, text or f"text {number}", at_ms)


# -- kinds ------------------------------------------------------------------------------------------------------------


def test_every_alert_in_the_source_is_of_a_listed_kind() -> None:
    told = re.compile(r'(?:Alert|_alert|_alarm)\(\s*"([^"]+)"')
    sources = [path for folder in ("actors", "cli") for path in (ROOT / folder).rglob("*.py")]
    named = {name for path in sources for name in told.findall(path.read_text())}

    assert named >= {"asset retired", "reconciliation", "learner"}
    assert named <= set(KINDS)


def test_every_kind_is_explained_with_its_importance_and_no_other_is() -> None:
    rows = re.findall(
        r"^\| `([^`]+)` \| (routine|notable|urgent) \|", (ROOT / "docs/alerts.md").read_text(), re.MULTILINE
    )

    assert dict(rows) == {name: kind.importance.name.lower() for name, kind in KINDS.items()}
    assert len(rows) == len(KINDS)


def test_what_a_person_has_to_look_at_waits_for_nothing() -> None:
    assert all(kind.at_once for kind in KINDS.values() if kind.importance is Importance.URGENT)
    assert kind_of("never listed").importance is Importance.NOTABLE


# -- grouping ---------------------------------------------------------------------------------------------------------


def test_a_line_says_when_how_important_and_what() -> None:
    yesterday = noted(1, "asset retired", "market.BTC: 6 crashes", NOW_MS - 86_400_000)
    message = composed([yesterday, noted(2, TRADE_OPENED, "BTC UP opened")], 0, 1_000, NOW_MS)

    assert message.text == (
        "2026-11-27 12:30:00 !! asset retired: market.BTC: 6 crashes\n12:30:00 trade opened: BTC UP opened"
    )
    assert message.count == 2


def test_the_same_again_is_one_line_where_it_last_happened() -> None:
    alerts = [
        noted(1, FEED_OUTAGE, "feed.binance BTC stale: last data 5.1 s ago", NOW_MS - 60_000),
        noted(2, "feed recovered", "feed.binance BTC recovered"),
        noted(3, FEED_OUTAGE, "feed.binance BTC stale: last data 6.2 s ago"),
    ]

    assert composed(alerts, 0, 1_000, NOW_MS).text.split("\n") == [
        "12:30:00 feed recovered: feed.binance BTC recovered",
        "12:30:00 feed outage: feed.binance BTC stale: last data 6.2 s ago (x2 since 12:29:00)",
    ]


def test_trades_that_differ_by_a_number_are_different_trades() -> None:
    message = composed([noted(1, text="BTC +1.00 USD"), noted(2, text="BTC +2.00 USD")], 0, 1_000, NOW_MS)

    assert len(message.text.split("\n")) == 2


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.text("ab 1", min_size=1, max_size=1_200)), min_size=1, max_size=30),
    st.integers(0, 5),
    st.integers(200, 1_000),
)
def test_a_message_fits_and_tells_the_first_ones(told: list[tuple[str, str]], dropped: int, longest: int) -> None:
    alerts = [Noted(number, kind, text, NOW_MS) for number, (kind, text) in enumerate(told)]
    message = composed(alerts, dropped, longest, NOW_MS)

    assert 0 < len(message.text) <= longest
    assert 1 <= message.count <= len(alerts)
    for each in alerts[: message.count]:
        known = each.text if not kind_of(each.kind).alike else ""
        assert f"{each.kind}: {known[: min(LONGEST_TEXT - 3, longest - 60)]}" in message.text or message.count == 1


# -- rates ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=300), st.integers(1, 8), st.sampled_from([0.2, 0.4, 3.0]))
def test_no_span_holds_more_than_the_bucket_allows(gaps_ms: list[int], burst: int, per_s: float) -> None:
    rate, bucket, now_ms = Rate(burst, per_s), Bucket(), NOW_MS
    sent_ms: list[int] = []
    for gap_ms in gaps_ms:
        now_ms = ready_ms(bucket, rate, now_ms + gap_ms)
        assert tokens_at(bucket, rate, now_ms) >= 1 - 1e-9
        bucket = spent(bucket, rate, now_ms)
        sent_ms.append(now_ms)
    for first, at_ms in enumerate(sent_ms):
        for last in range(first, len(sent_ms)):
            span_s = (sent_ms[last] - at_ms) / 1000
            assert last - first + 1 <= burst + span_s * per_s + 1e-6


def test_a_clock_that_is_set_back_earns_nothing_and_locks_nothing_up() -> None:
    bucket = spent(Bucket(1.0, NOW_MS), RATE, NOW_MS)

    assert tokens_at(bucket, RATE, NOW_MS - 3_600_000) == 0.0
    assert ready_ms(bucket, RATE, NOW_MS - 3_600_000) == NOW_MS - 3_600_000 + 2_500
    late = Outbox((noted(1),), bucket=bucket)
    assert due_ms(late, RATE, 2.0, NOW_MS - 3_600_000) == NOW_MS - 3_600_000 + 7_500


# -- the outbox -------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(NAMES), max_size=60), st.integers(1, 20), st.integers(0, 20))
def test_a_full_outbox_keeps_the_most_important_in_their_order(kinds: list[str], most: int, flying: int) -> None:
    outbox, dropped = Outbox(), list[Noted]()
    for number, kind in enumerate(kinds):
        if number == flying and len(outbox.waiting) <= most:
            outbox = sent_off(outbox, len(outbox.waiting), RATE, NOW_MS)
        outbox, gone = added(outbox, noted(number, kind), most)
        dropped += gone
    kept = outbox.waiting[outbox.flying :]
    numbers = [each.number for each in outbox.waiting]

    assert len(outbox.waiting) <= max(most, outbox.flying)
    assert numbers == sorted(numbers)
    assert sorted(numbers + [each.number for each in dropped]) == list(range(len(kinds)))
    assert outbox.dropped == len(dropped)
    if kept and dropped:
        least = min(kind_of(each.kind).importance for each in kept)
        assert all(kind_of(each.kind).importance <= least or each.number < kept[0].number for each in dropped)


def test_what_was_dropped_is_told_once_and_again_only_if_that_message_fails() -> None:
    outbox = Outbox((noted(1),), dropped=3)
    failed = postponed(sent_off(outbox, 1, RATE, NOW_MS), NOW_MS)
    assert (failed.dropped, failed.waiting) == (3, outbox.waiting)
    flown = sent_off(failed, 1, RATE, NOW_MS)
    grown, _ = added(flown, noted(2), most=1)
    done, told = delivered(grown, NOW_MS)

    assert (done.dropped, told) == (1, (noted(1),))


def test_the_more_there_is_the_longer_an_alert_waits_for_others_and_quiet_ends_that() -> None:
    waits = [group_wait_s(Outbox(streak=streak, sent_ms=NOW_MS), 2.0, NOW_MS + 1_000) for streak in range(10)]

    assert waits == [2, 2, 2, 4, 8, 16, LONGEST_GROUP_S, LONGEST_GROUP_S, LONGEST_GROUP_S, LONGEST_GROUP_S]
    assert group_wait_s(Outbox(streak=9, sent_ms=NOW_MS), 2.0, NOW_MS + 90_000) == 2.0
    assert group_wait_s(Outbox(streak=9, sent_ms=NOW_MS), 60.0, NOW_MS) == 60.0
    assert group_wait_s(Outbox(streak=9, sent_ms=NOW_MS), 0.0, NOW_MS) == 0.0


def test_there_is_a_message_left_for_what_cannot_wait() -> None:
    bucket = Bucket(1.0, NOW_MS)

    assert due_ms(Outbox((noted(1),), bucket=bucket), RATE, 0.0, NOW_MS) == NOW_MS + 5_000
    assert due_ms(Outbox((noted(1), noted(2, "halt")), bucket=bucket), RATE, 0.0, NOW_MS) == NOW_MS
    assert due_ms(Outbox((noted(1),), bucket=bucket), Rate(1, 0.4), 0.0, NOW_MS) == NOW_MS


def test_a_limit_is_no_failure_but_nothing_leaves_before_it_ends() -> None:
    flown = sent_off(Outbox((noted(1, "halt"),)), 1, RATE, NOW_MS)
    after = limited(flown, NOW_MS + 64_000, NOW_MS)

    assert (after.failures, after.waiting[0].unsure) == (0, False)
    assert due_ms(after, RATE, 2.0, NOW_MS) == NOW_MS + 64_000


def test_the_next_incarnation_cannot_know_what_became_of_the_message_on_its_way() -> None:
    outbox = sent_off(Outbox((noted(1), noted(2))), 1, RATE, NOW_MS)
    after = taken_up(outbox)

    assert (after.flying, [each.unsure for each in after.waiting]) == (0, [True, False])
    assert AGAIN in composed(after.waiting, 0, 1_000, NOW_MS).text.split("\n")[0]
    assert after.bucket == outbox.bucket  # a restart earns no new burst


def test_the_next_process_trusts_nothing_that_may_be_seconds_old() -> None:
    after = inherited(sent_off(Outbox((noted(1), noted(2))), 1, RATE, NOW_MS - 60_000), NOW_MS)

    assert (after.flying, [each.unsure for each in after.waiting]) == (0, [True, True])
    assert tokens_at(after.bucket, RATE, NOW_MS) == 0.0


def test_what_nobody_can_act_on_any_more_is_given_up() -> None:
    old, new = noted(1, at_ms=NOW_MS - 3_600_001), noted(2, at_ms=NOW_MS - 3_600_000)
    after, gone = expired(Outbox((old, new)), NOW_MS)

    assert (after.waiting, gone, after.dropped) == ((new,), (old,), 1)
    flying = Outbox((old, new), flying=1)
    assert expired(flying, NOW_MS) == (flying, ())


# -- lines and milestones ---------------------------------------------------------------------------------------------


def test_a_position_is_told_by_its_first_fill_only() -> None:
    position = Position(
        7,
        "BTC",
        "0xc",
        "UP",
        "i1",
        NOW_MS,
        NOW_MS,
        shares=90 * MICRO,
        cost_usd=49_210_000,
        bought_shares=90 * MICRO,
        bought_notional=48_600_000,
    )

    assert list(opened((), (position,))) == ["BTC UP opened: 90.00 shares at 0.540, cost 49.21 USD with fees"]
    assert list(opened((position,), (position,))) == []


def test_what_an_account_reached_before_anybody_watched_is_no_news() -> None:
    marks, told = reached(None, Standing(250, 1_000 * MICRO, 1_300 * MICRO))
    assert told == ()
    assert marks == Marks(2, 1_300 * MICRO)
    marks, told = reached(marks, Standing(300, 1_000 * MICRO, 1_364 * MICRO))
    assert [line.split(",")[0] for line in told] == ["300 trades in this session"]
    _, told = reached(marks, Standing(301, 1_000 * MICRO, 1_365 * MICRO))
    assert [line.split(",")[0] for line in told] == ["new equity high 1"]


def test_the_very_first_trade_may_be_a_milestone() -> None:
    marks, told = reached(None, Standing(1, 1_000 * MICRO, 1_050 * MICRO))

    assert (len(told), marks) == (1, Marks(0, 1_050 * MICRO))


# -- secrets ----------------------------------------------------------------------------------------------------------

KEY = "0x" + "a1B2" * 16


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("postgresql://fusebox:p%40ss%2Fword@db:5432/x", "postgresql://fusebox:***@db:5432/x"),
        ("password=p@ss/word refused", "password=*** refused"),
        ("FATAL: p@ss/word", "FATAL: ***"),
        (f"key {KEY} and {KEY[2:].upper()}", "key *** and ***"),
        ("POST https://discord.com/api/webhooks/1/Zm9v", "POST https://discord.com/api/webhooks/***"),
        ("amqp://u:never-configured@h/", "amqp://u:***@h/"),
        ("connection password='two words' bad", "connection password=*** bad"),
        ("market.BTC: ValueError: 0xc is no price", "market.BTC: ValueError: 0xc is no price"),
    ],
)
def test_secrets_are_hidden_however_they_are_written(text: str, clean: str) -> None:
    assert Scrubber(("p@ss/word", KEY, ""))(text) == clean


def test_a_secret_too_short_to_be_one_makes_no_text_unreadable() -> None:
    assert Scrubber(("a",))("database at h: postgres://u:a@h/") == "database at h: postgres://u:***@h/"


@given(st.text(min_size=4, max_size=30).filter(lambda text: text.strip() == text), st.text(), st.text())
def test_a_known_secret_never_shows(secret: str, before: str, after: str) -> None:
    assert secret.lower() not in Scrubber((secret,))(f"{before}{secret}{after}").replace("***", "\0").lower()
