"""What the stream says of each state: nothing stored, live, silent, down, the database away and back."""

import time
from typing import Any

import pytest

from storage.pool import Connection
from storage.queries import Session
from storage.snapshots import Snapshot, save
from tests.web.conftest import NOWHERE, Serve, cut

STATUS = b'{"process":{"session":1,"paper_session":null},"marker":"%d"}'


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def paint(connection: Connection, session: Session, marker: int = 1, at_ms: int | None = None) -> None:
    save(connection, Snapshot(session.id, at_ms or now_ms(), STATUS % marker), lease_epoch=3)


def state_is(*states: str) -> Any:
    return lambda view: view["state"] in states


def test_an_empty_database_is_said_to_be_empty(serve: Serve, database: str) -> None:
    served = serve(database)
    with served.client() as client:
        view = served.until(client, state_is("empty"))
        assert (view["session"], view["status"]) == (None, None)
        for name in ("asset?asset=BTC", "equity", "learner", "trades", "orders", "events"):
            assert client.get(f"/api/{name}").status_code == 200


def test_a_database_of_an_older_version_has_no_picture_and_is_no_failure(serve: Serve, empty_database: str) -> None:
    served = serve(empty_database)
    with served.client() as client:
        view = served.until(client, state_is("away"))

    assert "not those of this version" in view["why"]


def test_no_database_at_all_is_said_with_the_remedy(serve: Serve) -> None:
    served = serve(None)
    with served.client() as client:
        view = served.until(client, state_is("empty"))
        assert "supervisor.py run" in view["why"]
        refused = client.get("/api/trades")

    assert (refused.status_code, "supervisor.py run" in refused.json()["error"]) == (503, True)


def test_each_picture_is_shown_as_soon_as_it_is_written(
    serve: Serve, database: str, connection: Connection, session: Session, trader: Connection
) -> None:
    paint(connection, session, 1)
    served = serve(database)
    with served.client() as client:
        view = served.until(client, state_is("live"))
        assert (view["session"], view["lease"]["pid"], view["status"]["marker"]) == (session.id, 4711, "1")
        with client.stream("GET", "/api/stream") as stream:
            lines = (line for line in stream.iter_lines() if line.startswith("data: "))
            next(lines)
            began_s = time.monotonic()
            paint(connection, session, 2)
            assert any('"marker":"2"' in line for line in lines)
            assert time.monotonic() - began_s < 0.9, "by its notification, not by the next look"


def test_a_process_that_shows_nothing_is_silent(
    serve: Serve, database: str, connection: Connection, session: Session, trader: Connection
) -> None:
    connection.execute("UPDATE lease SET acquired_at = now() - interval '1 hour'")
    at_ms = now_ms() - 60_000
    paint(connection, session, at_ms=at_ms)
    served = serve(database)
    with served.client() as client:
        view = served.until(client, state_is("silent"))

    assert view["since_ms"] == at_ms


def test_a_picture_of_the_process_before_is_not_the_new_ones(
    serve: Serve, database: str, connection: Connection, session: Session, trader: Connection
) -> None:
    paint(connection, session, at_ms=now_ms() - 1000)
    served = serve(database)
    with served.client() as client:
        assert served.until(client, state_is("live", "silent"))["state"] == "silent"


def test_a_trader_that_is_down_is_told_with_since_when_and_what_it_left(
    serve: Serve, database: str, connection: Connection, session: Session, trader: Connection
) -> None:
    paint(connection, session)
    served = serve(database)
    with served.client() as client:
        served.until(client, state_is("live"))
        trader.execute("UPDATE lease SET released_at = to_timestamp(1776727800)")
        trader.execute("SELECT pg_advisory_unlock_all()")
        view = served.until(client, state_is("down"))

    assert view["since_ms"] == 1_776_727_800_000
    assert view["stored"]["session"]["id"] == session.id
    assert view["status"]["marker"] == "1"


def test_a_database_that_goes_away_is_told_with_what_was_known_and_comes_back_by_itself(
    serve: Serve, database: str, connection: Connection, session: Session, trader: Connection
) -> None:
    paint(connection, session)
    served = serve(database)
    with served.client() as client:
        served.until(client, state_is("live"))
        assert client.get("/api/trades").status_code == 200
        served.conninfo = NOWHERE
        cut(database)
        view = served.until(client, state_is("away"))
        assert "not reachable" in view["why"]
        assert (view["status"]["marker"], view["session"]) == ("1", session.id)
        assert view["since_ms"] <= now_ms()
        assert client.get("/api/trades").status_code == 503

        served.conninfo = database
        served.until(client, state_is("silent", "down"))
        assert client.get("/api/trades").status_code == 200

    assert [line.split(":")[0] for line in served.said] == [
        "the database cannot be read",
        "the database answers again",
    ], "a state is logged when it begins and when it ends"


def test_a_connection_that_was_lost_while_it_lay_idle_is_replaced_unseen(serve: Serve, database: str) -> None:
    served = serve(database)
    with served.client() as client:
        assert client.get("/api/trades").status_code == 200
        cut(database)
        assert client.get("/api/trades").status_code == 200


def test_no_password_of_the_database_is_shown(serve: Serve) -> None:
    served = serve("postgresql://operator:hunter2@127.0.0.1:1/none")
    with served.client() as client:
        view = served.until(client, state_is("away"))

    assert "hunter2" not in str(view) + "".join(served.said)
    assert "127.0.0.1" in view["why"]


def test_who_closes_the_page_makes_room_for_others(serve: Serve) -> None:
    served = serve(None)
    with served.client() as client:
        for _ in range(3):
            served.until(client, state_is("empty"))
        for _ in range(20):  # each is noticed when the next view cannot be sent
            served.until(client, state_is("empty"))
            if served.page.hub.readers <= 1:
                return
    pytest.fail("those who left are still counted")
