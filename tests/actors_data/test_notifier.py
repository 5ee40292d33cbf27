"""The NotifierActor records every alert with what became of it, and a slow channel delays nothing."""

import threading

import pytest

from actors import addresses
from actors.notifier import MOST_WAITING, NotifierActor, Post
from core.errors import TransientError
from core.messages import Alert, Persist
from core.records import AlertRecord
from core.runtime.actor import Actor
from core.runtime.cell import Spec
from core.runtime.clock import SystemClock
from core.runtime.context import Context
from core.runtime.message import WorkDone, WorkFailed
from core.runtime.threaded import ThreadedRuntime
from tests.actors_data.builders import OPENS_MS, Stage

ALERT = Alert("trade closed", "BTC UP +1.20 USD")


def play(post: Post | None, work_ms: int = 2_000) -> Stage:
    stage = Stage(work_ms=work_ms)
    stage.listen(addresses.DB_WRITER)
    stage.play(addresses.NOTIFIER, lambda context: NotifierActor(context, 7, post))
    return stage


def rows(stage: Stage) -> list[AlertRecord]:
    written = [row for said in stage.told(addresses.DB_WRITER, Persist) for row in said.rows]
    return [row for row in written if isinstance(row, AlertRecord)]


def deliveries(stage: Stage) -> list[str]:
    return [row.delivery for row in rows(stage)]


def test_an_alert_is_recorded_at_once_and_again_with_its_delivery() -> None:
    sent: list[str] = []
    stage = play(sent.append)
    stage.tell(addresses.NOTIFIER, ALERT)
    stage.run(1)
    assert rows(stage) == [AlertRecord(7, ALERT.kind, ALERT.text, "pending", OPENS_MS)]
    stage.run(2)

    assert sent == ["trade closed: BTC UP +1.20 USD"]
    assert rows(stage)[1:] == [AlertRecord(7, ALERT.kind, ALERT.text, "delivered", OPENS_MS)]


def test_without_a_channel_it_is_recorded_as_such() -> None:
    stage = play(None)
    stage.tell(addresses.NOTIFIER, ALERT)
    stage.run(1)

    assert deliveries(stage) == ["no channel"]


@pytest.mark.parametrize(
    ("error", "delivery"),
    [
        (TransientError("webhook answered 429"), "failed: webhook answered 429"),
        (ValueError("https://discord.com/api/webhooks/1/secret is no URL"), "failed: ValueError"),
    ],
)
def test_a_failed_delivery_is_recorded_without_anything_secret(error: Exception, delivery: str) -> None:
    def post(text: str) -> None:
        raise error

    stage = play(post)
    stage.tell(addresses.NOTIFIER, ALERT)
    stage.run(3)

    assert deliveries(stage) == ["pending", delivery]
    assert stage.system.cells[addresses.NOTIFIER].restarts == 0


def test_the_result_of_an_earlier_incarnation_is_no_reason_to_crash() -> None:
    stage = play(None)
    stage.tell(addresses.NOTIFIER, WorkDone("alert-7", None), WorkFailed("alert-8", TransientError("late")), ALERT)
    stage.run(1)

    assert deliveries(stage) == ["no channel"]
    assert stage.system.cells[addresses.NOTIFIER].restarts == 0


def test_a_flood_is_recorded_whole_but_only_so_much_of_it_waits_for_the_channel() -> None:
    sent: list[str] = []
    stage = play(sent.append)
    for number in range(MOST_WAITING + 30):
        stage.tell(addresses.NOTIFIER, Alert("actor crashed", str(number)))
    stage.run(1)
    assert deliveries(stage).count("pending") == MOST_WAITING
    assert len({row.text for row in rows(stage)}) == MOST_WAITING + 30

    stage.run(5)
    assert len(sent) == MOST_WAITING
    stage.tell(addresses.NOTIFIER, ALERT)
    stage.run(3)
    assert deliveries(stage)[-1] == "delivered"


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


def test_a_channel_that_hangs_delays_no_record() -> None:
    seen: list[str] = []
    changed, go_on = threading.Condition(), threading.Event()
    runtime = ThreadedRuntime(SystemClock())
    runtime.add(Spec(addresses.DB_WRITER, lambda context: Recorder(context, seen, changed)))
    runtime.add(Spec(addresses.NOTIFIER, lambda context: NotifierActor(context, 7, lambda _: hang(go_on))))
    for address in (addresses.DB_WRITER, addresses.NOTIFIER):
        runtime.start(address)
    for number in range(10):
        runtime.tell(addresses.NOTIFIER, Alert("x", str(number)))
    with changed:
        assert changed.wait_for(lambda: len(seen) == 10, 10), seen
    assert seen == [f"{number} pending" for number in range(10)]
    go_on.set()
    with changed:
        assert changed.wait_for(lambda: len(seen) == 20, 10), seen
    assert seen[10:] == [f"{number} delivered" for number in range(10)]
    assert runtime.stop(5.0) == []


def hang(until: threading.Event) -> None:
    assert until.wait(10)
