"""The watch over the lease: what each answer does to the gate, and what a process that was stopped may send."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from cli.database import SessionTerms, open_database
from cli.lease_watch import ASK_EVERY_S, FRESH_S, KNOWN_FOR_S, SILENT_S, STALLED_S, LeaseWatch
from config.load import load_settings
from core.errors import FuseboxError, TransientError
from core.records import HealthEventRecord
from core.runtime.gate import GateCell
from core.trading.gate import GateLevel, OrderKind
from storage.lease import ADVISORY_LOCK, ANSWER_WITHIN_S, Lease, LeaseLostError

CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND (classid::bigint << 32 | objid::bigint) = %s"
)


class Clock:
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class FakeLease:
    """Answers as told; `answer` None means held."""

    def __init__(self) -> None:
        self.answer: FuseboxError | None = None
        self.asked: list[str] = []

    def expire_when_silent(self, seconds: float) -> None:
        self.asked.append(f"expire {seconds:g}")

    def check(self) -> None:
        self._answer("check")

    def retake(self) -> None:
        self._answer("retake")

    def _answer(self, question: str) -> None:
        self.asked.append(question)
        if self.answer is not None:
            raise self.answer


class Watched:
    """A watch that is turned by hand."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lease = FakeLease()
        self.gate = GateCell()
        self.told: list[str] = []
        self.watch = LeaseWatch(self.lease, self.gate, self.told.append, self.clock)
        self.gate.fence = self.watch.fence

    def turn(self, after_s: float = ASK_EVERY_S) -> None:
        self.clock.now_s += after_s
        self.watch.turn()

    def passes(self, kind: OrderKind) -> bool:
        return self.gate.submit("BTC", kind, lambda _sequence: None) is not None


@pytest.fixture
def watched() -> Watched:
    made = Watched()
    made.turn()
    return made


def test_a_held_lease_leaves_the_gate_alone_and_the_server_is_told_what_silence_means(watched: Watched) -> None:
    watched.turn()

    assert watched.gate.level() is GateLevel.OPEN
    assert watched.lease.asked == [f"expire {SILENT_S:g}", "check", "check"]


def test_what_cannot_be_known_is_reduce_only_until_the_lease_is_taken_back(watched: Watched) -> None:
    watched.lease.answer = TransientError("no answer")
    watched.turn()
    assert watched.gate.level() is GateLevel.REDUCE_ONLY
    assert watched.passes(OrderKind.REDUCE)
    assert not watched.passes(OrderKind.OPEN_ORDER)
    watched.turn()
    watched.lease.answer = None
    watched.turn()

    assert watched.lease.asked[2:] == ["check", "retake", "retake"]
    assert watched.gate.level() is GateLevel.OPEN
    assert watched.told == []


@pytest.mark.parametrize("known_before", [True, False])
def test_a_lost_lease_closes_the_gate_for_good_and_is_told_once(watched: Watched, *, known_before: bool) -> None:
    if not known_before:
        watched.lease.answer = TransientError("no answer")
        watched.turn()
    watched.lease.answer = LeaseLostError("taken by process 2")
    watched.turn()
    watched.watch.refused(LeaseLostError("a write was refused too"))

    assert watched.gate.level() is GateLevel.CLOSED
    assert watched.told == ["taken by process 2"] == [watched.watch.lost]
    assert not watched.passes(OrderKind.REDUCE)
    assert watched.passes(OrderKind.CANCEL)


def test_a_write_that_the_database_refuses_is_a_lost_lease(watched: Watched) -> None:
    watched.watch.refused(LeaseLostError("the lease of epoch 1 is lost"))

    assert watched.gate.level() is GateLevel.CLOSED
    assert watched.told == ["the lease of epoch 1 is lost"]


def test_a_process_that_was_stopped_sends_nothing_before_it_has_asked_again(watched: Watched) -> None:
    """The holds are as they were before the stop: the clock alone tells."""
    watched.clock.now_s += 10.0
    assert watched.gate.state.holds == ()
    assert not watched.passes(OrderKind.OPEN_ORDER)
    assert not watched.passes(OrderKind.REDUCE)
    assert watched.gate.level() is GateLevel.CLOSED
    watched.turn(0.0)

    assert watched.passes(OrderKind.OPEN_ORDER)


def test_an_answer_that_does_not_come_shuts_the_gate_while_it_is_waited_for(watched: Watched) -> None:
    watched.clock.now_s += KNOWN_FOR_S - 0.1
    assert watched.passes(OrderKind.OPEN_ORDER)
    watched.clock.now_s += 0.2
    assert not watched.passes(OrderKind.OPEN_ORDER)
    assert watched.passes(OrderKind.REDUCE)


def test_a_new_holder_opens_nothing_while_the_one_before_may_not_have_noticed() -> None:
    watched = Watched()
    watched.gate.hold(None, "lease just taken", GateLevel.REDUCE_ONLY)
    for _ in range(4):
        watched.turn()
        assert watched.gate.level() is GateLevel.REDUCE_ONLY
    watched.turn(FRESH_S)

    assert watched.gate.level() is GateLevel.OPEN


def test_the_limits_fit_each_other() -> None:
    """Unknown within a second; a stopped process is fenced before the server lets the next one in."""
    assert ASK_EVERY_S <= 0.25
    assert ASK_EVERY_S + ANSWER_WITHIN_S < KNOWN_FOR_S <= FRESH_S
    assert 2.0 + ANSWER_WITHIN_S < STALLED_S < SILENT_S - 1.0


# -- with a real lease ------------------------------------------------------------------------------------------------


class Heard:
    """The gate of a watched lease, with a wait for its changes."""

    def __init__(self) -> None:
        self.gate = GateCell()
        self.changed = threading.Condition()
        self.lost: list[str] = []
        self.gate.observer = lambda _state: self.notify()

    def notify(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def tell(self, reason: str) -> None:
        self.lost.append(reason)
        self.notify()

    def until(self, reason: str, level: GateLevel, within_s: float) -> bool:
        def there() -> bool:
            held = {hold.reason: hold.level for hold in self.gate.state.holds}
            return held.get(reason, GateLevel.OPEN) is level

        with self.changed:
            return self.changed.wait_for(there, within_s)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def lease(database: str, heard: Heard) -> Iterator[Lease]:
    lease = Lease.acquire(database)
    watch = LeaseWatch(lease, heard.gate, heard.tell)
    watch.start()
    assert heard.until("lease just taken", GateLevel.OPEN, 5.0)
    yield lease
    watch.stop()
    lease.release()


def test_a_cut_connection_is_mended_under_the_same_epoch(database: str, lease: Lease, heard: Heard) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(CUT, (ADVISORY_LOCK,))
        assert heard.until("lease not confirmed", GateLevel.REDUCE_ONLY, 1.0)
        assert heard.until("lease not confirmed", GateLevel.OPEN, 5.0)
        assert connection.execute("SELECT epoch FROM lease").fetchone() == (lease.epoch,)

    assert heard.lost == []
    assert lease.held()


def test_a_lease_that_somebody_took_meanwhile_is_lost(database: str, lease: Lease, heard: Heard) -> None:
    with psycopg.connect(database, autocommit=True) as connection, connection.transaction():
        connection.execute(CUT, (ADVISORY_LOCK,))
        connection.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        connection.execute("UPDATE lease SET epoch = epoch + 1, host = 'elsewhere', pid = 7")
    assert heard.until("lease lost", GateLevel.CLOSED, 3.0)

    assert ["process 7 on elsewhere (epoch 2)" in reason for reason in heard.lost] == [True]


def test_a_refused_write_closes_the_gate(database: str, heard: Heard, tmp_path: Path) -> None:
    """Whoever writes learns of the newer holder from the database itself, before the watch asks again."""
    parts = conninfo_to_dict(database)
    url = f"postgresql://{parts['user']}@/{parts['dbname']}?host={parts['host']}"
    settings = load_settings({"DATABASE_URL": url, "FUSEBOX_STATE_DIR": str(tmp_path)})
    row = HealthEventRecord(1, "feed.binance.BTC", "stale", "no frame for 5 s", 1_776_727_800_123)
    with contextlib.ExitStack() as ends:
        opened = open_database(
            settings,
            new_session=False,
            ends=ends,
            gate=heard.gate,
            on_lost=heard.tell,
            report=heard.lost.append,
            terms=lambda: SessionTerms("paper", settings.venue, settings.public()),
        )
        opened.write([row])
        opened.watch.stop()  # nobody else notices
        with psycopg.connect(database) as connection:
            connection.execute("UPDATE lease SET epoch = epoch + 1, host = 'elsewhere', pid = 7")
        with pytest.raises(LeaseLostError):
            opened.write([row])

        assert heard.gate.level() is GateLevel.CLOSED
        assert len(heard.lost) == 1
