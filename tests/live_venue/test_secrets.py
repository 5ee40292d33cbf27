"""No secret of the account shows in a repr, an error, a log line or anything that could be written down."""

import copy
import logging
import pickle
import traceback
from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from core.errors import FuseboxError
from tests.live_venue.builders import API_KEY, CONDITION, NOW_MS, PRIVATE_KEY, TOKEN, WALLET
from tests.live_venue.local_clob import Asked, Held, LocalClob, Raw, Reply
from venues.polymarket.account import Account
from venues.polymarket.auth import Level2
from venues.polymarket.connection import Connections
from venues.polymarket.credentials import Secret, scrubbed
from venues.polymarket.heartbeat import Heartbeat
from venues.polymarket.keys import Keys
from venues.polymarket.order_client import OrderClient
from venues.polymarket.session import Session
from venues.polymarket.signing import SignedOrder, signer_address
from venues.polymarket.user_stream import UserStream

PLANTED = (PRIVATE_KEY[2:], *(part.reveal() for part in (API_KEY.key, API_KEY.secret, API_KEY.passphrase)))


def leaks(text: str) -> list[str]:
    return [planted for planted in PLANTED if planted in text]


def test_a_secret_does_not_show_and_cannot_be_written_down() -> None:
    secret = Secret("planted-key-0001")
    for text in (repr(secret), str(secret), f"{secret}", f"{secret:>9}", repr(API_KEY), repr(WALLET), repr([API_KEY])):
        assert not leaks(text)
    for written in (partial(msgspec.json.encode, API_KEY), partial(pickle.dumps, secret), partial(copy.copy, secret)):
        with pytest.raises(TypeError):
            written()
    assert secret == Secret("planted-key-0001")
    assert len({secret, Secret("planted-key-0001"), Secret("other")}) == 2
    assert (bool(secret), bool(Secret(""))) == (True, False)
    assert scrubbed("a 0x12 and 12", Secret("0x12"), Secret("")) == "a *** and ***"


def test_objects_that_hold_secrets_do_not_show_them(session: Session, connections: Connections) -> None:
    level_2 = Level2(signer_address(WALLET), API_KEY, lambda: NOW_MS)
    stream = UserStream("ws://127.0.0.1:9", API_KEY, [CONDITION], lambda: NOW_MS)
    keys = Keys(connections, WALLET, lambda: NOW_MS)
    for held in (level_2, stream, keys, session, OrderClient(session), Heartbeat(session), stream._stream):
        assert not leaks(repr(held))
        assert not leaks(repr(vars(held)))


def echo(asked: Asked, status: int) -> Reply:
    """A venue that repeats what it was told, the keys first: errors show the beginning of an answer."""
    told = [asked.headers["poly_api_key"], asked.headers["poly_passphrase"], asked.body.decode()]
    return Reply({"error": f"refused {' '.join(told)}"}, status)


def shown(call: Callable[[], object]) -> str:
    """What a call shows of itself: its result, or its error with everything attached."""
    try:
        return repr(call())
    except FuseboxError as error:
        return "".join(traceback.format_exception(error)) + repr(vars(error))


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 425, 429, 500, 503])
def test_whatever_a_venue_echoes_no_error_shows_a_secret(
    clob: LocalClob, session: Session, signed: SignedOrder, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [("POST", "/order"), ("DELETE", "/order"), ("GET", "/balance-allowance"), ("POST", "/v1/heartbeats")]
    for method, path in (*paths, ("GET", "/data/trades"), ("GET", f"/data/order/{signed.order_hash}")):
        clob.on(method, path, lambda asked: echo(asked, status))
    account, orders = Account(session, 0), OrderClient(session)
    calls: list[Callable[[], object]] = [
        lambda: orders.post(signed),
        lambda: orders.cancel(signed.order_hash),
        account.cash,
        account.trades,
        lambda: account.order(signed.order_hash),
        Heartbeat(session).beat,
    ]
    with caplog.at_level(logging.DEBUG):
        for call in calls:
            assert not leaks(shown(call))
    assert not leaks(caplog.text)


@pytest.mark.parametrize("behaviour", [Held(), Raw(), Raw(b"HTTP/1.1 200 planted-key-0001\r\n\r\n")])
def test_a_call_that_breaks_shows_no_secret_in_its_traceback(
    clob: LocalClob, session: Session, signed: SignedOrder, behaviour: Held | Raw
) -> None:
    clob.on("POST", "/order", behaviour)
    with pytest.raises(FuseboxError) as raised:
        OrderClient(session).post(signed)
    assert not leaks("".join(traceback.format_exception(raised.value)))


def test_a_signed_order_can_be_kept_without_any_key(signed: SignedOrder) -> None:
    kept = msgspec.json.encode(signed)
    assert not leaks(kept.decode())
    assert TOKEN in kept.decode()
    assert msgspec.json.decode(kept, type=SignedOrder).order_hash == signed.order_hash
