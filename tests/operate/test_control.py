"""The control thread and its clients: answered once, refused by name, back after an outage, never executed late."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from cli.client import NoAnswerError, NotRunningError, ask
from cli.control import Control
from core.errors import RejectedError
from storage.control import find, holder, request
from storage.lease import Lease
from storage.pool import Connection, connect


class Recorded:
    """Handlers that keep what they were told."""

    def __init__(self) -> None:
        self.heard: list[Mapping[str, Any]] = []
        self.between = threading.Event()

    def echo(self, args: Mapping[str, Any], _connection: Connection) -> Mapping[str, Any]:
        self.heard.append(args)
        return {"said": args["text"]}

    def refuse(self, args: Mapping[str, Any], _connection: Connection) -> Mapping[str, Any]:
        raise RejectedError("not today")

    def fail(self, args: Mapping[str, Any], _connection: Connection) -> Mapping[str, Any]:
        raise ZeroDivisionError("a defect")


@pytest.fixture
def lease(database: str) -> Iterator[Lease]:
    held = Lease.acquire(database)
    yield held
    held.release()


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def listen(database: str, recorded: Recorded) -> Iterator[Callable[[int], Control]]:
    started: list[Control] = []

    def run(epoch: int) -> Control:
        handlers = {"echo": recorded.echo, "refuse": recorded.refuse, "fail": recorded.fail}
        started.append(Control(lambda: database, epoch, handlers, recorded.between.set))
        started[-1].start()
        return started[-1]

    yield run
    for control in started:
        control.stop()


Listen = Callable[[int], Control]


def test_a_command_is_carried_out_and_its_result_comes_back(
    lease: Lease, listen: Listen, recorded: Recorded, connection: Connection
) -> None:
    listen(lease.epoch)

    assert ask(connection, "echo", {"text": "hello"}, 10.0)["said"] == "hello"
    assert recorded.heard == [{"text": "hello"}]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("refuse", "not today"),
        ("fail", "defect, see the log: ZeroDivisionError"),
        ("dance", "there is no command 'dance'; this process knows echo, fail, refuse"),
    ],
)
def test_a_refusal_a_defect_and_an_unknown_command_are_answers_and_the_next_command_works(
    lease: Lease, listen: Listen, connection: Connection, command: str, said: str
) -> None:
    listen(lease.epoch)
    with pytest.raises(RejectedError, match=said):
        ask(connection, command, {}, 10.0)

    assert ask(connection, "echo", {"text": "on"}, 10.0)["said"] == "on"


def test_a_command_for_an_earlier_process_is_not_carried_out_by_the_next_one(
    database: str, listen: Listen, recorded: Recorded, connection: Connection
) -> None:
    Lease.acquire(database).release()
    number = request(connection, "echo", {"text": "too late"})
    lease = Lease.acquire(database)
    listen(lease.epoch)
    assert ask(connection, "echo", {"text": "now"}, 10.0)["said"] == "now"
    old = find(connection, number)
    lease.release()

    assert old is not None
    assert old.result == {"ok": False, "error": "given to an earlier process; give it again"}
    assert recorded.heard == [{"text": "now"}]


def test_a_process_that_lost_its_lease_leaves_commands_to_the_holder(
    lease: Lease, listen: Listen, recorded: Recorded, connection: Connection
) -> None:
    listen(lease.epoch - 1)
    with pytest.raises(NoAnswerError, match="did not answer `echo` within 1 s"):
        ask(connection, "echo", {"text": "whose?"}, 1.0)

    assert recorded.heard == []


def test_a_listener_whose_connection_is_cut_comes_back_and_what_was_asked_meanwhile_is_answered(
    lease: Lease, listen: Listen, connection: Connection
) -> None:
    listen(lease.epoch)
    ask(connection, "echo", {"text": "before"}, 10.0)
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND query NOT LIKE '%%UPDATE lease%%'"
    )

    assert ask(connection, "echo", {"text": "after"}, 10.0)["said"] == "after"


def test_the_time_between_commands_goes_on_without_a_database(recorded: Recorded) -> None:
    control = Control(lambda: None, 1, {}, recorded.between.set)
    control.start()

    assert recorded.between.wait(5.0)
    control.stop()


def test_an_unanswered_command_is_withdrawn_so_that_nobody_carries_it_out_later(
    lease: Lease, listen: Listen, recorded: Recorded, connection: Connection
) -> None:
    with pytest.raises(NoAnswerError):
        ask(connection, "echo", {"text": "hello?"}, 0.3)
    listen(lease.epoch)
    ask(connection, "echo", {"text": "later"}, 10.0)

    assert recorded.heard == [{"text": "later"}]


def test_a_process_that_ends_instead_of_answering_is_noticed_before_the_time_is_up(
    database: str, connection: Connection
) -> None:
    lease = Lease.acquire(database)
    threading.Timer(0.3, lease.release).start()
    began_s = time.monotonic()
    with pytest.raises(NotRunningError, match="ended before it answered `echo`"):
        ask(connection, "echo", {"text": "hello?"}, 30.0)

    assert time.monotonic() - began_s < 10


def test_the_holder_is_who_has_the_lock_now_and_nobody_after_its_connection_is_gone(
    database: str, connection: Connection
) -> None:
    assert holder(connection) is None
    lease = Lease.acquire(database, host="somewhere", pid=4711)
    found = holder(connection)
    assert found is not None
    assert (found.epoch, found.host, found.pid) == (lease.epoch, "somewhere", 4711)
    lease.release()

    assert holder(connection) is None


def test_a_holder_in_another_database_of_the_same_server_is_not_ours(
    database: str, empty_database: str, lease: Lease, connection: Connection
) -> None:
    with connect(empty_database) as other:
        other.execute(
            "CREATE TABLE lease (epoch bigint, pid int, host text, acquired_at timestamptz, released_at timestamptz)"
        )
        other.execute("INSERT INTO lease VALUES (1, 1, 'x', now(), NULL)")

        assert holder(other) is None
    assert holder(connection) is not None
