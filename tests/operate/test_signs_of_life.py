"""What a process shows of itself without being asked through the database: its heartbeat file and its dump."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from cli.dump import first_types, mailboxes, stacks
from cli.heartbeat import Heartbeat, HeartbeatFile, fresh
from core.messages import Alert, FeedPulse, Tick
from core.runtime.actor import Actor
from core.runtime.address import OUTSIDE, Address
from core.runtime.cell import Spec
from core.runtime.context import Context
from core.runtime.mailbox import Mailbox
from core.runtime.message import Ping
from core.runtime.threaded import ThreadedRuntime
from core.trading.gate import GateLevel

BUSY = Address("market.BTC")


class Hand:
    """A monotonic clock moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Waiting(Actor):
    """Stays in its handler until it is let go."""

    def __init__(self, context: Context, entered: threading.Event, go: threading.Event) -> None:
        super().__init__(context)
        self._entered = entered
        self._go = go

    def receive(self, message: object) -> None:
        self._entered.set()
        self._go.wait(10)


@pytest.fixture
def system() -> Iterator[ThreadedRuntime]:
    system = ThreadedRuntime(seed=1)
    yield system
    system.stop(5.0)


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def beating(tmp_path: Path, system: ThreadedRuntime, hand: Hand) -> HeartbeatFile:
    return HeartbeatFile(tmp_path, system, 7, hand)


def now_s_after(tmp_path: Path, age_s: float) -> Callable[[], float]:
    beat = msgspec.json.decode((tmp_path / "heartbeat.json").read_bytes(), type=Heartbeat)
    return lambda: beat.at_ms / 1000 + age_s


def test_the_heartbeat_is_written_once_a_second(tmp_path: Path, beating: HeartbeatFile, hand: Hand) -> None:
    beating.beat()
    (tmp_path / "heartbeat.json").unlink()
    hand.now_s += 0.9
    beating.beat()
    assert not (tmp_path / "heartbeat.json").exists()
    hand.now_s += 0.1
    beating.beat()

    assert (tmp_path / "heartbeat.json").exists()
    assert not (tmp_path / "heartbeat.partial").exists()


def test_a_heartbeat_is_judged_by_its_age_and_by_what_it_says(
    tmp_path: Path, beating: HeartbeatFile, hand: Hand, system: ThreadedRuntime
) -> None:
    assert fresh(tmp_path, 10)[0] is False
    system.gate.hold(None, "halted", GateLevel.CLOSED)
    beating.beat()
    alive, said = fresh(tmp_path, 10, now_s_after(tmp_path, 9.9))
    assert alive
    assert "session 7, gate closed, heartbeat 9.9 s old" in said
    assert fresh(tmp_path, 10, now_s_after(tmp_path, 10.2)) == (
        False,
        said.replace("9.9", "10.2") + ": older than 10 s",
    )

    system.fail("the portfolio crashed too often")
    hand.now_s += 1
    beating.beat()
    assert fresh(tmp_path, 10, now_s_after(tmp_path, 0))[0] is False
    assert "giving up: the portfolio crashed too often" in fresh(tmp_path, 10, now_s_after(tmp_path, 0))[1]
    (tmp_path / "heartbeat.json").write_text("{")
    assert "cannot be read" in fresh(tmp_path, 10)[1]
    beating.end()
    assert "is not there" in fresh(tmp_path, 10)[1]


def test_a_disk_that_refuses_the_heartbeat_does_not_end_the_process(
    tmp_path: Path, system: ThreadedRuntime, hand: Hand
) -> None:
    beating = HeartbeatFile(tmp_path / "gone", system, 7, hand)
    beating.beat()
    (tmp_path / "gone").mkdir()
    hand.now_s += 1
    beating.beat()

    assert (tmp_path / "gone" / "heartbeat.json").exists()


def test_a_dump_names_what_an_actor_is_busy_with_what_waits_and_where_its_thread_is(system: ThreadedRuntime) -> None:
    entered, go = threading.Event(), threading.Event()
    system.add(Spec(BUSY, lambda context: Waiting(context, entered, go), "BTC"))
    system.start(BUSY)
    system.tell(BUSY, Tick("grid"))
    assert entered.wait(5.0)
    system.tell(BUSY, Alert("a", "b"))
    (line,) = mailboxes(system)
    (stack,) = [text for text in stacks() if text.startswith("thread market.BTC#1 (")]
    go.set()

    assert line == "actor market.BTC#1 running, busy with Tick: 1 waiting: Alert"
    assert "self._go.wait(10)" in stack


def test_looking_into_a_mailbox_takes_nothing_out_and_shows_what_is_read_first() -> None:
    mailbox, system = Mailbox(), ThreadedRuntime(seed=1)
    for message in (Tick("grid"), FeedPulse("f", "BTC", True, True, 0.0, 1, 0, 0, ""), Alert("a", "b"), Ping()):  # noqa: FBT003
        mailbox.put(system.envelope(message, OUTSIDE))
    system.stop(1.0)

    assert first_types(mailbox) == ["Ping", "Tick", "FeedPulse", "Alert"]
    assert first_types(mailbox, 2) == ["Ping", "Tick"]
    assert len(mailbox) == 4
