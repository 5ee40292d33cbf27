"""Orders over a real socket: the exact bytes, every way an answer can go, and cancels by hash."""

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from core.errors import RejectedError, TransientError
from core.runtime.gate import GateCell
from core.trading.gate import GateLevel, OrderKind
from tests.live_venue.builders import API_KEY, CONDITION, FUNDER, NOW_MS, ORDER, TOKEN, WALLET, order, posted, signer
from tests.live_venue.local_clob import Asked, Dripping, Held, LocalClob, Raw, Reply
from venues.polymarket.account import Account
from venues.polymarket.connection import Connections, GateRefusedError
from venues.polymarket.fills import Identity
from venues.polymarket.heartbeat import Heartbeat
from venues.polymarket.live_account import LiveAccount
from venues.polymarket.order_client import Accepted, OrderClient
from venues.polymarket.order_errors import OrderRejectedError, OrderTransientError, OrderUnknownError, Reason
from venues.polymarket.session import Session
from venues.polymarket.signing import OrderTerms, SignedOrder, signer_address


def test_the_body_is_what_the_venue_documents_signed_byte_for_byte(
    clob: LocalClob, orders: OrderClient, signed: SignedOrder
) -> None:
    clob.on("POST", "/order", Reply(posted(signed.order_hash)))
    orders.post(signed)
    asked = clob.asked[0]
    assert list(asked.json) == ["order", "owner", "orderType", "deferExec", "postOnly"]
    assert asked.json["order"] == json.loads(bytes(signed.payload))
    assert isinstance(asked.json["order"]["salt"], int)
    assert (asked.json["owner"], asked.json["orderType"]) == ("planted-key-0001", "FOK")
    assert (asked.json["deferExec"], asked.json["postOnly"]) == (False, False)
    assert b" " not in asked.body
    seconds = str(NOW_MS // 1000)
    secret = urlsafe_b64decode(API_KEY.secret.reveal())
    expected = hmac.new(secret, f"{seconds}POST/order".encode() + asked.body, hashlib.sha256).digest()
    assert asked.headers["poly_signature"] == urlsafe_b64encode(expected).decode()
    assert asked.headers["poly_timestamp"] == seconds
    assert asked.headers["poly_address"] == signer_address(WALLET)
    assert asked.headers["user-agent"].startswith("fusebox")


def test_version_1_leaves_out_what_it_does_not_know(clob: LocalClob, orders: OrderClient) -> None:
    signed = signer(1).sign(ORDER, OrderTerms(10_000, fee_rate_bps=1000))
    clob.on("POST", "/order", Reply(posted(signed.order_hash)))
    orders.post(signed)
    assert list(clob.asked[0].json) == ["order", "owner", "orderType", "postOnly"]


@pytest.mark.parametrize("status", ["live", "matched", "delayed", "unmatched"])
def test_an_accepted_order_says_how_it_stands(
    clob: LocalClob, orders: OrderClient, signed: SignedOrder, status: str
) -> None:
    clob.on("POST", "/order", Reply(posted(signed.order_hash.upper().replace("0X", "0x"), status=status)))
    accepted = orders.post(signed)
    assert accepted == Accepted(signed.order_hash, status, ("trade-1",), 5_200_000, 10_000_000, (), 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("amount", ["", None, "a lot", {"strange": 1}])
def test_amounts_that_cannot_be_read_do_not_undo_an_acceptance(
    clob: LocalClob, orders: OrderClient, signed: SignedOrder, amount: Any
) -> None:
    clob.on("POST", "/order", Reply(posted(signed.order_hash, status="live", makingAmount=amount)))
    if isinstance(amount, dict):
        with pytest.raises(OrderUnknownError):
            orders.post(signed)
        return
    assert orders.post(signed).making is None


def test_the_gate_decides_at_the_socket_and_its_sequence_is_kept(
    clob: LocalClob, orders: OrderClient, signed: SignedOrder
) -> None:
    gate = GateCell()
    gate.hold("ETH", "stale", GateLevel.REDUCE_ONLY)
    hand_over = partial(gate.submit, "BTC", OrderKind.OPEN_ORDER)
    clob.on("POST", "/order", Reply(posted(signed.order_hash)), Held(), Reply({"error": "invalid nonce"}, 400))
    assert orders.post(signed, hand_over=hand_over).gate_sequence == 1
    with pytest.raises(OrderUnknownError) as unknown:
        orders.post(signed, hand_over=hand_over)
    assert unknown.value.gate_sequence == 1
    with pytest.raises(OrderRejectedError) as rejected:
        orders.post(signed, hand_over=hand_over)
    assert rejected.value.gate_sequence == 1
    gate.hold(None, "halt", GateLevel.CLOSED)
    with pytest.raises(GateRefusedError):
        orders.post(signed, hand_over=hand_over)
    assert len(clob.asked) == 3


@pytest.mark.parametrize("behaviour", [Held(), Dripping(), Raw(), Raw(b"HTTP/1.1 200 OK\r\n")])
def test_a_post_without_an_answer_is_unknown_and_names_the_hash(
    clob: LocalClob, orders: OrderClient, signed: SignedOrder, behaviour: Any
) -> None:
    clob.on("POST", "/order", behaviour)
    with pytest.raises(OrderUnknownError) as raised:
        orders.post(signed)
    assert raised.value.order_hash == signed.order_hash
    assert len(clob.asked) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"",
        [],
        {},
        {"orderID": "0xother", "status": "live"},
        {"orderID": "", "status": "live"},
        {"orderID": 5},
    ],
    ids=["html", "empty", "list", "nothing", "other-order", "no-order", "number"],
)
def test_a_success_that_cannot_be_understood_is_unknown(
    clob: LocalClob, orders: OrderClient, signed: SignedOrder, body: Any
) -> None:
    clob.on("POST", "/order", Reply(body))
    with pytest.raises(OrderUnknownError) as raised:
        orders.post(signed)
    assert raised.value.order_hash == signed.order_hash


def test_a_status_nobody_knows_is_unknown(clob: LocalClob, orders: OrderClient, signed: SignedOrder) -> None:
    clob.on("POST", "/order", Reply(posted(signed.order_hash, status="pondering")))
    with pytest.raises(OrderUnknownError, match="pondering"):
        orders.post(signed)


def test_a_success_with_an_error_and_no_order_is_a_refusal(
    clob: LocalClob, orders: OrderClient, signed: SignedOrder
) -> None:
    clob.on("POST", "/order", Reply(posted("", errorMsg="invalid post-only order: order crosses book")))
    with pytest.raises(OrderRejectedError) as raised:
        orders.post(signed)
    assert raised.value.reason is Reason.POST_ONLY_CROSSES


def test_an_unreachable_venue_is_transient(signed: SignedOrder, session: Session, clob: LocalClob) -> None:
    clob.close()
    nobody = Session(Connections("http://127.0.0.1:9"), session._authenticator)
    with pytest.raises(TransientError, match="cannot be reached"):
        OrderClient(nobody).post(signed)


def test_matched_without_hashes_is_answered_at_once_and_nothing_is_polled(
    clob: LocalClob, orders: OrderClient, signed: SignedOrder
) -> None:
    clob.on("POST", "/order", Reply(posted(signed.order_hash)))
    begun_s = time.monotonic()
    assert orders.post(signed).trade_ids == ("trade-1",)
    assert time.monotonic() - begun_s < 1.0
    assert [asked.path for asked in clob.asked] == ["/order"]


def test_post_only_is_for_orders_that_may_rest(clob: LocalClob, orders: OrderClient, signed: SignedOrder) -> None:
    with pytest.raises(RejectedError, match="cannot be post-only"):
        orders.post(signed, post_only=True)
    resting = signer().sign(order(order_type="GTC"), OrderTerms(10_000))
    clob.on("POST", "/order", Reply(posted(resting.order_hash, status="live")))
    assert orders.post(resting, post_only=True).status == "live"
    assert clob.asked[0].json["postOnly"] is True


def test_cancels_are_by_hash_and_say_why_not(clob: LocalClob, orders: OrderClient) -> None:
    def half(asked: Asked) -> Reply:
        first, *others = asked.json
        return Reply(
            {"canceled": [first.upper()], "not_canceled": dict.fromkeys(others, "already canceled or matched")}
        )

    pending = "cannot cancel because the order is in pending/delayed status"
    clob.on("DELETE", "/order", Reply({"canceled": [], "not_canceled": {"0xA": pending}}))
    clob.on("DELETE", "/orders", half)
    clob.on("DELETE", "/cancel-all", Reply({"canceled": ["0xa"]}))
    clob.on("DELETE", "/cancel-market-orders", Reply({"canceled": None, "not_canceled": None}))
    assert orders.cancel("0xA").refused == {"0xa": pending}
    assert clob.asked[-1].json == {"orderID": "0xA"}
    several = orders.cancel_many(["0xa", "0xb"])
    assert (several.cancelled, several.refused) == (("0xa",), {"0xb": "already canceled or matched"})
    assert orders.cancel_all().cancelled == ("0xa",)
    assert clob.asked[-1].body == b""
    assert orders.cancel_market(CONDITION).cancelled == ()
    assert clob.asked[-1].json == {"market": CONDITION}
    orders.cancel_market(CONDITION, TOKEN)
    assert clob.asked[-1].json == {"market": CONDITION, "asset_id": TOKEN}


def test_more_cancels_than_one_request_takes_go_in_several(clob: LocalClob, orders: OrderClient) -> None:
    clob.on("DELETE", "/orders", lambda asked: Reply({"canceled": asked.json, "not_canceled": {}}))
    hashes = [f"0x{n:x}" for n in range(2_100)]
    assert list(orders.cancel_many(hashes).cancelled) == hashes
    assert [len(asked.json) for asked in clob.asked] == [1000, 1000, 100]
    assert orders.cancel_many([]).cancelled == ()


def test_a_cancel_that_is_not_answered_is_unknown_and_a_busy_venue_is_transient(
    clob: LocalClob, orders: OrderClient
) -> None:
    clob.on("DELETE", "/cancel-all", Held(), Reply(b"<html>"), Reply({"error": "slow down"}, 429, {"Retry-After": "2"}))
    for _ in range(2):
        with pytest.raises(OrderUnknownError):
            orders.cancel_all()
    with pytest.raises(OrderTransientError) as raised:
        orders.cancel_all()
    assert raised.value.retry_after_s == 2.0


def test_an_order_that_must_rest_is_signed_and_posted_as_one(
    clob: LocalClob, orders: OrderClient, session: Session, account: Account
) -> None:
    trading = LiveAccount(Identity(FUNDER, "key"), signer(), orders, account, Heartbeat(session))
    resting = trading.sign(order(order_type="GTC", post_only=True), OrderTerms(10_000))
    clob.on("POST", "/order", Reply(posted(resting.order_hash, status="live")))

    def hand_over(write: Callable[[int], None]) -> int:
        write(1)
        return 1

    assert trading.post(resting, hand_over).status == "live"
    assert clob.asked[0].json["postOnly"] is True
