"""Signed orders: the hash is known beforehand, the vendor's client would sign the same, and the signer is recovered."""

import json
import socket
import sys
from random import Random
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from py_clob_client.signer import Signer as Signer1
from py_clob_client_v2.order_utils import ExchangeOrderBuilderV2, OrderDataV2, Side
from py_clob_client_v2.signer import Signer as Signer2
from py_order_utils.builders import OrderBuilder as OrderBuilder1
from py_order_utils.model import OrderData as OrderData1

from core.errors import FatalError, RejectedError
from tests.live_venue.builders import FUNDER, NOW_MS, ORDER, PRIVATE_KEY, TOKEN, WALLET, order, signer
from venues.polymarket.credentials import POLY_1271, POLY_PROXY, Secret, Wallet
from venues.polymarket.quick_signing import digest_signer
from venues.polymarket.signing import OrderSigner, OrderTerms, SignedOrder, funder_address, signer_address
from venues.polymarket.versions import order_format

TERMS = OrderTerms(10_000)
STANDARD = "0xE111180000d2663C0091e4f400237545B87B996B"
NEG_RISK = "0xe2222d279d744050d28e00520010520000310F59"
ORDER_TYPE = [
    ("salt", "uint256"),
    ("maker", "address"),
    ("signer", "address"),
    ("tokenId", "uint256"),
    ("makerAmount", "uint256"),
    ("takerAmount", "uint256"),
    ("side", "uint8"),
    ("signatureType", "uint8"),
    ("timestamp", "uint256"),
    ("metadata", "bytes32"),
    ("builder", "bytes32"),
]


def payload(signed: SignedOrder) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(bytes(signed.payload))
    return fields


def typed_data(fields: dict[str, Any], contract: str) -> Any:
    """The order as the documents state it, without the vendor's code."""
    message = {name: fields[name] for name, _ in ORDER_TYPE} | {"side": {"BUY": 0, "SELL": 1}[fields["side"]]}
    for name in ("tokenId", "makerAmount", "takerAmount", "timestamp"):
        message[name] = int(message[name])
    domain = {"name": "Polymarket CTF Exchange", "version": "2", "chainId": 137, "verifyingContract": contract}
    types = {"Order": [{"name": name, "type": kind} for name, kind in ORDER_TYPE]}
    return encode_typed_data(domain, types, message)


@pytest.mark.parametrize(("neg_risk", "contract"), [(False, STANDARD), (True, NEG_RISK)])
def test_the_hash_is_the_documented_orders_hash_and_the_key_signed_it(*, neg_risk: bool, contract: str) -> None:
    signed = signer().sign(ORDER, OrderTerms(10_000, neg_risk=neg_risk))
    fields = payload(signed)
    message = typed_data(fields, contract)
    assert signed.order_hash == "0x" + Account.sign_message(message, PRIVATE_KEY).message_hash.hex()
    assert Account.recover_message(message, signature=fields["signature"]) == signer_address(WALLET)
    assert (fields["maker"], fields["makerAmount"], fields["takerAmount"]) == (
        signer_address(WALLET),
        "5200000",
        "10000000",
    )


def test_version_2_signs_what_the_vendors_client_signs() -> None:
    signed = signer().sign(ORDER, TERMS)
    fields = payload(signed)
    vendor = ExchangeOrderBuilderV2(STANDARD, 137, Signer2(PRIVATE_KEY, 137), lambda: str(fields["salt"]))
    address = signer_address(WALLET)
    theirs = vendor.build_signed_order(
        OrderDataV2(
            maker=address,
            signer=address,
            tokenId=TOKEN,
            makerAmount="5200000",
            takerAmount="10000000",
            side=Side.BUY,
            signatureType=0,
            timestamp=str(NOW_MS),
        )
    )
    assert fields["signature"] == theirs.signature


def test_version_1_signs_what_the_vendors_client_signs() -> None:
    signed = signer(1).sign(ORDER, OrderTerms(10_000, fee_rate_bps=1000))
    fields = payload(signed)
    contract = "0x4bFb41d5B3570DeFd03C39a9A4D8dE6Bd8B8982E"
    vendor = OrderBuilder1(contract, 137, Signer1(PRIVATE_KEY, 137), lambda: fields["salt"])
    address = signer_address(WALLET)
    theirs = vendor.build_signed_order(
        OrderData1(
            maker=address,
            signer=address,
            tokenId=TOKEN,
            makerAmount="5200000",
            takerAmount="10000000",
            side=0,
            feeRateBps="1000",
        )
    )
    assert fields == theirs.dict()


@pytest.mark.parametrize("version", [1, 2])
def test_the_hash_of_a_kept_order_can_be_computed_again(version: int) -> None:
    signing = signer(version)
    for neg_risk in (False, True):
        signed = signing.sign(order(side="SELL"), OrderTerms(10_000, neg_risk=neg_risk))
        assert signing.hash_again(signed) == signed.order_hash
    with pytest.raises(RejectedError, match="is of version"):
        signer(3 - version).hash_again(signed)


def test_no_two_signatures_have_the_same_hash_and_the_same_seed_gives_the_same_ones() -> None:
    one, other = signer(seed=7), signer(seed=7)
    hashes = [one.sign(ORDER, TERMS).order_hash for _ in range(20)]
    assert len(set(hashes)) == 20
    assert [other.sign(ORDER, TERMS).order_hash for _ in range(20)] == hashes


def test_signing_touches_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    signing = signer()
    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    assert signing.sign(ORDER, TERMS).order_hash


def test_another_protocol_version_is_refused_by_name_before_signing() -> None:
    with pytest.raises(RejectedError, match="protocol version 'v2'"):
        signer().sign(ORDER, OrderTerms(10_000, protocol_version="v2"))


def test_a_signed_order_says_nothing_but_its_names() -> None:
    signed = signer().sign(ORDER, TERMS)
    assert repr(signed) == f"SignedOrder(order-1, {signed.order_hash}, FOK, version 2)"
    assert PRIVATE_KEY[2:] not in bytes(signed.payload).decode()


def test_a_deposit_wallet_is_maker_and_signer_and_wraps_the_signature() -> None:
    wallet = Wallet(Secret(PRIVATE_KEY), POLY_1271, FUNDER)
    signing = signer(wallet=wallet)
    signed = signing.sign(ORDER, TERMS)
    fields = payload(signed)
    assert fields["maker"].lower() == fields["signer"].lower() == FUNDER
    assert len(fields["signature"]) > 300
    assert signing.hash_again(signed) == signed.order_hash
    with pytest.raises(FatalError, match="needs order version 2"):
        order_format(1, wallet)


def test_a_proxy_pays_and_the_key_signs() -> None:
    wallet = Wallet(Secret(PRIVATE_KEY), POLY_PROXY, FUNDER)
    fields = payload(signer(wallet=wallet).sign(ORDER, TERMS))
    assert (fields["maker"].lower(), fields["signer"]) == (FUNDER, signer_address(wallet))
    assert fields["signatureType"] == 1


@pytest.mark.parametrize(
    ("wallet", "reason"),
    [
        (Wallet(Secret("0xabc")), "no 64 hexadecimal digits"),
        (Wallet(Secret("zz" * 32)), "no 64 hexadecimal digits"),
        (Wallet(Secret("00" * 32)), "a number that no wallet can have"),
        (Wallet(Secret("ff" * 32)), "a number that no wallet can have"),
        (Wallet(Secret(PRIVATE_KEY), 4, FUNDER), "signature type 4 does not exist"),
        (Wallet(Secret(PRIVATE_KEY), 1), "needs the funder's address"),
        (Wallet(Secret(PRIVATE_KEY), 1, "0x12"), "is no address"),
        (Wallet(Secret(PRIVATE_KEY), 0, FUNDER), "does not go with funder"),
        (Wallet(Secret(PRIVATE_KEY), 2, signer_address(WALLET)), "does not go with funder"),
    ],
)
def test_a_wallet_that_does_not_fit_together_is_refused_with_the_remedy(wallet: Wallet, reason: str) -> None:
    with pytest.raises(FatalError, match=reason) as raised:
        funder_address(wallet)
    assert wallet.private_key.reveal() not in str(raised.value)


def test_an_unknown_chain_is_refused() -> None:
    with pytest.raises(FatalError, match="chain 1 has no exchange"):
        order_format(2, Wallet(Secret(PRIVATE_KEY), chain_id=1))


def test_a_salt_survives_readers_that_hold_numbers_as_doubles() -> None:
    signing = OrderSigner(order_format(2, WALLET), lambda: NOW_MS, Random(3))
    for _ in range(50):
        salt = payload(signing.sign(ORDER, TERMS))["salt"]
        assert int(float(salt)) == salt


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("neg_risk", [False, True])
def test_the_short_way_signs_what_the_vendors_generic_encoder_signs(seed: int, *, neg_risk: bool) -> None:
    random = Random(seed)
    asked = order(side=random.choice(["BUY", "SELL"]), token_id=str(random.getrandbits(256)))
    signed = signer(seed=seed).sign(asked, OrderTerms(10_000, neg_risk=neg_risk))
    fields = payload(signed)
    message = typed_data(fields, NEG_RISK if neg_risk else STANDARD)
    theirs = Account.sign_message(message, PRIVATE_KEY)
    assert (signed.order_hash, fields["signature"]) == (
        "0x" + theirs.message_hash.hex(),
        "0x" + theirs.signature.hex(),
    )


def test_a_key_signs_the_same_with_and_without_the_fast_library(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = [bytes([number]) * 32 for number in range(1, 40)]
    key = bytes.fromhex(PRIVATE_KEY.removeprefix("0x"))
    fast = [digest_signer(key)(digest) for digest in digests]
    monkeypatch.setitem(sys.modules, "coincurve", None)
    assert [digest_signer(key)(digest) for digest in digests] == fast


def test_a_vendors_release_that_signs_otherwise_is_noticed_before_an_order_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        ExchangeOrderBuilderV2, "build_order_hash", lambda _self, typed: "0x" + "ab" * 32 if typed else ""
    )
    with pytest.raises(FatalError, match="install the pinned"):
        order_format(2, WALLET)
