"""What can happen between engine and client: refusals, silence, odd clocks, broken sockets, mangled events."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import websocket
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import OrderArgs, PartialCreateOrderOptions, PostOrdersV2Args
from py_clob_client_v2.exceptions import PolyApiException

from tests.sim.conftest import Served
from tests.sim_clients.conftest import QUICK, UserSocket, client_v2, new_secret, open_market, served, tokens
from venues.sim.exchange import Operation
from venues.sim.faults import EngineKind, TransportKind

_OPTIONS = PartialCreateOrderOptions(tick_size="0.01", neg_risk=False)
_ALWAYS = {"probability": 1.0}


@pytest.fixture
def faulty(v2: Served) -> Iterator[Served]:
    """The exchange of version 2; it behaves again afterwards."""
    yield v2
    plan(v2)


@pytest.fixture
def own() -> Iterator[Served]:
    """An exchange of the test's own, whose clock it may move."""
    yield from served(Operation(rules=QUICK))


@pytest.fixture(scope="module")
def up(v2: Served) -> str:
    """The Up token of the market the tests trade on."""
    return tokens(open_market(v2))[0]


def plan(exchange: Served, *rules: dict[str, Any]) -> None:
    """Have the exchange misbehave like this from now on."""
    content = json.dumps({"seed": 1, "rules": rules}) if rules else ""
    exchange.http.post(exchange.urls["admin"] + "/faults", content=content).raise_for_status()


def opcode(socket: websocket.WebSocket) -> int:
    """Return the kind of the next frame."""
    kind, _ = socket.recv_data()
    return int(kind)


def bid(client: ClobClient, token: str) -> str:
    """Rest an order and return its id."""
    args = OrderArgs(token_id=token, price=0.05, size=10, side="BUY")
    return str(client.create_and_post_order(args, _OPTIONS)["orderID"])


def test_an_order_is_taken_and_its_answer_never_comes(faulty: Served, up: str) -> None:
    client = client_v2(faulty)
    plan(faulty, {"kind": "accept_then_timeout", "duration_ms": 10, "scope": "POST /order", **_ALWAYS})
    with pytest.raises(PolyApiException) as raised:
        bid(client, up)
    assert raised.value.status_code == 504
    assert len(client.get_open_orders()) == 1, "the engine has the order all the same"


def test_too_many_requests_say_when_to_come_back(faulty: Served) -> None:
    plan(faulty, {"kind": "rate_limited", "duration_ms": 1_500, "scope": "GET /time", **_ALWAYS})
    reply = faulty.get("clob", "/time")
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "2")
    assert reply.json() == {"error": "Too Many Requests"}
    assert faulty.get("clob", "/ok").status_code == 200


def test_a_forbidden_region_gets_a_page_instead_of_json(faulty: Served) -> None:
    plan(faulty, {"kind": "forbidden", "at_counts": [1]})
    reply = faulty.get("clob", "/time")
    assert reply.status_code == 403
    assert reply.headers["content-type"].startswith("text/html")
    assert faulty.get("clob", "/time").status_code == 200


def test_a_skewed_clock_shuts_out_who_goes_by_their_own(faulty: Served) -> None:
    client = client_v2(faulty)
    plan(faulty, {"kind": "clock_skew", "skew_ms": -90_000, **_ALWAYS})
    assert client.get_server_time() == pytest.approx(time.time() - 90, abs=3)
    with pytest.raises(PolyApiException, match="Unauthorized/Invalid api key"):
        client.get_open_orders()
    patient = ClobClient(faulty.urls["clob"], 137, key=new_secret(), use_server_time=True)
    patient.set_api_creds(patient.create_or_derive_api_key())
    assert patient.get_open_orders() == []


def test_user_events_come_twice_late_or_never(faulty: Served, up: str) -> None:
    client = client_v2(faulty)
    with UserSocket(faulty, client) as user:
        plan(faulty, {"kind": "duplicate_event", **_ALWAYS})
        first = bid(client, up)
        assert [user.until(lambda _: True)[0]["id"] for _ in range(2)] == [first, first]
        plan(faulty, {"kind": "drop_event", "at_counts": [1]})
        lost, seen = bid(client, up), bid(client, up)
        assert user.until(lambda _: True)[0]["id"] == seen != lost
        plan(faulty, {"kind": "reorder_event", "at_counts": [1]})
        args = [client.create_order(OrderArgs(up, 0.05, 10, "BUY"), _OPTIONS) for _ in range(2)]
        answers = client.post_orders([PostOrdersV2Args(order, orderType="GTC") for order in args])
        early, late = (answer["orderID"] for answer in answers)
        assert [user.until(lambda _: True)[0]["id"] for _ in range(2)] == [late, early]


def test_a_connection_is_dropped(faulty: Served, up: str) -> None:
    client = client_v2(faulty)
    with UserSocket(faulty, client) as user:
        plan(faulty, {"kind": "drop_socket", "scope": "/ws/user", **_ALWAYS})
        bid(client, up)
        assert opcode(user.socket) == websocket.ABNF.OPCODE_CLOSE


def test_a_connection_is_cut_within_a_frame(faulty: Served, up: str) -> None:
    client = client_v2(faulty)
    with UserSocket(faulty, client) as user:
        plan(faulty, {"kind": "cut_frame", "scope": "/ws/user", **_ALWAYS})
        bid(client, up)
        with pytest.raises(websocket.WebSocketConnectionClosedException):
            opcode(user.socket)


def test_a_frozen_socket_answers_ping_and_nothing_else_until_it_thaws(own: Served) -> None:
    client, (up, _) = client_v2(own), tokens(open_market(own))
    with UserSocket(own, client) as user:
        plan(own, {"kind": "freeze_socket", "scope": "/ws/user", "duration_ms": 60_000, "at_counts": [1]})
        order_id = bid(client, up)
        several_beats = time.monotonic() + 0.3
        while time.monotonic() < several_beats:
            user.ping()
        own.clock.set(own.clock() + 60_100)
        assert user.until(lambda _: True)[0]["id"] == order_id


def test_who_knows_not_all_of_a_key_is_not_let_in(v2: Served, up: str) -> None:
    creds = client_v2(v2).creds
    right = {"apiKey": creds.api_key, "secret": creds.api_secret, "passphrase": creds.api_passphrase}
    for part in right:
        socket = v2.connect("user_ws")
        socket.send(json.dumps({"auth": right | {part: "x"}, "type": "user"}))
        assert opcode(socket) == websocket.ABNF.OPCODE_CLOSE
        socket.shutdown()  # type: ignore[no-untyped-call]  # the library's own gap


def test_who_names_no_key_hears_nothing(v2: Served, up: str) -> None:
    socket = v2.connect("user_ws")
    socket.send(json.dumps({"type": "user"}))
    bid(client_v2(v2), up)
    for _ in range(20):
        socket.send("PING")
        assert socket.recv() == "PONG"
    socket.close()


def test_the_admin_door_takes_plans_and_shows_ledgers(faulty: Served) -> None:
    client, admin = client_v2(faulty), faulty.urls["admin"]
    assert faulty.get("admin", "/faults").json() == {"seed": 0, "rules": []}
    assert faulty.http.post(admin + "/faults", content="default").json()["rules"]
    assert len(faulty.get("admin", "/faults").json()["rules"]) > 10
    assert faulty.http.post(admin + "/faults").json()["rules"] == []
    bad = faulty.http.post(admin + "/faults", content='{"rules":[{"kind":"gremlins"}]}')
    assert bad.status_code == 400
    assert "gremlins" in bad.json()["error"]
    audit = faulty.get("admin", f"/ledger?address={client.get_address()}").json()
    assert audit["balances"] == {"USD": 10_000_000_000}
    assert sum(row["amount"] for row in audit["movements"]) == 10_000_000_000
    rows = faulty.get("admin", "/ledger").json()
    assert sum(row["amount"] for row in rows if row["asset"] == "USD") == 0
    wallets = faulty.get("admin", f"/wallets?signer={client.get_address()}").json()
    assert wallets["eoa"] == client.get_address().lower()
    assert faulty.get("admin", "/wallets?signer=me").status_code == 400


def test_every_kind_of_fault_is_in_the_document() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "exchange.md").read_text()
    kinds = (*get_args(EngineKind), *get_args(TransportKind))
    assert [kind for kind in kinds if f"`{kind}`" not in text] == []
