"""One write, one answer: what left is known, the gate decides at the socket, and nothing waits for ever."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import which

import pytest

from core.errors import RejectedError, TransientError, UnknownOutcomeError
from core.runtime.gate import GateCell
from core.trading.gate import GateLevel, OrderKind
from tests.live_venue.local_clob import Dripping, Held, LocalClob, Raw, Reply
from venues.polymarket.connection import Connections, GateRefusedError, HandOver, Timeouts

IMPATIENT = Timeouts(connect_s=1.0, write_s=0.25, answer_s=0.4)


def opening(gate: GateCell) -> HandOver:
    return partial(gate.submit, "BTC", OrderKind.OPEN_ORDER)


def test_a_gate_closed_before_lets_not_one_byte_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        pool = Connections(f"http://127.0.0.1:{server.getsockname()[1]}", timeouts=IMPATIENT)
        gate = GateCell()
        gate.hold(None, "halt", GateLevel.CLOSED)
        with pytest.raises(GateRefusedError, match="nothing was sent"):
            pool.request("POST", "/order", {}, b"{}", opening(gate))
        pool.close()
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(1000) == b""


def test_an_open_gate_notes_its_sequence_with_the_answer(clob: LocalClob, connections: Connections) -> None:
    clob.on("POST", "/order", Reply({}))
    gate = GateCell()
    gate.hold("ETH", "stale", GateLevel.REDUCE_ONLY)
    assert connections.request("POST", "/order", {}, b"{}", opening(gate)).gate_sequence == 1
    assert connections.request("POST", "/order", {}, b"{}").gate_sequence == 0


def test_the_write_happens_under_the_gates_lock_and_the_wait_for_the_answer_does_not(clob: LocalClob) -> None:
    clob.on("POST", "/order", Held())
    pool = Connections(clob.url, timeouts=Timeouts(answer_s=10.0))
    gate, written, closed = GateCell(), threading.Event(), threading.Event()
    seen: list[bool] = []

    def hand_over(write: Callable[[int], None]) -> int | None:
        def noted(sequence: int) -> None:
            seen.append(gate._lock.locked())
            write(sequence)
            seen.append(gate._lock.locked())

        sequence = gate.submit("BTC", OrderKind.OPEN_ORDER, noted)
        written.set()
        return sequence

    def send() -> None:
        with pytest.raises(UnknownOutcomeError):
            pool.request("POST", "/order", {}, b"{}", hand_over)
        closed.set()

    sender = threading.Thread(target=send)
    sender.start()
    assert written.wait(5)
    assert gate.hold(None, "halt", GateLevel.CLOSED)
    assert not closed.is_set()
    clob.closing.set()
    sender.join(5)
    assert seen == [True, True]


def test_a_peer_that_takes_no_bytes_holds_the_gate_for_no_longer_than_the_write_may_take() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        pool = Connections(f"http://127.0.0.1:{server.getsockname()[1]}", timeouts=Timeouts(write_s=0.1))
        gate = GateCell()
        begun_s = time.monotonic()
        with pytest.raises(UnknownOutcomeError, match="cut while sending"):
            pool.request("POST", "/order", {}, b"x" * 50_000_000, opening(gate))
        assert time.monotonic() - begun_s < 2.0
        assert gate.hold(None, "halt", GateLevel.CLOSED)
        pool.close()


def test_nobody_listening_is_transient_for_nothing_was_sent() -> None:
    pool = Connections("http://127.0.0.1:9", timeouts=IMPATIENT)
    with pytest.raises(TransientError, match="cannot be reached"):
        pool.request("POST", "/order", {}, b"{}")


@pytest.mark.parametrize(
    "behaviour",
    [
        Held(),
        Dripping(),
        Raw(),
        Raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
        Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"),
        Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"),
        Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n{"),
        Raw(b"what is this\r\n\r\n"),
    ],
    ids=["timeout", "dripping", "cut", "half-head", "half-body", "half-chunk", "endless", "garbage"],
)
def test_whatever_goes_wrong_after_the_bytes_left_is_unknown(
    clob: LocalClob, connections: Connections, behaviour: Raw | Held | Dripping
) -> None:
    clob.on("POST", "/order", behaviour)
    begun_s = time.monotonic()
    with pytest.raises(UnknownOutcomeError, match="sent, but not answered"):
        connections.request("POST", "/order", {}, b"{}")
    assert time.monotonic() - begun_s < 2.0
    assert len(clob.of("POST", "/order")) == 1
    clob.on("POST", "/order", Reply({"fine": 1}))
    assert connections.request("POST", "/order", {}, b"{}").status == 200


def test_a_warm_connection_is_used_and_kept(clob: LocalClob, connections: Connections) -> None:
    clob.on("POST", "/order", Reply({}))
    connections.warm(2)
    for _ in range(3):
        connections.request("POST", "/order", {}, b"{}")
    assert clob.connections == 2
    assert {asked.connection for asked in clob.asked} <= {1, 2}


def test_a_connection_the_venue_closed_meanwhile_is_not_used(clob: LocalClob, connections: Connections) -> None:
    clob.on("POST", "/order", Reply({}, headers={"Connection": "close"}), Reply({}))
    for _ in range(2):
        assert connections.request("POST", "/order", {}, b"{}").status == 200
    assert clob.connections == 2


def test_a_connection_that_ended_quietly_is_replaced_before_an_order_is_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        pool = Connections(f"http://127.0.0.1:{server.getsockname()[1]}", timeouts=IMPATIENT)
        pool.warm()
        stale, _ = server.accept()
        stale.close()

        server.settimeout(5)

        def serve() -> None:
            accepted, _ = server.accept()
            with accepted:
                accepted.settimeout(5)
                accepted.recv(10_000)
                accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        serving = threading.Thread(target=serve)
        serving.start()
        assert pool.request("POST", "/order", {}, b"{}").body == b"{}"
        serving.join(5)
        pool.close()


def test_a_connection_idle_for_too_long_is_not_trusted(clob: LocalClob) -> None:
    clob.on("GET", "/time", Reply(1))
    clock = [0.0]
    pool = Connections(clob.url, timeouts=Timeouts(idle_s=25.0), monotonic_s=lambda: clock[0])
    pool.request("GET", "/time", {})
    clock[0] = 26.0
    pool.request("GET", "/time", {})
    assert [asked.connection for asked in clob.asked] == [1, 2]
    pool.close()


def test_reading_and_cancelling_are_repeated_once_on_a_connection_that_died_and_orders_are_not(
    clob: LocalClob, connections: Connections
) -> None:
    for method in ("GET", "DELETE", "POST"):
        clob.on(method, "/x", Reply({}), Raw(), Reply({"again": True}))
        connections.request(method, "/x", {})
        if method == "POST":
            with pytest.raises(UnknownOutcomeError):
                connections.request(method, "/x", {})
        else:
            assert connections.request(method, "/x", {}).body == b'{"again": true}'
        assert len(clob.of(method, "/x")) == (2 if method == "POST" else 3)


def test_many_threads_share_the_pool_without_mixing_answers(clob: LocalClob) -> None:
    clob.on("GET", "/echo", lambda asked: Reply(asked.query["n"]))
    pool = Connections(clob.url)
    answers: dict[int, bytes] = {}

    def ask(n: int) -> None:
        for i in range(20):
            answers[n * 100 + i] = pool.request("GET", f"/echo?n={n * 100 + i}", {}).body

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    pool.close()
    assert answers == {n * 100 + i: f'"{n * 100 + i}"'.encode() for n in range(8) for i in range(20)}


def test_a_header_cannot_smuggle_a_line_and_the_error_does_not_show_it(connections: Connections) -> None:
    with pytest.raises(RejectedError, match="not plain text") as raised:
        connections.request("GET", "/time", {"POLY_PASSPHRASE": "secret\r\nX: 1"})
    assert "secret" not in str(raised.value)
    with pytest.raises(RejectedError, match="no web URL"):
        Connections("clob.polymarket.com")


def test_a_warm_tls_connection_stands_although_the_server_sent_session_tickets(tmp_path: Path) -> None:
    openssl = which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate for this test")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    asked = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([openssl, *asked, *named, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener, ours.wrap_socket(listener, server_side=True) as server:
        url = f"https://localhost:{listener.getsockname()[1] if listener.fileno() >= 0 else server.getsockname()[1]}"
        accepted: list[ssl.SSLSocket] = []

        server.settimeout(5)

        def serve() -> None:
            connection, _ = server.accept()
            connection.settimeout(5)
            accepted.append(connection)
            connection.recv(10_000)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        serving = threading.Thread(target=serve)
        serving.start()
        pool = Connections(url, timeouts=IMPATIENT, ssl_context=ssl.create_default_context(cafile=certificate))
        pool.warm()
        assert pool.request("POST", "/order", {}, b"{}").body == b"{}"
        serving.join(5)
        pool.close()
        assert len(accepted) == 1
        accepted[0].close()
    unknown = Connections(url, timeouts=IMPATIENT)
    with pytest.raises(TransientError, match="cannot be reached"):
        unknown.warm()
