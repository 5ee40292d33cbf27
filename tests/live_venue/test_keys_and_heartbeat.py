"""API keys derived or created once, and the chain of heartbeats that repairs itself."""

import pytest
from eth_account import Account as EthAccount
from eth_account.messages import encode_typed_data

from core.errors import FatalError, TransientError
from tests.live_venue.builders import API_KEY, NOW_MS, WALLET
from tests.live_venue.local_clob import Asked, Held, LocalClob, Raw, Reply
from venues.polymarket.auth import Level2
from venues.polymarket.connection import Connections
from venues.polymarket.credentials import ApiKey, Secret, Wallet
from venues.polymarket.heartbeat import Heartbeat
from venues.polymarket.keys import Keys
from venues.polymarket.order_errors import OrderRejectedError
from venues.polymarket.session import Session
from venues.polymarket.signing import signer_address

GIVEN = {"apiKey": "planted-key-0001", "secret": API_KEY.secret.reveal(), "passphrase": "planted-passphrase-0003"}
DERIVE, CREATE = ("GET", "/auth/derive-api-key"), ("POST", "/auth/api-key")
BEAT = ("POST", "/v1/heartbeats")


@pytest.fixture
def keys(connections: Connections) -> Keys:
    return Keys(connections, WALLET, lambda: NOW_MS)


def test_a_key_is_derived_and_asked_for_once(clob: LocalClob, keys: Keys) -> None:
    clob.on(*DERIVE, Reply(GIVEN))
    assert keys.api_key() == keys.api_key() == API_KEY
    assert len(clob.asked) == 1


def test_the_wallet_signs_the_documented_message(clob: LocalClob, keys: Keys) -> None:
    clob.on(*DERIVE, Reply(GIVEN))
    keys.api_key()
    headers = clob.asked[0].headers
    address, at = headers["poly_address"], headers["poly_timestamp"]
    assert (address, at, headers["poly_nonce"]) == (signer_address(WALLET), str(NOW_MS // 1000), "0")
    members = [("address", "address"), ("timestamp", "string"), ("nonce", "uint256"), ("message", "string")]
    text = "This message attests that I control the given wallet"
    message = encode_typed_data(
        {"name": "ClobAuthDomain", "version": "1", "chainId": 137},
        {"ClobAuth": [{"name": name, "type": kind} for name, kind in members]},
        {"address": address, "timestamp": at, "nonce": 0, "message": text},
    )
    assert EthAccount.recover_message(message, signature=headers["poly_signature"]) == address


def test_a_wallet_without_a_key_gets_its_first(clob: LocalClob, keys: Keys) -> None:
    clob.on(*DERIVE, Reply({"error": "Could not derive api key!"}, 400))
    clob.on(*CREATE, Reply(GIVEN))
    assert keys.api_key() == API_KEY


def test_a_venue_that_does_not_answer_is_asked_again(clob: LocalClob, keys: Keys) -> None:
    clob.on(*DERIVE, Held(), Raw(), Reply({"error": "x"}, 429), Reply(b"x", 502), Reply(GIVEN))
    for _ in range(4):
        with pytest.raises(TransientError):
            keys.api_key()
    assert keys.api_key() == API_KEY


@pytest.mark.parametrize(
    "reply",
    [Reply({"error": "Invalid L1 Request headers"}, 401), Reply(GIVEN | {"secret": ""})],
    ids=["refused", "empty"],
)
def test_a_key_that_is_not_given_is_a_refusal(clob: LocalClob, keys: Keys, reply: Reply) -> None:
    clob.on(*DERIVE, reply)
    with pytest.raises(OrderRejectedError, match="derive"):
        keys.api_key()


def test_a_key_that_is_no_key_is_refused_without_showing_it() -> None:
    broken = ApiKey(Secret("k"), Secret("not base64, one letter too m"), Secret("p"))
    with pytest.raises(FatalError, match="not base64") as raised:
        Level2("0x1", broken, lambda: NOW_MS)
    assert "letter" not in str(raised.value)
    with pytest.raises(FatalError):
        Keys(Connections("http://127.0.0.1:9"), Wallet(Secret("none")), lambda: NOW_MS).api_key()


class Dead:
    """The venue's side of the chain: it takes only the id it gave last."""

    def __init__(self, current: str = "") -> None:
        self.current = current
        self.beats = 0

    def answer(self, asked: Asked) -> Reply:
        if asked.json["heartbeat_id"] != self.current:
            return Reply({"error_msg": "Invalid Heartbeat ID", "heartbeat_id": self.current}, 400)
        self.beats += 1
        self.current = f"beat-{self.beats}"
        return Reply({"heartbeat_id": self.current})


@pytest.fixture
def heartbeat(session: Session) -> Heartbeat:
    return Heartbeat(session)


def test_each_heartbeat_names_the_id_the_last_one_brought(clob: LocalClob, heartbeat: Heartbeat) -> None:
    venue = Dead()
    clob.on(*BEAT, venue.answer)
    for _ in range(3):
        heartbeat.beat()
    assert [asked.json["heartbeat_id"] for asked in clob.asked] == ["", "beat-1", "beat-2"]


def test_a_stale_id_is_replaced_by_the_one_the_error_names(clob: LocalClob, heartbeat: Heartbeat) -> None:
    venue = Dead("of-another-process")
    clob.on(*BEAT, venue.answer)
    heartbeat.beat()
    assert [asked.json["heartbeat_id"] for asked in clob.asked] == ["", "of-another-process"]
    heartbeat.beat()
    assert venue.beats == 2


def test_a_heartbeat_whose_answer_was_lost_does_not_break_the_chain(clob: LocalClob, heartbeat: Heartbeat) -> None:
    venue = Dead()

    def lost(asked: Asked) -> Raw:
        venue.answer(asked)
        return Raw()

    clob.on(*BEAT, lost, venue.answer)
    with pytest.raises(TransientError):
        heartbeat.beat()
    heartbeat.beat()
    assert venue.beats == 2


def test_a_missed_or_refused_heartbeat_says_so(clob: LocalClob, heartbeat: Heartbeat) -> None:
    for reply in (Held(), Reply(b"<html>", 502), Reply({"error": "x"}, 429), Reply({}), Reply({"error": "x"}, 500)):
        clob.on(*BEAT, reply)
        with pytest.raises(TransientError):
            heartbeat.beat()
    clob.on(*BEAT, Reply({"error": "Unauthorized/Invalid api key"}, 401))
    with pytest.raises(OrderRejectedError):
        heartbeat.beat()
