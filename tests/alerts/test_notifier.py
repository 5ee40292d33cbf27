"""The NotifierActor records every alert with what became of it, groups, retries, and survives whoever dies."""

import threading

import pytest

from actors import addresses
from actors.notifier import BACKOFF_S, NotifierActor, Post
from core.alerts.channel import Channel, Rate, RateLimitedError
from core.alerts.kinds import FEED_OUTAGE, TRADE_CLOSED, Importance
from core.alerts.milestones import Standing
from core.alerts.outbox import KEPT_S, MOST_WAITING
from core.errors import RejectedError, TransientError, UnknownOutcomeError
from core.messages import Alert, Persist
from core.records import AlertRecord
from core.runtime.actor import Actor
from core.runtime.cell import Spec
from core.runtime.clock import SystemClock
from core.runtime.context import Context
from core.runtime.message import WorkDone, WorkFailed
from core.runtime.threaded import ThreadedRuntime
from core.trading.money import MICRO
from tests.actors_data.builders import OPENS_MS, Stage
from tests.alerts.channels import PLENTY, Heard, deliveries, play, rows

ALERT = Alert(TRADE_CLOSED, "BTC UP +1.20 USD")
CRASH, URGENT = "actor crashed", "asset retired"


def heard_by(*channels: Channel, group_s: float = 2.0) -> Post:
    return Post(channels, group_s=group_s)


def test_an_alert_is_recorded_at_once_and_again_with_its_delivery() -> None:
    channel = Heard()
    stage = play(heard_by(channel))
    stage.tell(addresses.NOTIFIER, ALERT)
    stage.run(1)
    assert rows(stage) == [AlertRecord(7, ALERT.kind, ALERT.text, "pending", OPENS_MS)]
    assert channel.sent == []
    stage.run(2)

    assert channel.sent == ["23:30:00 trade closed: BTC UP +1.20 USD"]
    assert rows(stage)[1:] == [AlertRecord(7, ALERT.kind, ALERT.text, "delivered", OPENS_MS)]


def test_several_within_a_short_time_are_one_message_in_their_order() -> None:
    channel = Heard()
    stage = play(heard_by(channel))
    for number in range(5):
        stage.tell(addresses.NOTIFIER, Alert(TRADE_CLOSED, f"trade {number}"))
        stage.run(0.3)
    stage.run(3)

    assert len(channel.sent) == 1
    assert channel.lines == [f"trade closed: trade {number}" for number in range(5)]
    assert set(deliveries(stage).values()) == {"delivered"}


def test_an_urgent_one_waits_for_nobody_and_takes_along_what_waits() -> None:
    channel = Heard()
    stage = play(heard_by(channel, group_s=30.0))
    stage.tell(addresses.NOTIFIER, ALERT, Alert(URGENT, "market.BTC: 6 crashes"))
    stage.run(0)

    assert channel.lines == ["trade closed: BTC UP +1.20 USD", "!! asset retired: market.BTC: 6 crashes"]


def test_without_a_channel_it_is_recorded_as_such() -> None:
    stage = play(None)
    stage.tell(addresses.NOTIFIER, ALERT)
    stage.run(1)

    assert deliveries(stage) == {ALERT.text: "suppressed: no channel"}


def test_what_a_person_does_not_want_to_be_sent_is_recorded_only() -> None:
    channel = Heard()
    stage = play(Post((channel,), least=Importance.NOTABLE))
    stage.tell(addresses.NOTIFIER, ALERT, Alert(CRASH, "market.BTC: ValueError"))
    stage.run(5)

    assert channel.lines == ["actor crashed: market.BTC: ValueError"]
    assert deliveries(stage)[ALERT.text] == "suppressed: less important than notable"


@pytest.mark.parametrize(
    ("error", "delivery"),
    [
        (RejectedError("webhook answered 404"), "failed: webhook answered 404"),
        (ValueError("https://discord.com/api/webhooks/1/secret is no URL"), "failed: ValueError"),
    ],
)
def test_a_refusal_is_recorded_without_anything_secret_and_the_next_one_goes_out(
    error: Exception, delivery: str
) -> None:
    channel = Heard(answers=[error])
    stage = play(heard_by(channel))
    stage.tell(addresses.NOTIFIER, ALERT)
    stage.run(3)
    assert deliveries(stage) == {ALERT.text: delivery}
    stage.tell(addresses.NOTIFIER, Alert(CRASH, "another"))
    stage.run(5)

    assert channel.lines == ["actor crashed: another"]
    assert stage.system.cells[addresses.NOTIFIER].restarts == 0


def test_trouble_that_passes_loses_nothing_and_doubles_nothing() -> None:
    channel = Heard(answers=[TransientError("webhook answered 500")] * 4)
    stage = play(heard_by(channel))
    stage.tell(addresses.NOTIFIER, ALERT)
    stage.run(3 + 2 * BACKOFF_S * (1 + 2 + 4 + 8))

    assert (channel.tried, channel.lines) == (5, ["trade closed: BTC UP +1.20 USD"])
    assert [row.delivery for row in rows(stage)] == ["pending", "delivered"]


def test_what_may_have_arrived_is_sent_again_and_says_so() -> None:
    channel = Heard(answers=[UnknownOutcomeError("no answer within 10 s")])
    stage = play(heard_by(channel))
    stage.tell(addresses.NOTIFIER, ALERT)
    stage.run(10)

    assert channel.lines == ["trade closed: BTC UP +1.20 USD (may have been sent before)"]


def test_nothing_is_sent_before_the_other_side_wants_it_again() -> None:
    channel = Heard(answers=[RateLimitedError("webhook answered 429", 47.5)])
    stage = play(heard_by(channel))
    stage.tell(addresses.NOTIFIER, ALERT)
    stage.run(2)
    assert channel.tried == 1
    stage.tell(addresses.NOTIFIER, Alert(URGENT, "now"))
    stage.run(47.4)
    assert channel.tried == 1
    stage.run(0.2)

    assert channel.lines == ["trade closed: BTC UP +1.20 USD", "!! asset retired: now"]


def test_a_rest_that_a_delivery_asks_for_is_granted() -> None:
    channel = Heard(answers=[9.0])
    stage = play(heard_by(channel))
    stage.tell(addresses.NOTIFIER, Alert(URGENT, "one"), Alert(URGENT, "two"))
    stage.run(8.9)
    assert channel.lines == ["!! asset retired: one"]
    stage.run(0.2)

    assert channel.lines == ["!! asset retired: one", "!! asset retired: two"]


def test_what_could_not_be_delivered_for_an_hour_is_given_up_and_counted() -> None:
    channel = Heard(answers=[TransientError("webhook answered 503")] * 200)
    stage = play(heard_by(channel))
    stage.tell(addresses.NOTIFIER, ALERT)
    stage.run(KEPT_S + 120)
    assert deliveries(stage) == {ALERT.text: "failed: webhook answered 503; given up after 3600 s"}
    assert channel.tried < 80
    channel._answers = iter(())
    stage.tell(addresses.NOTIFIER, Alert(URGENT, "now"))
    stage.run(120)

    assert channel.lines[0] == "!! asset retired: now"
    assert channel.lines[1].startswith("1 less important or older alerts were not sent")


def test_never_more_messages_than_the_channel_allows_however_often_it_is_restarted() -> None:
    rate = Rate(burst=4, per_s=0.4)
    channel = Heard(rate=rate)
    stage = play(heard_by(channel, group_s=0.0))
    channel._now_ms = stage.clock.now_ms
    for number in range(600):
        stage.tell(addresses.NOTIFIER, Alert(URGENT, f"number {number}"))
        stage.run(0.2)
        if number % 10 == 0:
            stage.system.restart(addresses.NOTIFIER)
    stage.run(300)

    assert [line.removeprefix("!! asset retired: number ").split(" ")[0] for line in channel.lines] == [
        str(number) for number in range(600)
    ]
    for span_ms, most in ((2_000, 5), (60_000, 30)):
        for at_ms in channel.at_ms:
            assert sum(at_ms <= other < at_ms + span_ms for other in channel.at_ms) <= most


def test_a_flapping_feed_is_a_message_each_half_minute_and_the_last_word_is_the_last() -> None:
    channel = Heard()
    stage = play(heard_by(channel))
    for number in range(600):
        kind = (FEED_OUTAGE, "feed recovered")[number % 2]
        stage.tell(addresses.NOTIFIER, Alert(kind, f"feed.binance BTC turned after {number} s"))
        stage.run(1)
    stage.run(60)

    assert len(channel.sent) < 30
    assert all(len(text.split("\n")) <= 2 for text in channel.sent)
    assert "feed recovered: feed.binance BTC turned after 599 s (x" in channel.sent[-1].split("\n")[-1]
    assert len(rows(stage)) == 1200


def test_a_flood_drops_the_least_important_first_and_says_how_many() -> None:
    channel = Heard()
    stage = play(heard_by(channel), work_ms=5_000)
    stage.tell(addresses.NOTIFIER, Alert(URGENT, "the first"))
    stage.run(1)
    for number in range(MOST_WAITING):
        stage.tell(addresses.NOTIFIER, Alert(TRADE_CLOSED, f"trade {number}"), Alert(CRASH, f"{number} crash"))
    stage.run(1)
    told = deliveries(stage)
    dropped = {text for text, said in told.items() if said.startswith("suppressed: 100 others")}
    assert dropped == {"0 crash", *(f"trade {number}" for number in range(MOST_WAITING))}

    stage.run(600)
    assert all(said != "pending" for said in deliveries(stage).values())
    assert "... 101 less important or older alerts were not sent: the table alerts has them" in "\n".join(channel.sent)
    assert sum("were not sent" in line for line in channel.lines) == 1


def test_the_result_of_an_earlier_incarnation_is_no_reason_to_crash() -> None:
    stage = play(None)
    stage.tell(addresses.NOTIFIER, WorkDone("heard 1.7", None), WorkFailed("day 1.8", TransientError("late")), ALERT)
    stage.run(1)

    assert deliveries(stage) == {ALERT.text: "suppressed: no channel"}
    assert stage.system.cells[addresses.NOTIFIER].restarts == 0


def test_a_row_says_what_became_of_it_in_each_of_several_channels() -> None:
    good, bad = Heard("good"), Heard("bad", [RejectedError("gone")])
    stage = play(heard_by(good, bad))
    stage.tell(addresses.NOTIFIER, ALERT)
    stage.run(5)

    assert [row.delivery for row in rows(stage)] == [
        "pending",
        "good delivered; bad pending",
        "good delivered; bad failed: gone",
    ]


def test_a_channel_that_is_not_there_any_more_keeps_nothing_waiting() -> None:
    old = Heard("old", [TransientError("no")] * 10)
    stage = play(heard_by(old))
    stage.tell(addresses.NOTIFIER, ALERT)
    stage.run(3)
    later = Stage(stage.clock.now_ms())
    later.system.inherit({addresses.NOTIFIER.name: stage.system.cells[addresses.NOTIFIER].left()})
    later.listen(addresses.DB_WRITER)
    later.play(addresses.NOTIFIER, lambda context: NotifierActor(context, 7, heard_by(Heard("new"))))
    later.run(1)

    assert deliveries(later) == {ALERT.text: "suppressed: no such channel any more"}


def test_what_a_killed_process_had_only_written_down_is_told_by_the_next_one() -> None:
    """Its checkpoint knew of the first alert; the others are in the table alone."""
    before = play(heard_by(Heard(answers=[TransientError("no")] * 99)))
    before.tell(addresses.NOTIFIER, Alert(CRASH, "in the checkpoint"))
    before.run(3)
    now_ms = before.clock.now_ms()
    table = (
        AlertRecord(7, CRASH, "in the checkpoint", "pending", OPENS_MS),
        AlertRecord(7, CRASH, "of yesterday", "pending", OPENS_MS - 86_400_000),
        AlertRecord(7, CRASH, "in the table", "pending", now_ms - 100),
    )
    asked: list[int] = []

    def left(before_ms: int) -> tuple[AlertRecord, ...]:
        asked.append(before_ms)
        if len(asked) == 1:
            raise TransientError("the database is away")
        return table

    channel = Heard()
    stage = Stage(now_ms)
    stage.system.inherit({addresses.NOTIFIER.name: before.system.cells[addresses.NOTIFIER].left()})
    stage.listen(addresses.DB_WRITER)
    stage.play(addresses.NOTIFIER, lambda context: NotifierActor(context, 7, Post((channel,), left=left)))
    stage.run(60)
    stage.system.restart(addresses.NOTIFIER)
    stage.run(60)

    assert channel.lines == [
        "actor crashed: in the checkpoint (may have been sent before)",
        "actor crashed: in the table (may have been sent before)",
    ]
    assert deliveries(stage) == {
        "in the checkpoint": "delivered",
        "in the table": "delivered",
        "of yesterday": "failed: the process that was to send it ended",
    }
    assert asked == [now_ms, now_ms]


def test_no_secret_is_in_a_row_or_a_message() -> None:
    channel = Heard(answers=[TransientError("hunter2 refused"), RejectedError("hunter2 again")])
    stage = play(Post((channel,), scrub=lambda text: text.replace("hunter2", "***")))
    stage.tell(addresses.NOTIFIER, Alert(CRASH, "could not use hunter2"))
    stage.run(60)
    stage.tell(addresses.NOTIFIER, Alert(CRASH, "nor hunter2"))
    stage.run(60)

    assert deliveries(stage) == {"could not use ***": "failed: *** again", "nor ***": "delivered"}
    assert channel.lines == ["actor crashed: nor ***"]


def test_each_hundredth_trade_and_each_growth_is_a_milestone_across_restarts() -> None:
    channel = Heard()
    stage = play(heard_by(channel))
    start_usd = 1_000 * MICRO
    for trades, equity in ((99, 1_000), (100, 1_049), (101, 1_050), (102, 1_060), (103, 1_040), (104, 1_103)):
        standing = Standing(trades, start_usd, equity * MICRO)
        stage.tell(addresses.NOTIFIER, Alert(TRADE_CLOSED, str(trades), standing))
        stage.run(3)
        stage.system.restart(addresses.NOTIFIER)
    stage.run(60)

    assert [line for line in channel.lines if "milestone" in line] == [
        "milestone: 100 trades in this session, PnL net +49.00 USD",
        "milestone: new equity high 1,050.00 USD, 5 % or more above the last one (1,000.00); PnL net +50.00",
        "milestone: new equity high 1,103.00 USD, 5 % or more above the last one (1,050.00); PnL net +103.00",
    ]


class Recorder(Actor):
    """Counts the rows that come, and lets a test wait for them."""

    def __init__(self, context: Context, seen: list[str], changed: threading.Condition) -> None:
        super().__init__(context)
        self._seen, self._changed = seen, changed

    def receive(self, message: object) -> None:
        if isinstance(message, Persist):
            with self._changed:
                self._seen += [f"{row.text} {row.delivery}" for row in message.rows if isinstance(row, AlertRecord)]
                self._changed.notify_all()


class Hanging(Heard):
    """Takes nothing until it is told to go on."""

    def __init__(self) -> None:
        super().__init__(rate=PLENTY)
        self.go_on = threading.Event()

    def send(self, text: str) -> float:
        assert self.go_on.wait(10)
        return super().send(text)


def test_a_channel_that_hangs_delays_no_record() -> None:
    seen: list[str] = []
    changed, channel = threading.Condition(), Hanging()
    runtime = ThreadedRuntime(SystemClock())
    runtime.add(Spec(addresses.DB_WRITER, lambda context: Recorder(context, seen, changed)))
    runtime.add(Spec(addresses.NOTIFIER, lambda context: NotifierActor(context, 7, heard_by(channel, group_s=0.0))))
    for address in (addresses.DB_WRITER, addresses.NOTIFIER):
        runtime.start(address)
    for number in range(10):
        runtime.tell(addresses.NOTIFIER, Alert("x", str(number)))
    with changed:
        assert changed.wait_for(lambda: len(seen) == 10, 10), seen
    assert seen == [f"{number} pending" for number in range(10)]
    channel.go_on.set()
    with changed:
        assert changed.wait_for(lambda: len(seen) == 20, 10), seen
    assert seen[10:] == [f"{number} delivered" for number in range(10)]
    assert runtime.stop(5.0) == []
