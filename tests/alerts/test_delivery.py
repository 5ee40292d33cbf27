"""The notifier on its threads against a webhook that misbehaves: nothing lost, nothing doubled unmarked, in order."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from actors import addresses
from actors.notifier import NotifierActor, Post
from core.alerts.grouping import AGAIN
from core.alerts.outbox import MOST_WAITING
from core.alerts.scrubbing import Scrubber
from core.messages import Alert, Persist
from core.records import AlertRecord
from core.runtime.actor import Actor
from core.runtime.cell import Spec
from core.runtime.clock import SystemClock
from core.runtime.context import Context
from core.runtime.threaded import ThreadedRuntime
from tests.alerts.channels import PLENTY
from tests.alerts.webhook import OK, Answer, Behaviour, Webhook, too_many, webhook
from venues.channels.discord import DiscordChannel

SECRET = "hunter2-token-of-the-webhook"  # noqa: S105 -- planted
TROUBLES: tuple[Behaviour, ...] = (
    Answer(500),
    Answer(502, b"<html>bad gateway"),
    too_many(0.05),
    too_many(0.02, "0"),
    "reset before",
    "reset after",
    "garbage",
    "closes",
    "silent",
    "trickle",
)


class Table:
    """The rows that the recorder was told to write; waits for them."""

    def __init__(self) -> None:
        self.rows: list[AlertRecord] = []
        self._changed = threading.Condition()

    def add(self, message: Persist) -> None:
        with self._changed:
            self.rows += [row for row in message.rows if isinstance(row, AlertRecord)]
            self._changed.notify_all()

    def wait_for(self, ready: Callable[[], bool], within_s: float = 60.0) -> None:
        with self._changed:
            assert self._changed.wait_for(ready, within_s), self.rows[-5:]

    def now(self) -> dict[str, str]:
        return {row.text: row.delivery for row in self.rows}


class Recorder(Actor):
    """Stands where the database's writer does."""

    def __init__(self, context: Context, table: Table) -> None:
        super().__init__(context)
        self._table = table

    def receive(self, message: object) -> None:
        if isinstance(message, Persist):
            self._table.add(message)


class Quick(DiscordChannel):
    """As patient as a test."""

    rate = PLENTY


@contextmanager
def running(server: Webhook, table: Table, *, group_s: float = 0.0, within_s: float = 0.3) -> Iterator[ThreadedRuntime]:
    post = Post(
        (Quick(server.url(), within_s),), scrub=Scrubber((server.url(), SECRET)), group_s=group_s, backoff_s=0.01
    )
    runtime = ThreadedRuntime(SystemClock())
    runtime.add(Spec(addresses.DB_WRITER, lambda context: Recorder(context, table)))
    runtime.add(Spec(addresses.NOTIFIER, lambda context: NotifierActor(context, 7, post)))
    for address in (addresses.DB_WRITER, addresses.NOTIFIER):
        runtime.start(address)
    yield runtime
    server.go_on.set()
    assert runtime.stop(5.0) == []
    assert runtime.failure is None


@pytest.mark.parametrize("seed", range(4))
def test_whatever_it_does_every_alert_arrives_in_order_and_a_repeat_says_so(seed: int) -> None:
    draw = random.Random(seed)
    behaviours = [draw.choice(TROUBLES) if draw.random() < 0.6 else OK for _ in range(25)]
    table, count = Table(), 60
    with webhook(*behaviours) as server, running(server, table) as runtime:
        for number in range(count):
            runtime.tell(addresses.NOTIFIER, Alert("trade closed", f"trade {number:03d} {SECRET}"))
            if number % 20 == 19:
                server.wait_for(lambda so_far=server.requests: server.requests > so_far)  # type: ignore[misc]
        table.wait_for(lambda: len(table.now()) == count and set(table.now().values()) == {"delivered"})
        assert runtime.cells[addresses.NOTIFIER].restarts == 0
        lines = list(server.lines)

    first_seen = list(dict.fromkeys(line.removesuffix(AGAIN) for line in lines))
    assert first_seen == [f"trade closed: trade {number:03d} ***" for number in range(count)]
    unmarked = [line for line in lines if not line.endswith(AGAIN)]
    assert len(unmarked) == len(set(unmarked))
    assert SECRET not in f"{server.documents} {table.rows}"


def test_only_an_answer_that_was_lost_doubles_anything() -> None:
    known = (Answer(500), too_many(0.01), Answer(503), too_many(0.01, "0"), Answer(502), Answer(408))
    table = Table()
    with webhook(*known) as server, running(server, table) as runtime:
        runtime.tell(addresses.NOTIFIER, Alert("start", "session 7 runs"))
        table.wait_for(lambda: "delivered" in table.now().values())
        assert (server.requests, server.lines) == (len(known) + 1, ["start: session 7 runs"])


def test_a_webhook_that_is_gone_is_written_down_and_not_asked_again_and_again() -> None:
    table = Table()
    with webhook(*[Answer(404)] * 3) as server, running(server, table, group_s=0.0) as runtime:
        for number in range(3):
            runtime.tell(addresses.NOTIFIER, Alert("trade closed", f"trade {number}"))
            table.wait_for(lambda text=f"trade {number}": table.now().get(text, "").startswith("failed"))  # type: ignore[misc]
        assert set(table.now().values()) == {"failed: webhook answered 404"}
        assert server.requests == 3


def test_a_webhook_that_says_nothing_stops_nobody_and_no_more_waits_than_there_is_room_for() -> None:
    """Recorder and notifier go on while a worker hangs: all rows are there before the webhook says a word."""
    table, count = Table(), MOST_WAITING + 50
    with webhook("silent") as server, running(server, table, within_s=30.0) as runtime:
        runtime.tell(addresses.NOTIFIER, Alert("trade closed", "the first"))
        server.wait_for(lambda: server.requests == 1)
        for number in range(count):
            runtime.tell(addresses.NOTIFIER, Alert("trade closed", f"trade {number:03d}"))
        table.wait_for(lambda: len(table.now()) == count + 1)
        table.wait_for(lambda: sum(said.startswith("suppressed") for said in table.now().values()) == 51)
        assert server.requests == 1
        cell = runtime.cells[addresses.NOTIFIER]
        assert (cell.life, cell.restarts) == ("running", 0)
        server.go_on.set()  # it hangs up without an answer
        table.wait_for(lambda: "pending" not in table.now().values())
        assert table.now()["the first"] == "delivered"
        assert [line for line in server.lines if "the first" in line] == [
            "trade closed: the first",
            f"trade closed: the first{AGAIN}",
        ]
        assert sum("less important or older alerts were not sent" in line for line in server.lines) == 1


def test_an_incarnation_that_ends_while_it_sends_leaves_the_rest_to_the_next() -> None:
    table = Table()
    with webhook("silent") as server, running(server, table, within_s=30.0) as runtime:
        for number in range(3):
            runtime.tell(addresses.NOTIFIER, Alert("trade closed", f"trade {number}"))
        server.wait_for(lambda: server.requests == 1)
        runtime.restart(addresses.NOTIFIER)
        runtime.tell(addresses.NOTIFIER, Alert("trade closed", "trade 3"))
        server.go_on.set()
        table.wait_for(lambda: len(table.now()) == 4 and set(table.now().values()) == {"delivered"})
        bare = [line.removesuffix(AGAIN) for line in server.lines]

    assert list(dict.fromkeys(bare)) == [f"trade closed: trade {number}" for number in range(4)]
