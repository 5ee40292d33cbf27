"""The newcomer: it waits, says for whom, survives a restart of the database, and migrates only what is its own."""

from pathlib import Path

import psycopg
import pytest

from core.errors import TransientError
from storage.embedded import EmbeddedServer
from storage.lease import ADVISORY_LOCK, Lease, LeaseHeldError, LeaseLostError
from storage.lease_queue import HOLDER_FIRST_S, LeaseQueue
from storage.migrate import migrate


class Waiting:
    """A newcomer whose pauses do what the test puts there; time is what it paused."""

    def __init__(self, conninfo: str, *, steps: int = 2000) -> None:
        self.now_s = 0.0
        self.said: list[str] = []
        self.prepared: list[str] = []
        self.at: dict[int, object] = {}
        self.free = True
        self.pauses = 0
        self._steps = steps
        self.queue = LeaseQueue(
            lambda: conninfo,
            self._prepare,
            free=lambda: self.free,
            report=self.said.append,
            pause=self._pause,
            monotonic=lambda: self.now_s,
        )

    def _prepare(self, conninfo: str) -> None:
        self.prepared.append(conninfo)
        migrate(conninfo)

    def _pause(self, seconds: float) -> None:
        self.pauses += 1
        assert self.pauses < self._steps, self.said
        self.now_s += seconds
        action = self.at.pop(self.pauses, None)
        if callable(action):
            action()


def test_it_waits_for_the_holder_and_names_it_once(database: str) -> None:
    held = Lease.acquire(database, host="other-host", pid=4711)
    newcomer = Waiting(database)
    newcomer.at[5] = held.release
    lease = newcomer.queue.wait(3600.0)

    assert (lease.epoch, lease.held(), newcomer.pauses >= 5) == (2, True, True)
    assert len(newcomer.said) == 1
    assert "process 4711 on other-host (epoch 1, since " in newcomer.said[0]
    assert "waiting for its end, Ctrl-C gives up" in newcomer.said[0]
    lease.release()


def test_it_names_the_next_holder_too(database: str) -> None:
    first = Lease.acquire(database, host="first", pid=1)
    newcomer, held = Waiting(database), [first]

    def hand_over() -> None:
        held.pop().release()
        held.append(Lease.acquire(database, 5.0, host="second", pid=2))

    newcomer.at[2] = hand_over
    newcomer.at[4] = lambda: held.pop().release()
    newcomer.queue.wait(3600.0).release()

    assert [name in line for name, line in zip(("first", "second"), newcomer.said, strict=True)] == [True, True]


@pytest.mark.parametrize("wait_s", [0.0, 1.0])
def test_it_gives_up_after_its_time_and_says_who_holds_it(database: str, wait_s: float) -> None:
    held = Lease.acquire(database, host="other-host", pid=4711)
    newcomer = Waiting(database)
    with pytest.raises(LeaseHeldError, match=r"process 4711 on other-host \(epoch 1.*: stop that one first"):
        newcomer.queue.wait(wait_s)

    assert newcomer.now_s == wait_s
    assert len(newcomer.said) == (1 if wait_s else 0)
    assert held.held()
    held.release()


def test_it_waits_for_a_state_folder_that_is_in_use(database: str) -> None:
    newcomer = Waiting(database)
    newcomer.free = False
    newcomer.at[3] = lambda: setattr(newcomer, "free", True)
    newcomer.queue.wait(3600.0).release()

    assert newcomer.pauses == 3


def test_nothing_is_migrated_before_the_lease_is_ours(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        newcomer = Waiting(empty_database)

        def let_in() -> None:
            assert newcomer.prepared == []
            assert other.execute("SELECT to_regclass('lease')").fetchone() == (None,)
            other.execute("SELECT pg_advisory_unlock(%s)", (ADVISORY_LOCK,))

        newcomer.at[3] = let_in
        lease = newcomer.queue.wait(3600.0)

    assert newcomer.prepared == [empty_database]
    assert lease.epoch == 1
    lease.release()


def test_the_holder_before_is_fenced_before_the_schema_changes(database: str) -> None:
    Lease.acquire(database).release()
    seen: list[object] = []

    def prepare(conninfo: str) -> None:
        with psycopg.connect(conninfo) as connection:
            seen.append(connection.execute("SELECT epoch FROM lease").fetchone())

    lease = LeaseQueue(lambda: database, prepare, report=seen.append).wait(0.0)
    assert seen == [(2,)]
    lease.release()


def test_a_database_that_cannot_be_reached_at_first_is_said_at_once() -> None:
    newcomer = Waiting("postgresql://nobody@/none?host=/nowhere")
    with pytest.raises(TransientError, match="not reachable"):
        newcomer.queue.wait(3600.0)
    assert newcomer.pauses == 0


def test_it_survives_a_restart_of_the_database_and_lets_the_holder_go_first(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    uri = server.start()
    try:
        migrate(uri)
        held = Lease.acquire(uri, host="other-host", pid=4711)
        newcomer = Waiting(uri)
        back: list[int] = []

        def restart() -> None:
            server.start()
            back.append(newcomer.pauses)

        newcomer.at[2] = server.stop
        newcomer.at[6] = restart
        newcomer.at[8] = held.retake
        newcomer.at[30] = held.release
        lease = newcomer.queue.wait(3600.0)

        assert lease.epoch == held.epoch + 1
        assert newcomer.pauses >= 30  # not before the holder, who was first, has ended
        assert HOLDER_FIRST_S > (8 - 6) * 0.25
        assert sum("still waiting for the lease" in line for line in newcomer.said) == 2  # away, and back
        lease.release()
    finally:
        server.stop()


def test_a_holder_that_does_not_come_back_is_followed(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    uri = server.start()
    try:
        migrate(uri)
        gone = Lease.acquire(uri)
        newcomer = Waiting(uri)
        newcomer.at[2] = server.stop
        newcomer.at[3] = server.start
        lease = newcomer.queue.wait(3600.0)

        assert (lease.epoch, lease.held()) == (2, True)
        with pytest.raises(LeaseLostError, match="epoch 2"):
            gone.retake()
        lease.release()
    finally:
        server.stop()
