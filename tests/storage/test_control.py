"""Commands reach a listener at once and are answered once."""

import threading

import pytest

from core.errors import TransientError
from storage.control import Command, Listener, acknowledge, find, request, waiting
from storage.pool import Connection


def test_a_command_waits_until_it_is_answered_and_the_first_answer_stands(connection: Connection) -> None:
    number = request(connection, "restart", {"asset": "BTC"})
    (command,) = waiting(connection)
    assert (command.id, command.command, command.args, command.result) == (number, "restart", {"asset": "BTC"}, None)
    assert acknowledge(connection, number, {"ok": True})
    assert not acknowledge(connection, number, {"ok": False})
    assert waiting(connection) == []
    answered = find(connection, number)
    assert answered is not None
    assert answered.result == {"ok": True}
    assert answered.acknowledged_at_ms is not None
    assert find(connection, number + 1) is None


def test_a_listener_hears_a_command_as_it_is_given(connection: Connection, database: str) -> None:
    listener = Listener(database)
    heard: list[Command] = []
    ear = threading.Thread(target=lambda: heard.extend(listener.wait(10.0)))
    ear.start()
    number = request(connection, "halt", {})
    ear.join(5.0)
    assert [command.id for command in heard] == [number]
    assert [command.id for command in listener.wait(0.0)] == [number]  # still there: a crash loses nothing
    acknowledge(connection, number, {})
    assert listener.wait(0.01) == []
    listener.close()
    with pytest.raises(TransientError):
        listener.wait(0.01)
